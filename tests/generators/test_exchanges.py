"""Dialogues and pairs become rows in the task that their question asks for."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from pedcorpus.generators.exchanges import ExchangeGenerator, task_of
from pedcorpus.plugins import GenerateContext
from pedcorpus.records import RawRecord, Reject, Row, Turn
from tests.making import ALL_TASKS, record

GENERATOR = ExchangeGenerator()
ADVICE = "多喝水，注意休息，如果精神差或者烧到三天以上，请到医院看看。"


def made(
    item: RawRecord, tasks: frozenset[str] = ALL_TASKS, fills: Mapping[str, str] | None = None
) -> list[Row | Reject]:
    return list(GENERATOR.generate(item, GenerateContext(17, 3, tasks, fills or {}, "zh")))


def one(item: RawRecord, **fills: str) -> Row:
    (row,) = made(item, fills=fills)
    assert isinstance(row, Row)
    for evidence in row.evidence:
        assert item.text[evidence.start : evidence.end] == evidence.quote
    return row


def talk(*said: str, kind: str = "conversation", **values: object) -> RawRecord:
    turns = [("user" if index % 2 == 0 else "assistant", text) for index, text in enumerate(said)]
    return record(kind=kind, turns=turns, **values)  # type: ignore[arg-type]


TREATMENT = [
    "宝宝发烧39度怎么办？",
    "孩子咳嗽两周了，吃什么药好？",
    "三岁孩子便秘怎么调理？",
    "小儿腹泻如何治疗？",
    "孩子得了水痘要注意什么？",
    "4个月的宝宝，五天没有大便，要不要用开塞露？",
    "去年打过流感疫苗，今年还要打吗？",
    "宝宝湿疹有什么好的办法？",
    "孩子扁桃体老发炎，需要做手术吗？",
    "小孩手足口病饮食上要注意什么？",
    "孩子流鼻血该怎么处理？",
    "一位患儿确诊川崎病，治疗方案是什么？",
    "怎样才能让孩子多睡一会儿？",
    "新生儿黄疸有哪些治疗方法？",
    "想请专家给个治疗的方法，孩子老是出虚汗。",
    "宝宝腹泻，是不是要饿一饿再喂奶？",
    "孩子吐了三次，要不要先禁食？",
    "宝宝磕到后脑勺，该不该去医院？",
    "孩子手指被门夹肿了，要去医院吗？",
    "小孩鼻子碰破了怎么止血？",
    "宝宝出疹子期间能洗澡吗？",
]
FINDING = [
    "宝宝10个月，拉肚子三天，大便像蛋花汤，这是怎么回事？",
    "孩子身上突然起一片片红包，很痒，是什么病？",
    "女儿7岁，乳房摸到一个硬块，有点疼，正常吗？",
    "孩子半夜咳嗽，声音像小狗叫，是不是喉炎？",
    "一名5岁男孩发热五天，眼红、唇裂，可能患有什么疾病？",
    "宝宝三个月，脖子总歪向一边，是什么原因？",
    "孩子一个月来老是眨眼、耸鼻子，严重吗？",
    "孩子吃了冷饮后肚子疼，是不是吃坏肚子了？",
    "孩子夜里老说腿疼，是什么病，要去医院吗？",
    "小孩耳朵后面起了个包，他的情况与哪种疾病有关？",
]
KNOWLEDGE = [
    "支原体肺炎会传染吗？",
    "川崎病的发病率是多少？",
    "什么是蒙古斑？",
    "麻疹疫苗第一针什么时候打过算合格？",
    "医生给孩子做了手术治疗，多久能出院？",
    "孩子一般几岁开始换牙？",
    "治疗癫痫的医院哪家好？",
    "母乳性黄疸和生理性黄疸有哪些不同？",
    "一名婴儿患有鞘膜积液，该病与哪些疾病有关？",
    "孩子反复肚子疼，应该就诊于哪个科室？",
    "宝宝得了幼儿急疹，几天能好？",
]


@pytest.mark.parametrize("question", TREATMENT)
def test_what_to_give_or_do_is_a_recommendation(question: str) -> None:
    assert task_of([Turn("user", question), Turn("assistant", ADVICE)]) == "trerecom"


@pytest.mark.parametrize("question", FINDING)
def test_what_it_is_is_a_diagnosis(question: str) -> None:
    assert task_of([Turn("user", question), Turn("assistant", ADVICE)]) == "evidiag"


@pytest.mark.parametrize("question", KNOWLEDGE)
def test_everything_else_is_knowledge(question: str) -> None:
    assert task_of([Turn("user", question), Turn("assistant", ADVICE)]) == "medkqa"


def test_a_complaint_without_a_question_goes_by_its_answer() -> None:
    told = "一名5岁男孩发热五天，双眼发红，嘴唇干裂，手脚有点肿。"
    assert task_of([Turn("user", told), Turn("assistant", "考虑川崎病，请住院做心脏超声。")]) == "evidiag"
    assert task_of([Turn("user", told), Turn("assistant", "治疗方案包括静脉注射免疫球蛋白和阿司匹林。")]) == "trerecom"
    assert task_of([Turn("user", told), Turn("assistant", "请先带孩子到医院看看再说吧。")]) == "medkqa"


def test_a_while_is_no_question() -> None:
    for told in ("女儿4岁，最近几天腿上起紫斑，关节也疼。", "一名8岁男孩近几个月老是眨眼，夜里不睡。"):
        assert task_of([Turn("user", told), Turn("assistant", "可能存在过敏，请做检查。")]) == "evidiag"
        assert task_of([Turn("user", told), Turn("assistant", "患儿应当通过休息和药物治疗。")]) == "trerecom"


def test_a_complaint_worked_up_over_turns_is_a_diagnosis() -> None:
    turns = [
        Turn("user", "孩子发烧好几天了，退了又烧，怎么办？"),
        Turn("assistant", "眼睛红不红？有没有皮疹？"),
        Turn("user", "眼睛红，身上有皮疹。"),
        Turn("assistant", "结合发热、皮疹和结膜充血，考虑川崎病，请马上住院。"),
    ]
    assert task_of(turns) == "evidiag"
    assert task_of([*turns[:3], Turn("assistant", "先退热，多喝水，明天复诊。")]) == "trerecom"


def test_a_pair_is_one_row_with_its_answer_as_evidence() -> None:
    item = record(kind="distilled", pair=("宝宝发烧39度怎么办？", f"  {ADVICE} \n"))
    row = one(item)
    assert row.task == "trerecom" and [message.role for message in row.messages] == ["user", "assistant"]
    assert row.messages[1].content == ADVICE and [item.quote for item in row.evidence] == [ADVICE]
    assert made(item, tasks=frozenset({"medkqa", "evidiag"})) == []


def test_every_answer_of_a_talk_is_evidence() -> None:
    row = one(talk("孩子咳嗽怎么办？", "咳了几天？", "三天。", ADVICE))
    assert [evidence.quote for evidence in row.evidence] == ["咳了几天？", ADVICE]
    assert [message.role for message in row.messages] == ["user", "assistant"] * 2


@pytest.mark.parametrize("thanks", ["好的，谢谢医生！", "明白了，再见。", "嗯嗯，知道了", "太好了，感谢！"])
def test_a_closing_exchange_of_thanks_is_left_off(thanks: str) -> None:
    row = one(talk("孩子咳嗽怎么办？", ADVICE, thanks, "不客气，祝孩子早日康复！"))
    assert [message.content for message in row.messages] == ["孩子咳嗽怎么办？", ADVICE]
    row = one(talk("孩子咳嗽怎么办？", ADVICE, thanks, "不客气！", thanks, "再见。"))
    assert len(row.messages) == 2


@pytest.mark.parametrize(
    "more", ["好的，那还要忌口吗？", "谢谢，请问多久复查？", "明白了，还有一个问题，能不能打疫苗呢"]
)
def test_thanks_with_another_question_stay(more: str) -> None:
    assert len(one(talk("孩子咳嗽怎么办？", ADVICE, more, "不用忌口，清淡一些就好。")).messages) == 4


def test_a_dangling_question_is_left_off() -> None:
    row = one(talk("孩子咳嗽怎么办？", ADVICE, "那要不要拍片子呢？"))
    assert row.messages[-1].content == ADVICE
    assert made(talk("孩子咳嗽怎么办？")) == []


def test_an_assistant_who_says_nothing_is_refused() -> None:
    (refused,) = made(record(kind="distilled", pair=("宝宝发烧怎么办？", "  ")))
    assert isinstance(refused, Reject) and refused.reason == "quality.empty"


@pytest.mark.parametrize("kind", ["general", "safety", "self_cognition"])
def test_some_kinds_are_their_own_task(kind: str) -> None:
    assert one(record(kind=kind, pair=("孩子发烧怎么办？", ADVICE))).task == kind


def test_a_source_may_name_its_task() -> None:
    assert one(record(kind="distilled", pair=("发烧怎么办？", ADVICE), extra={"task": "medkqa"})).task == "medkqa"


def test_the_identity_is_filled_in_and_only_where_it_belongs() -> None:
    pair = ("你叫什么名字？", "我叫{{ name }}，由 {{author}} 开发，{{ other }}。")
    row = one(record(kind="self_cognition", pair=pair), name="小儿助手", author="某项目")
    assert row.messages[1].content == "我叫小儿助手，由 某项目 开发，{{ other }}。"
    assert row.evidence[0].quote == pair[1], "the evidence is what the source says"
    assert one(record(kind="general", pair=pair), name="小儿助手").messages[1].content == pair[1]
