"""Rows from dialogues and pairs: the exchange itself, trimmed, in the task that its question asks for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from pedcorpus.generators.passage import make_row, refuse
from pedcorpus.plugins import GenerateContext
from pedcorpus.records import Evidence, RawRecord, Reject, Row, Turn
from pedcorpus.sources import serialise_pair, serialise_turns
from pedcorpus.text import clean

_THANKS = re.compile(
    r"^(?:好的?|嗯+|哦|行|可以|明白了?|知道了?|了解了?|谢谢|非常感谢|感谢|多谢|麻烦|太好了|那就好|再见|拜拜|我会|放心)"
)
_ASKS = re.compile(
    r"[?？]|吗|呢|怎么|如何|什么|哪|多久|多少|几(?!天|个月|年|次|周|小时|分钟|日)|几(?:天|个月|年|次|周|小时|分钟|日)(?:能|可以|才能|才会)|是否|能不能|可不可以|还是|请问|想问|想知道"
)
_DO = re.compile(
    r"怎么办|咋办|(?:怎么|如何|怎样|咋)(?:[^，。；？?\n]{0,8}?)(?:治|处理|护理|照顾|调理|缓解|退|喂|预防|避免|用药|降|改善|补|办|做|吃|用|解决|恢复|康复|止|消除|纠正|开导)|治疗(?:方法|方案|办法|措施|原则|药|建议)"
    r"|(?:什么|哪些?|哪种)[^，。；？?\n]{0,6}(?:治|药|办法|方法|措施|护理|食疗)|吃[些点]?什么|用[些点]?什么|吃哪|吃[^，。；？?\n]{0,6}药[^，。；？?\n]{0,4}(?:吗|好|行|呢|？|\?)"
    r"|要?注意(?:什么|些什么|哪|事项|吗)|注意(?:什么|些|哪)|(?:需要|要不要|用不用|应该|该|能不能|可以|可不可以|能|要)(?:再|给|去|先|继续)?(?:吃|用|打|喝|做手术|手术|住院|输液|接种|补|停|动手术|开刀|治疗|断奶|断)[^，。；？?\n]{0,14}(?:吗|呢|么|什么|怎|多久|？|\?)"
    r"|有(?:什么|啥|没有|哪些)?(?:好的?|其他|更好)?的?(?:办法|方法|偏方|建议)|求[^，。；？?\n]{0,8}(?:办法|方法|方案)|(?:什么|哪些|给[^，。；？?\n]{0,4})建议|饮食(?:上|方面)?(?:要|应|需|该|注意|禁忌|有什么|怎么)|护理(?:方法|要点|措施|有哪|要|注意)|食疗"
    r"|(?:是否|要不要)[^，。；？?\n]{0,8}(?:治|药|手术|住院|吃|打|用)|治疗的方法|(?:治疗|药物|手术|措施)(?:方式|方法)?(?:都|一般|可以|应)?(?:有哪|是什么|有什么)|(?:怎么|怎样|如何)(?:才能|改)|哪些[^，。；？?\n]{0,8}治疗|的药是什么"
)
_GO = re.compile(
    r"(?:是不是|要不要|该不该|用不用|需不需要)(?:要|该|得|应该|需要|就|先|马上|赶紧|给[^，。；？?\n]{0,4}|让[^，。；？?\n]{0,4})*(?<!是不是)"
    r"(?:饿|禁食|吃|喝|喂|去[^，。；？?\n]{0,6}(?:医院|诊所)|就[医诊]|看医生|挂急诊|打针|打疫苗|输液|住院|手术|停药|停奶)"
    r"|(?:要|需要|用|应该|该|得)(?:马上|赶紧|立刻|立即|现在|尽快|先|再|带[^，。；？?\n]{1,4})*(?:去[^，。；？?\n哪什]{0,6}?(?:医院|急诊|诊所)|上医院|到医院|就[医诊](?!于)|看医生)[^，。；？?\n哪什]{0,8}(?:吗|么|嘛|？|\?)"
    r"|(?:能不能|可不可以|能|可以)(?:给[^，。；？?\n]{1,4})?(?:洗澡|洗头|游泳|出门|外出|吹风|吹空调|开空调|上学|去幼儿园|上幼儿园|坐飞机|运动|晒太阳)[^，。；？?\n]{0,6}(?:吗|么|嘛|呢|？|\?)"
)
"""What to do next, asked in a word: it counts where nothing asks what the child has."""
_TREATS = re.compile(
    r"^[^。；\n]{0,16}(?:应当?该?通过[^。；\n]{1,30}?(?:治疗|处理)|治疗(?:方案|方法|措施|常)|(?:手术|药物)?治疗(?:可以?|包括|常用|主要))"
)
_FINDS = re.compile(
    r"怎么回事|什么(?:原因|病|情况|问题|疾病)|为什么|是不是|正常吗|正常么|会不会是|得了什么|可能(?:是|患)|诊断|要(?:做|查)什么|做(?:什么|哪些)检查|哪(?:种|些)?(?:病|疾病)|严重吗|要紧吗|咋回事|怎么了|何种疾病|是否患|考虑什么"
)
_RELATED = re.compile(
    r"(?<!病情)(?<!症状)(?<!情况)(?:与|和|跟|同)[^，。；？?\n]{0,4}?(?:哪些|哪种|什么)(?:病|疾病)[^，。；？?\n]{0,4}(?:有关|相关|有联系)"
)
"""What an illness goes with is knowledge of it, no question what the child has."""
_COMPLAINT = re.compile(
    r"我家|孩子|宝宝|儿子|女儿|小孩|患儿|婴儿|男孩|女孩|今年|\d+(?:岁|个?多?月|天|周)|这几天|最近|昨天|今天|突然|一直|反复|出现|发烧|发热|咳|吐|拉|疼|痛|疹|喘|哭"
)
_NAMES = re.compile(r"考虑|可能(?:是|患|为|与|存在)|诊断|怀疑|初步判断|符合|患有")
_CONCLUDES = re.compile(r"考虑|可能(?:是|患|与|存在)|诊断|属于|初步判断|应该是|提示|符合|引起的|导致的|怀疑")


class ExchangeGenerator:
    """Instruction rows of conversations, distilled sets, general, safety and self-cognition sources."""

    name = "exchanges"

    def generate(self, record: RawRecord, context: GenerateContext) -> Iterator[Row | Reject]:
        """At most one row: the exchange in its task."""
        if record.pairs:
            pair = record.pairs[0]
            _, spans = serialise_pair(pair)
            turns = [Turn("user", pair.question), Turn("assistant", pair.answer)]
            places = list(spans)
        elif record.turns:
            turns = list(record.turns)
            _, places = serialise_turns(record.turns)
        else:
            return
        end = spoken_turns(turns)
        if end < 2:
            return
        messages = [(turn.role, fill_placeholders(clean(turn.text).text, record, context)) for turn in turns[:end]]
        task = forced_task(record) or task_of(turns[:end])
        if task not in context.tasks:
            return
        evidence = [
            Evidence(record.id, record.page, *_inner(record.text, *places[i]))
            for i in range(end)
            if turns[i].role == "assistant" and turns[i].text.strip()
        ]
        row = make_row(record, task, messages, evidence, self.name, None)
        if not evidence:
            yield refuse(record, "quality.empty", "the assistant says nothing", row)
        else:
            yield row


def _inner(text: str, start: int, end: int) -> tuple[int, int, str]:
    """A span without blanks at its ends, and its words."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end, text[start:end]


