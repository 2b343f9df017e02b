"""No answer speaks for another product, and none touts."""

from __future__ import annotations

import pytest

from pedcorpus.filters.identity import IdentityFilter
from tests.making import reason, row

CHECK = IdentityFilter()

CLAIMS = [
    "您好，我是杏林智能医学助手。孩子烧了几天？",
    "我是医疗助手，先问几个问题。",
    "我叫小橙，是康康公司的AI助手。",
    "我叫小橙机器人。",
    "请注意，作为AI医疗助手，我不能代替医生。",
    "作为一个人工智能，我没有身体。",
    "作为一个大型语言模型，我无法开药。",
    "抱歉，我是一个语言模型，不能看片子。",
    "我是ChatGPT。",
    "我由OpenAI训练。",
    "As an AI language model, I cannot examine your child.",
    "I'm a large language model.",
]


@pytest.mark.parametrize("said", CLAIMS)
def test_a_claim_to_be_another_assistant_is_dropped(said: str) -> None:
    for task in ("medkqa", "evidiag", "trerecom", "general", "safety"):
        assert reason(CHECK.check(row(said, task=task, kind="conversation"))) == "quality.identity"
    talk = [("user", "孩子发烧"), ("assistant", said), ("user", "三天"), ("assistant", "请去医院。")]
    assert reason(CHECK.check(row("", messages=talk))) == "quality.identity"


@pytest.mark.parametrize("said", CLAIMS)
def test_who_speaks_of_itself_may_say_so_and_so_may_a_user(said: str) -> None:
    assert reason(CHECK.check(row(said, task="self_cognition", kind="self_cognition"))) is None
    assert reason(CHECK.check(row("请带孩子去医院。", question=said))) is None


@pytest.mark.parametrize(
    "said",
    [
        "方用仲景竹叶石膏汤加减。",
        "您好，我是王大夫的助手，他今天出诊。",
        "我是儿科医生，请问孩子几岁？",
        "作为人工智能的一个分支，机器学习从数据中学习。",
        "人工智能可以帮医生看片子。",
        "作为家长，我们可以给孩子买一个学习机器人。",
        "This is as an aid to treatment.",
        "护士把助手叫来，一起固定孩子的头。",
    ],
)
def test_other_talk_of_assistants_stays(said: str) -> None:
    assert reason(CHECK.check(row(said))) is None


@pytest.mark.parametrize(
    "said",
    [
        "带娃之余也能赚点奶粉钱，加我扣[账号]了解。",
        "招代理，日入三百元，有意加微信[账号]。",
        "想买这款奶粉的联系我的微信[账号]订购，今天有优惠。",
        "兼职在家做，轻松自由，私信我。",
    ],
)
def test_an_advert_is_dropped(said: str) -> None:
    assert reason(CHECK.check(row(said, kind="distilled"))) == "quality.advert"


@pytest.mark.parametrize(
    "said",
    [
        "父母忙着挣钱养家，陪孩子的时间少。",
        "很多学生靠兼职付学费。",
        "可以用微信、QQ等软件联系老师。",
        "请拨打[电话]咨询儿科门诊。",
        "家长可以加老师的微信，及时沟通孩子在园的情况。",
    ],
)
def test_money_and_messengers_are_no_advert(said: str) -> None:
    assert reason(CHECK.check(row(said))) is None
