"""Screen raw records before anything is made of them: whose are historic, superseded, front matter, doubled, not about a child."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pedcorpus.editions import edition_order, work_key
from pedcorpus.lexicon import ADULT_CONTEXT, ADULT_PATIENT, CHILD_STRONG, CHILD_WEAK, RELATIVES
from pedcorpus.records import RawRecord
from pedcorpus.topics import bare_heading

_STRONG = re.compile("|".join(CHILD_STRONG))
_WEAK = re.compile("|".join(CHILD_WEAK))
_ADULT = re.compile("|".join(ADULT_CONTEXT))
_PATIENT = re.compile("|".join(ADULT_PATIENT))
_RELATIVE = re.compile(
    rf"(?:医生|大夫|[您你]好|请问|我的?|[，,。！!\s])*(?:{'|'.join(RELATIVES)})(?:他|她)?(?:有(?!个|了)|得了|患|最近|近来|近日|今年|这几天|查出|被查|住院|总是)"
)
_PEDIATRIC_TITLE = re.compile(r"儿科|小儿|儿童|新生儿|婴|幼|患儿|早产|青少年|(?<!孤)儿(?:病|疾)")
_NEGATED = re.compile(
    r"非(?:新生儿|儿童|婴儿)|试管婴儿|(?:儿童|儿科|妇幼)医院|[像跟]个?小孩子?(?:一样|似的)|儿科(?:医生|大夫|老师|护士)"
)
_AGE = re.compile(
    r"(?<![\d.一二两三四五六七八九十])(\d{1,3}|[一二两三四五六七八九十]{1,3})(?:\.\d)?[ ]?(?:周)?岁|(?:年龄|现年|本人)[:：为是，, ]?(\d{1,3})(?![\d.个月天斤公])"
)
_COUNT = r"(?<![\d.一二两三四五六七八九十])(?:\d{1,2}|[一二两三四五六七八九十]{1,2})[ ]?"
_CHILD = r"(?:宝宝?|宝贝|孩子?|小孩|娃|婴儿?|儿子|女儿|闺女|丫头|妞|[侄孙][儿子女]|外甥女?|双胞胎|龙凤胎|[大二三][宝娃]|患儿|[男女][婴孩童宝])"
_CHILDISH = re.compile(_CHILD)
_NAMED_FOR_CHILDREN = re.compile(
    r"(?:小儿|婴儿|幼儿|儿童)(?:麻痹|艾滋|瘫痪后遗|血管外皮|纤维|期?(?:起病|发病))"
    r"|(?:儿童|小儿|婴幼?儿)(?:专?用|装|型|版|牌)"
    r"|(?:儿童|小儿|婴幼?儿)[^，。；？?\s]{0,10}?(?:颗粒|糖浆|口服液|冲剂|滴剂|胶囊|片|贴|栓|散|奶粉|牙膏|沐浴露|面霜|洗衣液)"
)
"""A disease or a product that bears a child's name whoever has or takes it."""
_MONTHS = re.compile(
    rf"{_COUNT}个?多?半?(?:月|星期|周|天)(?:大|龄|的?{_CHILD})"
    rf"|{_CHILD}(?:今年|现在|目前|已经?|刚刚?|才|快|将近|有|大概|出?生后?|都|[，, ]|男|女){{0,3}}{_COUNT}个?多?半?(?:月|周|天)"
    rf"|(?:出生|刚生|降生|生后|生下来?)[^，。；]{{0,4}}?{_COUNT}(?:天|周|星期|个月|小时|日)|(?<!从)[刚一](?:出生|降生)|满月|半岁|百天"
)
_GROWN_CHILD = re.compile(
    rf"{_CHILD}(?:今年|现在|现年|目前)(?:已经?|都|有|快)?(?:1[89]|[2-9]\d|十[八九]|[二三四五六七八九]十[一二三四五六七八九]?)[ ]?(?:周)?岁"
)
_EXPECTING = re.compile(
    rf"(?:怀|孕|停经|产(?!儿)后?|生(?:完|了)?(?:孩子|小孩|宝宝)|生完)[^，。；\d]{{0,6}}?{_COUNT}个?多?半?(?:月|周|天)"
)
"""How long a woman is pregnant or past childbirth: no age of a child."""
_SEX_AND_AGE = re.compile(r"(?:患者|病人|[男女])[^。；\d]{0,4}\d{1,2}[ ]?岁|岁的?[男女]")
_HAN_AGE = {character: value for value, character in enumerate("零一二三四五六七八九")}
_NOT_CLINICAL = re.compile(r"药品目录|基本医疗保险|医保.{0,4}目录|价格|招标|采购|名单")
_FRONT = re.compile(
    r"^(?:目录|目次|前言|序言?|自序|再版说明|出版说明|编者(?:与编者)?的?话|编者|编写(?:说明|人员|组|专家组|审定专家组)|编审?委会|编写审定专家名单|编写与审阅专家组|专家组|审定专家|导言|导读|"
    r"凡例|使用说明|致谢|参考文献|索引|后记|跋|附录|版权页?|内容(?:提要|简介)|作者简介|电子版录入与校对|录入|一校|二校|校对|勘误|缩略语|利益冲突|加入光明|自学时数|面.?时数|目的要求|学习目标|复习思考题?|思考题)$"
)
_CASE_HEADING = re.compile(r"应用[例案]+|医案|病案|验案|[病案]例(?:分析|讨论|介绍|分享|报告|摘要)?$|典型病例|例案")
_CASE_TEXT = re.compile(
    r"^(?:例[一二三四五六七八九十\d][、：: ]|病例[一二三四五六七八九十\d]?[：:])|\[姓名\][，, 　]{0,2}(?:男|女)|(?:门诊|住院|病历)号.{0,3}\[编号\]"
)
_LEADERS = re.compile(r"[.．·…]{4,}[ ]*\d+[ ]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class DocumentNote:
    """What the survey says of one document; ``position`` is where it stands among all of them."""

    id: str
    title: str
    edition: str | None
    position: int


def superseded(documents: Sequence[DocumentNote]) -> dict[str, str]:
    """Document id to the title of the newer edition that takes its place.

    Two documents are editions of one work when their titles agree without the edition mark; only editions
    of one scale (years, ordinals) compare.
    """
    newest: dict[tuple[str, str], DocumentNote] = {}
    for note in documents:
        order = edition_order(note.edition)
        if order is None:
            continue
        key = (work_key(note.title), order.scale)
        best = newest.get(key)
        best_order = edition_order(best.edition) if best else None
        if best_order is None or order > best_order:
            newest[key] = note
    found: dict[str, str] = {}
    for note in documents:
        order = edition_order(note.edition)
        if order is None:
            continue
        best = newest[work_key(note.title), order.scale]
        best_order = edition_order(best.edition)
        if best_order is not None and order < best_order:
            found[note.id] = f"{best.title} ({best.edition})"
    return found


def screen(record: RawRecord, select: str, newer: Mapping[str, str]) -> tuple[str, str] | None:
    """Why a record is dropped, as (reason, detail), or None when it stays.

    ``select`` is the source's ``pediatric`` or ``all``; ``newer`` is what `superseded` gave.
    """
    if record.era == "historic":
        return "screen.historic", f"{record.source_title} ({record.edition or 'no year'})"
    if record.document_id in newer:
        return "screen.superseded", f"by {newer[record.document_id]}"
    if record.source_kind == "guideline" and _NOT_CLINICAL.search(record.source_title):
        return "screen.not_clinical", record.source_title
    front = _front_matter(record)
    if front:
        return "screen.front_matter", front
    case = _case_history(record)
    if case:
        return "screen.case_history", case
    if select == "pediatric" and not is_pediatric(record):
        return "screen.not_pediatric", "no child named as patient"
    return None


def _front_matter(record: RawRecord) -> str | None:
    for heading in record.section_path:
        bare = "".join(bare_heading(heading).split())
        if _FRONT.match(bare):
            return bare
    if len(_LEADERS.findall(record.text)) >= 3:
        return "a table of contents"
    names = record.text.count("[姓名]")
    if names >= 3 and names * 12 > len(record.text) - names * 4:
        return "a list of names"
    return None


def _case_history(record: RawRecord) -> str | None:
    if record.turns or record.pairs or record.triples:
        return None
    for heading in record.section_path:
        if _CASE_HEADING.search(bare_heading(heading)):
            return bare_heading(heading)
    match = _CASE_TEXT.search(record.text[:200])
    return f"opens as a case: {match.group()}" if match else None


# --- pediatric selection ----------------------------------------------------------------------------


def is_pediatric(record: RawRecord) -> bool:
    """Whether a record is about a child: by title, department, disease, age, or who the patient is.

    A person who wants a 宝宝, or who brings up a 孩子, is no pediatric case: weak words count only where
    nothing speaks of pregnancy, childbirth or an adult patient.
    """
    talk = bool(record.turns or record.pairs)
    if record.department and _PEDIATRIC_TITLE.search(record.department) and not (talk and _grown_patient(record)):
        return True
    if talk:
        return _child_is_patient(record)
    if record.triples:
        about = " ".join(
            [record.disease or "", *(t.tail for t in record.triples if t.relation in ("科室", "分类", "易感人群"))]
        )
        return bool(_STRONG.search(about)) or _young(about)
    title = _NEGATED.sub("", f"{record.source_title} {' '.join(record.section_path)} {record.disease or ''}")
    return bool(_PEDIATRIC_TITLE.search(title)) or bool(_STRONG.search(_NEGATED.sub("", record.text)))


def _asked(record: RawRecord) -> str:
    """What the asking side says, under the title of the talk."""
    said = [turn.text for turn in record.turns if turn.role == "user"] + [pair.question for pair in record.pairs]
    title = record.extras().get("title")
    return "\n".join([str(title), *said] if title else said)


def _grown_patient(record: RawRecord) -> bool:
    """Whether the asking side wants a child or names grown-up ages alone, whatever the department."""
    asked = _EXPECTING.sub("", _NEGATED.sub("", _asked(record)))
    if _young(asked) or _STRONG.search(_NAMED_FOR_CHILDREN.sub("", asked)):
        return False
    ages = ages_said(asked)
    return (bool(ages) and min(ages) >= 18) or bool(_PATIENT.search(asked))


def _child_is_patient(record: RawRecord) -> bool:
    asked = _asked(record)
    title = record.extras().get("title")
    relative = bool(_RELATIVE.match(asked.removeprefix(f"{title}\n")))
    asked = _NEGATED.sub("", asked)
    adult = bool(_ADULT.search(asked))
    asked = _EXPECTING.sub("", asked)
    ages = ages_said(asked)
    if _GROWN_CHILD.search(asked) or (ages and min(ages) >= 18 and not _MONTHS.search(asked)):
        return False
    strong = _STRONG.findall(_NAMED_FOR_CHILDREN.sub("", asked) if adult else asked)
    if strong:
        return not adult or _young(asked) or len(strong) > 1
    if relative or _PATIENT.search(asked) or (ages and min(ages) >= 18):
        return False
    if adult:
        return (
            _young(asked) and max(ages, default=0) < 18 and bool(_CHILDISH.search(asked) or _SEX_AND_AGE.search(asked))
        )
    if _WEAK.search(asked) or _MONTHS.search(asked):
        return True
    return bool(ages) and max(ages) < 18


def _young(text: str) -> bool:
    ages = ages_said(text)
    return bool(_MONTHS.search(text)) or (bool(ages) and min(ages) < 14)


def ages_said(text: str) -> list[int]:
    """Ages in years that ``text`` gives, in figures or in Han numerals."""
    found = []
    for match in _AGE.finditer(text):
        digits = match[1] or match[2]
        found.append(int(digits) if digits.isdecimal() else _han_age(digits))
    return [age for age in found if 0 <= age <= 120]


def _han_age(digits: str) -> int:
    tens, ten, ones = digits.partition("十")
    if ten:
        return 10 * (_HAN_AGE.get(tens[0], 1) if tens else 1) + _HAN_AGE.get(ones, 0)
    return _HAN_AGE.get(digits, 0) if len(digits) == 1 else int("".join(str(_HAN_AGE.get(c, 0)) for c in digits))
