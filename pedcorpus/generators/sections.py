"""Questions about the sections of textbooks and guidelines; the answers are the sections' own sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from pedcorpus.generators.passage import Line, Passage, cite, illness_of, make_row, refuse
from pedcorpus.generators.syndromes import is_syndrome
from pedcorpus.plugins import GenerateContext
from pedcorpus.records import RawRecord, Reject, Row
from pedcorpus.topics import Topic, topic_of
from pedcorpus.wording import choose, load_wording, render

_MOST = 800
_LEAST = 15
_PART = re.compile(
    r"^(?:\d{1,2}[ ]?[.．、]|[（(]\d{1,2}[)）]|[①-⑳]|[（(][一二三四五六七八九十]{1,3}[)）])?[ ]*"
    r"(?P<label>[^，。；：:、\d\s（）()《》“”]{2,14}(?:[（(][^（）()]{1,24}[)）])?)(?:[：:]|(?<=[\u4e00-\u9fff）)])[ ]{1,2}(?=\S{8}))[ ]*\S.{9,}$"
)
_NO_PART = re.compile(
    r"^(?:注|注意|按|例[一二三四五六七八九十]?|其中|此外|另外|如|即|表|图|附|备注|说明|加减|治法|方例|证候|处方|推荐|一般|目前|同时|对于|以下|或|可|应|多|本病|患儿|症见|主症|舌脉|用法|方法"
    r"|成人|儿童|老[年人]|青少年|孕|[新婴幼]|男|女|首[剂次]|初始|减量|剂量|疗程|用[量法药]|服法|适应|禁忌|穴位|功效|药物$|组成|随证|伴有|小结|总之)|[说云曰道]$"
)
_POLICY = re.compile(
    r"制[定订]本|修订|国家卫生健康委|国家中医药|专家组|工作组|为(?:进一步)?规范|本(?:指南|方案|规范|共识|章|节|教材|书)"
)
_HEADING_NO = re.compile(r"[。；;，,？?！!]|如下|见表|以下|^(?:小结|总结|结语|其他|其它|附)$")
_NO_DEFINITION = re.compile(r"^[问望闻察按辨切]|[和与及、]")
"""Headings that end as diseases do and are none: 问汗, 呼吸和咳嗽."""
_COPULA = re.compile(r"(?<=[\u4e00-\u9fff]{2})(?:主要)?(?:是|为|有|包括|如下)$")
_BLANK_INSIDE = re.compile(r"(?<=[（(])[ ]+|[ ]+(?=[）)])|(?<=[\u4e00-\u9fff])[ ]+(?=[（(])")
_MARK = re.compile(
    r"(?P<arabic>\d{1,2})[ ]?[.．、](?!\d)|[（(](?P<bracketed>\d{1,2})[)）]|(?P<ringed>[①-⑳])|[（(](?P<han_bracketed>[一二三四五六七八九十]{1,3})[)）]"
    r"|(?P<han>[一二三四五六七八九十]{1,3})、"
)
_LONG_LABEL = re.compile(r"[^，。；：:、\d\s（）()《》“”]{2,20}[ ]?[（(][^（）()]{1,80}[)）][ ]?[：:]")
_FIRST_MARKS = frozenset({"1", "①", "一"})
_NEXT_HEADING = re.compile(
    r"\d{1,2}(?:[.．]\d{1,2})+[.．]?[ ]*(?!毫[克升米]|微克|[克岁]|个月|小时|分钟)[\u4e00-\u9fff][^，。；：:？！]{1,24}$"
)
_CAPTION = re.compile(
    r"(?:附?[表图][ ]?[\d一二三四五六七八九十]|.{0,30}(?:(?:流程|示意|路径|曲线)图|(?:一览|鉴别|分级|评分|参考|对照|程序|剂量)表)$)[^，。；]{0,40}$"
)
_UNFINISHED = re.compile(r"[：:，,；;]$")
_LEANS = re.compile(
    r"[见如][附下上]?[表图][ ]?[\d一二三四五六七八九十]+(?:[-—.．]\d+)?(?:所示)?(?=[。；]|$)|同[前上](?:述|文)?(?=[，。；、]|$)"
)
"""Sentences that say nothing without what stands elsewhere; a mere 见表2 in brackets is none."""
_TAUGHT = re.compile(r"自学时数|面授时数|面.?时数|目的要求|教学|复习思考|思考题|学时")


class SectionGenerator:
    """MedKQ&A and TreRecom rows from headings and the text below them."""

    name = "sections"

    def __init__(self) -> None:
        self.wording = load_wording("extractive/sections")

    def generate(self, record: RawRecord, context: GenerateContext) -> Iterator[Row | Reject]:
        """The whole section first, then its labelled points, then rows of its tables."""
        if record.turns or record.pairs or record.triples or record.source_kind == "plain_text":
            return
        if not record.text.strip() or is_syndrome(record) or any(_TAUGHT.search(part) for part in record.section_path):
            return
        passage = Passage(record)
        topic = topic_of(record.section_path, record.disease)
        made: dict[str, int] = {}
        for question, task, start, end in self._candidates(passage, topic, record, context):
            if task not in context.tasks or made.get(task, 0) >= context.per_record:
                continue
            cut = passage.cut_quantity(start, end)
            row = self._row(record, passage, task, question, start, end)
            if cut:
                yield refuse(record, "grounding.cut", f"a page mark cuts {cut}", row)
                continue
            made[task] = made.get(task, 0) + 1
            yield row

    def _candidates(
        self, passage: Passage, topic: Topic, record: RawRecord, context: GenerateContext
    ) -> Iterator[tuple[str, str, int, int]]:
        """Candidates as (question, task, start, end) into the cleaned text."""
        lines = [line for line in passage.lines() if not _POLICY.search(line.text)]
        whole = self._whole_question(topic, record, context)
        task = topic.family.task if topic.family and topic.disease else str(self.wording.data["general"]["task"])
        if whole and lines:
            start = lines[0].start
            end = passage.shorten(start, _end_of(lines, 0, passage), _MOST)
            if _stands_alone(passage.text[start:end]):
                yield whole, task, start, end
        templates = list(topic.family.parts) if topic.family else list(self.wording.data["general"]["parts"])
        subject = topic.disease or topic.heading
        if topic.aspect and topic.aspect != subject:
            subject = f"{subject}（{_flat(topic.aspect)}）"
        if templates and subject and not _HEADING_NO.search(subject):
            for place, line in enumerate(lines):
                match = _point(line)
                if not match or match["label"] == topic.disease:
                    continue
                start = line.start + match.start("label")
                end = passage.shorten(start, _end_of(lines, place, passage, point=True), _MOST)
                if not _stands_alone(passage.text[start:end]):
                    continue
                question = render(
                    choose(templates, context.seed, record.id, "part", match["label"]),
                    disease=subject,
                    part=_BLANK_INSIDE.sub("", _COPULA.sub("", match["label"])),
                    heading=topic.heading,
                )
                yield question, task, start, end
        for line in passage.lines(tables=True):
            first = line.text.split("；", 1)[0]
            name, colon, value = first.partition("：")
            if colon and value and "；" in line.text and len(value) <= 20:
                question = render(
                    choose(list(self.wording.data["table"]["questions"]), context.seed, record.id, "table", value),
                    disease=topic.disease or topic.heading,
                    part=f"{name}“{value}”",
                )
                yield question, task, line.start, line.end

    def _whole_question(self, topic: Topic, record: RawRecord, context: GenerateContext) -> str | None:
        """A question that the section as a whole answers; None where its heading says nothing to ask about."""
        seeds = (context.seed, record.id, "whole")
        if topic.family is not None and topic.disease is not None:
            values = {"disease": topic.disease, "illness": illness_of(topic.disease), "heading": topic.heading}
            if topic.aspect and topic.family.aspects and not _HEADING_NO.search(topic.aspect):
                aspect = _flat(topic.aspect)
                if topic.family.name == "differential":
                    aspect = re.sub(r"^[与和同]|(?:的|相)?鉴别(?:诊断)?$", "", aspect)
                return render(choose(list(topic.family.aspects), *seeds), aspect=aspect, **values)
            if topic.aspect:
                return None
            return render(choose(list(topic.family.questions), *seeds), **values)
        if topic.disease is not None and topic.aspect is None and not _NO_DEFINITION.search(topic.disease):
            definition = next(item for item in self.wording.data["family"] if item["name"] == "definition")
            return render(choose(list(definition["questions"]), *seeds), disease=topic.disease, heading=topic.heading)
        heading = topic.aspect or topic.heading
        if not 2 <= len(heading) <= 20 or _HEADING_NO.search(heading):
            return None
        general = self.wording.data["general"]
        if topic.disease is not None and topic.aspect is not None:
            return render(choose(list(general["aspects"]), *seeds), disease=topic.disease, aspect=_flat(heading))
        return render(choose(list(general["questions"]), *seeds), heading=heading)

    def _row(self, record: RawRecord, passage: Passage, task: str, question: str, start: int, end: int) -> Row:
        answer = passage.text[start:end].strip()
        cited = cite(self.wording, record, task) + ("\n" if "\n" in answer else "")
        answer = cited + answer if cited.strip() else answer
        messages = [("user", question), ("assistant", answer)]
        return make_row(record, task, messages, [passage.evidence(start, end)], self.name, self.wording)


def _flat(aspect: str) -> str:
    """An aspect without brackets of its own, since it may stand in brackets: 抗病毒治疗中的用药原则."""
    match = re.fullmatch(r"([^（）]+)（(.+)）", aspect)
    return f"{match[1]}中的{_flat(match[2])}" if match else aspect


def _point(line: Line) -> re.Match[str] | None:
    """The match of a line that begins a labelled point."""
    match = _PART.match(line.text)
    return match if match and not _NO_PART.search(match["label"]) else None


def _end_of(lines: Sequence[Line], place: int, passage: Passage, *, point: bool = False) -> int:
    """The end of what begins at ``lines[place]``: before a table, a left-out line, a caption or the next section's heading.

    A point goes on through unlabelled paragraphs, which may hold the other ages' doses, and through a list that
    begins below it, to the next label or number.
    """
    last = before = lines[place]
    mark = _MARK.match(last.text)
    lists: set[str | None] = set()
    for line in islice(lines, place + 1, None):
        apart = passage.text[last.end : line.start].strip()
        if apart or _CAPTION.match(line.text) or _NEXT_HEADING.match(line.text):
            break
        number = _MARK.match(line.text)
        if point and number:
            if number.lastgroup not in lists:
                if number[number.lastgroup or 0] not in _FIRST_MARKS or (mark and mark.lastgroup == number.lastgroup):
                    break
                lists.add(number.lastgroup)
        elif point and (_point(line) or _LONG_LABEL.match(line.text)):
            break
        before, last = last, line
    bare = len(last.text) <= 20 and not re.search(r"[，。；：:！？”）)…]", last.text)
    if bare and last is not lines[place] and before.text.endswith(("。", "！", "？", "”", "）")):
        return before.end  # the heading of what follows, which was left out
    return last.end


def _stands_alone(answer: str) -> bool:
    """Whether an answer is long enough, ends where it should and needs nothing that stands elsewhere."""
    ends = answer.rsplit("\n", 1)[-1].strip()
    return not (len(answer) < _LEAST or _UNFINISHED.search(ends) or _CAPTION.match(ends) or _LEANS.search(answer))