def spoken_turns(turns: Sequence[Turn]) -> int:
    """How many turns to keep: a closing exchange of thanks and a dangling question are left off."""
    end = len(turns)
    while end and turns[end - 1].role != "assistant":
        end -= 1
    while end >= 4 and turns[end - 2].role == "user":
        last = turns[end - 2].text.strip()
        if len(last) <= 40 and _THANKS.match(last) and not _ASKS.search(last):
            end -= 2
            while end and turns[end - 1].role != "assistant":
                end -= 1
        else:
            break
    return end


def fill_placeholders(text: str, record: RawRecord, context: GenerateContext) -> str:
    """Placeholders of self-cognition rows filled from the config; unknown ones stay and are refused later."""
    if record.source_kind != "self_cognition":
        return text
    fills: Mapping[str, str] = context.fills
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda match: fills.get(match[1], match[0]), text)


def forced_task(record: RawRecord) -> str | None:
    """The task that the source's kind or its ``options.task`` says, whatever is asked."""
    if record.source_kind in ("general", "safety", "self_cognition"):
        return record.source_kind
    task = record.extras().get("task")
    return str(task) if task else None


def task_of(turns: Sequence[Turn]) -> str:
    """The task that an exchange belongs to, by what its user asks.

    A complaint worked up over several turns to a finding is ``evidiag``, and so is a complaint with the
    question what it is, or with no question and an answer that says it; what to give or do is ``trerecom``;
    everything else is knowledge, ``medkqa``.
    """
    asked = "\n".join(turn.text for turn in turns if turn.role == "user")
    first = next((turn.text for turn in turns if turn.role == "user"), "")
    answers = [turn.text for turn in turns if turn.role == "assistant"]
    questions = sum(bool(_ASKS.search(answer)) and answer.rstrip().endswith(("?", "？")) for answer in answers)
    complaint = bool(_COMPLAINT.search(first))
    if len(answers) >= 2 and complaint and questions and _CONCLUDES.search(answers[-1]):
        return "evidiag"
    if _DO.search(asked):
        return "trerecom"
    if complaint and not _ASKS.search(asked) and _TREATS.search(answers[-1]):
        return "trerecom"
    told = complaint and len(first) >= 12
    if told and _FINDS.search(_GO.sub("", _RELATED.sub("", asked))):
        return "evidiag"
    if _GO.search(asked):
        return "trerecom"
    if told and not _ASKS.search(asked) and _NAMES.search(answers[-1][:60]):
        return "evidiag"
    return "medkqa"
