"""From a source in the config to files on disk, and from what an extractor read to raw records.

`SourceInfo` travels to the workers; its methods are the only makers of raw records, and they mask
personal data first, so that no extractor can forget to.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from pedcorpus.config import LoadedConfig, SourceConfig, SourceOptions
from pedcorpus.deidentify import Masked, mask, mask_spans, shift
from pedcorpus.errors import SourceError
from pedcorpus.records import Box, Pair, RawRecord, Reject, Triple, Turn, digest
from pedcorpus.text import han_share

HUB_PREFIX = "hf://datasets/"
_GLOB = re.compile(r"[*?\[]")
_DIGITS = re.compile(r"(\d+)")
_EXCERPT = 2000


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a source. ``name`` is its path inside the source, with ``/``: no machine in it."""

    path: Path
    name: str
    size: int
    sha256: str

    @property
    def suffix(self) -> str:
        """Lower-case suffix with its dot."""
        return Path(self.name).suffix.lower()

    @property
    def stem(self) -> str:
        """File name without folder and suffix."""
        return Path(self.name).stem


@dataclass(frozen=True, slots=True)
class Document:
    """What holds for every record of one document."""

    id: str
    title: str
    edition: str | None = None
    era: str = "modern"


@dataclass(frozen=True, slots=True)
class Spans:
    """Places inside a text as it was read, before masking: carried over to the masked text by `SourceInfo.section`."""

    page_starts: Sequence[tuple[int, int]] = ()
    seams: Sequence[int] = ()
    tables: Sequence[tuple[int, int]] = ()
    blocks: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """A source as an extractor sees it."""

    id: str
    kind: str
    title: str | None
    license: str
    publishable: bool
    edition: str | None
    language: str
    deidentify: bool
    options: SourceOptions = field(default_factory=SourceOptions)

    def fingerprint(self) -> str:
        """All that the records depend on beside the files, as JSON."""
        values = [getattr(self, item.name) for item in fields(self) if item.name != "options"]
        return json.dumps([*values, self.options.model_dump()], ensure_ascii=False, sort_keys=True)

    # --- documents and texts ---

    def document(self, file: SourceFile | None, title: str | None = None, **kept: Any) -> Document:
        """The document that ``file`` is; without one, the source as a whole."""
        name = file.name if file else ""
        edition = self.edition or kept.pop("edition", None)
        kept.pop("edition", None)
        best = title or self.title or (file.stem if file else None) or self.id
        return Document(digest("document", self.id, name), self.mask(best), edition, **kept)

    def mask(self, text: str) -> str:
        """``text`` without personal data, unless the config switched masking off."""
        return mask(text) if self.deidentify else text

    def _mask_spans(self, text: str) -> Masked:
        return mask_spans(text) if self.deidentify else Masked(text, ())

    def language_of(self, text: str) -> str:
        """BCP-47 tag: the dataset's language, or ``en`` where a Chinese dataset meets Latin text."""
        if self.language.startswith("zh") and re.search(r"[A-Za-z]{3}", text) and han_share(text) < 0.2:
            return "en"
        return self.language

    # --- records ---

    def section(
        self,
        document: Document,
        place: str,
        text: str,
        *,
        extractor: str,
        section_path: Sequence[str] = (),
        page: int | None = None,
        spans: Spans | None = None,
        boxes: Sequence[Box] = (),
        department: str | None = None,
        disease: str | None = None,
        era: str | None = None,
        extra: dict[str, Any] | None = None,
    ) -> RawRecord:
        """The record of one leaf section. ``place`` tells it from every other place of its document."""
        spans = spans or Spans()
        masked = self._mask_spans(text)
        more = dict(extra or {})
        if spans.page_starts:
            moved = shift([offset for _, offset in spans.page_starts], masked)
            more["page_starts"] = [
                [number, offset] for (number, _), offset in zip(spans.page_starts, moved, strict=True)
            ]
        if spans.seams:
            more["seams"] = shift(list(spans.seams), masked)
        for name, pairs in (("tables", spans.tables), ("blocks", spans.blocks)):
            if pairs:
                flat = shift([offset for pair in pairs for offset in pair], masked)
                more[name] = [[flat[i], flat[i + 1]] for i in range(0, len(flat), 2)]
        return self._record(
            document,
            place,
            masked.text,
            extractor=extractor,
            section_path=tuple(self.mask(part) for part in section_path),
            page=page,
            boxes=tuple(boxes),
            department=department,
            disease=disease,
            era=era,
            extra=more,
        )

    def dialogue(
        self,
        document: Document,
        place: str,
        turns: Sequence[Turn],
        *,
        extractor: str,
        department: str | None = None,
        disease: str | None = None,
        title: str | None = None,
    ) -> RawRecord:
        """The record of one dialogue; its text is the plain serialisation of its turns."""
        masked = tuple(Turn(turn.role, self.mask(turn.text)) for turn in turns)
        text, _ = serialise_turns(masked)
        extra = {"title": self.mask(title)} if title else {}
        return self._record(
            document,
            place,
            text,
            extractor=extractor,
            turns=masked,
            department=department,
            disease=disease,
            extra=extra,
        )

    def pair(
        self,
        document: Document,
        place: str,
        question: str,
        answer: str,
        *,
        extractor: str,
        department: str | None = None,
        disease: str | None = None,
        title: str | None = None,
    ) -> RawRecord:
        """The record of one question and its answer."""
        pair = Pair(self.mask(question), self.mask(answer))
        text, _ = serialise_pair(pair)
        extra = {"title": self.mask(title)} if title else {}
        return self._record(
            document,
            place,
            text,
            extractor=extractor,
            pairs=(pair,),
            department=department,
            disease=disease,
            extra=extra,
            language=self.language_of(pair.answer or pair.question),
        )

    def graph_node(
        self,
        document: Document,
        disease: str,
        triples: Sequence[Triple],
        *,
        extractor: str,
        department: str | None = None,
    ) -> RawRecord:
        """The record of one disease of a graph; its text is the plain serialisation of its triples."""
        name = self.mask(disease)
        masked = tuple(Triple(self.mask(t.head), self.mask(t.relation), self.mask(t.tail)) for t in triples)
        text, _ = serialise_triples(name, masked)
        return self._record(
            document,
            disease,
            text,
            extractor=extractor,
            triples=masked,
            department=department,
            disease=disease,
            section_path=(name,),
            extra={},
        )

    def _record(
        self,
        document: Document,
        place: str,
        text: str,
        *,
        extractor: str,
        extra: dict[str, Any],
        era: str | None = None,
        language: str | None = None,
        department: str | None = None,
        disease: str | None = None,
        **rest: Any,
    ) -> RawRecord:
        if self.options.task:
            extra = {**extra, "task": self.options.task}
        return RawRecord(
            id=digest("record", document.id, place, text),
            document_id=document.id,
            source_kind=self.kind,
            source_id=self.id,
            source_title=document.title,
            license=self.license,
            publishable=self.publishable,
            page=rest.pop("page", None),
            section_path=rest.pop("section_path", ()),
            edition=document.edition,
            era=era or document.era,
            text=text,
            department=self.mask(department) if department else department,
            disease=self.mask(disease) if disease else disease,
            language=language or self.language_of(text),
            extractor=extractor,
            extra=json.dumps(extra, ensure_ascii=False, sort_keys=True, separators=(",", ":")),
            **rest,
        )

    # --- ledger ---

    def reject(self, reason: str, file: SourceFile | None, detail: str, content: Any = None) -> Reject:
        """A ledger entry for something of ``file`` that could not be read; the excerpt is masked."""
        name = file.name if file else self.id
        if not isinstance(content, str):
            content = "" if content is None else _plain_json(self._masked(content))
        row = {"file": name, "content": self._excerpt(content)}
        return Reject(
            stage="extract",
            reason=reason,
            detail=f"{name}: {self.mask(_storable(detail))}",
            source_id=self.id,
            row=json.dumps(row, ensure_ascii=False, sort_keys=True),
        )

    def _excerpt(self, text: str) -> str:
        """The first characters, masked; what the cut would break in two is masked first, or left out."""
        masked = self._mask_spans(_storable(text[: 2 * _EXCERPT]))
        return masked.text[: masked.offset(_EXCERPT)]

    def _masked(self, content: Any) -> Any:
        """The texts in ``content`` masked one by one: in JSON their line breaks are letters that hide a number's border."""
        if isinstance(content, str):
            return self._excerpt(content)
        if isinstance(content, Mapping):
            return {self._masked(key): self._masked(value) for key, value in content.items()}
        if isinstance(content, list | tuple):
            return [self._masked(item) for item in content]
        return content


