"""Numbers with units: read them, compare them, tell a dose from a length of time.

Reading works on a folded copy (`reading`), so widths and blanks do not matter: ``５～１０ mg／（kg·d）`` and
``5-10mg/kg/d`` give the same quantities. What is read twice as another number would let a changed dose slip
through `missing`, so every spelling that stands for a number of its own (½, 三分之一, 1片半, 0·5) is read as that.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from pedcorpus.text import HAN, INVISIBLE

_MASS = {
    "毫克": "mg",
    "mg": "mg",
    "微克": "ug",
    "μg": "ug",
    "ug": "ug",
    "mcg": "ug",
    "纳克": "ng",
    "ng": "ng",
}
_MASS |= {"克": "g", "g": "g", "钱": "钱", "两": "两"}
_VOLUME = {"毫升": "ml", "ml": "ml", "cc": "ml", "升": "l", "l": "l", "微升": "ul", "μl": "ul", "ul": "ul"}
_ACTIVITY = {"国际单位": "iu", "个国际单位": "iu", "iu": "iu", "u": "iu", "单位": "iu", "个单位": "iu", "ku": "ku"}
_AMOUNT = {
    "mmol": "mmol", "毫摩尔": "mmol", "mol": "mol", "摩尔": "mol", "μmol": "umol", "umol": "umol", "微摩尔": "umol", "nmol": "nmol", "pmol": "pmol",
    "meq": "meq", "毫当量": "meq", "mosm": "mosm", "pg": "pg", "fl": "fl",
    "kcal": "kcal", "千卡": "kcal", "大卡": "kcal", "cal": "cal", "卡": "cal", "kj": "kj", "千焦": "kj",
}  # fmt: skip
_PIECE = {
    unit: unit
    for unit in (
        "片 粒 丸 袋 包 支 滴 喷 揿 吸 勺 匙 贴 剂 枚 瓶 盒 颗 管 杯 瓶盖 粒胶囊 小勺 大勺 汤勺 茶勺 奶勺 量勺 小匙 大匙 汤匙 茶匙 羹匙 量匙 调羹"
    ).split()
}
_BODY = {
    "公斤": "kg",
    "千克": "kg",
    "kg": "kg",
    "斤": "斤",
    "厘米": "cm",
    "公分": "cm",
    "cm": "cm",
    "毫米": "mm",
    "mm": "mm",
    "微米": "um",
    "μm": "um",
    "um": "um",
    "nm": "nm",
    "米": "m",
    "平方米": "m2",
    "m2": "m2",
    "cm2": "cm2",
    "cm3": "cm3",
    "mm2": "mm2",
    "mm3": "mm3",
    "m": "m",
}
_TIME = {
    "岁": "岁", "周岁": "岁", "岁龄": "岁", "个月": "月", "月龄": "月", "个月龄": "月", "月": "月", "周": "周", "周龄": "周", "个星期": "周", "星期": "周",
    "礼拜": "周", "个礼拜": "周", "天": "d", "日龄": "d", "日": "d", "d": "d", "小时": "h", "个小时": "h", "钟头": "h", "个钟头": "h", "h": "h", "hr": "h",
    "分钟": "min", "min": "min", "秒": "s", "年": "年",
}  # fmt: skip
_OTHER = {
    "%": "%",
    "‰": "‰",
    "mg%": "mg%",
    "毫克%": "mg%",
    "g%": "g%",
    "克%": "g%",
    "°c": "℃",
    "度": "℃",
    "摄氏度": "℃",
    "°f": "°f",
    "mmhg": "mmhg",
    "毫米汞柱": "mmhg",
    "kpa": "kpa",
    "千帕": "kpa",
    "cmh2o": "cmh2o",
    "gy": "gy",
    "次": "次",
    "回": "次",
    "倍": "倍",
    "例": "例",
    "疗程": "疗程",
    "个疗程": "疗程",
}
_ENGLISH = {
    "mg": "mgs milligram milligrams milligramme milligrammes",
    "ug": "mcgs microgram micrograms microgramme microgrammes",
    "ng": "nanogram nanograms",
    "g": "gram grams gramme grammes",
    "kg": "kgs kilogram kilograms kilo kilos",
    "ml": "mls millilitre millilitres milliliter milliliters",
    "l": "litre litres liter liters",
    "iu": "units unit ius",
    "片": "tablet tablets tab tabs pill pills",
    "粒": "capsule capsules",
    "滴": "drop drops",
    "喷": "puff puffs spray sprays",
    "袋": "sachet sachets",
    "茶匙": "teaspoon teaspoons tsp teaspoonful teaspoonfuls",
    "汤匙": "tablespoon tablespoons tbsp",
    "岁": "year years",
    "月": "month months",
    "周": "week weeks",
    "d": "day days",
    "h": "hour hours hrs",
    "min": "minute minutes mins",
    "次": "times",
}
"""The same units spelled out in English, by what they are read as."""
_UNITS: dict[str, str] = {**_MASS, **_VOLUME, **_ACTIVITY, **_AMOUNT, **_PIECE, **_BODY, **_TIME, **_OTHER}
_UNITS |= {word: unit for unit, words in _ENGLISH.items() for word in words.split()}
_PER = {**_UNITS, "dl": "dl", "分升": "dl", "hpf": "hpf", "hp": "hpf", "每天": "d", "分": "min"}

_DOSE_BASES = frozenset({*_MASS.values(), *_VOLUME.values(), *_ACTIVITY.values(), *_PIECE.values(), "mmol", "meq"})
_CONCENTRATION = frozenset({"l", "dl", "ml", "ul", "hpf", "mm", "mm2", "mm3", "g"})
_HAN_DIGITS = {
    digit: value
    for value, digits in enumerate(("零〇", "一", "二两", "三", "四", "五", "六", "七", "八", "九"))
    for digit in digits
}
_HAN_SCALE = {"十": 10, "百": 100, "千": 1000, "万": 10_000, "亿": 100_000_000}
_HAN_UNITS = frozenset({unit for unit in _UNITS if not unit.isascii()} | {"kg", "mg", "ml", "ug", "iu", "mmol", "量"})
_SCALE = {"百": 100, "千": 1000, "万": 10_000, "百万": 1_000_000, "千万": 10_000_000, "亿": 100_000_000}
_TIMES_A_DAY = {"qod": Fraction(1, 2), "qd": Fraction(1), "bid": Fraction(2), "tid": Fraction(3), "qid": Fraction(4)}


_NOT_AFTER = {
    "吸": rf"(?![{HAN}])", "支": "(?![气原架链流撑柱持])", "倍": "(?!子)", "回": "(?![事肠来家到])", "量": "(?![表子化级])", "剂": "(?!量)",
}  # fmt: skip
"""What a unit must not go on to: 支气管, 五倍子, 一回事."""


def _alternatives(units: Iterable[str]) -> str:
    return "|".join(re.escape(unit) + _NOT_AFTER.get(unit, "") for unit in sorted(units, key=len, reverse=True))


def _unit_pattern(units: Iterable[str]) -> str:
    """Units, longest first; one that ends in a Latin letter must not go on in another word (μm in μmol)."""
    latin = [unit for unit in units if unit[-1].isascii() and unit[-1].isalpha()]
    return rf"(?:{_alternatives(set(units) - set(latin))}|(?:{_alternatives(latin)}){_LETTER_TAIL})"


_LETTER_TAIL = r"(?:(?![a-z])|(?=(?:qo?d|[btq]id|qn|prn|po|i[vmh]|sc|ivgtt|q\d{1,2}h)(?![a-z])))"
_UNIT = _unit_pattern(_UNITS)
_PER_UNIT = _unit_pattern(_PER)
_PER_COUNT = r"(?:\d{1,2}(?=h|小时|d|日|天|min|分)|1\.73(?=m2))"
_PER_PIECE = rf"{_PER_COUNT}?{_PER_UNIT}(?:体重)?"
_PERS = (
    rf"(?:[/·.*][(]?{_PER_PIECE}(?:(?:[·.*/]|-(?!\d)){_PER_PIECE})*[)]?"
    rf"|-(?!\d){_PER_PIECE}|每(?:公斤|千克|kg)(?:体重)?)*"
)
_ARABIC = r"(?>\d+(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+又\d+/\d+|\d+/\d+(?![\d.])|\d+(?:\.\d+)?|(?<!\.)\.\d+)"
_TEN_TO = r"[×x*]10\^(-?\d{1,2})"
_SCALES = r"(?:[百千]万|[万亿百]|千(?![克卡焦帕])|[×x*]10\^-?\d{1,2})"
_HAN_TWO = (
    r"(?:(?<![一二三四五六七八九十百千])两|(?<=[一三])两(?=[个天日月年周岁次片粒丸袋包支滴勺匙瓶盒颗毫]|小时|分钟))"
)
_HAN_FIGURES = rf"(?>(?:[零〇一二三四五六七八九十百万亿]|{_HAN_TWO}|千(?!克))+(?:点[零〇一二三四五六七八九]+)?半?|半)"
_DASH = r"(?:[-~]{1,3}|(?:增加?|减少?|升|降)?[至到])"
_AND = r"(?:[、,+±×*→]|或者?|和|及|与)"
_IN_BRACKETS = rf"[(](?=[\d.,~-]{{1,20}}[)]{_UNIT})"
_BEFORE = rf"(?:{_ARABIC}{_SCALES}?[)]?(?:{_DASH}|{_AND}|{_IN_BRACKETS})|{_HAN_FIGURES}(?:{_DASH}|[、或])){{1,8}}"
_MORE = r"(?:多|余|来|几)?"
_QUANTITY = re.compile(
    rf"(?=[\d.零〇一二两三四五六七八九十百千万亿半])(?:(?<![\d^])|(?!\d))(?P<before>{_BEFORE})?(?:"
    rf"(?P<number>{_ARABIC})(?P<scale>{_SCALES})?{_MORE}(?(before)[)]?)(?P<power>{_SCALES})?"
    rf"(?:(?P<unit>{_UNIT}|量)(?P<per>{_PERS})|(?:个|拷贝|copies|cfu)?(?P<bare>/{_PER_UNIT})|(?<=\^\d)|(?<=\^\d\d))"
    rf"|(?P<han>{_HAN_FIGURES}){_MORE}(?P<hanunit>{_unit_pattern(_HAN_UNITS)})(?P<hanper>{_PERS})(?!咳|牙)"
    rf")(?P<half>½)?"
)
_SHARE = re.compile(
    rf"(?:(?P<whole>\d+|{_HAN_FIGURES})又)?(?P<under>\d+|{_HAN_FIGURES})分之(?P<over>\d+(?:\.\d+)?|{_HAN_FIGURES})(?P<unit>{_unit_pattern(_HAN_UNITS)})?"
)
_RATIO = re.compile(r"(?<![\d:])(?=\d+(?:\.\d+)?:\d)(?P<parts>\d+(?:\.\d+)?(?::\d+(?:,\d{3})*(?:\.\d+)?){1,2})")
_OFTEN = re.compile(r"(?:(?<![a-z])|(?<=mg)|(?<=ml)|(?<=[gu]))(?P<code>qod|qd|[btq]id)(?![a-z])")
_NUMBER = re.compile(rf"(?P<arabic>{_ARABIC})(?P<scale>{_SCALES})?|(?P<han>{_HAN_FIGURES})")
_YEAR = re.compile(r"(?:19|20)\d\d$")
_PER_PART = re.compile(rf"(?P<count>{_PER_COUNT})?(?P<unit>{_PER_UNIT})")
_PER_WEIGHT = re.compile(r"每[一1]?(?:公斤|千克|kg)[^\d,。;、\n]{0,10}$")
_TAKING = re.compile(
    r"每次|每日|每天|一次|次|服|吃|喂|用|注射|静滴|点|滴|喷|贴|加|量|各|药|给|含|塞|冲|兑|吞|嚼|打|输|散|颗粒|冲剂|口服液|糖浆|胶囊|[bt]id|qd"
)
_COUNTED = frozenset("片 粒 丸 袋 包 支 颗 滴 勺 匙 小勺 管 粒胶囊 贴 喷 揿 吸".split())
_BY_THE_DAY = re.compile(r"(?:一[天日]|每[天日晚早]|日|早晚?|晚|中午|睡前)[上间]?(?:各|再|先|只)?$")
_FOOD = re.compile(r"[^,。;]{0,3}(?:米|奶|肉|菜|枣|核桃|坚果|鱼|虾|豆|海苔|糖果|烟|纸)")
_WEIGHS = re.compile(r"体重[^\d,。;、]{0,10}$")
_SURE_PIECES = frozenset({"片", "粒", "丸", "滴", "喷", "揿", "粒胶囊"})
_VAGUE = frozenset({*_PIECE.values(), "两", "l"})
_NO_MEDICINE = re.compile(
    r"的?[温热凉白开鲜纯配方酸牛羊母湿干净新]{0,4}(?:水|奶|豆浆|[^,。;]{0,4}[果菜茄橙柿]汁|[^,。;]{0,3}[粥汤饭]|面包|饼干|蛋|苹果|香蕉|水果|蔬菜|尿布|尿不湿|纸尿裤|牙|蜂蜜)"
)
"""What a cup, spoon or piece may be of without being a dose."""
_EXACT_UNDERS = frozenset({2, 3, 4, 5, 6, 8})

# --- the folded copy --------------------------------------------------------------------------------

_SIGNS = str.maketrans(
    {
        **dict.fromkeys("‐‑‒–—―─−－", "-"),
        **dict.fromkeys("∼〜～˜∽", "~"),
        **dict.fromkeys("•∙⋅‧・･", "·"),
        **dict.fromkeys("✕✖╳", "×"),
        **dict.fromkeys("⁄∕", "/"),
        **dict.fromkeys("〔【[{", "("),
        **dict.fromkeys("〕】]}", ")"),
        "∶": ":",
    }
)
_LIST_MARK = re.compile(
    "[\u2460-\u24ff\u2776-\u2793\u3220-\u3229\u3251-\u325f\u3280-\u3289\u32b1-\u32bf]"
)  # ① ⑴ ⒈ ❶ ㈠
_VULGAR = re.compile(r"(?P<whole>\d)?\s*(?P<part>[¼-¾⅐-⅞])")
_SUPER_TEN = re.compile(r"(?<=10)(?=[⁰¹²³⁴-⁹])")
_LOW_OR_HIGH = re.compile(r"([⁰¹²³⁴-⁹₀-₉])(?=\s*\d)")
_MARKUP = re.compile(r"\*\*|\$|&nbsp;|</?su[pb]>|\\[,; ()]|\\(?:mathrm|text|rm)\s*|(?<=[\d\^}])\\(?=%)|[{}]")
_LATEX = (
    ("\\sim", "~"),
    ("\\times", "×"),
    ("\\cdot", "·"),
    ("\\mu", "μ"),
    ("\\%", "%"),
    ("\\leq", "≤"),
    ("\\geq", "≥"),
)
_INVISIBLE = re.compile(f"[{INVISIBLE}]+")
_THOUSANDS = re.compile(r"(?<![a-z0-9.^])(?:\d{1,3}(?:[ \u00a0\u2009\u202f]\d{3})+|\d+(?: 000)+)(?!\d)")
_BLANKS = re.compile(r"\s+")
_JOINS = "-~/×*^.,、(<>≤≥=约至到"
_NO_HALF = "小个天日月年岁周片粒丸袋包支瓶勺匙杯碗斤两升量流卧身坐夏边枝数夜空饱球衰胱乳固透合"
"""半 before one of these begins a word of its own: 5g半夏, 1片半小时后."""
_DECIMALS = rf"\d{{1,3}}(?:[-~]0[,、]\d{{1,3}})?(?:{_unit_pattern([*_MASS, *_VOLUME, *_ACTIVITY, *_PIECE])})"
"""What makes a comma after a nought a decimal point: 0,5mg is half a milligram, 0,1,6个月 are three visits."""
_REWRITES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?<=mm) (?=hg)|(?<=cm) (?=h2o)|(?<=\d[mμkn]) (?=[gl](?![a-z]))|(?<=/[mk]) (?=[gl](?![a-z]))"), ""),
    (re.compile(r"(?<=/m) (?=2(?![\d.]))"), ""),
    (re.compile(r"(?<=\d)一(?=\d)"), "-"),
    (re.compile(r"(?<![a-z0-9.])(\d) (?=[1-3]/[2-8](?!\d))"), r"\1又"),
    (re.compile(rf"(?<=\d)[·。](?=\d)|(?<=0)(?<!\d0)[,、](?={_DECIMALS})"), "."),
    (re.compile(r"(?:[ ·.*]|(?<=-1))(kg|d|h|hr|min|ml|l|dl|次|日|天|公斤|小时)\^?-1(?!\d)"), r"/\1"),
    (re.compile(r"[ ·.*]m\^?-2(?!\d)"), "/m2"),
    (re.compile(r"(?<=[a-z])\^(?=[23])"), ""),
    (re.compile(r"/100ml"), "/dl"),
    (re.compile(r"(?<=[a-z]) ?per ?(?:kg|kilo(?:gram)?)s?(?![a-z])"), "/kg"),
    (re.compile(r"(?<=[km]g|ml|ms|rs) ?(?:per|a|each|every) ?day(?![a-z])"), "/d"),
    (re.compile(r"(?<![\d×x*])10的([1-9]\d?)次方"), r"1×10^\1"),
    (re.compile(r"(?<=[×x*]10)(?: ?(?=\d{1,2}[/个拷])|的(?=[1-9]\d?次方))"), "^"),
    (re.compile(r"个半(月|小时|钟头|星期|礼拜)"), r"个\1½"),
    (
        re.compile(
            rf"([\d一二两三四五六七八九十几](?:个?小时|个?月|[岁天周年片粒丸袋包支瓶勺匙斤两钱升倍度]))半(?![{_NO_HALF}])"
        ),
        r"\1½",
    ),
    (re.compile(rf"(?<!\d)(3[4-9]|4[0-2])度([1-9])(?!\d|[.、,~-]\d|{_UNIT})"), r"\1.\2度"),
)


def reading(text: str) -> str:
    """The copy of ``text`` that quantities are read from: widths, signs and dashes made one, blanks gone.

    A blank stays where it parts two figures (SpO2 92%, 3mm 2mm) or two Latin words (mg bid), a line break before a figure,
    and list marks (①) become line breaks: what they part is never one number.
    """
    if "$" in text or "\\" in text or "*" in text or "<su" in text or "&" in text:
        for latex, sign in _LATEX:
            text = text.replace(latex, sign)
        text = _MARKUP.sub("", re.sub(r"(?<=10)<sup>", "^", text))
    text = _LIST_MARK.sub("\n", _INVISIBLE.sub("", text))
    text = _VULGAR.sub(_fraction, text)
    text = _LOW_OR_HIGH.sub(r"\1" + "\n", _SUPER_TEN.sub("^", text))
    text = unicodedata.normalize("NFKC", text.translate(_SIGNS)).lower().translate(_SIGNS)
    text = _THOUSANDS.sub(lambda match: "".join(match.group().split()), text)
    text = _BLANKS.sub(_blank, text.strip())
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    return text


def _fraction(match: re.Match[str]) -> str:
    part = unicodedata.normalize("NFKC", match["part"]).replace("\u2044", "/")
    return f"{match['whole']}又{part}" if match["whole"] else part


def _blank(match: re.Match[str]) -> str:
    before, after = match.string[match.start() - 1], match.string[match.end()]
    if after.isdecimal() and "\n" in match.group() and before not in _JOINS:
        return "\n"
    same = (before in "m0123456789" and after.isdigit()) or (before.isalpha() and after.isalpha())
    return " " if same and before.isascii() and after.isascii() else ""


# --- reading ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number with its unit. ``value`` is exact; ``unit`` is normalised, divisors joined by ``/``.

    ``start`` and ``end`` are offsets into the `reading` of the text; a range gives two quantities. The unit of a
    ratio such as 1:1000 is ``:``, of a bare share such as 三分之一 ``份``.
    """

    value: Fraction
    unit: str
    start: int
    end: int
    shown: str

    @property
    def pair(self) -> tuple[Fraction, str]:
        """What two quantities are compared by."""
        return self.value, self.unit


