"""Read test content with a real extractor: from bytes on disk to records and ledger entries."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pedcorpus import plugins
from pedcorpus.config import SourceOptions
from pedcorpus.reasons import is_known
from pedcorpus.records import RawRecord, Reject
from pedcorpus.sources import SourceFile, SourceInfo, hash_file


@dataclass(frozen=True)
class Read:
    """What an extractor made of some files."""

    records: list[RawRecord]
    rejects: list[Reject]

    @property
    def reasons(self) -> list[str]:
        return [reject.reason for reject in self.rejects]

    @property
    def texts(self) -> list[str]:
        return [record.text for record in self.records]

    @property
    def only(self) -> RawRecord:
        assert len(self.records) == 1, (self.texts, self.rejects)
        return self.records[0]

    @property
    def reject(self) -> Reject:
        assert len(self.rejects) == 1, self.rejects
        return self.rejects[0]

    def at(self, *path: str) -> str:
        """The text below a heading path."""
        found = [record.text for record in self.records if record.section_path == path]
        assert found, [record.section_path for record in self.records]
        return "\n".join(found)


def info(kind: str, **values: Any) -> SourceInfo:
    """A source of a kind."""
    options = values.pop("options", {})
    given: dict[str, Any] = {
        "id": "source",
        "title": None,
        "license": "apache-2.0",
        "publishable": True,
        "edition": None,
        "language": "zh",
        "deidentify": True,
        **values,
    }
    return SourceInfo(kind=kind, options=SourceOptions(**options), **given)


def read(kind: str, name: str, content: bytes | str, **values: Any) -> Read:
    """What the extractor of ``kind`` makes of one file."""
    return read_all(kind, {name: content}, **values)


def read_all(kind: str, files: Mapping[str, bytes | str], **values: Any) -> Read:
    """What the extractor of ``kind`` makes of several files, in units as in a build."""
    source = info(kind, **values)
    records: list[RawRecord] = []
    rejects: list[Reject] = []
    with tempfile.TemporaryDirectory() as folder:
        given = [put(Path(folder), name, content) for name, content in files.items()]
        for unit in plugins.units(kind, given, source):
            for item in plugins.extractor(kind).extract(unit, source):
                if isinstance(item, Reject):
                    rejects.append(item)
                else:
                    records.append(item)
    check(records, rejects)
    return Read(records, rejects)


def put(folder: Path, name: str, content: bytes | str) -> SourceFile:
    """A file of a source in ``folder``."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return SourceFile(path, name, path.stat().st_size, hash_file(path))


def check(records: list[RawRecord], rejects: list[Reject]) -> None:
    """What holds for all records and ledger entries, whatever was read."""
    ids = [record.id for record in records]
    assert len(set(ids)) == len(ids)
    for record in records:
        record.text.encode()
        assert record.text.strip()
        extras = record.extras()
        for name in ("tables", "blocks"):
            assert all(0 <= start < end <= len(record.text) for start, end in extras.get(name, [])), name
        offsets = [offset for _, offset in extras.get("page_starts", [])]
        assert offsets == sorted(offsets)
        assert all(0 < offset < len(record.text) for offset in [*offsets, *extras.get("seams", [])])
        assert len(extras.get("blocks", [])) == len(record.boxes)
    for reject in rejects:
        assert reject.stage == "extract"
        assert is_known(reject.reason), reject.reason
        assert reject.detail
        assert isinstance(json.loads(reject.row), dict)
        f"{reject.detail}{reject.row}".encode()
        assert tempfile.gettempdir() not in reject.detail, "a ledger entry names no machine's folder"
