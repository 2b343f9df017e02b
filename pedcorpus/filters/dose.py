"""Doses that rest on no source which may justify one, and doses without the child they are for."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pedcorpus.plugins import Drop, Keep
from pedcorpus.quantities import doses
from pedcorpus.records import DOSE_EVIDENCE_KINDS, MEDICAL_TASKS, Row
from pedcorpus.text import fold

_ANCHOR = re.compile(r"kg|公斤|体重|岁|月龄|个月|儿|婴|成人")
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


@dataclass(frozen=True, slots=True)
class DoseFilter:
    """Drops doses on the word of a dialogue or distilled pair, and doses that say neither age nor weight.

    A textbook, guideline or graph justifies a dose. Where its title does not say that it is about children,
    each line with a dose must name age, weight or the child itself. Old measures (钱, 两, 方寸匕) and units that no
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
        about = _NO_CHILD.sub("", f"{row.source_title} {row.disease or ''}")
        if not _PEDIATRIC.search(about) and (row.task in MEDICAL_TASKS or row.task == "cpt"):
            for answer, quantities in found:
                for line in answer.split("\n") if quantities else ():
                    given = [quantity for quantity in doses(line) if quantity.unit != "剂"]
                    if given and not _ANCHOR.search(_NO_CHILD.sub("", line)):
                        return Drop("safety.age", f"no age or weight beside {given[0].shown}")
        return Keep()