def _unit(found: str) -> str:
    return _UNITS.get(found, found)


def _per(text: str | None) -> str:
    return "".join(
        f"/{'' if part['count'] in (None, '1') else part['count']}{_PER[part['unit']]}"
        for part in _PER_PART.finditer(text or "")
    )


def _arabic(digits: str, unit: str) -> list[Fraction]:
    """The value of one figure; two where a stroke parts two numbers (120/80mmHg) instead of making a fraction."""
    whole, also, share = digits.rpartition("又")
    over, stroke, under = share.replace(",", "").partition("/")
    if not stroke:
        bare = over.startswith(".") and unit not in _DOSE_BASES and unit != "%"
        return [Fraction(over.removeprefix(".") if bare else over)]  # 放开1天.3岁以上: the stop of a sentence
    if int(under) and (also or unit in _PIECE or (int(over) < int(under) and int(under) in _EXACT_UNDERS)):
        return [Fraction(int(over), int(under)) + int(whole or 0)]
    return [Fraction(over), Fraction(under)]


_PAIR = re.compile(
    r"(?P<head>[一二两三四五六七八九]?[十百千])?(?P<low>[一二两三四五六七八])(?P<high>[两二三四五六七八九])(?P<scale>[十百千万]?)"
)


def _han_numbers(digits: str, unit: str) -> list[Fraction]:
    """Values of Chinese numerals: one, two for 两三 and 二三十, none where they say no number."""
    if digits == "三七":
        return []  # a herb
    pair = _PAIR.fullmatch(digits)
    if pair and (_HAN_DIGITS[pair["low"]] < _HAN_DIGITS[pair["high"]] or digits == "三两"):
        head = pair["head"] or ""
        values = [_han_number(head + pair[which] + pair["scale"]) for which in ("low", "high")]
    else:
        values = [_han_number(digits, unit)]
    return [value for value in values if value is not None]


