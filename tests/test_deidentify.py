"""Masking: what names a person goes, what names a disease, a drug or a dose stays as it is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pedcorpus.deidentify import (
    ACCOUNT,
    ADDRESS,
    EMAIL,
    HOSPITAL,
    ID_CARD,
    NAME,
    NUMBER,
    PHONE,
    ROLE_LABEL,
    looks_like_names,
    mask,
    mask_spans,
    residue,
    shift,
)

MASKED = [
    # phones
    ("电话13800138000请回", f"电话{PHONE}请回"),
    ("手机：138-0013-8000", f"手机：{PHONE}"),
    ("我的手机是138 0013 8000", f"我的手机是{PHONE}"),
    ("打１３８００１３８０００给我", f"打{PHONE}给我"),
    ("+8613800138000", PHONE),
    ("0086 13800138000", PHONE),
    ("电话010-62345678", f"电话{PHONE}"),
    ("座机(021)56781234转801", f"座机{PHONE}"),
    ("０２１－５６７８１２３４", PHONE),
    ("热线400-820-8820", f"热线{PHONE}"),
    ("800 810 5555咨询", f"{PHONE}咨询"),
    ("孩子爸爸13912345678，急", f"孩子爸爸{PHONE}，急"),
    ("联系方式是8765 4321", f"联系方式是{PHONE}"),
    # identity cards and numbers on forms
    ("身份证110105201503072315", f"身份证{ID_CARD}"),
    ("身份证号11010520150307231X，请核对", f"身份证号{ID_CARD}，请核对"),
    ("一代证110105150307231已登记", f"一代证{ID_CARD}已登记"),
    ("证件号为E12345678", f"证件号为{ID_CARD}"),
    ("出生证明编号P110123456", f"出生证明编号{ID_CARD}"),
    ("住院号：123456", f"住院号：{NUMBER}"),
    ("病案号为20190012，男", f"病案号为{NUMBER}，男"),
    ("门诊号A0012345", f"门诊号{NUMBER}"),
    ("车牌京A12345", f"车牌{NUMBER}"),
    # mail and accounts
    ("邮箱zhang.san@163.com联系", f"邮箱{EMAIL}联系"),
    ("邮箱：ｚｓ＠１６３．ｃｏｍ", f"邮箱：{EMAIL}"),
    ("加我微信：wx_id-001", f"加我微信：{ACCOUNT}"),
    ("微信号abc12345", f"微信号{ACCOUNT}"),
    ("VX:mama2020", f"VX:{ACCOUNT}"),
    ("QQ 123456789", f"QQ {ACCOUNT}"),
    ("加Q123456789", f"加Q{ACCOUNT}"),
    ("抖音号：yisheng_li", f"抖音号：{ACCOUNT}"),
    ("加我扣2233445566一起学", f"加我扣{ACCOUNT}一起学"),
    ("扣：34567890", f"扣：{ACCOUNT}"),
    ("我的扣是34567890", f"我的扣是{ACCOUNT}"),
    ("打幺三九零零一三九零零零问", f"打{PHONE}问"),
    ("一三九 零零一三 九零零〇", PHONE),
    # addresses
    ("家住北京市海淀区中关村大街27号", f"家住{ADDRESS}"),
    ("住在上海市浦东新区世纪大道100号3单元501室", f"住在{ADDRESS}"),
    ("我家在朝阳区幸福小区3号楼", f"我家在{ADDRESS}"),
    ("住阳光花园12栋", f"住{ADDRESS}"),
    ("地址：江苏省苏州市吴江区盛泽镇东方村5组", f"地址：{ADDRESS}"),
    ("家住河南孩子咳嗽三天", f"家住{ADDRESS}孩子咳嗽三天"),
    ("家住柳树镇东沟村，孩子发热", f"家住{ADDRESS}，孩子发热"),
    ("现住安宁里小区三单元", f"现住{ADDRESS}"),
    ("住址：建设南路，邻居有人出水痘", f"住址：{ADDRESS}，邻居有人出水痘"),
    # hospitals
    ("在北京儿童医院看过", f"在{HOSPITAL}看过"),
    ("去了上海交通大学医学院附属新华医院", f"去了{HOSPITAL}"),
    ("在协和医院检查", f"在{HOSPITAL}检查"),
    ("到湘雅二医院就诊", f"到{HOSPITAL}就诊"),
    ("在郑州市妇幼保健院出生", f"在{HOSPITAL}出生"),
    ("河南省洛阳市第一人民医院", HOSPITAL),
    ("在301医院做了检查", f"在{HOSPITAL}做了检查"),
    ("首都儿科研究所的号", f"{HOSPITAL}的号"),
    ("陆军总医院", HOSPITAL),
    ("在郑大一附院看的", f"在{HOSPITAL}看的"),
    ("转到华西二院", f"转到{HOSPITAL}"),
    ("浙医儿院挂号", f"{HOSPITAL}挂号"),
    ("重医附一的床位", f"{HOSPITAL}的床位"),
    # names: addressed
    ("李医生您好", f"{NAME}医生您好"),
    ("王丽华医生你好", f"{NAME}医生你好"),
    ("谢谢张大夫", f"谢谢{NAME}大夫"),
    ("请问欧阳教授", f"请问{NAME}教授"),
    ("刘建国主任说孩子没事", f"{NAME}主任说孩子没事"),
    ("陈女士来电", f"{NAME}女士来电"),
    ("陆启明院士主持", f"{NAME}院士主持"),
    ("挂儿科主任林岚的号", f"挂儿科主任{NAME}的号"),
    ("感谢护士长何文静！", f"感谢护士长{NAME}！"),
    ("由于王先生没来", f"由于{NAME}先生没来"),
    # names: introduced
    ("我叫王小明，今年5岁", f"我叫{NAME}，今年5岁"),
    ("孩子叫陈一诺，", f"孩子叫{NAME}，"),
    ("宝宝小名叫豆豆，", f"宝宝小名叫{NAME}，"),
    ("大名王子轩，小名轩轩，", f"大名{NAME}，小名{NAME}，"),
    ("宝宝大名周子涵小名果果", f"宝宝大名{NAME}小名{NAME}"),
    ("我儿子吴小刚今年4岁", f"我儿子{NAME}今年4岁"),
    ("我家孩子谢雨桐现在6个月", f"我家孩子{NAME}现在6个月"),
    ("女儿苏晴，今年三岁", f"女儿{NAME}，今年三岁"),
    ("我是赵敏的妈妈", f"我是{NAME}的妈妈"),
    ("患者张某，男，3岁", f"患者{NAME}，男，3岁"),
    ("患儿李某某，女，2岁", f"患儿{NAME}，女，2岁"),
    ("患者陈*，6岁", f"患者{NAME}，6岁"),
    ("患儿王××，男", f"患儿{NAME}，男"),
    ("患儿赵小刚，男，6岁。", f"患儿{NAME}，男，6岁。"),
    # names: labelled and signed
    ("患儿姓名：李思涵", f"患儿姓名：{NAME}"),
    ("姓名 王小雨 性别 女", f"姓名 {NAME} 性别 女"),
    ("患儿：张小雨，女", f"患儿：{NAME}，女"),
    ("监护人：李红，电话", f"监护人：{NAME}，电话"),
    ("联系人：孙悦", f"联系人：{NAME}"),
    ("校对：陈建国", f"校对：{NAME}"),
    ("医师签名：周海涛", f"医师签名：{NAME}"),
    ("执笔：赵敏，周芷若", f"执笔：{NAME}，{NAME}"),
    ("组长：张三丰、李四光（北京儿童医院）", f"组长：{NAME}、{NAME}（{HOSPITAL}）"),
    ("主编 王卫平", f"主编 {NAME}"),
    ("王卫平 主编", f"{NAME} 主编"),
    # two in one sentence
    ("张医生让我加微信zy2020ped，电话13911112222。", f"{NAME}医生让我加微信{ACCOUNT}，电话{PHONE}。"),
]


@pytest.mark.parametrize(("text", "masked"), MASKED)
def test_personal_data_is_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


KEPT = """
李斯特菌感染
金黄色葡萄球菌
马尔尼菲青霉菌
白细胞升高，白蛋白30g/L
黄疸持续不退
陈旧性骨折
王不留行15g
沙门菌属
白色念珠菌
孟鲁司特钠4mg
罗红霉素10mg/kg
康氏反应
高热惊厥
张力性气胸
毛细支气管炎
江米粥
吴茱萸3g
白芷、苍术、川芎、当归、熟地、牛膝、杜仲、续断
黄芪、白术、茯苓、甘草、陈皮、半夏、党参、黄连
麻黄、杏仁、石膏、甘草、生姜、大枣、桂枝、白芍
麻疹、水痘、风疹、幼儿急疹、猩红热、手足口病、流行性腮腺炎、百日咳
金银花、连翘、板蓝根、黄芩、鱼腥草、蒲公英、紫花地丁、野菊花
**桂枝汤**
**附：奶麻**
*黄芪* 与 *黄*
剂量0.5～1mg/(kg·次)，每日3次
０．５～１ｍｇ
温度38.5℃
2019年5月12日
2010-2015年全国调查
5.0×10^9/L
血小板100~300×10^9/L
400～800IU
400 800 1200 mg
400-800-1200 mg
800-1000ml
1500 2000 2500
12345678901234567890
3.13812345678
ISBN 978-7-117-12345-6
DOI:10.3760/cma.j.issn.0578-1310.2019.05.001
13个月大的宝宝
维生素D3 400IU
CD4+T细胞
血清IgE 1200kU/L
每周150分钟
儿科医生会告诉您
遵医嘱，由主治医生决定
应由医生决定
应根据医生建议
应向医生说明
曾经医生诊断为肺炎
任何医生都会
需经医生评估
何时医生会来
全凭医生判断
在医生指导下
请您和医生沟通
让医生看看
女医生
高年资医师
康复医师
谢谢医生
高龄男性
满族女孩
患者男，5岁
患儿，男，3岁
周岁男孩
小儿男女
去医院检查
到当地医院就诊
在三级医院治疗
建议去儿童医院
中医医院
综合医院
父亲：农民，母亲：工人
母亲：高血压，
患者：高热三天，
患者：谢谢，
医生：应该，
父亲：高龄，
微信公众号
微量元素
QQ糖
微博上说
编写说明
作者认为
组织水肿
组织：皮肤、肌肉、骨骼
整理床铺
方案：头孢曲松
住院治疗
住院号的填写
电话咨询
电话：12
小名
道路交通
第3号染色体
15号染色体长臂
消化道1号
门静脉高压
宋代医家
问清居住地区的卫生条件，再看饮用水
少去居住地区以外的人群密集处
现住院3天，体温正常
居住地为农村
家住城镇
家住马路边
地址在哪里
住址附近有化工区
到正规的大医院看看
孩子要马上医院检查
有事请上医院
扣子12345
折扣：12345
罚扣12345元
孩子白内障今年3岁
孩子高烧今年第二次
宝宝常感冒今年5岁
孩子成绩差今年8岁
孩子单眼皮今年8岁
主任医师常规查房
教授方法
中国工程院院士
院长严肃，主任和蔼。
疗程一三五七九天
""".strip().splitlines()


@pytest.mark.parametrize("text", KEPT)
def test_medicine_is_not_masked(text: str) -> None:
    assert mask(text) == text


PIECES = st.sampled_from(
    [text for text, _ in MASKED]
    + KEPT
    + "患儿 王 李小明 ，男， 医生 先生 ： : 姓名 我叫 13800138000 110105201503072315 abc@d.com 路12号 北京 医院 第一 、 ** * × 某 \n [姓名] [电话] mg 0.5 （ ） 主编 组长 住院号 微信 q1w2e3".split(
        " "
    )
)
TEXTS = st.lists(PIECES, max_size=8).map("".join)


@given(TEXTS)
def test_masking_a_masked_text_changes_nothing(text: str) -> None:
    once = mask(text)
    assert mask(once) == once
    assert residue(once) == []


@given(st.one_of(TEXTS, st.text(max_size=40)))
def test_edits_rebuild_the_masked_text(text: str) -> None:
    masked = mask_spans(text)
    rebuilt, position = "", 0
    for start, end, label in masked.edits:
        assert position <= start < end <= len(text)
        rebuilt += text[position:start] + label
        position = end
    assert rebuilt + text[position:] == masked.text


@given(TEXTS)
def test_offsets_lead_to_the_same_character(text: str) -> None:
    masked = mask_spans(text)
    inside = {offset: start for start, end, _ in masked.edits for offset in range(start, end)}
    moved = [masked.offset(offset) for offset in range(len(text) + 1)]
    assert moved == sorted(moved)
    assert moved[-1] == len(masked.text)
    assert shift(list(range(len(text) + 1)), masked) == moved
    for offset, character in enumerate(text):
        if offset in inside:
            assert masked.text.startswith("[", moved[offset])
            assert moved[offset] == moved[inside[offset]]
        else:
            assert masked.text[moved[offset]] == character


@given(
    st.integers(0, 99),
    st.sampled_from(["", "口服，", "电话随访后，", "病人"]),
    st.sampled_from(["mg", "ml/kg", "万U", "片", "℃"]),
)
def test_doses_survive_beside_masks(number: int, before: str, unit: str) -> None:
    dose = f"{before}0.{number}～{number + 1}{unit}，"
    assert mask(f"{dose}电话13800138000") == f"{dose}电话{PHONE}"


@pytest.mark.parametrize("border", ["", "请", "，", " ", "\n", "（", "a", "："])
def test_digit_borders_do_not_depend_on_word_borders(border: str) -> None:
    assert mask(f"{border}13800138000{border}") == f"{border}{PHONE}{border}"


@pytest.mark.parametrize("digits", ["1380013800", "138001380001", "12800138000", "0.13800138000"])
def test_other_lengths_are_no_phone(digits: str) -> None:
    assert mask(f"编码{digits}。") == f"编码{digits}。"


@pytest.mark.parametrize("digits", ["110105201513072315", "010105201503072315", "1101052015030723155"])
def test_what_is_no_identity_card_stays(digits: str) -> None:
    assert ID_CARD not in mask(f"条码{digits}。")


def test_a_long_list_of_names_is_masked_and_a_list_of_herbs_is_not() -> None:
    names = "赵明、钱华、孙丽、李强、周敏、吴刚、郑洁、王芳"
    assert mask(names) == "、".join([NAME] * 8)
    herbs = "麻黄、黄芪、白术、连翘、石膏、金银花、甘草、桂枝"
    assert mask(herbs) == herbs


@pytest.mark.parametrize(
    ("listed", "masked"),
    [
        ("成员：张示例陈范文　周虚拟", f"成员：{NAME}{NAME}　{NAME}"),
        ("成员：李明张四维 周洪", f"成员：{NAME}{NAME} {NAME}"),
        ("秘书：何虚构\n利益冲突：无", f"秘书：{NAME}\n利益冲突：无"),
        ("执笔：何虚构\n周洪 李明\n参考文献", f"执笔：{NAME}\n{NAME} {NAME}\n参考文献"),
        ("组长：何虚构负责本指南", f"组长：{NAME}负责本指南"),
    ],
)
def test_a_list_of_names_goes_on_over_joined_lines_and_no_further(listed: str, masked: str) -> None:
    assert mask(listed) == masked


def test_role_label() -> None:
    assert ROLE_LABEL.match("组长：张三")
    assert ROLE_LABEL.match("　主要执笔（按姓氏笔画）：张三")
    assert not ROLE_LABEL.match("治疗：头孢")
    assert not ROLE_LABEL.match("本指南组长：张三")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["张伟", "李娜"], True),
        (["张伟", "李娜", "王强", "发热"], True),
        (["发热", "咳嗽"], False),
        (["张伟"], False),
        (["张伟", "发热", "咳嗽", "皮疹", "头痛"], False),
        (["黄芪", "麻黄", "白术"], False),
        ([], False),
    ],
)
def test_looks_like_names(words: list[str], names: bool) -> None:
    assert looks_like_names(words) is names
