"""What holds a model's answer to its source: cited words found in the record, names found in the evidence.

`align` finds the words that a model cites; `ungrounded_names` finds drugs and diseases that nobody told it of.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pedcorpus import medical_names as words
from pedcorpus.medical_names import Names, load_names
from pedcorpus.text import HAN, INVISIBLE

__all__ = ["Names", "align", "align_all", "drug_places", "load_names", "ungrounded_names"]

# --- quotes -----------------------------------------------------------------------------------------

_LEAST_QUOTE = 4
_LEAST_PIECE = 6
_ELLIPSIS = re.compile(r"[\[(（【]?(?:…+|⋯+|\.{3,}|。{3,}|．{3,})[\])）】]?")
_LINES = frozenset("\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")
_UNSEEN = re.compile(f"[{INVISIBLE}]")
_AS_FOUND = re.compile("[¼-¾⅐-⅞\u2460-\u24ff\u3220-\u3229\u3251-\u325f\u3280-\u3289\u32b1-\u32bf]")
"""Fractions and list marks: ①5mg is not 15mg."""
_LONG_DASHES = frozenset("—―─")
_RAISED = re.compile("[²³¹⁰⁴-⁹₀-₉⁺⁻]")
_SIGNS = str.maketrans(
    {
        **dict.fromkeys("‐‑‒–—―─−", "-"),
        **dict.fromkeys("∼〜～˜∽", "~"),
        **dict.fromkeys("•∙⋅‧・･", "·"),
        **dict.fromkeys("“”„‟「」『』〝〞", '"'),
        **dict.fromkeys("‘’‚‛`´'", '"'),
        **dict.fromkeys("〔【", "["),
        **dict.fromkeys("〕】", "]"),
        **dict.fromkeys("✕✖╳", "×"),
        **dict.fromkeys("⁄∕", "/"),
        "∶": ":",
        "≦": "≤",
        "≧": "≥",
        "﹒": ".",
    }
)
_NUMERALS = "〇零一二两三四五六七八九十百千万亿半"
_WORD = rf"(?:(?![{HAN}_])\w|[\u0300-\u036f])"
_HAN_UNIT = r"(?:[个毫微纳千公百万亿十]?[克升米斤片粒丸滴支袋包岁月周天日年次度倍万亿千百十半])"
_UNIT = rf"(?:(?:{_WORD}|[%‰°])+|{_HAN_UNIT})"
_NEXT = rf"(?:[.,:^]|[ \n]?[-~×/±+][ \n]?)?\d+(?:[ \n]?{_UNIT})?"
_WHOLE = re.compile(
    rf"[<>≤≥±+~-]?\.?\d+(?:[ \n]?{_UNIT})?(?:{_NEXT})*(?:[ \n]?[/·][ \n]?(?:\(?{_WORD}+(?:[·*./-]{_WORD}+)*\)?|[{HAN}]))*半?"
    rf"|{_WORD}+(?:-\d+)*|[{_NUMERALS}]{{2,}}{_HAN_UNIT}?|[{_NUMERALS}]{_HAN_UNIT}(?:[/·][{HAN}]|半)"
)
"""What no quote begins or ends in: a number with its sign, range and unit, a word in letters, numerals in Chinese."""
_PARTED = re.compile(r"(?<=\d)[ \n]+(?=\d)|(?<=\d\.)[ \n]+(?=\d)|(?<=\d)[ \n]+(?=\.\d)")
_STOP = re.compile(r"(?<!\d)。|。(?!\d)")
_EDGE = ",.;:。、!?\"'()[]"


@dataclass(frozen=True, slots=True)
class _Reading:
    """A text for aligning. ``origins[i]`` is the raw offset of character ``i`` of ``text``; ``closed`` where no cut is."""

    text: str
    origins: array[int]
    closed: frozenset[int]


@lru_cache(maxsize=4096)
def _folded(character: str) -> str:
    if _AS_FOUND.match(character):
        return character
    return unicodedata.normalize("NFKD", character.translate(_SIGNS)).translate(_SIGNS).lower()


@lru_cache(maxsize=64)
def _read(raw: str) -> _Reading:
    """Widths, case, quotation marks and dashes made one, blanks gone but where they part two numbers."""
    characters: list[str] = []
    origins: list[int] = []
    raised, before = False, " "
    for place, character in enumerate(raw):
        if _UNSEEN.match(character):
            continue
        folded = ("\n" if character in _LINES else " ") if character.isspace() else _folded(character)
        if _RAISED.match(character) and not raised and characters and characters[-1].isdigit():
            folded = "^" + folded
        raised = bool(_RAISED.match(character))
        dashed = character in _LONG_DASHES and before in _LONG_DASHES
        before = before if character.isspace() else character
        if dashed:
            continue
        for part in folded:
            part = " " if part.isspace() and part != "\n" else part
            if part in " \n" and characters and characters[-1] in " \n":
                continue
            characters.append(part)
            origins.append(place)
    spaced = "".join(characters)
    uncut = {
        inner
        for match in _WHOLE.finditer(spaced)
        for inner in range(match.start() + 1, len(match[0].rstrip()) + match.start())
    }
    uncut.update(place for place, part in enumerate(spaced) if unicodedata.combining(part))
    uncut.update(place for place in range(1, len(origins)) if origins[place] == origins[place - 1])
    spaced = _STOP.sub(".", spaced)
    parted = {match.start() for match in _PARTED.finditer(spaced)}
    kept = [place for place, part in enumerate(spaced) if part not in " \n" or place in parted]
    text = "".join(" " if spaced[place] == "\n" else spaced[place] for place in kept)
    closed = frozenset(index for index, place in enumerate(kept) if place in uncut)
    text = re.sub(r"(?<=\d)~(?=\d)", "-", text)
    return _Reading(text, array("q", (origins[place] for place in kept)), closed)


def align(quote: str, text: str) -> tuple[int, int] | None:
    """The first span of ``text`` that says exactly ``quote``, widths, case, blanks and forms of punctuation aside.

    No span cuts a number, its unit or a word in letters. A quote of fewer than four characters, marks of punctuation
    at its ends left out, aligns to nothing.
    Where marks of punctuation alone differ at the ends of a quote, the span goes without them.
    """
    return _align(quote, text, 0)


def _align(quote: str, text: str, start: int) -> tuple[int, int] | None:
    wanted, held = _read(quote).text, _read(text)
    bare = wanted.strip(_EDGE)
    needles = {wanted: None} if f".{bare}" in wanted and bare[:1].isdigit() else {wanted: None, bare: None}
    for needle in needles:
        place = held.text.find(needle, start) if len(needle.strip(_EDGE)) >= _LEAST_QUOTE else -1
        while place >= 0:
            end = place + len(needle)
            if place not in held.closed and end not in held.closed:
                return held.origins[place], held.origins[end - 1] + 1
            place = held.text.find(needle, place + 1)
    return None


def align_all(quote: str, text: str) -> list[tuple[int, int]] | None:
    """The spans of a quote whose parts an ellipsis joins, in the order of the text; None where one of them is not there."""
    whole = align(quote, text)
    if whole:
        return [whole]
    pieces = [piece for piece in _ELLIPSIS.split(quote) if _read(piece).text.strip(_EDGE)]
    if len(pieces) < 2 and not _ELLIPSIS.search(quote):
        return None
    spans: list[tuple[int, int]] = []
    start = 0
    for piece in pieces:
        if len(_read(piece).text) < _LEAST_PIECE:
            return None
        span = _align(piece, text, start)
        if span is None:
            return None
        spans.append(span)
        start = bisect_right(_read(text).origins, span[1] - 1)
    return spans or None


# --- what an answer names ---------------------------------------------------------------------------


def _any(patterns: Iterable[str]) -> str:
    return "|".join(sorted((pattern.replace("HAN", HAN) for pattern in patterns), key=len, reverse=True))


_STEM = re.compile(rf"头孢(?:菌素|[{HAN}]{{2}})|{_any(words.DRUG_STEMS)}")
_PRODUCT = re.compile(_any(words.DRUG_FORMS))
_VITAMIN = re.compile(r"维生素[a-ek]\d{0,2}(?!\d)")
_ENDING = re.compile(_any(words.DISEASE_ENDINGS))
_INFECTION = re.compile(r"(?<![易被受抗已])感染(?![性科者源力后])")
_LISTED = re.compile(r"(?<![a-z0-9])\d{1,2}$")
_LONGEST_WORD = max(map(len, words.LEADS | words.MODIFIERS))
_NATURE = re.compile(rf"[{HAN}]{{2}}性$")
_ENGLISH = re.compile(
    rf"(?<![a-z])(?:{words.ENGLISH_NAMES}|{_any(name for name in words.DRUGS if name.isascii())})(?![a-z])"
)
_ENGLISH_DRUG = re.compile(_any(name for name in words.DRUGS if name.isascii() and name.isalpha() and len(name) > 5))
"""English drugs in a folded text, where no blank parts words."""
_CONTEXT = 8
_BETWEEN = re.compile(rf"[^{HAN}a-z0-9]")


def _ends_in(text: str, listed: frozenset[str]) -> str:
    """The longest of the ``listed`` words that ``text`` ends in; empty if there is none."""
    return next((text[-length:] for length in range(_LONGEST_WORD, 0, -1) if text[-length:] in listed), "")


def _leads(text: str) -> bool:
    """Whether ``text`` ends in what may stand before a name without being part of it."""
    return bool(_ends_in(text, words.LEADS) or _LISTED.search(text))


def _modifier(text: str) -> str:
    nature = _NATURE.search(text)
    return _ends_in(text, words.MODIFIERS) or (nature.group() if nature else "")


def _is_bare(context: str) -> bool:
    return not context or _leads(context) or context[-1] in words.CUTS


class _Held:
    """What an answer may name: the evidence, the row's disease and what the graph states of it."""

    def __init__(self, texts: Sequence[str], names: Names) -> None:
        self.text = "\n".join(map(words.spelled, texts))
        self.raw = "\n".join(texts)
        self.names = names
        self._drugs: list[tuple[int, int, str]] | None = None

    def names_drug(self, name: str) -> bool:
        """Whether a drug stands here under any of its names, and not as a part of another drug's."""
        return any(
            not self._in_another(place, other) for other in words.other_names(name) for place in self._places(other)
        )

    def names_disease(self, name: str, before: str) -> bool:
        """Whether a disease stands here, with what makes it another disease in the ``before`` of the answer."""
        if any(
            not self._is_another(place, other) and self._agrees(place, before)
            for other in words.other_names(name)
            for place in self._places(other)
        ):
            return True
        modifier = next((name[:length] for length in (4, 3, 2) if name[:length] in words.MODIFIERS), "")
        rest = name.removeprefix(modifier)
        return bool(modifier) and len(rest) > 1 and self.names_disease(rest, before + modifier)

    def has(self, hit: str) -> bool:
        """Whether the words stand here; ``d`` is not in ``d3``."""
        follows = (self.text[place + len(hit) : place + len(hit) + 1] for place in self._places(hit))
        return any(not (hit[-1].isascii() and following.isdigit()) for following in follows)

    def _places(self, name: str) -> Iterator[int]:
        place = self.text.find(name)
        while place >= 0:
            yield place
            place = self.text.find(name, place + 1)

    def _is_another(self, place: int, name: str) -> bool:
        end = place + len(name)
        if name[-1].isdigit() and self.text[end : end + 1].isdigit():
            return True
        if self.text.endswith(words.OTHER_BEFORE.get(name, ("\0",)), 0, place):
            return True
        return any(re.compile(after).match(self.text, end) for after in words.OTHER_AFTER.get(name, ()))

    def _in_another(self, place: int, name: str) -> bool:
        if self._is_another(place, name):
            return True
        if self._drugs is None:
            self._drugs = [hit for hit in self.names.finder.find(self.text) if hit[2] in self.names.known_drugs]
        end = place + len(name)
        return any(
            start <= place and end <= stop and len(other) > len(name) and words.base(other) != words.base(name)
            for start, stop, other in self._drugs
        )

    def _agrees(self, place: int, before: str) -> bool:
        """Whether what stands before a name in the answer is no part of it, or the same here."""
        common = 0
        while common < min(len(before), place) and before[-1 - common] == self.text[place - 1 - common]:
            common += 1
        return common == len(before) or any(self._is_led(before[: len(before) - cut]) for cut in range(common + 1))

    def _is_led(self, rest: str) -> bool:
        """Whether ``rest`` ends in what is no part of a name, or in modifiers that stand somewhere here."""
        while rest and not _leads(rest):
            modifier = _modifier(rest)
            if not modifier or modifier not in self.text:
                return False
            rest = rest.removesuffix(modifier)
        return True