def _han_number(digits: str, unit: str = "") -> Fraction | None:
    """Value of Chinese numerals with 点 for the decimal point and 半 for one half; None when they say no number."""
    if digits in ("半", "一半"):
        return Fraction(1, 2)
    whole, point, decimals = digits.removesuffix("半").partition("点")
    if point:
        return Fraction(f"{_han_number(whole) or 0}.{''.join(str(_HAN_DIGITS[digit]) for digit in decimals)}")
    half = Fraction(1, 2) if digits.endswith("半") else Fraction(0)
    if len(whole) > 1 and all(digit in _HAN_DIGITS for digit in whole):
        if unit == "年" or "两" in whole:
            return None
        return Fraction("".join(str(_HAN_DIGITS[digit]) for digit in whole))
    if not whole or whole[0] in "千万亿":
        return None
    total, group, current = Fraction(0), Fraction(0), None
    for character in whole:
        scale = _HAN_SCALE.get(character)
        if scale is None:
            if current:
                return None
            current = Fraction(_HAN_DIGITS[character])
        elif scale >= 10_000:
            total, group, current = total + (group + (current or 0)) * scale, Fraction(0), None
        else:
            group, current = group + (Fraction(1) if current is None else current) * scale, None
    return total + group + (current or 0) + half


def _scale(found: str | None) -> Fraction:
    power = re.fullmatch(_TEN_TO, found or "")
    return Fraction(10) ** int(power[1]) if power else Fraction(_SCALE.get(found or "", 1))


