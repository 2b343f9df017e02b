"""Text that a synonym spinner has gone over is dropped; plain talk with some of its words is not."""

from __future__ import annotations

import pytest

from pedcorpus.filters.spun import SpunFilter
from tests.making import reason, row

CHECK = SpunFilter()


@pytest.mark.parametrize(
    "answer",
    [
        "宝宝降生后要及时麻醉乙肝疫苗。",
        "可以打击性食物刺激要少吃。",
        "癫痫是大脑神经元异常脉冲的一种病。",
        "到医院去做检查才能明确确诊。",
        "孩子得了肾病综合评价病，要住院。",
        "临床诊断上以药物治疗为主。",
        "病情稳定以后激素逐渐加量就可以。",
        "再次出现高热时要互相配合医生，饮食上需要有营养。",
        "病发时致使孩子不能够说话，要及早救治。",
        "孩子睡午觉时咳嗽，是着凉引来的，平时要留意保暖，已经开始吃药就别停。",
    ],
)
def test_a_spinners_trace_is_dropped(answer: str) -> None:
    for kind in ("conversation", "distilled"):
        assert reason(CHECK.check(row(answer, kind=kind))) == "quality.spun"


@pytest.mark.parametrize("question", ["孩子经常半夜抽动，您好怎么治疗比较好？", "我儿子有癫痫，您好医生，能治好吗？"])
def test_a_greeting_in_the_middle_of_a_question_stands_for_another_word(question: str) -> None:
    assert reason(CHECK.check(row("请到医院看看。", question=question, kind="distilled"))) == "quality.spun"


@pytest.mark.parametrize(
    "question",
    [
        "您好，孩子半夜抽动怎么办？",
        "您好医生，我家孩子半夜抽动怎么办？",
        "医生您好，我想问孩子抽动怎么治。",
        "李医生，我是昨天那个孩子的妈妈，医生您好我想再问一下。",
    ],
)
def test_a_greeting_where_it_belongs_stays(question: str) -> None:
    assert reason(CHECK.check(row("请到医院看看。", question=question, kind="distilled"))) is None


@pytest.mark.parametrize(
    "answer",
    [
        "如果再次出现高热或抽搐，要马上去医院。",
        "发现异常要及时救治，平时留意大小便。",
        "请医生仔细检查，查明原因后再治疗。",
        "做好预防，多休息，饭前洗手，按时接种疫苗。",
        "手术需要全身麻醉，麻醉前要禁食。",
        "不要滥用激素，激素要逐渐减量。",
    ],
)
def test_plain_talk_stays(answer: str) -> None:
    assert reason(CHECK.check(row(answer, kind="conversation"))) is None


def test_how_many_odd_words_are_too_many_is_an_option() -> None:
    two = row("再次出现高热时要互相配合医生。", kind="conversation")
    assert reason(CHECK.check(two)) is None
    assert reason(SpunFilter(odd_max=2).check(two)) == "quality.spun"
    three = row("再次出现高热时要互相配合医生，及早救治。", kind="conversation")
    assert reason(CHECK.check(three)) == "quality.spun"
    assert reason(SpunFilter(odd_max=4).check(three)) is None


def test_books_are_not_spun() -> None:
    assert reason(CHECK.check(row("再次出现、致使、病发、救治。", kind="textbook"))) is None
