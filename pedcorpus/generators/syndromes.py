"""Cases from syndrome descriptions of Chinese medicine: 证候 or 症见, 治法, 方药.

The findings become a consultation of several turns that ends in the syndrome; the treatment lines answer
a question about what to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pedcorpus.generators.passage import Line, Passage, cite, make_row, refuse
from pedcorpus.plugins import GenerateContext
from pedcorpus.quantities import doses
from pedcorpus.records import Evidence, RawRecord, Reject, Row
from pedcorpus.topics import bare_heading
from pedcorpus.wording import choose, load_wording, render

_FINDINGS = re.compile(r"^(?:证候|症见|主症|主证|症状)[：:][ ]*(?P<body>\S.{7,})$")
_TONGUE = re.compile(r"^舌脉[：:][ ]*(?P<body>\S.{2,})$")
_TREATMENT = re.compile(
    r"^(?P<label>治法|治则|推荐方剂|基本方药|推荐处方|方药|方例|主方|代表方|推荐中成药|常用中成药|中成药)[：:][ ]*\S"
)
_TONGUE_OR_PULSE = re.compile(r"舌|苔|脉|指纹")
_AGE = re.compile(r"岁|月龄|公斤|kg")
_SPLIT = re.compile(r"[，,；;、。]")
_OTHERWISE = re.compile(r"^(?:或|甚|间|偶|重者|轻者|若|如见|并可|可伴|可见|也可|亦可|时有|有时)")
"""What some patients have and others have not: no finding of this child."""


def is_syndrome(record: RawRecord) -> bool:
    """Whether a record describes one syndrome: findings and a treatment, each in a line of its own."""
    lines = [line.strip() for line in record.text.split("\n")]
    return any(_FINDINGS.match(line) for line in lines) and any(_TREATMENT.match(line) for line in lines)


class SyndromeGenerator:
    """EviDiag and TreRecom rows from syndromes."""

    name = "syndromes"

    def __init__(self) -> None:
        self.wording = load_wording("extractive/sections")

    def generate(self, record: RawRecord, context: GenerateContext) -> Iterator[Row | Reject]:
        """At most one case and one treatment row."""
        if record.turns or record.pairs or record.triples or record.disease is None or not record.section_path:
            return
        if not is_syndrome(record):
            return
        passage = Passage(record)
        syndrome = bare_heading(record.section_path[-1])
        if syndrome == record.disease or len(syndrome) > 16:
            return
        if "evidiag" in context.tasks:
            case = self._case(record, passage, syndrome, context)
            if case is not None:
                yield case
        if "trerecom" in context.tasks:
            yield from self._treatment(record, passage, syndrome, context)

    def _case(self, record: RawRecord, passage: Passage, syndrome: str, context: GenerateContext) -> Row | None:
        spans: list[Evidence] = []
        findings: list[str] = []
        for line in passage.lines():
            match = _FINDINGS.match(line.text) or (_TONGUE.match(line.text) if spans else None)
            if match:
                start, end = line.start + match.start("body"), line.end
                spans.append(passage.evidence(start, end))
                findings.append(match["body"].rstrip("。；; "))
        signs = [sign.strip() for text in findings for sign in _SPLIT.split(text) if sign.strip()]
        signs = [sign for sign in dict.fromkeys(signs) if not _OTHERWISE.match(sign)]
        seen = [sign for sign in signs if _TONGUE_OR_PULSE.search(sign)]
        felt = [sign for sign in signs if sign not in seen]
        told, rest = felt[:3], felt[3:]
        if len(told) < 2 or not (rest or seen):
            return None
        words = self.wording.data["syndrome"]

        def say(part: str, **values: str) -> str:
            return render(choose(list(words[part]), context.seed, record.id, part), **values)

        reply = "reply" if not seen else "reply_seen" if rest else "reply_seen_only"
        messages = [
            ("user", say("complaint", finding="、".join(told))),
            ("assistant", say("ask")),
            ("user", say(reply, finding="，".join(rest), seen="，".join(seen))),
            (
                "assistant",
                say("conclude", evidence="，".join(signs), disease=record.disease or "", syndrome=syndrome),
            ),
        ]
        return make_row(record, "evidiag", messages, spans, self.name, self.wording)

    def _treatment(
        self, record: RawRecord, passage: Passage, syndrome: str, context: GenerateContext
    ) -> Iterator[Row | Reject]:
        """Treatment lines; one with doses only where the record says for which age they are."""
        aged = bool(_AGE.search(passage.text))
        kept: list[Line] = []
        labels: set[str] = set()
        for line in passage.lines():
            match = _TREATMENT.match(line.text)
            if match and match["label"] in labels:
                break  # a second 治法 is for a turn of the illness that the first lines do not name
            if match and (aged or not doses(line.text)):
                labels.add(match["label"])
                kept.append(line)
        if not kept:
            return
        question = render(
            choose(list(self.wording.data["syndrome"]["treat"]), context.seed, record.id, "treat"),
            disease=record.disease or "",
            syndrome=syndrome,
        )
        answer = "\n".join(line.text.strip() for line in kept)
        cited = cite(self.wording, record, "trerecom")
        evidence = [passage.evidence(line.start, line.end) for line in kept]
        messages = [("user", question), ("assistant", f"{cited}\n{answer}" if cited else answer)]
        row = make_row(record, "trerecom", messages, evidence, self.name, self.wording)
        for line in kept:
            cut = passage.cut_quantity(line.start, line.end)
            if cut:
                yield refuse(record, "grounding.cut", f"a page mark cuts {cut}", row)
                return
        yield row
