"""What a section is about: its disease, the family of its heading (病因, 治疗 …), the aspect below that."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from pedcorpus.wording import load_wording

_COUNTED = r"[.．]?\d|$|岁|个?月龄|个月|周(?![期围])|天(?!花)|日(?!常)|年(?!龄)|小时|分钟|型|次|期|度|级|种|例|价|三体|羟|[~～–—\-%℃+×/]"
"""What a number counts is no heading that it numbers: 10岁以上, 1型糖尿病, 21三体综合征."""
_NUMBERING = re.compile(
    r"^(?:第[ 　]?[一二三四五六七八九十百零〇\d]+[ 　]?[编篇部卷章节][ 　]*|[一二三四五六七八九十]{1,3}[、．.][ 　]*|[（(][一二三四五六七八九十\d]{1,3}[)）][ 　]*"
    rf"|\d{{1,2}}(?:\.\d{{1,2}})*(?:[ 　]*[、)）][ 　]*|[ 　]*[.．][ 　]+"
    rf"|(?:[ 　]*[.．]|[ 　]+|(?![A-Za-z.．、)） 　]))(?!{_COUNTED}))|\d{{1,2}}(?:\.\d{{1,2}})+[ 　]+(?=\d)|[①-⑳][ 　]*)"
)
_CHAPTER = re.compile(r"^第[ 　]?[一二三四五六七八九十百零〇\d]+[ 　]?[编篇部卷章]")
_MARKS = re.compile(r"^[〔【\[［]|[〕】\]］]$|[：:。]+$")
_ASIDE = re.compile(r"[ 　]*(?:[（(]?附[：:].*$|[（(][^（）()]*[)）]$)")
_DISEASE = re.compile(
    r"(?:炎|病|症|证|征|癌|瘤|疹|发热|高热|痛|咳|嗽|喘|泻|痢|痢疾|疸|黄|痘|腮|喉|贫血|紫癜|惊厥|惊风|癫痫|不良|感染|中毒|休克|衰竭|梗阻|套叠|疝气?|脱水|出血|感冒"
    r"|流感|猩红热|[性登夏季]热|肥胖|矮小|早熟|疳|积滞?|虫病|汗|淋|尿|痹|痿躄?|疟疾?|疮|痈|疖|癣|痱子?|过敏|厌食|呕吐|便秘|水肿|窒息|啼|脐风|不乳|吐乳|眩晕|心悸|呃逆|中暑|消渴|缺乏)$"
)
_NO_DISEASE = re.compile(
    r"期$|^(?:目录|文献|应用|简便)|(?:疾病|病证|病症|总论|概[述论]|特点|基础|因素|预防|护理|检查|诊断|治疗)$"
)
_PROSE = re.compile(r"[的把了是吗要让，、？]")
_HISTORIC = re.compile(
    r"文献(?:摘[录要]|选[录读])|古(?:籍|典|代).{0,6}(?:摘|选|论)|(?:简便)?[验单偏]方|历代医家|歌诀|方歌"
)
_DEPARTMENT = re.compile(r"(?:疾病|疾患|急症|中毒|保健|营养)$")


@dataclass(frozen=True, slots=True)
class Family:
    """One family of headings and the task that a question about it belongs to."""

    name: str
    task: str
    questions: tuple[str, ...]
    aspects: tuple[str, ...]
    parts: tuple[str, ...]
    umbrella: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Topic:
    """What one section is about. ``heading`` is its last heading, ``aspect`` the headings below the family's."""

    disease: str | None
    family: Family | None
    heading: str
    aspect: str | None


@cache
def _families() -> tuple[tuple[re.Pattern[str], Family], ...]:
    found = []
    for item in load_wording("extractive/sections").data["family"]:
        family = Family(
            item["name"],
            item["task"],
            tuple(item["questions"]),
            tuple(item.get("aspects", ())),
            tuple(item.get("parts", ())),
            frozenset(item.get("umbrella", ())),
        )
        found.append((re.compile("|".join(f"(?:{pattern})" for pattern in item["headings"])), family))
    return tuple(found)


