"""Doses that rest on no source which may justify one, and doses without the child they are for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pedcorpus.ages import misplaced_doses
from pedcorpus.plugins import Drop, Keep
from pedcorpus.quantities import Quantity, counted_out, doses, reading
from pedcorpus.records import DOSE_EVIDENCE_KINDS, MEDICAL_TASKS, Row
from pedcorpus.text import fold

_ANCHOR = re.compile(r"kg|公斤|体重|岁|月龄|个月|儿|婴")
_ADULTS = re.compile(
    r"(?<!超过)(?<!高于)(?<!大于)(?<!达到)(?<!致死量)(?<![同达])(?:成年?人|成年(?![前后])|大人|孕妇|老年人?)(?!(?:剂|用)?量的)"
)
_CHILD_TOO = re.compile(r"[岁儿童少年婴][^,。;:]{0,6}[及和与或、/]$")
_CHILD = re.compile(r"[岁儿婴]|月龄|个月|青少年")
_AGE_OR_WEIGHT = re.compile(r"kg|公斤|体重|岁|月龄|个月|日龄|新生儿|婴")
_TOXIC = r"(?:附子|附片|川乌|草乌|乌头|细辛|朱砂|雄黄|马钱子|甘遂|大戟|芫花|巴豆|轻粉|砒霜|砒石|信石)"
_TOXIC_BEFORE = re.compile(rf"{_TOXIC}(?:[^,。;、\d]{{0,10}}|[^。;\d]{{0,20}}各[^,。;、\d]{{0,2}})$")
_TOXIC_AFTER = re.compile(rf"[的之]?[生制炮炙熟黑白]{{0,2}}{_TOXIC}")
_MEDICINE = re.compile(
    r"药|服用|口服|注射|剂量|疫苗|维生素|胶囊|片剂|患者|孩子|儿童|婴|西林|头孢|霉素|沙星|洛芬|氨基酚|泼尼松|米松|他韦|布地奈德|激素|胰岛素|糖浆|颗粒"
)
_PEDIATRIC = re.compile(r"儿|婴|新生")
_NO_CHILD = re.compile(r"非(?:新生儿|儿童|婴儿)|[胎孤健]儿")
_BY_WEIGHT = re.compile(r"(?:mg|ug|g|ml|iu)/kg")
_OLD_UNITS = frozenset({"钱", "两"})
_OLD_MEASURE = re.compile(
    r"方寸匕|钱匕|刀圭|[一二两三四五六半]铢|[一二三四五六七八九十半\d]两(?=半|[,。;、]|$)|服[^。;]{0,6}(?:豆|米|枣)大"
    r"|(?:丸|捏|搓)[^。;]{0,3}如[^。;]{1,4}大|[每服][^,。;]{0,4}[一二两三半]字(?=[,。、]|温|酒|水)"
)
_WRONG_UNIT = re.compile(r"\d(?:pg|fg|kg)/kg|\dl/kg/|\dg/kg/min|\d(?:mg|ug|g|ml)/(?:mg|ug)(?![a-z])")
"""Units that no dose has: what scanning made of μg/kg and ml/kg."""
_UNREAD = re.compile(
    r"(?:每次|一次|每日|每天|剂量|用量)[为是约按]?\d+(?:\.\d+)?(?:m[1i|]|毫(?![升克米秒巴])|c\.c)"
    r"|(?:口服|剂量|用量|服|注射)[:：]?\d+(?:\.\d+)?(?:tid|bid|qid|qd|q\d+h|[,，]?(?:每日|一日|每天|日)[一二三四两1-4]次)"
    r"|(?:每次|一次|服|吃|喝|喂|雾化)[^，。；、,?;\n\d]{0,4}(?:\d+|[一二两三四半])个?(?:瓶盖|滴管|吸管|量杯|条(?!腿|舌)|勺|匙|支)|喷(?:\d|[一二两三])下"
    r"|(?:每次|一次|服|吃|喝|喂)[^，。；、,?;少多\n\d]{0,4}(?:1/[2-8]|[二三四]分之一)(?!\d|的)|维生素[a-ek]{1,2}\d+(?:[-~]\d+)?(?:滴|粒|颗|丸|支)"
)
"""Amounts that `quantities` leaves out: scanned units, a number with how often, a share without its piece."""
_DRUG = (
    r"(?:头孢[^,。;:\d、]{0,3}|霉素|西林|沙星|洛芬|氨基酚|美林|泰诺林?|强的松|泼尼松龙?|米松|地塞|甲强龙|[他洛]韦|匹林|韦林|曲松|他啶|克肟|克洛|布地奈德|普米克|鲁米那|安定|氯雷他定|西替利嗪|孟鲁司特|扑尔敏|氨溴索|沐舒坦|氨茶碱"
    r"|[静肌口][点滴注推服]|静脉|点滴|雾化|顿服)"
)
_FIGURE = r"(?<![\d.a-z(])(?:\d+(?:\.\d+)?|[一二三四五六七八九十百\d]+万)万?"
_AFTER_FIGURE = r"(?=$|[,。;!?)](?!\d)|[,]?[1-4]次/[日天d]|[btq]id|q\d|qd|一[次天日]|[每一]?[天日]?[两三四2-4]次|每[次天日晚早]|[静肌口][点滴注推服]|顿服|早|晚|加[^减重]|左右|就)"
_UNITLESS = re.compile(
    rf"{_DRUG}(?:(?![超大高低小于达到烧温第过天岁]|≥|>)[^,。;:\d(、]){{0,6}}{_FIGURE}{_AFTER_FIGURE}"
    rf"|(?:强的松|泼尼松|霉素|西林|洛芬|美林|头孢)[^,。;:\d(]{{0,6}}[,]?(?:每次|一次|每[天日]|一[天日])(?:吃|服|用|喝)?{_FIGURE}{_AFTER_FIGURE}"
    rf"|(?!3[4-9]|4[0-2]|(?:19|20)\d\d){_FIGURE}(?=[静肌][点滴注推]|静脉|顿服|口服)"
    rf"|每(?:公斤|千克|kg)[^,。;\d]{{0,8}}{_FIGURE}(?![\d.]|千?卡|大卡|kcal)"
    r"|(?:每次|一次|吃|喝)\d+(?:\.\d+)?[,]?(?:每日|一日|每天|一天|日)[一二三两1-4]次"
)
"""A drug or the way it is given, and a bare figure beside it: 静滴头孢1.0; not 布洛芬38.5度以上, not 口服3天."""
_BY_THE_BOTTLE = re.compile(
    r"(?:喝|吃|喂|服|抽|打)[^,。;]{0,8}(?:刻度|[一二两三四五\d]格)"
    r"|(?:^|[,。;:!?])(?:(?![不别勿忌免奶饭水])[^,。;:!?]){0,24}(?:吃|服|喝|喂|药量|剂量|用量)(?:(?![不别勿奶饭水肉菜])[^,。;:!?]){0,8}(?:加倍|双倍|[两二三23]倍)"
    r"|(?:^|[,。;:!?])(?:(?![不别勿忌免奶饭水])[^,。;:!?]){0,24}加倍[^,。;奶水饭]{0,3}[服吃喝用]"
    r"|(?:^|[,。;:!?])(?:(?![第苗种免]|狂犬|加强|乙肝|预防)[^,。;:!?]){0,24}(?:打|注射|肌注|推)(?:(?![第苗免])[^,。;:!?]){0,4}(?:[二两三四五2-9]|\d\d)针(?![^,。;]{0,6}(?:疫苗|预防|免疫|抗体|次))"
)
"""Amounts told by a mark on the cup, as a multiple of the last, in injections."""


@dataclass(frozen=True, slots=True)
class DoseFilter:
    """Drops doses on the word of a dialogue or distilled pair, and doses that say neither age nor weight.

    A textbook, guideline or graph justifies a dose. Where its title does not say that it is about children,
    each line with a dose must name age, weight or the child itself. A dose of a toxic raw drug (附子, 朱砂) needs age or
    weight on its line in every book, and doses for adults alone never pass, nor those of an answer that are all for
    other ages than the question's child has. Old measures (钱, 两, 方寸匕) and units that no
    dose has never pass. In general instructions an amount counts where the answer speaks of medicine or children,
    or goes by body weight; flour in a recipe does not.
    """

    name = "dose"

    def check(self, row: Row) -> Keep | Drop:
        """Keep or drop ``row``."""
        found = [(answer, doses(answer)) for answer in row.answers()]
        folded = [fold(answer) for answer, _ in found]
        if row.task == "general" and not any(
            _MEDICINE.search(answer) or any(_BY_WEIGHT.match(quantity.unit) for quantity in quantities)
            for answer, quantities in found
        ):
            return Keep()
        wrong = next((match for answer in folded if (match := _WRONG_UNIT.search(answer))), None)
        if wrong:
            return Drop("safety.dose", f"{wrong.group()}: no dose has such a unit")
        shown = [quantity.shown for _, quantities in found for quantity in quantities]
        if row.source_kind not in DOSE_EVIDENCE_KINDS:
            shown += [match.group() for answer in folded for match in _UNREAD.finditer(answer)]
            shown += [amount for answer in row.answers() for line in answer.split("\n") for amount in _loose(line)]
        else:
            old = next((match for answer in folded if (match := _OLD_MEASURE.search(answer))), None)
            if old:
                return Drop("safety.dose", f"{old.group()}: an old measure")
        if not shown:
            return Keep()
        listed = ", ".join(dict.fromkeys(shown))
        if row.source_kind not in DOSE_EVIDENCE_KINDS:
            return Drop("safety.dose", f"{listed}: {row.source_kind} cannot justify a dose")
        if any(quantity.unit in _OLD_UNITS for _, quantities in found for quantity in quantities):
            return Drop("safety.dose", f"{listed}: an old measure")
        if row.task not in MEDICAL_TASKS and row.task != "cpt":
            return Keep()
        pediatric = _PEDIATRIC.search(_NO_CHILD.sub("", f"{row.source_title} {row.disease or ''}"))
        grown: list[str] = []
        others = False
        for answer, quantities in found:
            for line in answer.split("\n") if quantities else ():
                given = [quantity for quantity in doses(line) if quantity.unit != "剂"]
                folded_line = reading(line)
                words = _NO_CHILD.sub("", folded_line)
                adults = [quantity.shown for quantity in given if for_adults(quantity, folded_line)]
                grown += adults
                if len(adults) == len(given):
                    continue
                others = True
                toxic = next((quantity for quantity in given if _is_toxic(quantity, folded_line)), None)
                if toxic and not _AGE_OR_WEIGHT.search(words):
                    return Drop("safety.age", f"no age or weight beside {toxic.shown} of a toxic drug")
                if not pediatric and not _ANCHOR.search(words):
                    return Drop("safety.age", f"no age or weight beside {given[0].shown}")
        if grown and not others:
            return Drop("safety.age", f"{', '.join(dict.fromkeys(grown))}: a dose for adults alone")
        misplaced = misplaced_doses("\n".join(row.questions()), "\n".join(row.answers()))
        if misplaced:
            return Drop("safety.age", f"{misplaced}: not for a child as old as the one asked about")
        return Keep()


def _loose(line: str) -> Iterator[str]:
    """Amounts of a line that only speech leaves so bare: a figure without its unit, a piece a day, a double share."""
    folded = fold(line)
    for pattern in (_UNITLESS, _BY_THE_BOTTLE):
        yield from (match.group() for match in pattern.finditer(folded))
    yield from (quantity.shown for quantity in counted_out(line))


def for_adults(quantity: Quantity, folded: str) -> bool:
    """Whether the last word before a dose that says whom it is for says adults, and no children beside them."""
    before = folded[: quantity.start]
    said = [match for match in _ADULTS.finditer(before) if not _CHILD_TOO.search(before[: match.start()])]
    return bool(said) and not _CHILD.search(before, said[-1].end())


def _is_toxic(quantity: Quantity, folded: str) -> bool:
    before = folded[max(0, quantity.start - 32) : quantity.start]
    return bool(_TOXIC_BEFORE.search(before) or _TOXIC_AFTER.match(folded, quantity.end))
