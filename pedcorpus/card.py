"""The dataset card: YAML that ``datasets`` reads, and a page that says where every row comes from."""

from __future__ import annotations

from typing import Any

from pedcorpus.config import LoadedConfig
from pedcorpus.manifests import DatasetManifest
from pedcorpus.reasons import explain
from pedcorpus.records import SPLITS, TASKS

_ABOUT = {
    "medkqa": "medical knowledge, question and answer",
    "evidiag": "diagnosis from evidence: a complaint worked up to a finding",
    "trerecom": "what to give or do",
    "safety": "risky requests and careful answers",
    "self_cognition": "who the assistant is",
    "general": "general instructions",
    "cpt": "plain text and instructions in completion form, for continued pre-training",
    "dfpo": "preference pairs: prompt, chosen, rejected",
}
_TASK_CATEGORIES = ("question-answering", "text-generation")


def dataset_card(loaded: LoadedConfig, manifest: DatasetManifest) -> str:
    """``README.md`` of the dataset."""
    return _header(loaded, manifest) + _body(loaded, manifest)


def _header(loaded: LoadedConfig, manifest: DatasetManifest) -> str:
    import yaml

    dataset = loaded.config.dataset
    rows = manifest["rows"]
    total = sum(sum(by_split.values()) for by_split in rows.values())
    known = dataset.license != "unknown"
    header: dict[str, Any] = {
        "pretty_name": dataset.pretty_name or dataset.name,
        "language": [dataset.language],
        "license": dataset.license if known else "other",
        "task_categories": list(_TASK_CATEGORIES),
        "tags": ["medical", "pediatrics", "instruction-tuning", "chinese"]
        if dataset.language.startswith("zh")
        else ["medical", "pediatrics", "instruction-tuning"],
        "size_categories": [_size(total)],
        "configs": [
            {
                "config_name": task,
                "data_files": [
                    {"split": split, "path": f"data/{task}/{split}-*"} for split in SPLITS if by_split.get(split)
                ],
            }
            for task, by_split in rows.items()
        ],
    }
    if not known:
        header["license_name"] = "unknown"
    return f"---\n{yaml.safe_dump(header, allow_unicode=True, sort_keys=False)}---\n\n"


def _size(total: int) -> str:
    for limit, name in ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")):
        if total < limit:
            return name
    return "1M<n<10M"


def _body(loaded: LoadedConfig, manifest: DatasetManifest) -> str:
    dataset = loaded.config.dataset
    lines = [
        f"# {dataset.pretty_name or dataset.name}",
        "",
        "A pediatric instruction dataset in which every answer is taken from a source and points to the place it was taken from.",
        "",
        "> **Not medical advice.** The rows are for training and testing language models. They were made by rule from their sources and",
        "> have not been reviewed one by one. Nobody should treat a child by them.",
        "",
        "## Configs",
        "",
        "| config | " + " | ".join(SPLITS) + " | what it holds |",
        "|---|" + "---:|" * len(SPLITS) + "---|",
    ]
    for task in TASKS:
        if task in manifest["rows"]:
            by_split = manifest["rows"][task]
            cells = " | ".join(f"{by_split.get(split, 0):,}" for split in SPLITS)
            lines.append(f"| `{task}` | {cells} | {_ABOUT[task]} |")
    first = next(iter(manifest["rows"]), "medkqa")
    lines += [
        "",
        "```python",
        "from datasets import load_dataset",
        "",
        f'rows = load_dataset("PATH_OR_HUB_ID", "{first}")',
        "```",
        "",
        "Splits are free of leaks: a disease (else a section, a dialogue, a pair) lies in one split as a whole, in every config."
        " Two names of one disease count as two.",
        "",
        "## Columns",
        "",
        "`evidence` holds the spans that an answer rests on (`record_id`, `page`, `start`, `end`, `quote`), `provenance` how the row was",
        "made, `quality` what the checks said. Instruction configs have `messages`, `dfpo` has `prompt`, `chosen`, `rejected`,",
        "`chosen_from`, `rejected_from` and `reason`, `cpt` has `text`.",
        "",
        "## Sources",
        "",
        "| id | kind | title | edition | license | publishable | files |",
        "|---|---|---|---|---|---|---:|",
    ]
    for source in manifest["sources"]:
        lines.append(
            f"| `{source['id']}` | {source['kind']} | {_cell(source['title'])} | {_cell(source['edition'])} | {_cell(source['license'])} "
            f"| {'yes' if source['publishable'] else 'no'} | {source['files']} |"
        )
    lines += ["", "## How it was made", "", "| stage | in | kept | rejected |", "|---|---:|---:|---:|"]
    for stage in manifest["stages"]:
        lines.append(f"| {stage['name']} | {stage['in']:,} | {stage['kept']:,} | {sum(stage['rejected'].values()):,} |")
    lines += [
        "",
        f"Made by pedcorpus {manifest['pedcorpus']}, extractive backend, seed {manifest['seed']}: questions from templates, answers in the",
        "source's own words. Personal data was masked as each text was read. The same sources, config and seed give the same bytes;",
        f"the config's hash is `{manifest['config_sha256'][:16]}…`.",
        "",
        "### Rejected",
        "",
        "| reason | count | meaning |",
        "|---|---:|---|",
    ]
    reasons: dict[str, int] = {}
    for stage in manifest["stages"]:
        for reason, count in stage["rejected"].items():
            reasons[reason] = reasons.get(reason, 0) + count
    lines += [
        f"| `{reason}` | {count:,} | {explain(reason)} |"
        for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    ]
    if manifest["benchmarks"]:
        names = ", ".join(f"`{item['name']}` ({item['items']:,} items)" for item in manifest["benchmarks"])
        lines += ["", f"Kept out by character n-grams: {names}."]
    lines += [
        "",
        "## Known limits",
        "",
        "- Questions come from templates; their variety is that of the wording files.",
        "- An answer is as good as its source. Editions and licenses are listed above.",
        "- Masking is by rule; a name that no rule knows may remain.",
        "- `dfpo` rejected answers are made worse by rule and carry the rule in `reason`.",
        "",
    ]
    return "\n".join(lines)


def _cell(value: str | None) -> str:
    return (value or "").replace("|", "\\|")
