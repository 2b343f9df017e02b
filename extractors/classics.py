"""Old medical books in the common plain-text edition: ``<目录>``, ``<篇名>``, ``属性：`` and hard line breaks."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pedcorpus.extractors.blocks import Block

_MARK = "<篇名>"
_HEADER = re.compile(r"^(?P<name>书名|作者|朝代|年份)[：:][ 　]*(?P<value>.*?)[ 　]*$", re.MULTILINE)
_CODES = re.compile(r"\\r.*?\\r|\\[a-zA-Z]|(?<![A-Za-z0-9-])[HK]T(?![A-Za-z])")
_MODERN = re.compile(r"现代|当代|民国|中华人民共和国")
_YEAR = re.compile(r"(\d{4})")


@dataclass(frozen=True, slots=True)
class Imprint:
    """What the head of the book says."""

    title: str | None
    year: str | None
    historic: bool


def is_classic(text: str) -> bool:
    """Whether ``text`` is such an edition."""
    head = text[:2000]
    return _MARK in head and (head.lstrip("\ufeff \n").startswith(("<目录>", _MARK)) or text.count(_MARK) >= 3)


def imprint(text: str) -> Imprint:
    """Title, year and whether the book is older than modern medicine."""
    head = {match["name"]: match["value"] for match in _HEADER.finditer(text[:2000])}
    dynasty, year = head.get("朝代", ""), head.get("年份", "")
    found = _YEAR.search(year)
    modern = bool(_MODERN.search(dynasty)) or (found is not None and int(found[1]) >= 1912)
    return Imprint(head.get("书名") or None, year or None, not modern)


def paragraphs(text: str) -> list[Block]:
    """Blocks: volume and chapter headings, and the text below with its line breaks undone."""
    blocks: list[Block] = []
    for part in re.split(r"(?=<目录>|<篇名>)", text):
        body = part
        if part.startswith("<目录>"):
            volume, _, body = part.removeprefix("<目录>").partition("\n")
            volume = volume.strip().replace("\\", " ")
            if volume:
                blocks.append(Block("heading", volume, "chapter"))
        elif part.startswith(_MARK):
            title, _, body = part.removeprefix(_MARK).partition("\n")
            if title.strip():
                blocks.append(Block("heading", title.strip(), "section"))
        body = _HEADER.sub("", body)
        body = _CODES.sub("", body)
        joined = ""
        for line in body.split("\n"):
            line = line.replace("属性：", "").replace("属性:", "")
            if not line.strip():
                if joined:
                    blocks.append(Block("paragraph", joined))
                joined = ""
                continue
            joined += line.rstrip(" 　").lstrip(" 　")
            if not line.endswith((" ", "　")):
                blocks.append(Block("paragraph", joined))
                joined = ""
        if joined:
            blocks.append(Block("paragraph", joined))
    return blocks
