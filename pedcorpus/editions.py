"""Titles of documents: what they are about, which edition they are, which edition is the newer."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pedcorpus.text import key

_YEAR_MARK = re.compile(
    r"[ 　]*(?P<open>[（(\[【])?[ 　]*(?<!\d)(?P<year>(?:19|20)\d{2})[ 　]*(?:(?P<word>年[ 　]*版|年修订版?|年更新版?|版|年)[ 　]*(?P<revised>修订版?|更新版?|试行)?"
    r"|(?P<also>修订版?|更新版?|实用版|试行版?)|(?(open)(?=[ 　]*[）)\]】])|(?<![-–—~～至到]....)$))[ 　]*[）)\]】]?"
)
"""2020年版, （2018年版 修订版）, (2013修订), （2016）; a bare year only in brackets or at the end of a title."""
_ORDINAL = re.compile(r"第[ 　]?(?P<number>[一二三四五六七八九十\d]{1,3})[ 　]?版[ 　]?(?:修订版?|更新版?)?")
_NOTICE = re.compile(r"^.{0,24}?关于(?:印发|发布|公布|下发)|的通知(?:$|.*$)|的公告$|的函$")
_MARKS = re.compile(r"[《》〈〉「」『』\[\]【】+_＋]")
_KIND = re.compile(
    r"(?:(?:临床|规范化?|诊断|诊疗|诊治|防治|防控|预防|控制|管理|治疗|实践|循证|合理用药|康复|护理|处理)[与和及、]?)*"
    r"(?:专家)?(?:指导)?(?:推荐)?(?:指南|方案|规范|共识|建议|指引|手册|要点|路径|标准)(?:[（(].{0,12}[)）])?$"
)
_TAIL = re.compile(r"(?:[ 　]*[（(][^（）()]*[)）])+$")
_HAN_NUMBER = {character: value for value, character in enumerate("一二三四五六七八九十", 1)}


@dataclass(frozen=True, slots=True, order=True)
class EditionOrder:
    """Sort key of an edition. ``scale`` is year or ordinal; only editions of one scale compare."""

    scale: str
    number: int
    revised: bool = False


def tidy_title(title: str) -> str:
    """A title without the notice around it: 关于印发《某病诊疗指南 2020年版》的通知 → 某病诊疗指南（2020年版）."""
    bare = _MARKS.sub(" ", title)
    while True:
        stripped = _NOTICE.sub("", bare).strip(" 　-")
        if stripped == bare:
            break
        bare = stripped
    bare = re.sub(r"[ 　]+", " ", bare).replace("（ ", "（").replace(" ）", "）")
    match = _YEAR_MARK.search(bare)
    if match:
        mark = f"（{_named(match)}）"
        bare = (bare[: match.start()].rstrip(" 　-") + mark + bare[match.end() :]).strip()
    return bare or title.strip()


def edition_of(title: str) -> str | None:
    """The edition that a title names: ``2018年版修订版``, ``第9版``."""
    year = _YEAR_MARK.search(title)
    if year:
        return _named(year)
    ordinal = _ORDINAL.search(title)
    return re.sub(r"[ 　]", "", ordinal.group()) if ordinal else None


def _named(match: re.Match[str]) -> str:
    words = (match["year"], match["word"], match["revised"], match["also"])
    return re.sub(r"[ 　]", "", "".join(word or "" for word in words))


def edition_order(edition: str | None) -> EditionOrder | None:
    """How an edition sorts; None when it names neither year nor number."""
    if not edition:
        return None
    revised = "修订" in edition or "更新" in edition
    year = re.search(r"(?<!\d)(1[5-9]\d{2}|20\d{2})(?!\d)", edition)
    if year:
        return EditionOrder("year", int(year[1]), revised)
    ordinal = _ORDINAL.search(edition)
    if ordinal:
        digits = ordinal["number"]
        number = int(digits) if digits.isdecimal() else _han_number(digits)
        return EditionOrder("ordinal", number, revised)
    return None


def _han_number(digits: str) -> int:
    if digits.startswith("十"):
        return 10 + _HAN_NUMBER.get(digits[1:], 0)
    if "十" in digits:
        tens, _, ones = digits.partition("十")
        return 10 * _HAN_NUMBER.get(tens, 1) + _HAN_NUMBER.get(ones, 0)
    return _HAN_NUMBER.get(digits, 0)


def work_key(title: str) -> str:
    """What two editions of one work share: the title without edition, marks and blanks."""
    bare = _ORDINAL.sub("", _YEAR_MARK.sub("", tidy_title(title)))
    return key(re.sub(r"(?:修订版?|试行|更新版?|征求意见稿)", "", bare))


def subject_of(title: str) -> str | None:
    """What a guideline is about: 儿童某病诊疗指南（2023年版） → 儿童某病. None for other titles."""
    bare = _YEAR_MARK.sub("", tidy_title(title)).strip(" 　-")
    bare = _TAIL.sub("", bare).strip().removeprefix("中国").strip()
    match = _KIND.search(bare)
    subject = bare[: match.start()].strip("的 　") if match else ""
    return subject if 2 <= len(subject) <= 24 else None
