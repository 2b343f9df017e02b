"""The filters that a config gives: safety first, each with its options."""

from __future__ import annotations

import pytest

from pedcorpus.errors import ConfigError
from pedcorpus.filters.length import LengthFilter
from pedcorpus.filters.spun import SpunFilter
from pedcorpus.plugins import HARD_FILTERS, filters


def test_the_filters_stand_in_order_with_their_options() -> None:
    made = {item.name: item for item in filters({"length": {"answer_min": 3}, "spun": {"odd_max": 5}})}
    length, spun = made["length"], made["spun"]
    assert isinstance(length, LengthFilter) and length.answer_min == 3
    assert isinstance(spun, SpunFilter) and spun.odd_max == 5
    names = list(made)
    assert set(names[: len(HARD_FILTERS)]) == HARD_FILTERS, "safety before taste"
    assert names[0] == "empty"


@pytest.mark.parametrize("name", ["identity", "length", "language", "repetition", "spun"])
def test_a_matter_of_taste_can_be_turned_off(name: str) -> None:
    assert name not in [item.name for item in filters({name: {"enabled": False}})]


@pytest.mark.parametrize("name", sorted(HARD_FILTERS))
def test_no_config_turns_a_safety_check_off(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        filters({name: {"enabled": False}})
