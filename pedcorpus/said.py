"""What a text says of a drug or a doctor, and whether it denies it.

`lost_denial` and `lost_warning` compare two wordings of one text; `denied_drugs` holds an answer to its quotes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pedcorpus.grounding import drug_places
from pedcorpus.medical_names import DRUGS, Names, base, other_names, spelled
from pedcorpus.quantities import reading

# --- denials ----------------------------------------------------------------------------------------

_DENY = re.compile(
    r"(?<![能可要用该去吃服打])不(?:要(?!紧)|能|应该?|宜|可以?|用|必|需要?|建议|推荐|得|该|适合|适宜|主张|提倡|许|准|给|去|服|打|再|[吃喝](?![饭奶不药]|东西)|喂|使用|考虑)"
    r"(?!不|超过|超出|大于|高于|多于|低于|少于|小于|缓解|控制|退|止|改善|进食|耐受|达到|除外|排除|自行缓|与|和|同|拖|犹豫)"
    r"|(?<![分特区性级个类鉴辨识告派])别(?![的人名是处])|勿|禁(?!食|水|饮|忌[证症])|忌(?![证症食口])|慎|避免|无需|无须|没有?必要|(?<!不)停[用服止]"
    r"|(?:(?:do|does|should|must|may|can|is|are) ?not|n't|(?<!whe)never(?!y)|avoid|contraindicated)(?! ?(?:exceed|more ?than|only))",
    re.IGNORECASE,
)
"""Words that deny what comes after them. English ones stand in folded text too, where no blanks are left."""
_DENY_AFTER = re.compile(
    r"禁|(?<![分特区性级个类鉴辨识告派])别(?![的人名是处])|(?<!不)停(?!留)|(?<!顾)忌(?![证症食口])|慎|(?<![能可要用该去吃服打])不(?:宜|能|可|要|建议|推荐|应|得|用|适合|适用)(?!不|超过|超出|大于|高于|多于|低于|少于|缓解|控制|退|止|改善|进食|耐受|达到|替代|代替|与|和|同)"
    r"|勿|停用|(?:(?:do|does|should|must|may|can|is|are) ?not|(?<!whe)never(?!y)|contraindicated|avoided)(?! ?(?:exceed|more ?than|only))",
    re.IGNORECASE,
)
"""Words that deny what comes before them."""
_ENDS = re.compile(
    r"[就请则但而]|(?<!反)应|需|(?<![主重])要|可(?!能)|必须|除非|的(?:患者|患儿|孩子|宝宝|病人)|者|(?<![同及])时|\b(?:but|please|should|then|if|who)\b",
    re.IGNORECASE,
)
"""What ends the reach of a denial."""
CLAUSE = re.compile(r"[，,。；;！？!?\n]|(?<=[a-z])\.(?!\d)")
SENTENCE = re.compile(r"[。；;！？!?\n]|(?<=[a-z])\.(?!\d)")
LINK = re.compile(r"[、,/(+]|或者?|和|及|与|以及|\)")
"""What joins drugs that share a dose."""
_REACH = 40
_USES = re.compile(r"用|服|吃|喝|喂|给|选|注射|静[滴点推]|雾化|退热|治疗|take|give|use|treat", re.IGNORECASE)
_CARE = (
    r"医生|医师|大夫|doctor",
    r"医院|就医|就诊|急诊|面诊|门诊|hospital|clinic|emergency",
    r"复诊|复查|follow-up",
    r"救护车|120|ambulance",
)
"""Words of care, by what they mean."""


def sends_to_care(text: str) -> bool:
    """Whether ``text`` names a doctor, a hospital, a visit or an ambulance."""
    return any(re.search(word, text, re.IGNORECASE) for word in _CARE)


def cut(text: str, start: int, end: int, border: re.Pattern[str]) -> tuple[int, int]:
    """Where the clause or sentence around ``text[start:end]`` begins and ends."""
    first = max((match.end() for match in border.finditer(text, 0, start)), default=0)
    last = border.search(text, end)
    return first, last.start() if last else len(text)


def denied(text: str, start: int, end: int) -> bool:
    """Whether the clause around ``text[start:end]`` denies it."""
    first, last = cut(text, start, end, CLAUSE)
    for match in _DENY.finditer(text, max(first, start - _REACH), start):
        if not _ENDS.search(text, match.end(), start):
            return True
    after = _DENY_AFTER.search(text, end, min(last, end + _REACH))
    return bool(after) and not re.search(
        r"[者时]|过敏|效|发热|就|要(?!用)|请", text[end : after.start() if after else end]
    )


def denies_after(clause: str) -> bool:
    """Whether ``clause`` forbids what it speaks of."""
    return bool(_DENY.search(clause) or _DENY_AFTER.search(clause))


def _stances(text: str, places: Sequence[tuple[int, int]]) -> set[bool]:
    return {denied(text, start, end) for start, end in places}


def _places(text: str, pattern: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(pattern, text)]


def same_drug(one: str, other: str) -> bool:
    """Whether two names are of one drug; a name that no list has may have lost or won characters at its front."""
    mine, theirs = ({*other_names(name), *other_names(base(name))} for name in (one, other))
    if not mine.isdisjoint(theirs):
        return True
    return not (one in DRUGS and other in DRUGS) and (one.endswith(other) or other.endswith(one))


def lost_denial(before: str, after: str, names: Names, *, added: bool = True) -> str | None:
    """The drug or word of care that one wording denies and the other does not.

    ``added`` counts what only ``after`` says, a denial or its opposite, as well.
    """
    old, new = spelled(before), spelled(after)
    told, said = drug_places(old, names), drug_places(new, names)
    pairs = [
        (
            name,
            [hit[:2] for hit in told if same_drug(hit[2], name)],
            [hit[:2] for hit in said if same_drug(hit[2], name)],
        )
        for name in dict.fromkeys(hit[2] for hit in told)
    ]
    pairs += [(word.split("|")[0], _places(old, word), _places(new, word)) for word in _CARE]
    for name, mine, theirs in pairs:
        if not mine or not theirs:
            continue
        had, has = _stances(old, mine), _stances(new, theirs)
        if (True in had and True not in has) or (added and not has <= had):
            return name
    return None


def lost_warning(before: str, after: str, names: Names) -> str | None:
    """What ``before`` warns of and ``after`` is silent about: a drug that it forbids, or to go to a doctor."""
    old, new = spelled(before), spelled(after)
    if sends_to_care(old) and not sends_to_care(new):
        return "a doctor"
    said = [hit[2] for hit in drug_places(new, names)]
    told = drug_places(old, names)
    for name in dict.fromkeys(hit[2] for hit in told):
        forbidden = _stances(old, [hit[:2] for hit in told if same_drug(hit[2], name)]) == {True}
        if forbidden and not any(same_drug(other, name) for other in said):
            return name
    return None


def denied_drugs(answer: str, quotes: Sequence[str], names: Names) -> list[str]:
    """Drugs that ``answer`` lets one use, though every quote that names them forbids it."""
    text = spelled(answer)
    found = []
    for start, end, name in drug_places(text, names):
        first, last = cut(text, start, end, CLAUSE)
        onward = text[first : cut(text, start, end, SENTENCE)[1]]
        if not _USES.search(text, first, last) or denies_after(onward):
            continue
        stances: set[bool] = set()
        for quote in map(spelled, quotes):
            stances |= _stances(quote, [hit[:2] for hit in drug_places(quote, names) if same_drug(hit[2], name)])
        if stances == {True}:
            found.append(name)
    return list(dict.fromkeys(found))


_DOUBT = re.compile(
    r"吗|什么|是不是|会不会|是否|有没有|可能|怀疑|担心|怕|像|不是|没|算不算|\b(?:could|might|maybe|is it|not)\b",
    re.IGNORECASE,
)


def resolved(name: str, text: str, own: str, heard: Sequence[str], names: Names) -> bool:
    """Whether ``text``, a wording of ``own``, may take up a name that only the other side had said.

    A disease must be stated there, neither asked nor doubted; a drug must be denied throughout, as ``own`` denies it.
    """
    said = spelled(text)
    places = [(start, end) for start, end, drug in drug_places(said, names) if drug == name]
    if places:
        told = any(name in spelled(item) for item in heard)
        return told and bool(_DENY.search(own)) and _stances(said, places) == {True}
    return any(
        not _DOUBT.search(item, *cut(item, start, end, CLAUSE))
        for item in map(spelled, heard)
        for start, end in _places(item, re.escape(name))
    )


_FIGURE = r"(?:\d+(?:[-~至到]\d+)?|[一二两三四五六七八九十]+)"
_OFTEN = re.compile(
    rf"(?P<every>隔)?(?:(?:每|一|1)?[天日]\d?|24(?:小时|h))[^,，。;；\d一二两三四五六七八九十]{{0,6}}(?P<some>{_FIGURE})次|(?P<times>{_FIGURE})次/[日天d]"
    rf"|(?P<hours>{_FIGURE})个?(?:小时|h)(?:[一1]次|/次)|(?P<code>\b(?:qd|bid|tid|qid)\b)"
)
MEDICINE = re.compile(r"[吃服喂喝用]|药|口服|注射")


def new_frequency(text: str, told: Sequence[str]) -> str | None:
    """How often ``text`` has medicine given, where nobody of ``told`` says so often."""
    known = {found for item in told for found in frequencies(reading(item)).values()}
    folded = reading(text)
    for (start, end), often in frequencies(folded).items():
        sentence = folded[slice(*cut(folded, start, end, SENTENCE))]
        if often not in known and MEDICINE.search(sentence):
            return folded[start:end]
    return None


def frequencies(folded: str) -> dict[tuple[int, int], str]:
    """Places in a folded text that say how often in a day, or every how many hours or days, and what they say."""
    found = {}
    for match in _OFTEN.finditer(folded):
        hours = f"{match['hours']}h" if match["hours"] else None
        often = match["some"] or match["times"] or hours or str(_CODES[match["code"]])
        found[match.span()] = ("every other day " if match["every"] else "") + "".join(
            _HAN.get(part, part) for part in often
        )
    return found


_CODES = {"qd": 1, "bid": 2, "tid": 3, "qid": 4}
_HAN = {han: str(value) for value, han in enumerate("一二三四五六七八九", 1)} | {"两": "2"}


def forbids(text: str, words: str) -> bool:
    """Whether every clause of ``text`` that holds a part of ``words`` forbids it; both are compared folded."""
    held = spelled(text)
    places = _places(held, _blurred(spelled(words)))
    return bool(places) and all(_forbidden(held, start, end) for start, end in places)


def beside(text: str, drug: str, words: str, names: Names) -> bool | None:
    """Whether ``words`` stand in ``text`` with ``drug`` as the nearest drug before them; None where no drug is named.

    Where no drug stands before them, the first after them counts.
    """
    held, own, wanted = spelled(text), spelled(drug), spelled(words)
    hits = [hit for hit in drug_places(held, names) if hit[2] != own]
    hits = [hit for hit in hits if not any(s <= hit[0] and hit[1] <= e for s, e in _places(held, re.escape(own)))]
    hits = sorted([*hits, *((start, end, own) for start, end in _places(held, re.escape(own)))])
    if not hits:
        return None
    for start, end in _places(held, _blurred(wanted)):
        before = [hit for hit in hits if hit[1] <= start]
        if not before:
            after = [hit for hit in hits if hit[0] >= end] or [hit for hit in hits if hit[0] >= start]
            if after and after[0][2] == own:
                return True
            continue
        group, edge = [before[-1][2]], before[-1][0]
        for first, last, name in reversed(before[:-1]):
            if not LINK.fullmatch(held[last:edge]):
                break
            group.append(name)
            edge = first
        if own in group:
            return True
    return False


def _blurred(words: str) -> str:
    """A pattern of ``words`` whose marks of punctuation and dashes may be written otherwise."""
    parts = re.findall(r"[\w%]+", words)
    return r"[^\w%]{0,3}".join(map(re.escape, parts)) if parts else r"(?!)"


def _forbidden(text: str, start: int, end: int) -> bool:
    inner = CLAUSE.split(text[start:end])
    return denied(text, start, end) or any(_DENY.search(clause) for clause in inner)