def _series(match: re.Match[str], unit: str) -> Iterator[Fraction]:
    """The numbers of one match in order: those of a list or range share the unit, and the scale of the last."""
    last_scale = _scale(match["scale"]) * _scale(match["power"])
    last = _arabic(match["number"], unit) if match["number"] else _han_numbers(match["han"], unit)
    for part in _NUMBER.finditer(match["before"] or ""):
        if part["han"]:
            yield from _han_numbers(part["han"], unit)
            continue
        for value in _arabic(part["arabic"], unit):
            shared = not part["scale"] and last and value < last[0]
            yield value * (last_scale if shared else _scale(part["scale"]))
    for value in last:
        yield value * last_scale + (Fraction(1, 2) if match["half"] else 0)


def quantities(text: str) -> list[Quantity]:
    """Every number with a unit in ``text``, calendar years left out.

    Offsets count in ``reading(text)``. A range ``5-10mg/kg`` gives 5 mg/kg and 10 mg/kg, a list ``5、10mg`` two too.
    """
    return _quantities(reading(text))


def _quantities(folded: str) -> list[Quantity]:
    found: list[Quantity] = []
    for match in _QUANTITY.finditer(_SHARE.sub(lambda share: "\0" * len(share.group()), folded)):
        start, end = match.span()
        unit = _unit(match["unit"] or match["hanunit"] or "") + _per(match["per"] or match["hanper"] or match["bare"])
        base = unit.partition("/")[0]
        if base in _DOSE_BASES and "/kg" not in unit and _PER_WEIGHT.search(folded, max(0, start - 16), start):
            unit = f"{base}/kg{unit.removeprefix(base)}"
        for value in _series(match, base):
            year = base == "年" and _YEAR.match(str(value))
            if not year and not (base == "量" and value.denominator == 1):
                found.append(Quantity(value, unit, start, end, match.group()))
    for match in _SHARE.finditer(folded):
        whole, under, over = (_figure(match[name] or "0") for name in ("whole", "under", "over"))
        if under and over is not None:
            percent = match["under"] in ("百", "100")
            value = over if percent else (whole or 0) + over / under
            unit = "%" if percent else _UNITS.get(match["unit"] or "", match["unit"] or "份")
            found.append(Quantity(value, unit, *match.span(), match.group()))
    for match in _RATIO.finditer(folded):
        parts = [Fraction(part.replace(",", "")) for part in match["parts"].split(":")]
        for first, second in pairwise(parts):
            ratio = (first / second, ":") if second else (first, ":0")
            found.append(Quantity(*ratio, *match.span(), match.group()))
    for match in _OFTEN.finditer(folded):
        found.append(Quantity(_TIMES_A_DAY[match["code"]], "次/d", *match.span(), match.group()))
    return sorted(found, key=lambda quantity: (quantity.start, quantity.end))