_LABELS = {
    "zh": {"user": "患者", "assistant": "医生", "system": "说明"},
    "en": {"user": "Patient", "assistant": "Doctor", "system": "Note"},
}


def serialise_turns(turns: Iterable[Turn]) -> tuple[str, list[tuple[int, int]]]:
    """Text of a dialogue, a turn a line, and the span of each turn's words in it."""
    pieces: list[str] = []
    spans: list[tuple[int, int]] = []
    position = 0
    for turn in turns:
        label = f"{_LABELS['zh'].get(turn.role, turn.role)}："
        pieces.append(f"{label}{turn.text}\n")
        spans.append((position + len(label), position + len(label) + len(turn.text)))
        position += len(pieces[-1])
    return "".join(pieces).removesuffix("\n"), spans


def serialise_pair(pair: Pair) -> tuple[str, tuple[tuple[int, int], tuple[int, int]]]:
    """Text of a pair and the spans of question and answer in it."""
    head, middle = "问：", "\n答："
    question = (len(head), len(head) + len(pair.question))
    answer = (question[1] + len(middle), question[1] + len(middle) + len(pair.answer))
    return f"{head}{pair.question}{middle}{pair.answer}", (question, answer)


def serialise_triples(disease: str, triples: Sequence[Triple]) -> tuple[str, dict[int, tuple[int, int]]]:
    """Text of one disease's statements, a relation a line, and the span of each triple's tail in it."""
    text = f"疾病：{disease}"
    spans: dict[int, tuple[int, int]] = {}
    relations: dict[str, list[int]] = {}
    for index, triple in enumerate(triples):
        relations.setdefault(triple.relation, []).append(index)
    for relation, indexes in relations.items():
        text += f"\n{relation}："
        for rank, index in enumerate(indexes):
            text += "、" if rank else ""
            spans[index] = (len(text), len(text) + len(triples[index].tail))
            text += triples[index].tail
    return text, spans