def _before(text: str, start: int) -> str:
    """The words before a name, as far as they may be part of it."""
    context = text[max(0, start - _CONTEXT) : start]
    return context[max((match.end() for match in _BETWEEN.finditer(context)), default=0) :]


def _whole(text: str, start: int, end: int, name: str) -> tuple[int, str]:
    """Where a name starts, and the name, with what makes it another one: 肺炎链球菌 for 肺炎, 副流感 for 流感."""
    begin = next((before for before in words.OTHER_BEFORE.get(name, ()) if text.endswith(before, 0, start)), "")
    rest = (re.compile(after).match(text, end) for after in words.OTHER_AFTER.get(name, ()))
    return start - len(begin), begin + name + next((match.group() for match in rest if match), "")


def ungrounded_names(answer: str, evidence: Sequence[str], disease: str | None, names: Names) -> list[str]:
    """Drugs and diseases that ``answer`` names and that neither evidence nor the graph's word on ``disease`` holds.

    The graph speaks for diseases by any relation, for drugs only where it says what is given for ``disease``.
    Names come out in folded form, each once. A negated name counts as well.
    """
    text = words.spelled(answer)
    about = words.spelled(disease) if disease else ""
    told = [*evidence, *([disease] if disease else [])]
    held = _Held([*told, *sorted(names.around.get(about, ()))], names)
    given = _Held([*told, *sorted(names.treating.get(about, ()))], names)
    known = list(names.finder.find(text))
    found: list[tuple[int, str]] = []
    for start, end, name in known:
        start, whole = _whole(text, start, end, name)
        if name in names.known_drugs:
            grounded = given.names_drug(whole)
        else:
            grounded = name in words.NO_DISEASES or held.names_disease(whole, _before(text, start))
        if not grounded:
            found.append((start, name))
    covered = {place for start, end, _ in known for place in range(start, end)}
    found += [hit for hit in _unlisted_drugs(text, covered) if not given.has(hit[1])]
    found += _unlisted_diseases(text, covered, held)
    plain, known_words = _latin(answer), _latin(held.raw)
    for match in _ENGLISH.finditer(plain):
        hit = match.group()
        if hit in words.NO_ENGLISH or re.search(rf"(?<![a-z]){re.escape(hit)}(?![a-z])", known_words):
            continue
        if not any(held.has(other) for other in words.other_names(hit)):
            found.append((len(text) + match.start(), hit))
    return list(dict.fromkeys(name for _, name in sorted(found)))


