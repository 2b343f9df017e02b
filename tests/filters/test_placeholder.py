"""A blank that nobody filled does not reach the dataset."""

from __future__ import annotations

import pytest

from pedcorpus.filters.placeholder import PlaceholderFilter
from tests.making import reason, row

CHECK = PlaceholderFilter()


@pytest.mark.parametrize(
    "text",
    [
        "我叫{{name}}。",
        "我叫{{ name }}。",
        "我叫{{ name。",
        "我叫｛｛name｝｝。",
        "{% if disease %}",
        "我叫${name}。",
        "我叫<NAME>。",
        "我叫<name>。",
        "我叫＜姓名＞。",
        "我叫<姓名>，来自<机构>。",
        "我叫{author}。",
        "由__NAME__开发",
        "诊断：【请填写】",
        "剂量（待补充）",
        "用法：[请输入用法]",
        "方案【此处填写治疗方案】",
        "[您的姓名] 敬上",
        "【你的名字】您好",
        "[Your Name]",
        "[公司名称]客服",
        "请到XX医院就诊。",
        "请到××医院就诊。",
        "毕业于XXX大学",
        "每次XX毫克，每天3次。",
        "每次xx ml",
        "XX年XX月出生",
    ],
)
def test_a_blank_is_dropped_on_either_side(text: str) -> None:
    assert reason(CHECK.check(row(text))) == "quality.placeholder"
    assert reason(CHECK.check(row("好的，我知道了。", question=text))) == "quality.placeholder"
    assert reason(CHECK.check(row(text, task="general", kind="general"))) == "quality.placeholder"
    assert reason(CHECK.check(row(text, task="cpt"))) == "quality.placeholder"


@pytest.mark.parametrize(
    "text",
    [
        "染色体核型为46,XX，女孩。",
        "核型46, XX；男孩为46,XY，也有47,XXY。",
        "XX/XY嵌合。",
        "XXX综合征即47,XXX。",
        "[姓名]医生您好，我的电话是[电话]。",
        "下限<名义值>不用管，a < b。",
        'print(f"最大值：{max_num}")',
        'n = int(input("请输入一个正整数 n: "))',
        "正则：`^[a-zA-Z0-9.!#$%&’*+/=?^_`{|}~-]+$`",
        "{'name': '小明', 'age': 5}",
        "她穿着一条____裙子。",
        "【适应证】发热、头痛。",
        "（此外，还要多喝水。）",
        "凝血因子Ⅷ缺乏。",
        "<br>换行",
    ],
)
def test_what_only_looks_like_one_stays(text: str) -> None:
    assert reason(CHECK.check(row(text))) is None


@pytest.mark.parametrize("text", ["我是XX开发的助手。", "我叫××。", "我叫某某。", "我由○○公司训练。", "我叫____。"])
def test_who_speaks_of_itself_must_say_its_name(text: str) -> None:
    assert reason(CHECK.check(row(text, task="self_cognition", kind="self_cognition"))) == "quality.placeholder"


def test_the_middle_turn_counts_too() -> None:
    talk = [("user", "你好"), ("assistant", "您好，我是{{ name }}。"), ("user", "再见"), ("assistant", "再见。")]
    assert reason(CHECK.check(row("", messages=talk))) == "quality.placeholder"