def bare_heading(heading: str) -> str:
    """A heading without number, brackets and colon."""
    text = _MARKS.sub("", heading.strip())
    while True:
        stripped = _MARKS.sub("", _NUMBERING.sub("", text, count=1).strip())
        if stripped == text or not stripped:
            return text
        text = stripped


@cache
def family_of(heading: str) -> Family | None:
    """The family whose pattern matches the whole heading, the first in the wording file."""
    text = "".join(bare_heading(heading).split())
    return next((family for pattern, family in _families() if pattern.fullmatch(text)), None)


def is_historic_heading(heading: str) -> bool:
    """Whether a section quotes old books or hands down folk remedies: 文献摘录, 简便验方."""
    return bool(_HISTORIC.search(bare_heading(heading)))


def department_of(path: Sequence[str]) -> str | None:
    """The chapter as a department, where it is one: 呼吸系统疾病, 传染疾病."""
    for heading in path[:2]:
        name = bare_heading(heading)
        if _DEPARTMENT.search(name) and len(name) <= 16:
            return name
    return None


def disease_name(heading: str) -> str:
    """A heading as the name of a disease: number, asides and appendices off."""
    return _ASIDE.sub("", bare_heading(heading)).strip()


def looks_like_disease(name: str) -> bool:
    """Whether ``name`` ends as names of diseases do."""
    return 2 <= len(name) <= 20 and bool(_DISEASE.search(name)) and not _NO_DISEASE.search(name)


def diseases_of(paths: Iterable[Sequence[str]], subject: str | None = None) -> dict[tuple[str, ...], str]:
    """Path to disease for the sections of one document.

    A guideline is about its ``subject`` throughout. In a book the disease is the heading that stands right
    above the first family heading; the text under that heading alone belongs to it too.
    """
    keys = [tuple(path) for path in paths]
    if subject:
        return dict.fromkeys(keys, subject)
    topics: dict[tuple[str, ...], str] = {}
    for path in keys:
        for index, heading in enumerate(path):
            if index and family_of(heading):
                name = disease_name(path[index - 1])
                labelled = bool(_CHAPTER.match(path[index - 1].strip()))
                if 2 <= len(name) <= 20 and (looks_like_disease(name) if labelled else not _NO_DISEASE.search(name)):
                    topics[path[:index]] = name
                break
    found: dict[tuple[str, ...], str] = {}
    for path in keys:
        name = next((topics[path[:end]] for end in range(len(path), 0, -1) if path[:end] in topics), "")
        if not name and path:
            last = disease_name(path[-1])
            plain = looks_like_disease(last) and not family_of(path[-1]) and not _PROSE.search(last)
            name = last if plain else ""
        if name:
            found[path] = name
    return found


def topic_of(path: Sequence[str], disease: str | None) -> Topic:
    """The topic of a section from its headings and its disease.

    The last family heading decides, except under 治疗 and its like: a grade or a complication there is
    still about what to do. Below a heading of its own family (治疗 / 手术治疗) it is an aspect of that.
    """
    headings = [bare_heading(heading) for heading in path]
    last = headings[-1] if headings else (disease or "")
    found = [
        (index, family)
        for index, heading in enumerate(headings)
        if (family := family_of(heading)) and not (disease and disease_name(heading) == disease)
    ]
    if not found:
        named = disease is not None and bool(headings) and disease_name(last) != disease
        return Topic(disease, None, last, last if named else None)
    found = [item for item in found if headings[item[0]] not in item[1].umbrella] or found[-1:]
    if found[0][1].task == "trerecom":
        found = [item for item in found if item[1].task == "trerecom"]
    index, own = found[-1]
    same = next((place for place, family in found if family.name == own.name), index)
    if same != index and index == len(headings) - 1:
        index = same
    below = headings[index + 1 :]
    aspect = f"{below[-2]}（{below[-1]}）" if len(below) > 1 else below[0] if below else None
    return Topic(disease, own, headings[index], aspect)