def drug_places(text: str, names: Names) -> list[tuple[int, int, str]]:
    """Start, end and name of the drugs in a folded ``text``, those that no list has by their endings."""
    known = list(names.finder.find(text))
    covered = {place for start, end, _ in known for place in range(start, end)}
    found = [(start, end, name) for start, end, name in known if name in names.known_drugs]
    found += [
        (start, start + len(name), name)
        for start, name in _unlisted_drugs(text, covered)
        if covered.isdisjoint(range(start, start + len(name)))
    ]
    found += [(*match.span(), match.group()) for match in _ENGLISH_DRUG.finditer(text)]
    return sorted(found)


def _latin(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())


def _unlisted_drugs(text: str, covered: set[int]) -> Iterator[tuple[int, str]]:
    """Drugs that no list has, by their endings: the ending with up to two characters before it."""
    for match in _VITAMIN.finditer(text):
        if match.start() not in covered:
            yield match.start(), match.group()
    for pattern in (_STEM, _PRODUCT):
        for match in pattern.finditer(text):
            if match.end() - 1 in covered:
                continue
            if match.group().startswith("头孢"):
                hit = match.group()
                yield match.start(), "头孢" if hit[2] in words.CUTS or hit[2] in "类过抗治药等皮静口" else hit
                continue
            start = match.start()
            while (
                start
                and match.start() - start < 2
                and re.match(f"[{HAN}a-z]", text[start - 1])
                and text[start - 1] not in words.CUTS
            ):
                start -= 1
            name = text[start : match.start()]
            if name in words.LEADS:
                continue
            generic = _ends_in(_before(text, match.start()), words.NO_PRODUCTS) if pattern is _PRODUCT else ""
            if name and not (generic and _is_bare(_before(text, match.start()).removesuffix(generic))):
                yield start, text[start : match.end()]


def _unlisted_diseases(text: str, covered: set[int], held: _Held) -> Iterator[tuple[int, str]]:
    """Ungrounded diseases that no list has, by their endings and the character before them."""
    for match in _ENDING.finditer(text):
        start, end = match.span()
        context = _before(text, start)
        generic = _ends_in(context + match[0], words.CLASS_DISEASES)
        if end - 1 in covered or (
            len(generic) > end - start and _is_bare(context.removesuffix(generic[: start - end]))
        ):
            continue
        if not context or _leads(context):
            if end - start == 1 or (match.group() in words.CLASS_DISEASES and not context):
                continue
        else:
            start -= 1
        if not held.names_disease(text[start:end], _before(text, start)):
            yield start, text[max(start - 2, 0) : end] if len(context) > 2 else text[start:end]
    for match in _INFECTION.finditer(text):
        context = _before(text, match.start())
        cause = context[-2:]
        if match.end() - 1 in covered or len(cause) < 2 or _leads(context):
            continue
        if cause not in held.text or not re.search("感染|病毒|菌|炎", held.text):
            yield match.start() - 2, text[match.start() - 2 : match.end()]
