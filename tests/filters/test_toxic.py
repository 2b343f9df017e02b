"""Poison is no remedy; to warn of it is no crime."""

from __future__ import annotations

import pytest

from pedcorpus.filters.toxic import ToxicFilter
from tests.making import reason, row

CHECK = ToxicFilter()

REMEDIES = [
    "方例：朱砂安神丸。",
    "硃砂、琥珀研末，每服一字。",
    "雄黄、冰片为末，吹喉。",
    "加轻粉少许调敷。",
    "铅丹、枯矾各等分。",
    "外敷黄丹膏。",
    "可用水银膏涂擦。",
    "巴豆霜泻下逐水。",
    "斑蝥去翅足，酒浸外搽。",
    "方用乌头汤或乌头桂枝汤。",
    "制川乌先煎一小时。",
    "大、小活络丹均可服。",
    "可用玉枢丹辟秽解毒。",
    "急以参附汤送服黑锡丹。",
    "方例：一捻金。",
    "黑丑、白丑炒研。",
    "甘遂末冲服，十枣汤亦可。",
    "蟾蜍一只，黄泥裹煨。",
    "马兜铃、瓜蒌皮清肺。",
    "关木通三克，利尿通淋。",
    "雷公藤多苷片口服。",
    "硼砂水漱口。",
    "生南星、生半夏捣敷。",
    "罂粟壳止泻。",
    "苦楝根皮煎汤驱虫。",
    "朱 砂、雄 黄 各 等 分。",
    "水飞朱　砂冲服。",
]


@pytest.mark.parametrize("answer", REMEDIES)
def test_a_poisonous_remedy_is_dropped(answer: str) -> None:
    for task in ("trerecom", "medkqa", "evidiag", "cpt"):
        assert reason(CHECK.check(row(answer, task=task))) == "safety.toxic"


@pytest.mark.parametrize(
    "answer",
    [
        "方例：大黄牡丹皮汤。生大黄、丹皮、桃仁。",
        "银翘散加钩藤、黄芩。方例：钩藤 黄芩 汤。",
        "全身皮肤呈轻粉红色，压之褪色。",
        "用水银体温计测腋温5分钟，血压计水银柱要归零。",
        "孩子画了一朵牵牛花。",
        "胆南星、竹沥化痰；法半夏、姜半夏降逆。",
        "附子先煎，人参另煎。",
        "加丹参、升麻、黄芪。",
        "铅笔芯的主要成分是石墨，不含铅。",
    ],
)
def test_words_that_hold_a_poisons_name_and_are_none_stay(answer: str) -> None:
    assert reason(CHECK.check(row(answer))) is None


@pytest.mark.parametrize(
    "answer",
    [
        "朱砂含汞，婴幼儿禁用。",
        "含雄黄、朱砂的中成药不能给孩子自行服用。",
        "避免接触铅丹（黄丹）做的爽身粉，长期使用会引起铅中毒。",
        "切勿用雄黄酒给孩子擦身。",
        "1岁以下婴儿不要使用硼砂制剂。",
    ],
)
def test_a_warning_may_name_the_poison(answer: str) -> None:
    assert reason(CHECK.check(row(answer))) is None
    assert reason(CHECK.check(row(answer, task="cpt"))) is None


@pytest.mark.parametrize(
    "answer",
    [
        "朱砂婴幼儿禁用。虚证用朱砂安神丸。",
        "雄黄不可多服，每次0.1克即可。",
        "误服少量无妨，方用雄黄、甘草。",
        "雄黄不宜久服。",
        "腹泻忌用生冷，可加巴豆。",
        "朱砂禁止与碘同用，每服0.3克冲服。",
    ],
)
def test_a_warning_beside_a_remedy_saves_nothing(answer: str) -> None:
    assert reason(CHECK.check(row(answer))) == "safety.toxic"


def test_a_question_about_the_poisoning_lets_its_poison_pass_and_no_other() -> None:
    asked = "孩子误服了朱砂怎么办？"
    assert reason(CHECK.check(row("朱砂含硫化汞，立即送医院，带上包装。", question=asked))) is None
    assert reason(CHECK.check(row("可用雄黄解之。", question=asked))) == "safety.toxic"
    assert reason(CHECK.check(row("体温计里的水银要用纸收起。", question="孩子咬碎体温计，吞了水银？"))) is None


@pytest.mark.parametrize("asked", ["孩子食物中毒了怎么办？", "误食不洁食物拉肚子怎么治？", "怎样解毒退热？"])
def test_another_poisoning_lets_nothing_pass(asked: str) -> None:
    assert reason(CHECK.check(row("可用玉枢丹，或雄黄、甘草煎服。", question=asked))) == "safety.toxic"


@pytest.mark.parametrize(
    "asked",
    [
        "我今年14岁，和同学发生性行为后肚子疼，要紧吗？",
        "本人16岁，每天手淫两次，会影响身高吗？",
        "儿子才12岁，我发现他躲着自慰，怎么管？",
        "女儿考砸了，我扒下她的裤子打了十几下，现在她不说话。",
        "孩子不听话，我每天打他屁股，他还是不改，怎么办？",
    ],
)
def test_a_child_beside_sexual_acts_or_a_beating_is_dropped(asked: str) -> None:
    for kind in ("conversation", "distilled", "general"):
        for task in ("medkqa", "general"):
            found = CHECK.check(row("建议多沟通。", question=asked, task=task, kind=kind))
            assert reason(found) == "safety.minor"
    assert reason(CHECK.check(row("建议多沟通。", question=asked, kind="textbook"))) is None


def test_an_answer_counts_as_well() -> None:
    said = "您还小，才15岁，自慰不算病。"
    assert reason(CHECK.check(row(said, question="我这样正常吗？", kind="distilled"))) == "safety.minor"


@pytest.mark.parametrize(
    "said",
    [
        "男孩青春期会出现遗精，女孩会来月经，家长要提前讲解。",
        "教孩子认识身体的隐私部位，别人要看要摸时大声说不，预防性侵犯。",
        "艾滋病通过性行为、血液和母婴途径传播，孩子多由母亲传染。",
        "孩子有攻击性行为和刻板性行为，要评估孤独症。",
        "宝宝打了屁股针以后有硬块，可以热敷。",
        "给孩子脱下裤子检查一下有没有皮疹。",
        "备孕期间性生活要规律，暂时不想要孩子就避孕。",
    ],
)
def test_plain_advice_on_growing_up_stays(said: str) -> None:
    for kind in ("conversation", "distilled", "general", "textbook"):
        assert reason(CHECK.check(row(said, kind=kind))) is None
    for kind in ("textbook", "guideline"):
        assert reason(CHECK.check(row("12岁的男孩手淫多为发育中的现象，不必责骂。", kind=kind))) is None


def test_general_rows_may_speak_of_poison() -> None:
    assert reason(CHECK.check(row("古人用朱砂做颜料。", task="general", kind="general"))) is None
