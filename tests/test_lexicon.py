"""Word lists. A word in the wrong list masks medicine or lets a poison pass."""

from __future__ import annotations

import re
import tomllib

import pytest

from pedcorpus.deidentify import mask
from pedcorpus.lexicon import (
    ADULT_CONTEXT,
    CHILD_STRONG,
    CHILD_WEAK,
    CITIES,
    DOUBLE_SURNAMES,
    HOSPITAL_BRANDS,
    HOSPITAL_SCHOOLS,
    NOT_NAMES,
    PROVINCES,
    SURNAMES,
    TOXIC_REMEDIES,
)
from tests.conftest import ROOT

HAN = re.compile(r"[\u3400-\u9fff]+")


def test_surnames_are_one_character_and_double_ones_two() -> None:
    assert all(len(name) == 1 and HAN.fullmatch(name) for name in SURNAMES)
    assert all(len(name) == 2 and HAN.fullmatch(name) for name in DOUBLE_SURNAMES)
    assert set("王李张刘陈杨黄赵吴周") <= SURNAMES
    assert not DOUBLE_SURNAMES & NOT_NAMES


@pytest.mark.parametrize(
    "words",
    [PROVINCES, CITIES, HOSPITAL_BRANDS, HOSPITAL_SCHOOLS, CHILD_STRONG],
    ids=["provinces", "cities", "brands", "schools", "child"],
)
def test_lists_hold_han_words_once_each(words: list[str] | tuple[str, ...]) -> None:
    assert all(HAN.fullmatch(word) for word in words)
    assert len(set(words)) == len(words)


@pytest.mark.parametrize("words", [CHILD_WEAK, ADULT_CONTEXT, TOXIC_REMEDIES], ids=["weak", "adult", "toxic"])
def test_patterns_compile_and_none_matches_everything(words: tuple[str, ...]) -> None:
    assert len(set(words)) == len(words)
    for word in words:
        assert not re.search(word, "")
        assert not re.search(word, "头孢曲松钠静脉滴注")


@pytest.mark.parametrize(
    "remedy",
    [
        "朱砂",
        "雄黄",
        "轻粉",
        "水银",
        "砒霜",
        "铅丹",
        "密陀僧",
        "巴豆",
        "斑蝥",
        "马钱子",
        "川乌",
        "草乌",
        "生半夏",
        "甘遂",
        "罂粟壳",
        "蟾酥",
    ],
)
def test_known_poisons_are_on_the_list(remedy: str) -> None:
    assert any(re.search(word, remedy) for word in TOXIC_REMEDIES)


@pytest.mark.parametrize("remedy", ["法半夏", "金银花", "板蓝根", "黄芩", "甘草", "水牛角", "对乙酰氨基酚", "布洛芬"])
def test_everyday_remedies_are_not(remedy: str) -> None:
    assert not any(re.search(word, remedy) for word in TOXIC_REMEDIES)


@pytest.mark.parametrize("word", sorted(word for word in NOT_NAMES if len(word) == 2))
def test_no_known_word_is_masked_before_a_doctor(word: str) -> None:
    assert mask(f"{word}医生") == f"{word}医生"


@pytest.mark.parametrize("place", [*PROVINCES[:6], *CITIES[:40:5]])
def test_every_place_makes_a_hospital(place: str) -> None:
    assert mask(f"在{place}儿童医院就诊") == "在[医院]就诊"


@pytest.mark.parametrize("sign", ["鼻翼扇动", "鼻翼煽动", "呻吟不止", "发绀", "嗜睡"])
def test_signs_of_danger_send_to_an_emergency_room(sign: str) -> None:
    graph = tomllib.loads((ROOT / "prompts" / "extractive" / "graph.toml").read_text(encoding="utf-8"))
    assert any(re.search(signs, sign) for signs in graph["danger"]["signs"])
