"""Nothing that names or reaches a person passes, however it is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pedcorpus.filters.personal import PersonalFilter
from tests.making import reason, row

CHECK = PersonalFilter()


@pytest.mark.parametrize(
    "text",
    [
        "有事打13912345678。",
        "电话139 1234 5678",
        "电话139.1234.5678",
        "电话139—1234—5678",
        "手机１３９１２３４５６７８",
        "我的号是一三九一二三四五六七八",
        "幺三九幺二三四五六七八",
        "1 3 9 1 2 3 4 5 6 7 8",
        "1-3-9-1-2-3-4-5-6-7-8",
        "加微信：yisheng_2020",
        "QQ12345678",
        "邮箱 doctor@example.com",
        "身份证11010120100101123X",
        "身份证 110101 2010 0101 123X",
        "家住幸福路12号3单元",
        "李建国医生很负责。",
        "患者王某，男，5岁。",
    ],
)
def test_personal_data_is_seen_on_either_side(text: str) -> None:
    assert reason(CHECK.check(row(f"您好。{text}"))) == "safety.personal"
    assert reason(CHECK.check(row("请到医院看看。", question=f"您好，{text}"))) == "safety.personal"
    assert reason(CHECK.check(row(f"您好。{text}", task="cpt"))) == "safety.personal"


@pytest.mark.parametrize(
    "text",
    [
        "[姓名]医生您好，我的电话是[电话]，家住[地址]。",
        "身高150 160 170 180厘米各有多少人？",
        "化验单：13.5-15.0，4.5 5.5 6.5。",
        "一三五打针，二四六休息。",
        "白细胞12.3×10^9/L，血小板345。",
        "请尽快带孩子去儿童医院。",
        "急救请拨打120。",
    ],
)
def test_masked_and_harmless_text_stays(text: str) -> None:
    assert reason(CHECK.check(row(text))) is None


def test_the_assistants_own_name_is_no_personal_data_but_a_phone_is() -> None:
    named = row("我叫王小明，是儿科助手。", task="self_cognition", kind="self_cognition")
    assert reason(CHECK.check(named)) is None
    phone = row("我叫小助手，电话13912345678。", task="self_cognition", kind="self_cognition")
    assert reason(CHECK.check(phone)) == "safety.personal"


@given(
    st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True),
    st.sampled_from(["", " ", "-", ".", "·", "—"]),
    st.sampled_from(["请打", "打给我：", "，", "\n", "（"]),
)
def test_no_mobile_number_passes(number: str, blank: str, before: str) -> None:
    written = blank.join((number[:3], number[3:7], number[7:]))
    assert reason(CHECK.check(row(f"有事{before}{written}找我"))) == "safety.personal"


@given(st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True))
def test_nor_does_one_in_words(number: str) -> None:
    written = number.translate(str.maketrans("0123456789", "零一二三四五六七八九"))
    assert reason(CHECK.check(row(f"号码是{written}，谢谢"))) == "safety.personal"
