"""Old books may be history; they are no advice."""

from __future__ import annotations

import pytest

from pedcorpus.filters.classics import ClassicsFilter
from tests.making import reason, row

CHECK = ClassicsFilter()


@pytest.mark.parametrize(
    "answer",
    [
        "《幼幼集成》：宜用集成沆瀣丹。",
        "《千金要方》八物生姜煎，慢火煎熬。",
        "〈小儿药证直诀〉泻白散主之。",
        "《 鲁府禁方 》：捣为丸服。",
        "某某丸，开水送下。（《经验方》）",
        "据《麻科活人全书•气促发喘鼻煽胸高第五十一篇》，宜用麻杏石甘汤。",
        "《没有人听过的旧书》云：以童便调服。",
        "千金要方云：以酒煎服。",
        "钱乙治惊风用泻青丸。",
        "《备急千金要方》用龙胆汤。",
    ],
)
def test_an_old_remedy_is_dropped(answer: str) -> None:
    assert reason(CHECK.check(row(answer, task="medkqa"))) == "safety.historic"
    assert reason(CHECK.check(row(answer))) == "safety.historic"


@pytest.mark.parametrize(
    "answer",
    [
        "《诸病源候论》已认识到“小儿脏腑娇嫩”。",
        "《幼科铁镜》说：“胎黄由妊母感受湿热。”",
        "《麻证新书》云：麻未见时，必发热恶寒，咳嗽喷嚏。",
        "《景岳全书》提出“其脏气清灵，随拔随应”。",
        "《证治汇补》说：“心血一虚，神气失守。”气化不行，聚而成饮。",
    ],
)
def test_an_old_book_may_explain_but_not_advise(answer: str) -> None:
    assert reason(CHECK.check(row(answer, task="medkqa"))) is None
    assert reason(CHECK.check(row(answer, task="cpt"))) is None
    assert reason(CHECK.check(row(answer, task="trerecom"))) == "safety.historic"
    assert reason(CHECK.check(row(answer, task="evidiag"))) == "safety.historic"


@pytest.mark.parametrize(
    "answer",
    [
        "根据《中医儿科学》（1985年）：\n治法：疏风清热。\n方例：桑菊饮。",
        "根据《儿童肺炎支原体肺炎诊疗指南（2025年版）》：口服阿奇霉素。",
        "按照《国家免疫规划疫苗儿童免疫程序》接种，口服脊灰疫苗滴剂。",
        "参照《诸福棠实用儿科学》，口服补液盐。",
        "《素问》说：“五脏六腑皆令人咳。”方用六君子汤。",
        "桑菊饮加减，水煎服。",
        "口服《中华人民共和国药典》收载的制剂。",
    ],
)
def test_modern_titles_and_books_of_principles_are_no_old_remedy(answer: str) -> None:
    assert reason(CHECK.check(row(answer, task="medkqa"))) is None
    assert reason(CHECK.check(row(answer))) is None


def test_a_citation_before_the_answer_does_not_hide_one_inside() -> None:
    answer = "根据《中医儿科学》（1985年）：《幼科发挥》用泻青丸。"
    assert reason(CHECK.check(row(answer))) == "safety.historic"


def test_a_completion_text_is_dropped_for_a_recipe_alone() -> None:
    recipe = "小儿腹胀：鸡肫皮5个，焙焦，研成极细末，每服少许。（《验方新编》）"
    history = "孙思邈《备急千金要方》把妇孺医方列于卷首，后世多有阐发。"
    assert reason(CHECK.check(row(recipe, task="cpt"))) == "safety.historic"
    assert reason(CHECK.check(row(history, task="cpt"))) is None


def test_titles_in_dialogues_are_mostly_films_and_medicines() -> None:
    song = "睡前放《摇篮曲》，口服《头孢克肟分散片》后拉肚子就停药，喝点汤。"
    assert reason(CHECK.check(row(song, kind="distilled"))) is None
    assert reason(CHECK.check(row("《千金方》里的姜汤很管用。", kind="distilled"))) == "safety.historic"


def test_general_rows_may_speak_of_any_book() -> None:
    assert reason(CHECK.check(row("《本草纲目》记载了许多丸散膏丹。", task="general", kind="general"))) is None
