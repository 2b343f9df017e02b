"""What the card's header says, for the Hub and for `datasets`: name, licenses, configs, tags."""

from __future__ import annotations

from typing import Any

from pedcorpus.licenses import license_slug, roll_up
from pedcorpus.manifests import DatasetManifest
from pedcorpus.records import SPLITS, TASKS
from pedcorpus.statistics import Statistics, top

_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
)


def licenses_of(manifest: DatasetManifest, statistics: Statistics) -> list[str]:
    """The dataset's license, then those of the sources of its rows, the commonest first."""
    return [manifest["license"], *(name for name, _ in top(statistics.licenses, len(statistics.licenses)))]


def card_header(manifest: DatasetManifest, statistics: Statistics) -> str:
    """The YAML between two lines of dashes, which `datasets` and the Hub read."""
    import yaml

    rows = manifest["rows"]
    ids, others = roll_up(licenses_of(manifest, statistics))
    models = models_of(manifest)
    header: dict[str, Any] = {
        "pretty_name": title(manifest),
        "language": [manifest["language"]],
        "license": ids[0] if len(ids) == 1 else ids,
    }
    if others:
        header["license_name"] = license_slug(others[0] if len(others) == 1 else "several-see-sources")
    header |= {
        "task_categories": ["question-answering", "text-generation"],
        "size_categories": [_size(statistics.rows)],
        "annotations_creators": ["machine-generated"],
        "language_creators": ["found", "machine-generated"] if models else ["found"],
        "multilinguality": ["monolingual"],
        "source_datasets": ["original"],
        "tags": keywords(manifest),
        "configs": [
            {
                "config_name": task,
                **({"default": True} if task == first_config(manifest) else {}),
                "data_files": [
                    {"split": split, "path": f"data/{task}/{split}-*"} for split in SPLITS if by_split.get(split)
                ],
            }
            for task, by_split in rows.items()
        ],
    }
    return f"---\n{yaml.safe_dump(header, allow_unicode=True, sort_keys=False, width=1000)}---\n\n"


def title(manifest: DatasetManifest) -> str:
    """What people call the dataset."""
    return manifest["pretty_name"] or manifest["name"]


def first_config(manifest: DatasetManifest) -> str:
    """The config that is loaded where none is named."""
    return next((task for task in TASKS if task in manifest["rows"]), "medkqa")


def keywords(manifest: DatasetManifest) -> list[str]:
    """Words to find the dataset by."""
    found = ["medical", "pediatrics", "instruction-tuning"]
    if manifest["language"].lower().split("-")[0] == "zh":
        found.append("chinese")
    if "dfpo" in manifest["rows"]:
        found += ["preference", "dpo"]
    return [*found, *(["synthetic"] if models_of(manifest) else []), "pedcorpus"]


def _size(total: int) -> str:
    return next((name for limit, name in _SIZES if total < limit), "100M<n<1B")


def models_of(manifest: DatasetManifest) -> list[str]:
    """The language models that wrote rows, by name."""
    return sorted({item["model"] for item in manifest["made_with"] if item["model"]})
