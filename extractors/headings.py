"""Tell headings from text by the markers that Chinese books use: 第一章, 一、, 【病因】, （一）, 1., （1）, ①."""

from __future__ import annotations

import re
from dataclasses import dataclass

RANKS: dict[str, float] = {
    **{f"md{level}": level / 10 for level in range(1, 7)},
    "volume": 1,
    "chapter": 2,
    "section": 3,
    "size": 3.5,
    "han": 4,
    "bracket": 4.5,
    "hanparen": 5,
    "arabic": 6,
    "decimal": 6.5,
    "arabicparen": 7,
    "circled": 8,
}
"""Marker to rank; a heading closes every open one whose rank is not lower than its own."""

_NUMBER = r"[一二三四五六七八九十百零〇]+"
_MARKERS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("volume", re.compile(rf"^第(?:{_NUMBER}|\d+)[编篇部卷](?![^\s　])|^第(?:{_NUMBER}|\d+)[编篇部卷][\s　]")),
    ("chapter", re.compile(rf"^第[ 　]?(?:{_NUMBER}|\d+)[ 　]?章")),
    ("section", re.compile(rf"^第[ 　]?(?:{_NUMBER}|\d+)[ 　]?节")),
    ("han", re.compile(r"^[一二三四五六七八九十]{1,3}[、．]")),
    ("bracket", re.compile(r"^[〔【［](?=[^〕】］]{1,15}[〕】］])")),
    ("hanparen", re.compile(r"^[（(][一二三四五六七八九十]{1,3}[)）]")),
    (
        "decimal",
        re.compile(
            r"^\d{1,2}\.\d{1,2}(?:\.\d{1,2})?[ 　]+(?![岁个克毫片倍次天小米公万元年月周分余多])(?=[\u4e00-\u9fff])"
        ),
    ),
    ("arabic", re.compile(r"^\d{1,2}[ ]?[.．、](?!\d)")),
    ("arabicparen", re.compile(r"^[（(]\d{1,2}[)）]")),
    ("circled", re.compile(r"^[①-⑳]")),
)
_MOST = {
    "volume": 30,
    "chapter": 30,
    "section": 30,
    "han": 30,
    "bracket": 15,
    "hanparen": 30,
    "arabic": 25,
    "decimal": 25,
    "arabicparen": 20,
    "circled": 15,
}
_BRACKET = re.compile(r"^[〔【［](?P<title>[^〕】］]{1,15})[〕】］][ 　]*(?P<rest>.*)$", re.DOTALL)
_RUN_IN = re.compile(r"^(?P<title>\S{2,12})[ 　]+(?P<rest>\S.{14,})$", re.DOTALL)
FINDINGS_LABEL = re.compile(r"(?:症见|主症|证候|症状|主证)[：:]")
TREATMENT_LABEL = re.compile(
    r"(?:舌脉|治法|治则|治疗原则|推荐方剂|基本方药|推荐处方|方药|方例|主方|代表方|常用药物?|加减|煎服法|服法|用法用量|推荐中成药|常用中成药|中成药)[：:]"
)
"""Labels of a syndrome's findings, and of its treatment; each opens a paragraph of its own."""
_SYNDROME = re.compile(rf"^(?P<title>[\u4e00-\u9fff]{{2,10}}?)[。 　]*(?P<rest>{FINDINGS_LABEL.pattern}.*)$", re.DOTALL)
_SUMMARY = re.compile(r"^(?:小[ 　]?结|本[章节]小结|复习思考题|思考题|参考文献)[：:]?$")
_STOP = re.compile(r"[。；;，,！？!?、]$")
_SENTENCE = re.compile(r"[。；;！？!?]")


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading and, where text runs on in the same line, that text and where it begins."""

    level: str
    title: str
    rest: str = ""
    rest_at: int = 0


def marker_of(line: str) -> str | None:
    """The marker that ``line`` begins with."""
    stripped = line.strip(" \t　")
    return next((name for name, pattern in _MARKERS if pattern.match(stripped)), None)


def heading_of(line: str, most: int = 0) -> Heading | None:
    """The heading in ``line``, or None for a paragraph or list item. ``most`` raises the length a heading may have."""
    text = line.strip(" \t　")
    marker = marker_of(text)
    if marker is None:
        return Heading("section", text) if _SUMMARY.match(text) else None
    if marker == "bracket":
        match = _BRACKET.match(text)
        assert match is not None
        rest_at = line.index(text) + match.start("rest")
        return Heading("bracket", match["title"].strip(), match["rest"].strip(), rest_at)
    pattern = dict(_MARKERS)[marker]
    found = pattern.match(text)
    assert found is not None
    body = text[found.end() :].strip(" \t　")
    title = text if marker in ("volume", "chapter", "section") else body
    if not title:
        return None
    syndrome = _SYNDROME.match(body)
    if syndrome:
        return Heading(marker, syndrome["title"], syndrome["rest"], line.index(syndrome["rest"]))
    if marker in ("han", "hanparen") and 2 <= len(body) <= 21 and body.endswith("。") and body.count("。") == 1:
        return Heading(marker, body[:-1])
    if len(text) <= max(most, _MOST[marker]) and not _SENTENCE.search(body) and not _STOP.search(body):
        return Heading(marker, _tidy(title).rstrip("：:").strip())
    if marker in ("han", "hanparen"):
        run_in = _RUN_IN.match(body)
        if (
            run_in
            and not _SENTENCE.search(run_in["title"])
            and "，" not in run_in["title"]
            and "：" not in run_in["title"]
        ):
            rest_at = line.rindex(run_in["rest"])
            return Heading(marker, run_in["title"], run_in["rest"], rest_at)
    return None


def _tidy(title: str) -> str:
    return re.sub(r"[ \t　]+", " ", title)
