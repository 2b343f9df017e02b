"""The text around evidence: every span is marked, what lies far from all of them is left out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pedcorpus.trace import _AROUND, _marked

SPANS = st.lists(st.tuples(st.integers(0, 900), st.integers(1, 80)), min_size=1, max_size=6)


@given(SPANS)
def test_each_span_is_marked_and_the_text_stays_in_order(places: list[tuple[int, int]]) -> None:
    text = "".join(chr(0x4E00 + n) for n in range(1000))
    spans = [(start, start + length) for start, length in places]
    shown = _marked(text, spans, color=False)
    inside = "".join(part.split("⟧")[0] for part in shown.split("⟦")[1:])
    assert set(inside) == {text[n] for start, end in spans for n in range(start, end)}
    bare = shown.translate({ord(c): None for c in "⟦⟧…"})
    assert list(bare) == sorted(bare)
    assert {text[n] for start, end in spans for n in range(max(0, start - _AROUND), start)} <= set(bare)


def test_the_gap_between_far_spans_is_left_out() -> None:
    text = "一" * 10 + "甲" + "二" * 1000 + "乙" + "三" * 10
    shown = _marked(text, [(10, 11), (1011, 1012)], color=False)
    assert shown == "一" * 10 + "⟦甲⟧" + "二" * _AROUND + "…" + "二" * _AROUND + "⟦乙⟧" + "三" * 10
