"""The card of an output directory: what it is, what made it, how to load it, what it must not be used for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from pedcorpus.training.recipe import Recipe
from pedcorpus.training.rows import card_facts

_ADAPTER = "moe-lora"


def model_card(stage: dict[str, Any], recipe: Recipe, dataset: Path) -> str:
    """Markdown with a YAML header, of a stage's papers."""
    facts = card_facts(dataset)
    parent = stage["parent"]["path"]
    header: dict[str, Any] = {
        "library_name": "peft" if stage["stage"] == _ADAPTER else "transformers",
        "pipeline_tag": "text-classification" if stage["stage"] == "reward" else "text-generation",
        "language": [facts["language"]] if facts.get("language") else None,
        "tags": ["pedcorpus", stage["stage"], "medical", "pediatrics"],
    }
    if not Path(parent).is_absolute():
        header["base_model"] = parent
    lines = ["---", yaml.safe_dump({k: v for k, v in header.items() if v}, allow_unicode=True, sort_keys=False).strip()]
    lines += ["---", "", f"# {recipe.name}: {stage['stage']}", ""]
    lines += [
        "Made by `pedcorpus train`. It is a research model, not medical advice and not a medical device: nobody should "
        "treat a child by what it says.",
        "",
        "## Load it",
        "",
        "```python",
        *_code(stage["stage"]),
        "```",
        "",
        "## How it was made",
        "",
        "| | |",
        "|---|---|",
        f"| stage | {stage['stage']} |",
        f"| parent | `{Path(parent).name}`, SHA-256 `{stage['parent']['sha256']}` |",
        f"| dataset | {facts.get('name') or 'unnamed'} {facts.get('version') or ''}: "
        f"{', '.join(stage['dataset']) or 'none'} |",
        f"| license of the dataset | {facts.get('license') or 'unknown'} |",
        f"| steps | {stage['metrics'].get('steps')} |",
        f"| loss, mean of the first and of the last tenth of the steps | {stage['metrics'].get('first_loss')}, {stage['metrics'].get('last_loss')} |",
        f"| learned tokens | {stage['metrics'].get('supervised_tokens')} |",
        "",
        "![loss](loss.png)",
        "",
        "Hyper-parameters:",
        "",
        "| name | value | from |",
        "|---|---|---|",
    ]
    section = stage["stage"].replace("-", "_")
    for name, value in sorted(stage["hyperparameters"].items()):
        mark = recipe.fidelity.get(f"{section}.{name}") or recipe.fidelity.get(name) or "ours"
        lines.append(f"| `{name}` | `{value}` | {mark} |")
    lines += [
        "",
        "Libraries: " + ", ".join(f"{name} {version}" for name, version in stage["versions"].items()) + ".",
        "",
    ]
    return "\n".join(lines)


def _code(stage: str) -> list[str]:
    if stage == _ADAPTER:
        return [
            "import pedcorpus.training  # makes the adapter known to PEFT",
            "from peft import AutoPeftModelForCausalLM",
            "from transformers import AutoTokenizer",
            "",
            'model = AutoPeftModelForCausalLM.from_pretrained("DIRECTORY")',
            'tokenizer = AutoTokenizer.from_pretrained("DIRECTORY")',
        ]
    kind = "AutoModelForSequenceClassification" if stage == "reward" else "AutoModelForCausalLM"
    more = ", num_labels=1" if stage == "reward" else ""
    return [
        f"from transformers import {kind}, AutoTokenizer",
        "",
        f'model = {kind}.from_pretrained("DIRECTORY"{more})',
        'tokenizer = AutoTokenizer.from_pretrained("DIRECTORY")',
    ]
