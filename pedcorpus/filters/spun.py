"""Text that a synonym spinner has gone over: fluent, and wrong where it matters (麻醉疫苗 for 注射疫苗)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pedcorpus.plugins import Drop, Keep
from pedcorpus.records import Row

_WRONG = re.compile(
    r"第二级神经元|麻醉(?:乙肝|疫苗|丙种|免疫|卡介|针|了?甲肝|处)|打击(?:性)?(?:食物|饮食)|决定一家|逆反心理遗传|您好一下|异常脉冲|明确确诊|综合评价病|自动免疫(?:规划|复合)"
    r"|分解代谢(?:障碍|异常)|截断(?:针|率|母婴)|都?不见踪影(?:好|效)|如何有(?:其他|大脑|颅)|如何正常|临床诊断(?:上|运用)|癫痫的拥有|工业污染的?(?:动物|食物|水)|伤及灵魂|抵抗力上升引|激素(?:救治)?.{0,10}逐渐加量"
)
_ASKED = re.compile(
    r"(?<=[^\n]{6})(?<!医生)(?<!大夫)(?<!专家)(?<!老师)(?<!教授)(?<!主任)(?<!你们)您好(?:医生|大夫)?，?(?![，。！!,、?？:：\s]|我|请问|问|医生|大夫)"
)
"""您好 in the middle of a question, where a person had said 请问."""
_ODD = (
    "实施治疗", "实施救治", "实施", "看重饮食", "看重护理", "此同时患者", "再次出现", "再次发生", "引来", "降生", "仔细检查", "散播", "歇息", "预防工作", "互相配合",
    "动用", "方才", "极冷", "备感", "绝不会", "救治", "医治", "需要有", "留意", "恰当饮食", "不能够", "理应", "如何治", "进行咨询", "患者朋友", "可有", "睡午觉", "干呕",
    "已经开始", "发觉", "知晓", "致使", "病发", "喝药", "拥有", "反反复复", "忧心", "隔代遗传", "可能会是", "持继", "伤损", "碰触", "约莫", "服食", "目前为止", "健康检查",
    "用不着", "重新调整", "理解一下", "彻底恢复", "查寻", "寻到", "寻出", "换新", "察觉到", "关于，", "抑止", "临床诊断", "感染给", "比较好带", "比较好及时", "质疑", "引致", "扩张成", "病情扩张", "疾病扩张", "疾病扩散", "叙述的", "脉冲异常", "吃晚饭", "抱括", "期望", "首先要理解", "看重", "诊病", "引发个", "发烫", "喝药压", "操劳",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SpunFilter:
    """Drops rows of dialogues and distilled sets with one plainly wrong phrase, or several odd ones.

    The odd words are ordinary Chinese one by one; ``odd_max`` of them together are a spinner's trace. Such a
    text turns what it should say round (增加油腻食物 for 避免), which no other check can see.
    """

    odd_max: int = 3

    name = "spun"

    def check(self, row: Row) -> Keep | Drop:
        """Keep or drop ``row``."""
        if row.source_kind not in ("conversation", "distilled"):
            return Keep()
        text = "\n".join(row.contents())
        wrong = _WRONG.search(text) or next(
            (match for question in row.questions() if (match := _ASKED.search(question))), None
        )
        if wrong:
            return Drop("quality.spun", wrong.group())
        odd = [word for word in _ODD if word in text]
        if len(odd) >= self.odd_max:
            return Drop("quality.spun", "、".join(odd))
        return Keep()
