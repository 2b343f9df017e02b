"""The dataset card: YAML that ``datasets`` and the Hub read, and a page that says where every row comes from.

It is made of the dataset's manifest and of figures counted in its shards, so that it can be made anew for any copy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pedcorpus.card_header import card_header, first_config, models_of, title
from pedcorpus.licenses import is_unknown
from pedcorpus.manifests import DatasetManifest, SourceLine
from pedcorpus.reasons import explain
from pedcorpus.records import SPLITS, TASKS
from pedcorpus.statistics import Statistics, top

ABOUT = {
    "medkqa": "medical knowledge, question and answer",
    "evidiag": "diagnosis from evidence: a complaint worked up to a finding",
    "trerecom": "what to give or do",
    "safety": "risky requests and careful answers",
    "self_cognition": "who the assistant is",
    "general": "general instructions",
    "cpt": "plain text and instructions in completion form, for continued pre-training",
    "dfpo": "preference pairs: prompt, chosen, rejected",
}
_STAGES = {
    "extract": "files become raw records; personal data is masked as a text is read",
    "screen": "pediatric records are chosen; historic, superseded and repeated ones go",
    "generate": "records become candidates: a question, an answer, and the spans it rests on",
    "filter": "numbers, doses, names, language and form are checked against the evidence",
    "dedup": "equal and nearly equal rows go",
    "decontaminate": "rows that overlap a benchmark go",
    "judge": "a model reads each row that a model made",
    "review": "doctors' decisions are applied",
    "derive": "accepted rows become completion texts and preference pairs",
    "split": "whole units go to train, validation or test",
}
_MOST = 12
_BAR = 20
RECALL = (97, 129)
"""Planted pieces of personal data that masking found, of all, in wordings its rules were not written for: docs/how-it-works.md."""


def dataset_card(manifest: DatasetManifest, statistics: Statistics) -> str:
    """``README.md`` of the dataset: the same manifest and figures give the same text."""
    sections = [
        _opening(manifest, statistics),
        _contents(manifest, statistics),
        _topics(statistics),
        _columns(),
        _sources(manifest, statistics),
        _left_out(manifest),
        _making(manifest),
        _quality(manifest, statistics),
        _rejected(manifest),
        _limits(manifest),
        _rebuilding(manifest),
        _citation(manifest),
    ]
    return card_header(manifest, statistics) + "\n\n".join("\n".join(lines) for lines in sections if lines) + "\n"


def _opening(manifest: DatasetManifest, statistics: Statistics) -> list[str]:
    spans = sum(figures.spans for figures in statistics.configs.values())
    diseases = f", {len(statistics.diseases):,} diseases" if statistics.diseases else ""
    return [
        f"# {title(manifest)}",
        "",
        "A pediatric instruction dataset in which every answer rests on a source and points to the place it was taken from:",
        f"{statistics.rows:,} rows in {_counted(len(manifest['rows']), 'config')}, {_counted(spans, 'evidence span')}{diseases}. Version {manifest['version']}.",
        "",
        f"> **Not medical advice.** The rows are for training and testing language models. They were made {_maker(manifest)} from",
        f"> their sources and {_reviewed(manifest)}. Nobody should treat a child by them.",
    ]


def _counted(number: int, name: str) -> str:
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def _contents(manifest: DatasetManifest, statistics: Statistics) -> list[str]:
    tasks = [task for task in TASKS if task in manifest["rows"]]
    lines = ["## Configs", "", *_table_head("config", *SPLITS, "what it holds", right=range(1, 1 + len(SPLITS)))]
    for task in tasks:
        cells = " | ".join(f"{manifest['rows'][task].get(split, 0):,}" for split in SPLITS)
        lines.append(f"| `{task}` | {cells} | {ABOUT[task]} |")
    lines += [
        "",
        "![Rows by config and split](assets/rows.png)",
        "",
        "```python",
        "from datasets import load_dataset",
        "",
        f'rows = load_dataset("OWNER/NAME", "{first_config(manifest)}")  # the repository, or a folder with these files',
        "```",
        "",
        "Splits are free of leaks: a disease (else a section, a dialogue, a pair) lies in one split as a whole, in every config."
        " Two names of one disease count as two.",
        "",
        "### Lengths",
        "",
        *_table_head(
            "config", "rows", "characters, median", "9 of 10 below", "several turns", "spans a row", right=range(1, 6)
        ),
    ]
    for task in tasks:
        held = statistics.configs[task]
        lines.append(
            f"| `{task}` | {held.rows:,} | {held.percentile(0.5):,} | {held.percentile(0.9):,} "
            f"| {held.multi_turn:,} | {held.spans / max(1, held.rows):.2f} |"
        )
    return [
        *lines,
        "",
        "Characters are those of the answer: the last message, `chosen`, or `text`.",
        "",
        "![Characters of an answer](assets/lengths.png)",
    ]


def _topics(statistics: Statistics) -> list[str]:
    lines: list[str] = []
    for name, tally in (("Departments", statistics.departments), ("Diseases", statistics.diseases)):
        if not tally:
            continue
        shown = top(tally, _MOST)
        rest = len(tally) - len(shown)
        lines += ["", f"### {name}", "", *_table_head(name.lower()[:-1], "rows", "", right=[1])]
        lines += [f"| {_cell(value)} | {count:,} | {_bar(count, shown[0][1])} |" for value, count in shown]
        if rest:
            lines += ["", f"And {rest:,} more, with {sum(tally.values()) - sum(count for _, count in shown):,} rows."]
        missing = statistics.rows - sum(tally.values())
        if missing:
            lines += ["", f"For {missing:,} rows the source states none."]
    return lines[1:]


def _bar(count: int, most: int) -> str:
    """A bar that every font can draw."""
    return "█" * max(1, round(_BAR * count / most))


def _columns() -> list[str]:
    return [
        "## Columns",
        "",
        "`evidence` holds the spans that an answer rests on (`record_id`, `page`, `start`, `end`, `quote`), `provenance` how the row was",
        "made, `quality` what the checks said. Instruction configs have `messages`, `dfpo` has `prompt`, `chosen`, `rejected`,",
        "`chosen_from`, `rejected_from` and `reason`, `cpt` has `text`. The columns and the files' hashes stand in [croissant.json](croissant.json) too.",
    ]


def _sources(manifest: DatasetManifest, statistics: Statistics) -> list[str]:
    lines = [
        "## Sources and licenses",
        "",
        f"The dataset as a whole: {_code(manifest['license'])}. Each row carries the license of its source in `license`.",
        "",
        *_table_head(
            "id", "kind", "title", "edition", "license", "may be published", "files", "rows", right=range(6, 8)
        ),
    ]
    for source in manifest["sources"]:
        lines.append(
            f"| `{source['id']}` | {source['kind']} | {_cell(source['title'])} | {_cell(source['edition'])} | {_cell(source['license'])} "
            f"| {_may_leave(source)} | {source['files']:,} | {statistics.sources[source['id']]:,} |"
        )
    lines += ["", "Rows by license:", "", *_table_head("license", "rows", right=[1])]
    return lines + [f"| {_cell(name)} | {count:,} |" for name, count in top(statistics.licenses, 50)]


def _may_leave(source: SourceLine) -> str:
    if not source["publishable"]:
        return "no"
    return "no: license unknown" if is_unknown(source["license"]) else "yes"


def _left_out(manifest: DatasetManifest) -> list[str]:
    if not manifest["excluded"]:
        return []
    about = {source["id"]: source for source in manifest["sources"]}
    lines = [
        "## Left out of this copy",
        "",
        f"{_counted(sum(manifest['excluded'].values()), 'row')} of the build rest on sources that may not be passed on, and are not here.",
        "",
        *_table_head("source", "license", "rows left out", right=[2]),
    ]
    for source, count in sorted(manifest["excluded"].items()):
        license_ = about[source]["license"] if source in about else ""
        lines.append(f"| `{source}` | {_cell(license_)} | {count:,} |")
    return [*lines, "", "The stages, reasons and quality figures below are those of the whole build."]


def _making(manifest: DatasetManifest) -> list[str]:
    lines = [
        "## How it was made",
        "",
        *_table_head("stage", "what it does", "in", "kept", "dropped", right=range(2, 5)),
    ]
    for stage in manifest["stages"]:
        dropped = sum(stage["rejected"].values())
        about = _STAGES.get(stage["name"], "")
        lines.append(f"| {stage['name']} | {about} | {stage['in']:,} | {stage['kept']:,} | {dropped:,} |")
    lines += [
        "",
        "![What each stage kept and dropped](assets/stages.png)",
        "",
        "`generate` and `derive` count what they made. In every stage `in` is `kept` and `dropped` together.",
        "",
    ]
    if models_of(manifest):
        lines += [
            f"Language models wrote: {', '.join(_code(model) for model in models_of(manifest))}. What a model wrote, `rejected` apart, was kept when its evidence",
            "stands in the source to the character, every number in it stands in that evidence, and every drug and disease there or in",
            "a graph's statements about the same disease.",
        ]
    else:
        lines.append("No language model took part: questions come from templates, answers are the source's own words.")
    lines += ["", *_table_head("prompt or wording", "sha256", "model", "rows", right=[3])]
    for item in manifest["made_with"]:
        sha256 = f"`{item['prompt_sha256'][:16]}…`" if item["prompt_sha256"] else ""
        lines.append(
            f"| {_code(item['prompt_id']) or 'taken over from the source'} | {sha256} | {_code(item['model'])} | {item['rows']:,} |"
        )
    return lines


def _dropped(manifest: DatasetManifest) -> Counter[str]:
    tally: Counter[str] = Counter()
    for stage in manifest["stages"]:
        tally.update(stage["rejected"])
    return tally


def _quality(manifest: DatasetManifest, statistics: Statistics) -> list[str]:
    dropped = _dropped(manifest)
    grounding = sum(count for reason, count in dropped.items() if reason.startswith("grounding."))
    advice = sum(dropped[reason] for reason in ("safety.dose", "safety.age", "safety.historic", "safety.toxic"))
    deduped = next((stage["in"] for stage in manifest["stages"] if stage["name"] == "dedup"), 0)
    lines = [
        "## Quality",
        "",
        f"- **Grounding.** {grounding:,} candidates were dropped because their evidence did not bear them out, {advice:,} more for a dose without a",
        "  trustworthy source, age or weight, or for a dangerous or historic remedy. `quote` is the source's text to the character.",
        f"- **Duplicates.** Of {deduped:,} rows, {dropped['dedup.exact']:,} were the same again and {dropped['dedup.near']:,} nearly the same; {_counted(dropped['screen.duplicate'], 'record')} had gone before.",
    ]
    if manifest["benchmarks"]:
        found = ", ".join(
            f"`{item['name']}` ({item['items']:,} items): {dropped['decontaminate.' + item['name']]:,} dropped"
            for item in manifest["benchmarks"]
        )
        lines.append(f"- **Contamination**, by n-grams of characters. {found}.")
    else:
        lines.append("- **Contamination.** Held against no benchmark.")
    return [*lines, *_masking(manifest, statistics)]


def _masking(manifest: DatasetManifest, statistics: Statistics) -> list[str]:
    if not manifest["deidentified"]:
        return ["- **Personal data.** Masking was switched off in this build."]
    held = ", ".join(f"{count:,} `{label}`" for label, count in top(statistics.masks, len(statistics.masks))) or "none"
    found, planted = RECALL
    return [
        f"- **Personal data** was masked before anything else. Masks in the rows' texts: {held}. Measured recall of the rules, in wordings",
        f"  they were not written for: {found} of {planted} planted pieces ({found / planted:.0%}).",
    ]


def _rejected(manifest: DatasetManifest) -> list[str]:
    lines = ["### Rejected", "", *_table_head("reason", "count", "meaning", right=[1])]
    dropped = _dropped(manifest)
    return lines + [f"| `{reason}` | {count:,} | {explain(reason)} |" for reason, count in top(dropped, len(dropped))]


def _limits(manifest: DatasetManifest) -> list[str]:
    own = (
        "- A model may have left out, joined or bent what its quotes say; the checks see numbers and names, not every sense."
        if models_of(manifest)
        else "- Questions come from templates; their variety is that of the wording files."
    )
    return [
        "## Known limits",
        "",
        own,
        "- An answer is as good as its source. Editions and licenses are listed above.",
        "- A quote can be checked against the raw record, which is not part of this dataset: sources are not passed on as a whole.",
        "- Masking is by rule; a name that no rule knows may remain.",
        "- `dfpo` rejected answers are worse on purpose, and `reason` says how: never train on them as answers.",
        "- Departments and diseases are spelled as the sources spell them.",
    ]


def _rebuilding(manifest: DatasetManifest) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in manifest["versions"].items())
    replies = ", seed and replies (`state/llm-cache.sqlite` of the build)" if models_of(manifest) else " and seed"
    lines = [
        "## The same bytes again",
        "",
        f"The same sources, config{replies} give the same files, byte for byte, with pedcorpus {manifest['pedcorpus']}:",
        "",
        "```sh",
        f"pedcorpus build --config pedcorpus.toml --output build{' --offline' if models_of(manifest) else ''}",
        "pedcorpus verify build",
        "```",
        "",
        f"Seed {manifest['seed']}; config `{manifest['config_sha256']}`; with {versions}. The hashes of sources and files stand in",
        "[manifest.json](manifest.json).",
    ]
    if manifest["excluded"]:
        lines += ["This copy is what `pedcorpus publish --exclude-unpublishable` then makes of that build."]
    return lines


def citation(manifest: DatasetManifest) -> str:
    """BibTeX. It names no year and no author, which the build does not know."""
    key = "".join(letter if letter.isalnum() else "_" for letter in manifest["name"])
    name = title(manifest).replace("{", "").replace("}", "")
    note = f"Version {manifest['version']}, made with pedcorpus {manifest['pedcorpus']}, config {manifest['config_sha256'][:16]}"
    return f"@misc{{{key},\n  title = {{{name}}},\n  note = {{{note}}}\n}}"


def _citation(manifest: DatasetManifest) -> list[str]:
    return [
        "## Citation",
        "",
        "```bibtex",
        *citation(manifest).split("\n"),
        "```",
        "",
        "Cite the sources of the rows that you use as well, as their licenses ask.",
    ]


def _reviewed(manifest: DatasetManifest) -> str:
    if any(stage["name"] == "review" for stage in manifest["stages"]):
        return "have been reviewed in part: rows that somebody decided on carry a note `review` in `quality`"
    return "have not been reviewed one by one"


def _maker(manifest: DatasetManifest) -> str:
    return "by rule and by language models" if models_of(manifest) else "by rule"


def _table_head(*names: str, right: Sequence[int] = ()) -> list[str]:
    """The first two lines of a table; the columns ``right`` hold figures."""
    return [
        "| " + " | ".join(names) + " |",
        "|" + "|".join("---:" if n in right else "---" for n in range(len(names))) + "|",
    ]


def _code(value: str | None) -> str:
    """Text as code, where there is some."""
    text = " ".join((value or "").split()).replace("`", "'").replace("|", "\\|")
    return f"`{text}`" if text else ""


def _cell(value: str | None) -> str:
    """Text for a cell: it can neither end the cell nor become markup."""
    text = " ".join((value or "").split())
    for mark in ("\\", "|", "`", "*", "_", "[", "]"):
        text = text.replace(mark, f"\\{mark}")
    return text.replace("<", "&lt;")