def _storable(text: str) -> str:
    """``text`` with halves of surrogate pairs, which no file can store, as question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _plain_json(content: Any) -> str:
    try:
        return json.dumps(content, ensure_ascii=False, default=str)
    except (TypeError, ValueError):
        return str(content)


# --- files ------------------------------------------------------------------------------------------


def natural(name: str) -> list[tuple[int, int, str]]:
    """Sort key under which ``page-2`` comes before ``page-10``."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in _DIGITS.split(name) if part]


def find_files(loaded: LoadedConfig, source: SourceConfig, index: int) -> list[tuple[Path, str]]:
    """The files of a source as (path, name inside the source), in natural order.

    Hidden files and folders are no input. Raises:
        SourceError: nothing is there.
    """
    where = f"{loaded.path}: sources[{index}] ({source.id})"
    if source.path.startswith(HUB_PREFIX):
        root = _from_hub(source.path, where)
    else:
        root = loaded.resolve(source.path, f"sources[{index}].path")
    try:
        if root.is_file():
            return [(root, _name(root, root.parent))]
        if root.is_dir():
            found = _visible_files(root, root)
            if source.path.startswith(HUB_PREFIX):
                found = [(path, name) for path, name in found if name != "README.md"]  # the card is no data
            if not found:
                raise SourceError(f"{where}: the folder {root} holds no file", "put the source there or mend `path`")
            return found
        if _GLOB.search(source.path):
            return _glob(root, where)
    except OSError as error:
        raise SourceError(f"{where}: {root}: {error.strerror or error}", "mend `path` or its permissions") from error
    raise SourceError(f"{where}: path does not exist: {root}", "mend `path`; it counts from the config file's folder")


def _visible_files(folder: Path, root: Path) -> list[tuple[Path, str]]:
    """Files below ``folder``, those behind links to other folders too."""
    found: dict[Path, str] = {}
    entered: set[Path] = set()

    def refuse(error: OSError) -> None:
        raise error

    for here, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        place = Path(here)
        if place.resolve() in entered:
            folders.clear()
            continue
        entered.add(place.resolve())
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            path = place / name
            # a dangling link is read, and told of
            if not name.startswith(".") and (path.is_file() or not path.exists()):
                found[path] = _name(path, root)
    return _ordered(found)


def _glob(pattern: Path, where: str) -> list[tuple[Path, str]]:
    parts = pattern.parts
    first = next(i for i, part in enumerate(parts) if _GLOB.search(part))
    root = Path(*parts[:first])
    found: dict[Path, str] = {}
    for path in root.glob(str(Path(*parts[first:]))):
        if any(part.startswith(".") for part in path.relative_to(root).parts):
            continue
        if path.is_dir():
            found.update(_visible_files(path, root))
        elif path.is_file() or not path.exists():
            found[path] = _name(path, root)
    if not found:
        raise SourceError(f"{where}: no file matches {pattern}", "mend the pattern; it counts from the config's folder")
    return _ordered(found)


def _name(path: Path, root: Path) -> str:
    """The path inside the source. A name in another encoding than the system's, as from an old archive, is read as GB18030."""
    name = path.relative_to(root).as_posix()
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name).decode("gb18030", "replace")
    return name


def _ordered(found: Mapping[Path, str]) -> list[tuple[Path, str]]:
    return sorted(found.items(), key=lambda item: (natural(item[1]), item[1]))


def _from_hub(path: str, where: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    name, _, revision = path.removeprefix(HUB_PREFIX).partition("@")
    try:
        return Path(snapshot_download(name, repo_type="dataset", revision=revision or None))
    except HFValidationError as error:
        raise SourceError(
            f"{where}: {path}: no valid dataset name: {error}", "write hf://datasets/OWNER/NAME"
        ) from None
    except LocalEntryNotFoundError as error:
        raise SourceError(
            f"{where}: {path}: the Hub cannot be reached and the dataset is not in the local cache",
            "check the network and HF_HUB_OFFLINE, or download it first",
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise SourceError(f"{where}: {path}: {error}", "check the name, the revision and your login") from error


def hash_file(path: Path) -> str:
    """Hex SHA-256 of a file, read in pieces."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
