"""Rows with an unfilled placeholder."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from pedcorpus.plugins import Drop, Keep
from pedcorpus.records import Row

_WORDS = r"(?i:your[ _]?name|name|author|input|output|question|answer|disease)|姓名|名字|作者|名称|机构|公司|日期"
_PLACEHOLDER = re.compile(
    rf"\{{\{{\s*\w+|\{{\{{.*?\}}\}}|\{{%.*?%\}}|\$\{{\w+\}}|<(?:{_WORDS})>|\{{(?:{_WORDS})\}}|__[A-Z][A-Z_]*__"
    r"|[【\[（(<][^】\]）)>\n\"'“‘]{0,4}(?:请填|请输入|请补充|请插入|填写|填入|待填|待补|待定|此处)[^】\]）)>\n\"'”’]{0,12}[】\])）>]"
    r"|[【\[][您你]的[^】\]\n]{1,8}[】\]]|\[(?:(?i:your)[^\]\n]{1,12}|公司名称?|产品名称?|职位|日期|学校)\]"
    r"|(?<![A-Za-z0-9,/:+ ])(?:X{2,}|x{2,}|×{2,})(?=[ ]?(?:医院|医生|大夫|医师|主任|教授|老师|先生|女士|同学|公司|集团|大学|学院|学校|专业|幼儿园|省|市|县|区"
    r"|路|街|小区|品牌|牌|奶粉|药|片|胶囊|颗粒|口服液|疫苗|年|月|日|岁|元|次|毫克|mg|ml|毫升|克|号|团队|模型|助手))"
)
"""Blanks of templates and of people: ``{{name}}``, ``<NAME>``, 【请填写】, XX医院. A karyotype (46,XX) is none."""
_SELF = re.compile(r"(?<![A-Za-z0-9])(?:X{2,}|x{2,}|×{2,})|某某|○{2,}|_{2,}")


@dataclass(frozen=True, slots=True)
class PlaceholderFilter:
    """Drops rows that still hold a template's variable or a blank to fill in, in any message.

    Where the assistant speaks of itself, anything that stands for a name counts.
    """

    name = "placeholder"

    def check(self, row: Row) -> Keep | Drop:
        """Keep or drop ``row``."""
        for content in row.contents():
            folded = unicodedata.normalize("NFKC", content)
            match = _PLACEHOLDER.search(folded) or (_SELF.search(folded) if row.task == "self_cognition" else None)
            if match:
                return Drop("quality.placeholder", f"{match.group()} was not filled; see [identity] in the config")
        return Keep()
