"""From a row back to its source: the evidence marked in the record's text, and on the page it was printed on."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pedcorpus.builddir import CACHE_NAME, open_build, read_json, read_table
from pedcorpus.errors import BuildDirError, PedcorpusError
from pedcorpus.llm.cache import Cache
from pedcorpus.records import columns, digest

_AROUND = 160
_SHORTEST = 6


def find_trace(root: Path, row_id: str) -> dict[str, Any]:
    """A row, accepted or rejected, with the records of its evidence.

    Raises:
        BuildDirError: no finished build.
        PedcorpusError: no row, or several rows, begin with ``row_id``.
    """
    open_build(root)
    if len(row_id) < _SHORTEST:
        raise PedcorpusError(f"{row_id!r} is too short for a row id", f"give at least {_SHORTEST} characters of it")
    found = list(_accepted(root, row_id)) or list(_rejected(root, row_id))
    if not found:
        raise PedcorpusError(
            f"no row of {root} has an id that begins with {row_id!r}", "ids are in the `id` column and in report.html"
        )
    if len({item["row"]["id"] for item in found}) > 1:
        raise PedcorpusError(f"{len(found)} rows have an id that begins with {row_id!r}", "give more characters of it")
    item = found[0]
    wanted = {evidence["record_id"] for evidence in item["row"].get("evidence") or []}
    item["records"] = _records(root, wanted or {item["row"]["id"]})
    item["file"] = _file_of(root, item)
    item["request"] = _request_of(root, item["row"])
    return item


def _file_of(root: Path, found: dict[str, Any]) -> str | None:
    """The source file of the first record, as its source names it; None where state/ is gone."""
    sources = root / "state" / "sources.json"
    if not sources.exists():
        return None
    for record in found["records"].values():
        for name in read_json(sources).get(record["source_id"], {}):
            if digest("document", record["source_id"], name) == record["document_id"]:
                return str(name)
    return None


def _request_of(root: Path, row: dict[str, Any]) -> dict[str, Any] | None:
    """What the model was asked for this row (server, model, messages, sampling); None where none was, or state/ is gone."""
    key = (row.get("provenance") or {}).get("request_key")
    path = root / "state" / CACHE_NAME
    if not key or not path.exists():
        return None
    with Cache(path, write=False) as cache:
        request = cache.request_of(key)
    return dict(json.loads(request)) if request else None


def _accepted(root: Path, row_id: str) -> Iterator[dict[str, Any]]:
    import pyarrow.compute as pc

    manifest = read_json(root / "dataset" / "manifest.json")
    for shard in manifest["shards"]:
        _, task, name = shard.split("/")
        path = root / "dataset" / shard
        ids = read_table(path, ["id"]).column("id")
        mask = pc.starts_with(ids, row_id)
        if pc.any(mask).as_py():
            for row in read_table(path).filter(mask).select(list(columns(task))).to_pylist():
                yield {"status": "accepted", "split": name.split("-", 1)[0], "shard": shard, "row": row}


def _rejected(root: Path, row_id: str) -> Iterator[dict[str, Any]]:
    import pyarrow.compute as pc

    for path in sorted((root / "rejects").glob("*.parquet")):
        table = read_table(path)
        mask = pc.starts_with(pc.fill_null(table.column("row_id"), ""), row_id)
        for entry in table.filter(mask).to_pylist():
            row = json.loads(entry["row"])
            row.setdefault("id", entry["row_id"])
            yield {
                "status": "rejected",
                "stage": entry["stage"],
                "reason": entry["reason"],
                "detail": entry["detail"],
                "row": row,
            }


def _records(root: Path, ids: set[str]) -> dict[str, dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    found = {}
    for path in sorted((root / "records").glob("*.parquet")):
        mask = pc.is_in(read_table(path, ["id"]).column("id"), value_set=pa.array(sorted(ids)))
        if pc.any(mask).as_py():
            for record in read_table(path).filter(mask).to_pylist():
                record["extra"] = json.loads(record["extra"])
                found[record["id"]] = record
    return found


def format_trace(found: dict[str, Any], color: bool = False) -> str:
    """The trace for people; spans stand between ⟦ and ⟧, or in reverse on a terminal."""
    row = found["row"]
    lines = []
    if found["status"] == "accepted":
        lines.append(f"row {row['id']}: {row['task']}, {found['split']}, {found['shard']}")
    else:
        lines.append(f"row {row['id']}: rejected at {found['stage']}, {found['reason']}: {found['detail']}")
    for name in ("source_title", "source_id", "license", "department", "disease"):
        if row.get(name):
            lines.append(f"  {name:<13} {row[name]}")
    if found.get("file"):
        lines.append(f"  {'file':<13} {found['file']}")
    provenance = row.get("provenance")
    if provenance:
        made = f"{provenance['extractor']} → {provenance['generator']}"
        lines.append(f"  {'made by':<13} {made}" + (f", {provenance['prompt_id']}" if provenance["prompt_id"] else ""))
        if provenance["model"]:
            lines.append(f"  {'model':<13} {provenance['model']}, request {provenance['request_key']}")
        for role, content in (found.get("request") or {}).get("messages", []):
            lines.append(f"  {'asked':<13} {role}: {_shortened(content)}")
        for version in provenance.get("version_trail") or []:
            lines.append(f"  {'version':<13} {version['step']}: {_shortened(version['content'])}")
    for note in row.get("quality") or []:
        said = ", ".join(str(value) for value in (note["score"], note["detail"]) if value is not None)
        lines.append(f"  {'check':<13} {note['check']}: {said}")
    lines.append("")
    lines += _said(row)
    cited: dict[str, list[dict[str, Any]]] = {}
    for item in row.get("evidence") or []:
        cited.setdefault(item["record_id"], []).append(item)
    for number, (record_id, items) in enumerate(cited.items(), 1):
        record = found["records"].get(record_id)
        spans = [(item["start"], item["end"]) for item in items]
        pages = ", ".join(dict.fromkeys(str(item["page"]) for item in items if item["page"]))
        lines += [
            "",
            f"evidence {number}: record {record_id}, characters {', '.join(f'{start}–{end}' for start, end in spans)}"
            + (f", page {pages}" if pages else ""),
        ]
        if record is None:
            lines.append("  the record is missing: run `pedcorpus verify`")
            continue
        path = " / ".join(record["section_path"] or [])
        about = [part for part in (record["source_title"], record["edition"], path) if part]
        lines.append("  " + " · ".join(about))
        lines += ["  | " + line for line in _marked(record["text"], spans, color).split("\n")]
    return "\n".join(_printable(line) for line in lines)


def _shortened(text: str) -> str:
    flat = " ".join(text.split())
    return f"{flat[:_AROUND]}…" if len(flat) > _AROUND else flat


def _said(row: dict[str, Any]) -> list[str]:
    lines = []
    for part in ("prompt", "messages", "chosen", "rejected"):
        for message in row.get(part) or []:
            label = part if part in ("chosen", "rejected") else message["role"]
            lines += [
                f"  {label:<10} {text}" if not index else f"  {'':<10} {text}"
                for index, text in enumerate(message["content"].split("\n"))
            ]
    if row.get("text"):
        lines += [
            f"  {'text':<10} {text}" if not index else f"  {'':<10} {text}"
            for index, text in enumerate(row["text"].split("\n"))
        ]
    return lines


def _marked(text: str, spans: list[tuple[int, int]], color: bool) -> str:
    """``text`` around ``spans`` with each of them marked; what lies far from all of them is left out."""
    opened, closed = ("\x1b[7m", "\x1b[0m") if color else ("⟦", "⟧")
    pieces, shown = [], 0
    for start, end in sorted(spans):
        start, end = max(start, shown), max(end, shown)
        left = max(shown, start - _AROUND)
        if left > shown:
            right = min(left, shown + _AROUND) if shown else 0
            pieces += [text[shown:right], "…"] if right < left else [text[shown:left]]
        span = text[start:end].replace("\n", f"{closed}\n{opened}") if color else text[start:end]
        pieces += [text[left:start], opened, span, closed] if end > start else []
        shown = end
    rest = text[shown : shown + _AROUND]
    return "".join([*pieces, rest, "…" if shown + _AROUND < len(text) else ""])


def _printable(line: str) -> str:
    """Source text cannot steer the terminal: control characters go, but for our own marks."""
    return (
        "".join(c for c in line if unicodedata.category(c) != "Cc" or c == "\x1b")
        if "\x1b[7m" in line
        else "".join(c for c in line if unicodedata.category(c) != "Cc")
    )


def write_page_image(root: Path, found: dict[str, Any], target: Path) -> None:
    """The PDF page of the row's first evidence that has one, with the blocks of the span marked.

    Raises:
        PedcorpusError: no evidence comes from a PDF, or the PDF is gone.
    """
    for item in found["row"].get("evidence") or []:
        record = found["records"].get(item["record_id"])
        if record is None or not record["boxes"]:
            continue
        spans = record["extra"].get("blocks", [])
        boxes = [
            box
            for box, (start, end) in zip(record["boxes"], spans, strict=False)
            if start < item["end"] and item["start"] < end and (item["page"] is None or box["page"] >= item["page"])
        ]
        if boxes:
            page = boxes[0]["page"]
            draw_page(source_file(root, record), page, [box for box in boxes if box["page"] == page], target)
            return
    raise PedcorpusError("no evidence of this row comes from a PDF page", "leave --image out")


def source_file(root: Path, record: dict[str, Any]) -> Path:
    """The file that a record was read from.

    Raises:
        PedcorpusError: it is gone, or the build does not know it.
    """
    sources = read_json(root / "state" / "sources.json")
    for name, path in sources.get(record["source_id"], {}).items():
        if digest("document", record["source_id"], name) == record["document_id"]:
            if not Path(path).exists():
                raise PedcorpusError(f"the source file is gone: {path}", "put it back, or leave --image out")
            return Path(path)
    raise BuildDirError(f"{root} does not know the file of record {record['id']}", "run the build again")


def draw_page(pdf: Path, page: int, boxes: list[dict[str, Any]], target: Path) -> None:
    """Write a page of a PDF as a PNG with ``boxes`` marked (points from the top left, page counted from 1)."""
    import pypdfium2 as pdfium
    from PIL import Image, ImageDraw

    scale = 2.0
    document = pdfium.PdfDocument(pdf)
    try:
        picture = document[page - 1].render(scale=scale).to_pil().convert("RGBA")
    finally:
        document.close()
    layer = Image.new("RGBA", picture.size, (255, 255, 255, 0))
    pen = ImageDraw.Draw(layer)
    for box in boxes:
        corners = [(box["x0"] - 2) * scale, (box["y0"] - 2) * scale, (box["x1"] + 2) * scale, (box["y1"] + 2) * scale]
        pen.rectangle(corners, fill=(255, 221, 87, 90), outline=(201, 101, 75, 255), width=2)
    try:
        Image.alpha_composite(picture, layer).convert("RGB").save(target, format="PNG")
    except OSError as error:
        from pedcorpus.errors import wrap_os_error

        raise wrap_os_error(error, str(target)) from error
