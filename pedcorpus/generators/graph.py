"""Questions and multi-turn cases from the neighbourhood of one disease in a knowledge graph."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence

from pedcorpus.generators.passage import illness_of, make_row
from pedcorpus.plugins import GenerateContext
from pedcorpus.records import Evidence, RawRecord, Reject, Row
from pedcorpus.sources import serialise_triples
from pedcorpus.wording import choose, load_wording, render

_MOST_ITEMS = 12
_MOST_SYMPTOMS = 6
_SIGN = re.compile(
    r"征$|啰音|罗音|杂音|肿大|充血|黏膜斑|粘膜斑|包块|反跳痛|压痛|减弱|增快|浊音|阳性|增高|降低|颅骨|串珠|膨隆|凹陷|血压|哮鸣|蛋白尿|帕氏线|苍白圈|草莓舌|杨梅舌|硬肿|三凹"
)
"""Findings that a doctor makes and a parent does not report."""


class GraphGenerator:
    """MedKQ&A and TreRecom rows of single relations, EviDiag cases of symptoms, checks and complications."""

    name = "graph"

    def __init__(self) -> None:
        self.wording = load_wording("extractive/graph")

    def generate(self, record: RawRecord, context: GenerateContext) -> Iterator[Row | Reject]:
        """Up to ``per_record`` rows of each task."""
        if not record.triples or record.disease is None:
            return
        _, spans = serialise_triples(record.disease, record.triples)
        said: dict[str, list[int]] = {}
        for index, triple in enumerate(record.triples):
            said.setdefault(triple.relation, []).append(index)
        made: dict[str, int] = {}
        relations = [item for item in self.wording.data["relation"] if item["name"] in said]
        random.Random(f"{context.seed}\x1f{record.id}").shuffle(relations)
        for relation in relations:
            task = relation["task"]
            if task not in context.tasks or made.get(task, 0) >= context.per_record:
                continue
            made[task] = made.get(task, 0) + 1
            yield self._answer(record, relation, said[relation["name"]][:_MOST_ITEMS], spans, context)
        if "evidiag" in context.tasks:
            for number in range(context.per_record):
                case = self._case(record, said, spans, context, number)
                if case is None:
                    break
                yield case

    def _evidence(self, record: RawRecord, indexes: Sequence[int], spans: dict[int, tuple[int, int]]) -> list[Evidence]:
        return [
            Evidence(record.id, record.page, spans[i][0], spans[i][1], record.text[spans[i][0] : spans[i][1]])
            for i in indexes
        ]

    def _answer(
        self,
        record: RawRecord,
        relation: dict[str, str],
        indexes: Sequence[int],
        spans: dict[int, tuple[int, int]],
        context: GenerateContext,
    ) -> Row:
        disease = record.disease or ""
        tails = [record.triples[i].tail for i in indexes]
        items = tails[0] if len(tails) == 1 else "、".join(tail.rstrip("。；，") for tail in tails)
        question = render(
            choose(list(relation["questions"]), context.seed, record.id, relation["name"]),
            disease=disease,
            illness=illness_of(disease),
        )
        answer = render(relation["answer"], disease=disease, items=items).replace("。。", "。")
        messages = [("user", question), ("assistant", answer)]
        return make_row(
            record, relation["task"], messages, self._evidence(record, indexes, spans), self.name, self.wording
        )

    def _case(
        self,
        record: RawRecord,
        said: dict[str, list[int]],
        spans: dict[int, tuple[int, int]],
        context: GenerateContext,
        number: int,
    ) -> Row | None:
        """A consultation; the ``number``-th opens with other symptoms than those before it."""
        symptoms = [i for i in said.get("症状", []) if len(record.triples[i].tail) <= 12]
        if len(symptoms) < 3:
            return None
        disease = record.disease or ""
        chance = random.Random(f"{context.seed}\x1f{record.id}\x1fcase")
        signs = [i for i in symptoms if _SIGN.search(record.triples[i].tail)]
        order = [i for i in symptoms if i not in signs]
        if number * 2 + 2 > len(order):
            return None
        chance.shuffle(order)
        turned = order[number * 2 :] + order[: number * 2]
        core = _core(record, said, order)
        first, later = turned[:2], sorted(turned[2:], key=lambda i: i not in core)
        rest, signs = later[: _MOST_SYMPTOMS - 3], signs[:2]
        if not rest and not signs:
            return None
        checks = said.get("检查", [])[:4]
        dangers = said.get("并发症", [])[:3]

        def tail(indexes: Sequence[int]) -> str:
            return "、".join(record.triples[i].tail for i in indexes)

        words = self.wording.data["case"]

        def say(part: str, **values: str) -> str:
            return render(choose(list(words[part]), context.seed, record.id, part, number), **values)

        alarm = re.compile("|".join(self.wording.data["danger"]["signs"]))
        alarming = [i for i in (*first, *rest, *signs) if alarm.search(record.triples[i].tail)]
        at_once = [i for i in alarming if i in first]
        urgent = "_urgent" if alarming else ""
        messages = [
            ("user", say("complaint", first=tail(first))),
            ("assistant", say("ask_urgent" if at_once else "ask", first=tail(first), dangers=tail(at_once))),
            ("user", say(_reply(rest, signs), rest=tail(rest), signs=tail(signs))),
        ]
        end = {"symptoms": tail([*first, *rest, *signs]), "disease": disease, "dangers": tail(alarming)}
        if checks:
            messages += [
                ("assistant", say(f"tests{urgent}", checks=tail(checks), dangers=tail(alarming))),
                ("user", say("purpose")),
                ("assistant", say(f"conclude{urgent}", checks=tail(checks), **end)),
            ]
        else:
            messages.append(("assistant", say(f"conclude{urgent}_without_tests", **end)))
        if dangers:
            role, text = messages.pop()
            messages.append((role, text + say("warning", complications=tail(dangers))))
        used = sorted({*first, *rest, *signs, *checks, *dangers})
        return make_row(record, "evidiag", messages, self._evidence(record, used, spans), self.name, self.wording)


def _core(record: RawRecord, said: dict[str, list[int]], symptoms: Sequence[int]) -> list[int]:
    """The symptoms that make the disease: those in its name or description, else the one that is listed first."""
    about = " ".join([record.disease or "", *(record.triples[i].tail for i in said.get("简介", []))])
    named = [i for i in symptoms if record.triples[i].tail in about]
    return named or sorted(symptoms)[:1]


def _reply(rest: Sequence[int], signs: Sequence[int]) -> str:
    return "reply" if not signs else "reply_signs" if rest else "reply_signs_only"