def _figure(digits: str) -> Fraction | None:
    return Fraction(digits) if digits[0].isdigit() else _han_number(digits)


def is_dose(quantity: Quantity, folded: str) -> bool:
    """Whether ``quantity``, read from ``folded``, is an amount that a child could be given.

    Masses, volumes and activities are, unless they stand over a litre or the like (a laboratory value) or weigh the child.
    Pieces (片, 粒, 袋 …) are when counted in digits or halved, or where the words around speak of taking them; pieces
    of food (一杯牛奶) and what is counted off (第二剂) are not.
    """
    base, _, per = quantity.unit.partition("/")
    if not base:
        return per.startswith("kg")
    if base not in _DOSE_BASES or folded[quantity.start - 1 : quantity.start] == "第":
        return False
    if base in _PIECE and _NO_MEDICINE.match(folded, quantity.end):
        return False
    if per and (per.split("/")[0] in _CONCENTRATION or "1.73" in per):
        return False
    before = folded[max(0, quantity.start - 16) : quantity.start]
    if base == "g" and "kg" not in per and _WEIGHS.search(before):
        return False
    if base not in _VAGUE:
        return True
    if base in _PIECE and quantity.value.denominator > 1:
        return True
    if base in _SURE_PIECES and folded[quantity.start].isdigit():
        return not re.search(r"[a-wyz]$", before)  # 维生素B6片
    around = before[-12:] + folded[quantity.end : quantity.end + 6]
    return bool(_TAKING.search(around))


def doses(text: str) -> list[Quantity]:
    """The quantities of ``text`` that are doses."""
    folded = reading(text)
    return [quantity for quantity in _quantities(folded) if is_dose(quantity, folded)]


def counted_out(text: str) -> list[Quantity]:
    """Pieces that speech counts by the day, with no word of taking beside them: 一天两片, 早一袋晚一袋."""
    folded = reading(text)
    return [
        quantity
        for quantity in _quantities(folded)
        if quantity.unit in _COUNTED and _BY_THE_DAY.search(folded, max(0, quantity.start - 8), quantity.start)
        if not _NO_MEDICINE.match(folded, quantity.end) and not _FOOD.match(folded, quantity.end)
    ]


def missing(answer: str, evidence: Iterable[str]) -> list[Quantity]:
    """Quantities of ``answer`` that no text of ``evidence`` holds, number and unit alike."""
    wanted = quantities(answer)
    if not wanted:
        return []
    held = {quantity.pair for text in evidence for quantity in quantities(text)}
    return [quantity for quantity in wanted if quantity.pair not in held]
