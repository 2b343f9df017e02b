"""Remedies handed down from old books inside a modern one."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from pedcorpus.plugins import Drop, Keep
from pedcorpus.records import DOSE_EVIDENCE_KINDS, Row

_TITLE = re.compile(r"[《〈<『]\s*(?P<title>[^《》〈〉<>『』\n]{2,30}?)\s*[》〉>』]")
_OLD = re.compile(
    r"千金|外台|药证|幼幼|普济|圣惠|圣济|景岳|诸病源候|育婴家秘|幼科|婴童|小儿卫生总微|本草|金匮|伤寒论|温病条辨|脾胃论|丹溪|儒门事亲|医宗金鉴|保婴|活幼|全幼|"
    r"万氏|证治|医林改错|肘后|颅囟|片玉|慈幼|鬻婴|福幼|痘疹|痘科|麻科|麻证|麻疹|医学入门|医门法律|寿世保元|奇效良方|太平|验方|冷庐|疡科|疡医|医方|儿科要略|医学(?:源流|正传|心悟|纲目|衷中)|"
    r"临证指南|格致余论|小儿病源|医话|医案|类证治裁|病因脉治|慎斋|禁方|古今医|万病回春|养生|医镜|集验|博济|苏沈|世医|婴孩|保幼|幼童|直指|三因|和剂|局方|串雅|疫喉|白喉|时疫|瘟疫|温热|湿热|疫疹"
)
_MODERN = re.compile(
    r"指南|规范|方案|共识|标准|建议|程序|手册|药典|目录|教材|教程|规划|大纲|办法|条例|通知|说明|要点|路径|手冊|实用|现代|诸福棠|尼尔森|杂志|学报|中华|中国|国家|世界|美国|欧洲|WHO|AAP|(?:19|20)\d\d|[儿内外妇]科学$|护理学$"
    r"|[A-Za-z]{4}"
)
_THEORY = re.compile(r"内经|素问|灵枢|难经|脉经|史记|礼记|易经|论语")
"""Books of principles: what they say of a cause or a pulse is no remedy."""
_UNBRACKETED = re.compile(
    r"(?:千金(?:要方|翼方|方)|外台秘要|太平圣惠方|普济方|小儿药证直诀|幼幼集成|幼科发挥|医宗金鉴|肘后(?:备急)?方|本草纲目|万氏|景岳全书|寿世保元|医林改错|钱乙|钱仲阳|万全|万密斋|陈复正|夏禹铸|孙思邈|薛铠|李时珍|张景岳)[^。；\n]{0,6}?(?:[云曰说载谓]|所?用|方[用：:]|记载|治)"
)
_REMEDY = re.compile(
    r"汤(?!姆|药)|丸|[一-龥]散(?![布发在热则寒])|膏(?!肓|粱)|丹(?![溪田毒])|饮子|(?<![成痰水留悬支溢停为频引欲])饮(?![食水料用奶乳一])|煎(?:服|汤)|[一-龥]{2}(?<![受相所])煎(?=[,，。（(]|$)|研末|[内口冲调吞送]服|外?敷|主之|主治"
    r"|[一二三四五六七八九十半\d][钱两]半?[，。、,]"
)
_RECIPE = re.compile(
    r"每服|(?:研|为|捣)[成为]?极?细?[末丸泥]|送下|开水[下送]|[酒蜜醋乳汁]调|煎服|水煎|等分|烧存性|[煨焙煅]|童便|主之|[一二三四五六七八九十半\d][钱两][，。、,]"
)
_ADVICE = frozenset({"trerecom", "evidiag"})


@dataclass(frozen=True, slots=True)
class ClassicsFilter:
    """Drops rows that carry an old book's words as advice.

    In TreRecom and EviDiag that is any citation, in MedKQ&A a citation beside a remedy, in a completion text one
    beside a recipe. In a textbook, guideline or graph every title that is not plainly modern counts as old.
    """

    name = "classics"

    def check(self, row: Row) -> Keep | Drop:
        """Keep or drop ``row``."""
        if row.task not in (*_ADVICE, "medkqa", "cpt"):
            return Keep()
        for answer in row.answers():
            answer = unicodedata.normalize("NFKC", answer)
            said = answer.split(":", 1)[1] if answer.startswith("根据《") and ":" in answer else answer
            cited = _old_book(said, row.source_kind in DOSE_EVIDENCE_KINDS)
            if cited is None:
                continue
            rest = _TITLE.sub("", said)
            remedy = _RECIPE.search(rest) or (row.task == "medkqa" and _REMEDY.search(rest))
            if row.task in _ADVICE or remedy:
                return Drop("safety.historic", f"cites {cited}")
        return Keep()


def _old_book(text: str, textbook: bool) -> str | None:
    for match in _TITLE.finditer(text):
        title = match["title"]
        if _THEORY.search(title) or _MODERN.search(title):
            continue
        if _OLD.search(title) or (textbook and match.group().startswith("《")):
            return match.group()
    plain = _UNBRACKETED.search(text)
    return plain.group() if plain else None
