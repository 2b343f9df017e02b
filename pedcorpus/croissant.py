"""``croissant.json``: the dataset described in MLCommons' Croissant 1.0, so that catalogues and loaders can read it.

Written as plain JSON; mlcroissant is needed by nobody but the test that holds the file against it. Each shard is a
file with its hash, each config a set of files and a set of records whose fields are the columns of the Parquet files.
It says neither where the dataset lies nor when it was published: a build knows neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pedcorpus.card import ABOUT, citation
from pedcorpus.card_header import keywords, licenses_of, title
from pedcorpus.licenses import license_address
from pedcorpus.manifests import DatasetManifest
from pedcorpus.records import SPLITS, TASKS, row_schema
from pedcorpus.statistics import Statistics

if TYPE_CHECKING:
    import pyarrow as pa

_PARQUET = "application/x-parquet"
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context that the standard gives; readers warn where a key of it is missing."""


def croissant(manifest: DatasetManifest, statistics: Statistics) -> dict[str, Any]:
    """The metadata of a dataset whose shards the manifest names."""
    tasks = [task for task in TASKS if task in manifest["rows"]]
    licenses = dict.fromkeys(license_address(name) for name in licenses_of(manifest, statistics))
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": manifest["name"],
        "alternateName": title(manifest),
        "description": f"{title(manifest)}: pediatric instructions in which every answer rests on a source and points to the place it was taken from. Not medical advice.",
        "version": manifest["version"],
        "license": list(licenses),
        "citeAs": citation(manifest),
        "keywords": keywords(manifest),
        "inLanguage": manifest["language"],
        "isAccessibleForFree": True,
        "rai:dataUseCases": "Training and testing of language models. Not for the care of a child.",
        "rai:personalSensitiveInformation": (
            "Personal data was masked by rule as each text was read; a name that no rule knows may remain."
            if manifest["deidentified"]
            else "Masking of personal data was switched off."
        ),
        "distribution": [
            *(_file(name, about["sha256"], about["bytes"]) for name, about in sorted(manifest["shards"].items())),
            *(_file_set(task) for task in tasks),
        ],
        "recordSet": [record_set for task in tasks for record_set in (_splits(task, manifest), _records(task))],
    }


def _file(name: str, sha256: str, size: int) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name.rpartition("/")[2],
        "contentUrl": name,
        "contentSize": f"{size} B",
        "encodingFormat": _PARQUET,
        "sha256": sha256,
    }


def _file_set(task: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"{task}-files",
        "name": f"{task}-files",
        "description": f"The shards of {task}.",
        "encodingFormat": _PARQUET,
        "includes": f"data/{task}/*.parquet",
    }


def _splits(task: str, manifest: DatasetManifest) -> dict[str, Any]:
    field = f"{task}_splits/split_name"
    return {
        "@type": "cr:RecordSet",
        "@id": f"{task}_splits",
        "name": f"{task}_splits",
        "dataType": "cr:Split",
        "key": {"@id": field},
        "field": [{"@type": "cr:Field", "@id": field, "name": "split_name", "dataType": "sc:Text"}],
        "data": [{field: split} for split in manifest["rows"][task]],
    }


def _records(task: str) -> dict[str, Any]:
    split = {
        "@type": "cr:Field",
        "@id": f"{task}/split",
        "name": "split",
        "description": "The split that the row lies in, from the file's name.",
        "dataType": "sc:Text",
        "source": {
            "fileSet": {"@id": f"{task}-files"},
            "extract": {"fileProperty": "filename"},
            "transform": {"regex": f"^({'|'.join(SPLITS)})"},
        },
        "references": {"field": {"@id": f"{task}_splits/split_name"}},
    }
    return {
        "@type": "cr:RecordSet",
        "@id": task,
        "name": task,
        "description": f"{ABOUT[task][0].upper()}{ABOUT[task][1:]}.",
        "key": {"@id": f"{task}/id"},
        "field": [split, *(_field(task, field, field.name, ()) for field in row_schema(task))],
    }


def _field(task: str, field: pa.Field, column: str, path: tuple[str, ...]) -> dict[str, Any]:
    """A column, or the part of one that lies at ``path``. A list has the fields of its items."""
    import pyarrow.types as kinds

    described: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": "/".join((task, column, *path)),
        "name": path[-1] if path else column,
    }
    inner = field.type
    if kinds.is_list(inner):
        described["repeated"] = True
        inner = inner.value_type
    if kinds.is_struct(inner):
        described["subField"] = [_field(task, part, column, (*path, part.name)) for part in inner]
        return described
    described["dataType"] = (
        "sc:Integer" if kinds.is_integer(inner) else "sc:Float" if kinds.is_floating(inner) else "sc:Text"
    )
    described["source"] = {"fileSet": {"@id": f"{task}-files"}, "extract": {"column": column}}
    if path:
        described["source"]["transform"] = [{"jsonPath": part} for part in path]
    return described
