r"""Mask personal data: phones, ID cards, e-mail and chat accounts, addresses, hospitals, names.

Rules look at digit borders, never at ``\b``: a Han character counts as a word character, so ``\b`` is
blind in ``电话13800138000请回``. Names are masked where people are addressed (``李医生``), introduced
(``患者王某，男``), labelled (``校对：``), signed or listed (``组长：…``). Where people are to be found, such as a school or a
workplace, is an address; birthdays and the dates on forms are numbers. Masking a masked text changes nothing.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pedcorpus.lexicon import (
    CITIES,
    DOUBLE_SURNAMES,
    HOSPITAL_BRANDS,
    HOSPITAL_SCHOOLS,
    NOT_NAMES,
    PROVINCES,
    SURNAMES,
)
from pedcorpus.text import HAN

PHONE, ID_CARD, EMAIL, ACCOUNT, ADDRESS, HOSPITAL, NAME, NUMBER = (
    "[电话]",
    "[证件号]",
    "[邮箱]",
    "[账号]",
    "[地址]",
    "[医院]",
    "[姓名]",
    "[编号]",
)

_WIDTH = {0xFF01 + i: 0x21 + i for i in range(94)}
"""Full-width ASCII to ASCII, one character for one, so that offsets stay."""


@dataclass(frozen=True, slots=True)
class Masked:
    """A masked text and where it was changed: raw spans in order, each with its mask."""

    text: str
    edits: tuple[tuple[int, int, str], ...]

    def offset(self, raw_offset: int) -> int:
        """Offset in ``text`` of the character at ``raw_offset``; inside a mask, the mask's start."""
        shift = 0
        for start, end, label in self.edits:
            if end <= raw_offset:
                shift += len(label) - (end - start)
            elif start < raw_offset:
                return start + shift
            else:
                break
        return raw_offset + shift


_ROUNDS = 9
_Finder = Callable[[str], Iterator[tuple[int, int, str]]]


def mask(text: str) -> str:
    """``text`` with personal data replaced by labels such as ``[电话]``."""
    return mask_spans(text).text


def mask_spans(text: str) -> Masked:
    """`mask`, with the edits that were made. What a mask brings to light, such as the name beside it, is masked too."""
    masked = Masked(text, ())
    for _ in range(_ROUNDS):
        edits = _merged(masked, _found(masked.text))
        pieces: list[str] = []
        position = 0
        for start, end, label in edits:
            pieces += [text[position:start], label]
            position = end
        again = Masked("".join(pieces) + text[position:], edits)
        if again.text == masked.text:
            break
        masked = again
    return masked


def _found(text: str) -> list[tuple[int, int, str]]:
    flat = text.translate(_WIDTH)
    found = sorted(
        (span for finder in _FINDERS for span in finder(flat)), key=lambda span: (span[0], span[0] - span[1])
    )
    edits: list[tuple[int, int, str]] = []
    for start, end, label in found:
        if not edits or start >= edits[-1][1]:
            edits.append((start, end, label))
    return edits


def _merged(masked: Masked, found: list[tuple[int, int, str]]) -> tuple[tuple[int, int, str], ...]:
    """The edits of ``masked`` with those found in its text, which may cover masks, all as spans of the raw text."""
    places: list[tuple[int, int, int, int, str]] = []  # raw start, raw end, masked start, masked end
    moved = 0
    for start, end, label in masked.edits:
        places.append((start, end, start + moved, start + moved + len(label), label))
        moved += len(label) - (end - start)

    def raw(offset: int, last: bool) -> int:
        shifted = 0
        for start, end, at, to, _ in places:
            if at < offset < to:
                return end if last else start
            if to <= offset:
                shifted = end - to
        return offset + shifted

    edits = [(raw(start, False), raw(end, True), label) for start, end, label in found]
    kept = [edit for edit in masked.edits if not any(start < edit[1] and edit[0] < end for start, end, _ in edits)]
    return tuple(sorted([*kept, *edits]))


# --- numbers and accounts ---------------------------------------------------------------------------

_GAP = r"[ \t\u00a0\u3000\u2009\u200b·•._—–-]"
"""What people put between the groups of a number."""
_NO_UNIT = r"(?![ ]?(?:[A-Za-zμ%℃/~-]|[毫微千]?克|毫升|单位|片|万|元|年))"
"""Figures that a unit follows count something: 400 800 1200 mg."""
_NO_COUNT = r"(?![ ]?(?:/[A-Za-zμ]|IU|U/|copies|cps|拷贝|个[/每]|[×xX*]10))"
"""What follows a count of cells or viruses as long as a phone number."""
_MOBILE = (
    rf"(?:1[3-9]\d{{9}}(?!\d){_NO_COUNT}|1[3-9]\d{_GAP}{{0,2}}\d{{4}}{_GAP}{{0,2}}\d{{4}}(?!\d){_NO_UNIT}"
    rf"|1[3-9]\d{_GAP}\d{{5}}{_GAP}\d{{3}}(?!\d){_NO_UNIT}"
    rf"|1(?P<gap>{_GAP})[3-9](?:(?P=gap)\d){{9}}(?!\d))"
)
_NOT_OFFICIAL = r"(?![A-Za-z0-9.-]*(?:\.(?:gov|edu|org|int)(?:\.[a-z]{2})?(?![A-Za-z0-9.-])|\bexample\.))"
_BIRTH8 = r"(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]+[ ]?@[ ]?[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"), EMAIL),
    (
        re.compile(
            r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{2,}[ ]?(?:#|\[at\]|\(at\)|(?<= )at(?= )|艾特|圈a)[ ]?"
            r"(?:qq|vip|foxmail|1(?:26|39|63|89)|sina|sohu|yeah|gmail|hotmail|outlook|yahoo|icloud|aliyun)[ ]?(?:\.|点|dot)[ ]?(?:com|cn|net)"
        ),
        EMAIL,
    ),
    (
        # a page, or a host of its own below a site; authorities and journals are references
        re.compile(
            rf"(?:https?://(?:www\.)?|(?<![A-Za-z0-9.@/])www\.){_NOT_OFFICIAL}(?:[A-Za-z0-9-]+\.){{1,5}}[A-Za-z]{{2,}}(?::[0-9]+)?/[\w?][\w./?%&=#~+-]*"
            rf"|https?://(?!www\.){_NOT_OFFICIAL}(?:[A-Za-z0-9-]+\.){{2,5}}[A-Za-z]{{2,}}(?![A-Za-z0-9.-])/?",
            re.ASCII,
        ),
        ACCOUNT,
    ),
    (re.compile(rf"(?<![0-9A-Za-z])[1-9]\d{{5}}{_BIRTH8}\d{{3}}[\dXx](?![0-9A-Za-z])"), ID_CARD),
    (re.compile(rf"(?<![0-9A-Za-z])[1-9]\d{{5}}{_GAP}{_BIRTH8}{_GAP}\d{{3}}[\dXx](?![0-9A-Za-z])"), ID_CARD),
    (re.compile(r"(?<![0-9A-Za-z])[1-9]\d{7}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}(?![0-9A-Za-z])"), ID_CARD),
    (re.compile(rf"(?<!\d)(?<!\d\.)(?:(?:\+|00)?86[- ]?)?{_MOBILE}"), PHONE),
    (
        re.compile(
            r"(?<![\d.])(?:\(0\d{2,3}\)|0\d{2,3})[-—– ]?[2-9]\d{2,3}[- ]?\d{4}(?:[-转]\d{1,6})?(?!\d)" + _NO_UNIT
        ),
        PHONE,
    ),
    (re.compile(r"(?<![\d.])[48]00[- ]?\d{3}[- ]?\d{4}(?!\d)" + _NO_UNIT), PHONE),
    (re.compile(r"(?<!\d)62\d{2}(?:[ -]?\d{4}){3}(?:[ -]?\d{1,3})?(?!\d)" + _NO_UNIT), ACCOUNT),
    (
        # a plate has three figures at least: 新COVID19 has not
        re.compile(
            r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][ ]?[A-Z][ ·•-]?(?=(?:[A-Z]?\d){3})[A-Z0-9]{5,6}(?![0-9A-Za-z])"
        ),
        NUMBER,
    ),
    (
        re.compile(r"(?<![\d.])(?:\d{1,2}病区)?(?:加\d{1,2}|\d{1,2})号?床(?=[，,。;；、 \n]|的?(?:患|病|宝|孩|家)|$)"),
        NUMBER,
    ),
    (re.compile(r"(?<![\d.])\d{3,4}病房"), NUMBER),
)
_SPELLED = "〇○零一二三四五六七八九幺壹贰叁肆伍陆柒捌玖两洞拐勾①②③④⑤⑥⑦⑧⑨⓪"
_SPELLED_DIGITS = str.maketrans(_SPELLED, "0001234567891123456789207912345678" + "90")
_SPELLED_RUN = re.compile(rf"[{_SPELLED}](?:[、，,·. -]?[{_SPELLED}0-9]){{4}}")
_SPELLED_PHONE = re.compile(r"(?<!\d)1[、，,·. -]?[3-9](?:[、，,·. -]?\d){9}(?!\d)")
_IS = r"(?:是|为|就是|叫|我的是|我发您|搜索?|加我|加)?[ :,，@(]*"
_HANDLE = r"(?P<value>\d{2,4}(?:[ -]\d{2,5}){1,3}(?!\d)|[A-Za-z0-9][A-Za-z0-9_-]{4,19})"
_APP = (
    r"(?:[微薇威徽][信心芯❤]|微(?=❤)|[Vv][信❤]|[Ww]e[Cc]hat|[Ww]eixin|绿泡泡|(?<![A-Za-z])[Vv][Xx](?![A-Za-z])|(?<![A-Za-z])[Ww][Xx](?![A-Za-z])"
    r"|(?<![A-Za-z])[Qq] ?[Qq](?![A-Za-z])|企鹅|扣扣|抖音|快手|微博|小红书|支付宝|公众号|[加+➕十][微薇威徽卫扣])"
)
_FORMS = (
    "门诊 住院 病历 病历本 病案 病案首页 病例 床位 床 就诊 就诊卡 诊疗卡 登记 档案 影像 检查 检验 化验 超声 病理 标本 样本 条 条形 流水 挂号 挂号单 "
    "预约 申请单 报告 报告单 订单 快递 保单 发票 学 工 准考证 CT MR DR X线 X光 B超"
).split()
_LABELLED: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(
            rf"{_APP}❤?(?:号码|号|群号?|[账帐]号|[iI][dD])?{_IS}{_HANDLE}|(?<![A-Za-z])(?:[加+➕][我]?[vVqQ])(?:号码|号|群|[账帐]号)?{_IS}(?P<glued>(?<=[ :,，是为])[A-Za-z0-9][A-Za-z0-9_-]{{4,19}}|\d[A-Za-z0-9_-]{{4,19}}|(?=[a-z]{{1,10}}[0-9_])[a-z0-9_-]{{5,20}})"
            r"|(?<![A-Za-z0-9])[vVqQ][ ]?:[ ]?(?P<lettered>(?=[a-z]+[0-9_])[a-z0-9_-]{6,20}|[1-9][0-9]{7,10}(?![0-9A-Za-z]))"
        ),
        ACCOUNT,
    ),
    (
        re.compile(
            rf"(?<![A-Za-z0-9])(?P<value>[A-Za-z][A-Za-z0-9_-]{{5,19}}|[1-9]\d{{5,10}})(?=[ ,，]?(?:是|为)?我?的?{_APP}(?!公众))"
        ),
        ACCOUNT,
    ),
    (
        re.compile(
            r"(?:[加+](?:我|一下)?的?扣+|我的?扣+|(?<![折纽钮带锁搭按克暗])扣+(?:号|群)?[ ]?(?:[:是]|(?=\d{8})))[ ]*(?P<value>[1-9]\d{4,11})(?!\d)"
            + _NO_UNIT
        ),
        ACCOUNT,
    ),
    (
        re.compile(
            r"(?:银行卡|储蓄卡|信用卡|卡号|账号|帐号|账户)(?:号码|号)?(?:是|为)?[ :]*(?P<value>\d[\d -]{8,22}\d)(?!\d)"
        ),
        ACCOUNT,
    ),
    (
        re.compile(
            rf"(?:电话|手机|热线|联系方式|传真|固话|座机|宅电|(?<![A-Za-z])[Tt][Ee][Ll](?![A-Za-z]))(?:号码|号)?(?:是|为)?\.?[ :]*(?P<value>\d(?:{_GAP}?\d){{5,14}}(?:-\d{{1,6}})?)(?!\d)"
        ),
        PHONE,
    ),
    (
        re.compile(
            rf"(?:拨打?|致电|(?<![击拍敲注抽])打(?:电话|给|到)?)(?P<value>[2-9]\d{{2,3}}[- ]?\d{{4}})(?!\d){_NO_UNIT}"
        ),
        PHONE,
    ),
    (re.compile(r"(?:手机|电话|号码)(?:号码?)?(?:尾号|后四位)(?:是|为)?[ :]*(?P<value>\d{4})(?!\d)"), PHONE),
    (
        re.compile(
            r"(?:身份证|证件|(?:医保|社保)(?:卡|(?=号))|护照|(?:通行|军官|驾驶|居住|残疾)证|出生(?:医学)?证明?)(?:号码|编号|卡号|号)?(?:是|为)?[ :(]*(?P<value>(?=[A-Za-z \d-]*\d{3})[0-9A-Za-z](?:[ -]?[0-9A-Za-z]){7,19})"
        ),
        ID_CARD,
    ),
    (re.compile(r"(?:身份证|证件)(?:号码|号)?(?:尾号|后[四六]位)(?:是|为)?[ :]*(?P<value>\d{3,5}[\dXx])"), ID_CARD),
    (
        re.compile(
            rf"(?:{'|'.join(sorted(_FORMS, key=len, reverse=True))})(?:号码|编号|卡号|单号|码号|ID号?|号)(?:是|为)?[ :,，]*(?P<value>[A-Za-z]{{0,4}}[ -]?\d[\dA-Za-z-]{{1,18}}|加\d{{1,2}})"
        ),
        NUMBER,
    ),
    (re.compile(r"邮(?:编|政编码)(?:是|为)?[ :]*(?P<value>\d{6})(?!\d)"), ADDRESS),
    (re.compile(r"(?<=床号)(?:是|为)?[ :]*(?P<value>\d)(?!\d)"), NUMBER),
    (
        re.compile(
            r"(?:就诊卡|诊疗卡|健康卡|一卡通|(?<![A-Za-z])(?:ID|MRN)(?:号码?)?(?=[ :]))(?:是|为)?[ :]*(?P<value>[A-Za-z]{0,3}\d{5,20})"
        ),
        NUMBER,
    ),
)
_HAN_NUMBER = "[〇○零一二三四五六七八九十廿]"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])(?!\d)"
_DATE = (
    rf"(?:(?:(?:19|20)?\d{{2}}年|(?:19|20)\d{{2}}[./-])[ ]?(?:0?[1-9]|1[0-2])(?:月|[./-])[ ]?{_DAY}[日号]?|(?:19|20)\d{{2}}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])(?!\d)"
    rf"|{_HAN_NUMBER}{{2,4}}年{_HAN_NUMBER}{{1,3}}月{_HAN_NUMBER}{{1,3}}[日号])"
)
_BIRTHDAY = rf"(?:{_DATE}|(?:0?[1-9]|1[0-2])月{_DAY}[日号]?|[正腊冬一二三四五六七八九十]{{1,2}}月[初十廿]?[一二三四五六七八九十]{{1,2}}[日号]?)"
_BORN: tuple[re.Pattern[str], ...] = (
    re.compile(
        rf"(?:出生(?:年月日?|日期|时间|(?=[于在是]))|生日|(?<![寄发野着])生于|降生|(?<![A-Za-z])DOB)[ ]*(?:是|为|于|在|:)*[ ]*(?:[农阴阳]历)?(?P<value>{_BIRTHDAY})"
    ),
    re.compile(rf"出生[ ]?(?P<value>{_DATE})"),
    re.compile(
        rf"(?<![\d.])(?P<value>{_BIRTHDAY})(?=[ ,，]?(?:出生|生的|降生|诞生|的?生日|出世|生(?=[，,。；; \n)]|$)))"
    ),
    re.compile(
        rf"(?:[入出住]院|就诊|手术|检查|报告|采样|采集|送检|登记|签字|签名|挂号|记录|打印|接诊|收治)(?:日期|时间)[ ]*(?:是|为|:)?[ ]*(?P<value>{_DATE}(?:[ T]*\d{{1,2}}:\d{{2}}(?::\d{{2}})?)?)"
    ),
)
"""Birthdays, and the dates that a form of one visit bears. Dates that are told stay: they say how an illness went."""
_FIGURE = re.compile(r"[A-Za-z0-9]")


def _numbers(flat: str) -> Iterator[tuple[int, int, str]]:
    if _SPELLED_RUN.search(flat):
        digits = flat.translate(_SPELLED_DIGITS)
        spelled = [(*match.span(), PHONE) for match in _SPELLED_PHONE.finditer(digits)] + [*_labelled(digits)]
        yield from (span for span in spelled if not flat[span[0] : span[1]].isascii())
    if _FIGURE.search(flat):
        for pattern, label in _PATTERNS:
            for match in pattern.finditer(flat):
                yield (*match.span(), label)
        yield from _labelled(flat)
    for pattern in _BORN:
        for match in pattern.finditer(flat):
            yield (*match.span("value"), NUMBER)


def _labelled(flat: str) -> Iterator[tuple[int, int, str]]:
    for pattern, label in _LABELLED:
        for match in pattern.finditer(flat):
            yield (*match.span(match.lastgroup or "value"), label)


# --- places -----------------------------------------------------------------------------------------

_PLACES = frozenset({*PROVINCES, *CITIES})
_PLACE = "|".join(sorted(_PLACES, key=len, reverse=True))
_H = f"[{HAN}]"
_STREET = r"(?:大街|大道|路|街|巷|弄|胡同)"
_ADDRESS = re.compile(
    rf"(?:(?:{_PLACE})(?:省|市|自治区)?)?(?:{_H}{{1,6}}?(?:市|区|县|镇|乡|街道)){{0,4}}"
    rf"[{HAN}0-9]{{1,10}}{_STREET}[0-9一二三四五六七八九十]{{1,5}}号(?:[{HAN}0-9-]{{0,12}}(?:室|栋|幢|楼|单元|(?<!医)院|层))?"
    rf"|(?<=[住在到])[{HAN}]{{2,12}}(?:小区|花园|新村|公寓|家园)(?:[{HAN}0-9-]{{0,10}}(?:室|栋|幢|楼|单元|号)|[0-9]{{1,3}}(?:-[0-9]{{1,4}}){{1,2}})?"
)
_N = "[0-9一二三四五六七八九十]"
_IN_PLACE = f"(?:(?![的到去在了和或者及就是各看找有没最什么哪一些我你您他她这那个但后时住省市区县镇乡村院科室病例岁男女])[{HAN}])"
_DISTRICT = re.compile(
    rf"(?:{_PLACE})(?:省|市|自治区)?(?:{_IN_PLACE}{{1,5}}(?:市|州|盟))?{_IN_PLACE}{{1,3}}(?:(?<![社山城郊疫灾牧林病寒热多老矿景地])区|县|旗)(?![域别级内外]|医院|人民|中心|妇幼|第)"
    rf"(?:{_IN_PLACE}{{1,4}}(?:镇|乡|街道))?(?:{_IN_PLACE}{{1,4}}村)?(?:{_IN_PLACE}{{1,5}}{_STREET})?"
    rf"|{_IN_PLACE}{{2,3}}县{_IN_PLACE}{{2,4}}(?:镇|乡|街道)(?!医|卫)(?:{_IN_PLACE}{{1,4}}村)?"
    rf"|(?:{_IN_PLACE}{{2,8}}?)?{_N}{{1,3}}(?:号楼|栋|幢|座)(?:{_N}{{1,2}}单元(?:[0-9]{{2,4}}室?|{_N}{{1,2}}[楼层])?|[0-9]{{2,4}}室?)"
)
"""A district below its city, and a flat, with or without the words that lead to an address."""
_ADDRESS_LEAD = re.compile(r"(?:.{0,4}?(?:家住|现住|住址|地址|住在|家在|人在|位于|来自))|[我你您在到去从住]+")
_ADDRESS_LABEL = re.compile(
    rf"(?:家住|住在|家在|人在|现住(?!院|[进在了]院)|居住地(?!区)|住址|家庭住址|地址|户籍(?!地区)|户口所在地|暂住|籍贯|老家|[邮快]递到|[邮]?寄到)(?:[ :]|是|在|为|地)*(?!附近|周围|周边|旁边)(?P<value>[{HAN}0-9A-Za-z-]{{2,40}})"
)
_ADDRESS_SIGN = re.compile(
    rf"(?:{_PLACE})(?:省|市|自治区|自治州|区|县)?"
    rf"|{_H}{{1,8}}?(?:小区|花园|新村|公寓|家园|街道|(?<![大])街|胡同|(?<=[{HAN}]{{2}})路(?![上边途口程过况面旁])"
    rf"|(?<![农乡山渔本同全外])村(?![民里上])|(?<![城乡集市本同])镇(?![静痛上咳吐])|(?<![地社山城郊疫灾牧林行病发寒热多老新矿辖景工业离原])区|(?<![本同全外区各])县(?![医级城])|(?<![城县都本外农大])市(?![里区场民面医级]))"
    rf"|{_H}{{0,4}}?[0-9一二三四五六七八九十][0-9A-Za-z-]*(?:号楼?|栋|幢|单元|室|弄|巷|组)"
)
"""What makes the words after a label an address: a place of the lists, or a name or number with its sign."""
_NO_PARTICLE = f"(?:第一|(?![的到去在了和或者及就是各看找有没最什么哪一些家带我你他她这那个但后时呢吗吧着过给住做请让问从都说])[{HAN}0-9()])"
_HOSPITAL_END = r"(?:妇幼保健院|妇幼保健所|妇幼保健中心|卫生服务中心|医学中心|医疗中心|卫生院|保健院|门诊部|诊所|医院)"
_HOSPITAL = re.compile(
    rf"(?:(?:{_PLACE})(?:省|市|县|区|自治区|自治州)?){_NO_PARTICLE}{{0,18}}?{_HOSPITAL_END}(?:{_NO_PARTICLE}{{1,12}}?医院)?"
    rf"|(?:首都|中国|华北|华中|华南|华东|西南|西北|东北|南方|中南|复旦|第[一二三四]军|空军|海军|陆军|武警|解放军|国家){_NO_PARTICLE}{{0,20}}?{_HOSPITAL_END}"
    rf"|(?:{'|'.join(HOSPITAL_BRANDS)})(?:第?[一二三四])?(?:儿童|妇产)?医院|(?<!\d)\d{{3}}医院|首都儿科研究所|儿研所"
    rf"|(?:{'|'.join(HOSPITAL_SCHOOLS)})(?:附属?(?:第?[一二三四五六七八九])?|(?:第?[一二三四五六七八九]|儿|妇)(?:附属?)?)医?院(?![长士校系])"
    rf"|(?:{'|'.join(HOSPITAL_SCHOOLS)})附[一二三四五六儿](?!种)"
    rf"|{_NO_PARTICLE}{{1,4}}(?:市|县|区|镇|乡)(?:第[一二三四五六七八九十]|人民|中心|中医|妇幼|儿童){_NO_PARTICLE}{{0,8}}?{_HOSPITAL_END}"
)
_PROPER = f"(?:(?![至入的了过着不没又再去到在从被让给把来送往住进回里就都也还最很更有是与或及等以为于因对跟用做打吃要想请找换转选听说讲问叫带抱今昨次个点种般许每某各这那哪该些另其他她它我你您们家])[{HAN}])"
_COMMON = re.compile(
    "正规|当地|本地|外地|地方|地区|附近|旁边|隔壁|门口|周边|就近|专业|专科|专门|综合|权威|公立|公办|私立|私人|个体|民营|民办|国营|部队|军队|国内|国外|国际|双语|城里|县城|城镇|乡镇|城乡|农村|社区|基层"
    "|儿童|妇女|婴幼儿|幼儿|小儿|妇幼|妇产|妇科|男科|产科|儿科|内科|外科|中医|西医|结合|口腔|牙科|眼科|骨科|皮肤|五官|耳鼻喉|肛肠|胃肠|肿瘤|肝病|心血管|心脑|脑科|传染|结核|精神|心理|整形|美容|康复|护理|宠物|植发|急救|儿保"
    "|人民|中心|附属|自治区|教学|大学|医科|医学|医药|师范|学院|初级|高级|实验|中学|小学|高中|初中|幼儿园|学校|年级|职业|技术|全日|寄宿|重点|普通"
    "|优质|大型|小型|三甲|二甲|甲等|[一二三四]级|多家|几家|两家|一家|一所|同所|第?[一二三四五六七八九十](?![一二三四五六七八九十])|血管|门诊|住院|医院|医生|大夫|现代|老家|上级|下级|同级"
    "|电子|机械|化工|服装|制衣|纺织|纱|鞋|食品|塑料|加工|家具|印刷|建筑|建材|装修|装饰|房地产|地产|物业|广告|保险|外贸|贸易|商贸|科技|网络|软件|信息|传媒|物流|快递|运输|汽车|石油|煤|钢铁|有限|责任|股份|集团|国有|国企|外企|私企|公司|工业"
    "|[大小好新老本外总分县市省区镇乡村上下中]"
)
"""Words that tell the kind of a hospital, a school or a workplace and not which one it is."""
_NOT_PROPER = re.compile(
    "[病症癌瘤疮疹癜癫孕炎科院诊疗治查看读刚腺]|风湿|血压|血糖|咨询|手术|什么|多地|具体|决定|评价|孩子|电器|电瓶|[两几]"
)
"""Words that no name of a hospital, a school or a firm holds: what was taken for one is part of the sentence."""
_LED = r"(?:(?<=[从在到去往赴至由经送转进住入读上])|(?<=[诊业读住院]于))"
_NAMED_CLINIC = re.compile(
    rf"{_LED}(?P<name>{_PROPER}{{2,8}}?)(?:医院|病院|门诊部|诊所|保健院|卫生院|医务室|中医馆|国医馆|月子中心|月子会所|体检中心)"
    rf"|(?P<local>{_NO_PARTICLE}{{2,4}})(?:镇|乡|村|街道|社区)(?:中心)?(?:卫生院|卫生室|卫生所|医务室|社区卫生服务(?:中心|站)|卫生服务(?:中心|站))"
    rf"|{_LED}(?P<county>{_PROPER}{{2,3}})(?:市|县|区|旗)(?:中|中西|第?[一二三])?(?:医院|医?院)(?![长士校])"
)
_NUMBERED_HOSPITAL = re.compile(
    rf"(?:{_PLACE})(?:市|省)?第?[一二三四五六七八九十]{{1,2}}(?:人民)?院(?![长士校系所])"
    rf"|[京津沪渝冀豫云辽黑湘皖鲁苏浙赣鄂桂甘晋蒙陕吉闽贵粤川琼](?:大|医)?[一二三四](?:医院|院(?![长士校系所]))"
    r"|(?<![0-9一二三四五六七八九〇○零、])[0-9一二三四五六七八九〇○零]{3}医院"
    rf"|(?:{_PLACE}){_NO_PARTICLE}{{0,10}}?(?:附属?[一二三四](?:院|医(?!学))|第?[一二三四]?附属?院|国医堂|国医馆|中医馆|名医堂)"
    rf"|(?:{_PLACE})[省市](?:妇幼|妇保|儿保)院?(?![保卫])"
)
_SCHOOL_END = r"(?:幼儿园|幼稚园|托儿所|托育园|托育中心|早教中心|小学|中学|高中|初中|职高|技校|学校|大学|学院)"
_SCHOOL = re.compile(
    rf"{_LED}(?P<name>{_PROPER}{{2,10}}?){_SCHOOL_END}(?!习|[{HAN}]?(?:生|文化|毕业生|附属|医院|阶段|时))"
    rf"|(?:{_PLACE})(?:省|市)?(?:{_PROPER}{{1,4}}[区县])?(?P<local>{_PROPER}{{1,10}}?(?:幼儿园|小学|中学))(?!生)"
    rf"|(?P<short>{_PROPER}{{2}}[一二三四五六七八九十]{{1,2}}中)(?=的?学生|[读念]|上学|[高初][一二三])"
)
_SECTOR = r"(?:(?:有限|责任|股份)*公司|厂|集团|局|派出所|银行|支行|酒店|饭店|超市|商场|事务所|法院|检察院|委员会|政府|出版社|报社|研究所|工作室|部队|车间|矿)"
_WORKPLACE = re.compile(
    rf"(?<=[在于])(?P<name>{_PROPER}{{2,12}}?){_SECTOR}(?=[里内]?(?:上班|工作|打工|任职|就职|当|做|干))"
    rf"|(?:就职于|任职于|供职于)(?P<local>{_PROPER}{{2,14}}?){_SECTOR}"
)
_PLACE_LABEL = re.compile(
    rf"(?:(?:学校|幼儿园|院校)(?:名称|名字)?|(?:工作)?单位(?:名称)?)[ ]*[:是为][ ]*(?P<value>{_PROPER}{{2,14}}?)(?:{_SCHOOL_END}|{_SECTOR})"
)
_GENERIC_PLACE = re.compile(rf"^(?:国家.{{0,2}}级|当地|本地|外地|所在|附近|{_H}?级|各{_H}?)")


def _address_end(value: str) -> int:
    """Where the address at the start of ``value`` ends, which sick children may be told of behind; 0 for none."""
    end = 0
    for sign in _ADDRESS_SIGN.finditer(value):
        if sign.start() > end + 1:
            break
        end = sign.end()
    return end


def _says_which(name: str) -> bool:
    """Whether ``name`` holds more than the words that any hospital, school or firm of its kind bears."""
    rest = _COMMON.sub("", name)
    return len(rest) >= 2 and not _NOT_PROPER.search(rest)


_RUN = re.compile(rf"[{HAN}0-9()-]{{3,}}")
_HOSPITAL_ANCHOR = re.compile(r"[院所部心附室站堂馆妇]")
_ADDRESS_ANCHOR = re.compile(r"号|小区|花园|新村|公寓|家园")
_DISTRICT_ANCHOR = re.compile(r"[区县旗栋幢座]|号楼")
_SCHOOL_ANCHOR = re.compile(r"[园学所校]|中心|高中|初中|职高|中(?=的?学生|[读念]|上学|[高初])")
_WORK_ANCHOR = re.compile(r"[厂局所行店市场院会府社室队间矿]|公司|集团")


def _places(flat: str) -> Iterator[tuple[int, int, str]]:
    for match in _ADDRESS_LABEL.finditer(flat):
        end = _address_end(match["value"])
        if end:
            yield match.start("value"), match.start("value") + end, ADDRESS
    for match in _PLACE_LABEL.finditer(flat):
        if _says_which(match["value"]):
            yield match.start("value"), match.end(), ADDRESS
    for run in _RUN.finditer(flat):
        yield from _places_in(flat, *run.span())


def _places_in(flat: str, begin: int, end: int) -> Iterator[tuple[int, int, str]]:
    """Places in one run of words without punctuation. The slow patterns are tried where their last word stands."""
    if _ADDRESS_ANCHOR.search(flat, begin, end):
        for match in _ADDRESS.finditer(flat, begin, end):
            lead = _ADDRESS_LEAD.match(match.group())
            yield match.start() + (lead.end() if lead else 0), match.end(), ADDRESS
    if _DISTRICT_ANCHOR.search(flat, begin, end):
        for match in _DISTRICT.finditer(flat, begin, end):
            lead = _ADDRESS_LEAD.match(match.group())
            yield match.start() + (lead.end() if lead else 0), match.end(), ADDRESS
    if _HOSPITAL_ANCHOR.search(flat, begin, end):
        for match in _HOSPITAL.finditer(flat, begin, end):
            if not _GENERIC_PLACE.match(match.group()):
                yield (*match.span(), HOSPITAL)
        for match in _NUMBERED_HOSPITAL.finditer(flat, begin, end):
            yield (*match.span(), HOSPITAL)
        for match in _NAMED_CLINIC.finditer(flat, begin, end):
            group = match.lastgroup or "name"
            if _says_which(match[group]):
                yield match.start(group), match.end(), HOSPITAL
    if _SCHOOL_ANCHOR.search(flat, begin, end):
        for match in _SCHOOL.finditer(flat, begin, end):
            if match["local"] or match["short"]:
                yield (*match.span(), ADDRESS)
            elif match["name"] and _says_which(match["name"]):
                yield match.start("name"), match.end(), ADDRESS
    if _WORK_ANCHOR.search(flat, begin, end):
        for match in _WORKPLACE.finditer(flat, begin, end):
            group = match.lastgroup or "name"
            if _says_which(match[group]):
                yield match.start(group), match.end(), ADDRESS


# --- names ------------------------------------------------------------------------------------------

_SURNAME = "[" + "".join(sorted(SURNAMES)) + "]"
_DOUBLE = "|".join(sorted(DOUBLE_SURNAMES))
_TITLE = r"(?:副主任医师|主任医师|主治医师|主治医生|医生|大夫|医师|主任|教授|院长|院士|护士长|护士|药师)"
_ADDRESSED = re.compile(
    rf"{_TITLE}|先生|女士|小姐|同学|太太|阿姨|叔叔|大爷|大妈|大娘|大叔|大婶|伯伯|奶奶|爷爷|老师|老板|师傅|经理|领班|同志|专家"
)
_HAN_END = re.compile(rf"{_H}*$")
_BEFORE_TO = tuple("由对关至属位处基等鉴过")
_BEFORE_NAME = frozenset("于找看请问给跟让有位好您你们的是谢叫被像对说感到了咨询向由见着")
_BEFORE_SURE = frozenset("听科诊院且和")
_BEFORE_WORDS = tuple(
    "患者 病人 患儿 产妇 孕妇 家长 家属 建议 根据 如果 关注 所以 但是 因为 考虑 联系 通知 昨天 今天 明天 上次 下次 上午 下午 隔壁 邻居 同事 亲戚 朋友 楼下 楼上 母亲 父亲 妈妈 爸爸 之前 以前 上周 当时 当天 晚上 早上 听说 预约 转告".split()
)
"""What stands before a name that a title follows, and before other words too: 建议王女士, 住院时医生."""
_NOT_GIVEN = frozenset("或与及的了是我你他她它在有和不这那就都也要会去来到说看请问给谢您好医科诊院级病患任何某各位名个")
_LONELY_NO = frozenset("班谢祝和师时应向于连明全成经任何单单方古易项位安常文平解余管路边游费项支查")
_SEXED = re.compile(
    rf"(?:(?<![{HAN}])|(?<=患者)|(?<=患儿)|(?<=病人)|(?<=病儿))(?P<name>(?:{_DOUBLE}){_H}{{1,2}}|{_SURNAME}{_H}{{1,2}})"
    rf"(?=[，,、 ]{{0,2}}(?:性别|(?:男|女)(?:[，,、。；;  ]|性|婴|孩|童|\d)))"
)
_AGED = re.compile(
    rf"(?:(?<=患者)|(?<=患儿)|(?<=病人)|(?<=病儿))(?P<name>(?:{_DOUBLE}){_H}{{1,2}}|{_SURNAME}{_H}{{1,2}})(?=[，,、 ]{{1,2}}(?:年龄)?\d{{1,2}}(?:岁|个?月|天))"
)
_NAME_END = r"(?=[，,。；;、！!：:  \n（()）]|今年|性别|年龄|现年|[大小乳]名|的?[妈爸]|$|\d)"
_CHILD = "(?:孩子|小孩|宝宝|宝贝|儿子|女儿|闺女|患儿|孙子|孙女|[大二三]宝|老[大二三]|[弟妹]{1,2}|[男女]孩)"
_ADULT = "(?:[我他她]|本人|老公|老婆|丈夫|妻子|爱人|爸爸?|妈妈?|父亲|母亲|爷爷|奶奶|外公|外婆|姥姥|姥爷|[哥姐]{1,2}|家长|医生|大夫|老师)"
_INTRODUCED = re.compile(
    rf"(?:(?:姓名|联系人|大名|小名|乳名|昵称|署名|签名|签字|曾用名|收件人)[ ]*[:是为叫]|名叫|[大小乳]名(?![ :是为叫鼎])|名字[ ]?[:是叫为]|{_CHILD}就?叫|取名叫?|起名叫?)"
    rf"[ ]*(?P<name>{_H}{{2,4}}?){_NAME_END}"
)
_SELF = re.compile(rf"{_ADULT}的?(?:名字)?[是就]?叫(?P<name>{_H}{{2,4}}?){_NAME_END}")
_LATIN_NAME = re.compile(
    rf"(?:(?:姓名|昵称|[大小乳]名)[ ]*[:是为叫]+[ ]*|(?:{_CHILD}|[我他她])的?(?:(?:英文)?名字?)?[是就]?[叫是:][ ]*|{_CHILD}的?英文名[是叫:]?[ ]*)(?P<name>[A-Z][a-z]{{1,15}}(?: [A-Z][a-z]{{1,15}}){{0,2}})(?![A-Za-z0-9])"
    r"|(?<![A-Za-z])(?:Dr|Prof|Mr|Mrs|Ms)\.? ?(?P<titled>[A-Z][a-z]+(?: [A-Z][a-z]+)?)"
    r"|(?<![A-Za-z])(?P<called>[A-Z][a-z]{2,15}|(?<![A-Za-z0-9 -])[A-Z])(?=女士|先生|小姐|老师|医生|大夫|教授|妈妈|爸爸)"
    r"|(?:(?<=患者)|(?<=患儿)|(?<=病人))(?P<initial>[A-Z](?:某{1,2}|×{1,3}|[*]{2,3}))"
)
_DOTTED = re.compile(
    rf"(?:姓名[ ]*[:是为]?[ ]*|患[者儿]|病人|[名我]叫|[子儿宝]叫|我是)(?P<name>{_H}{{2,8}}·{_H}{{2,8}}?)(?=[，,。；;、  \n（(]|$|的[妈爸父母])"
    rf"|(?:(?<![{HAN}·])|(?<=[请找谢问]))(?P<titled>{_H}{{2,8}}·{_H}{{2,8}}?)(?={_TITLE}|先生|女士)"
)
_PET = re.compile(
    rf"(?:(?<!{_H})|(?<=[是叫找给])|(?<=我家)|(?<=们家))(?P<name>({_H})\2)(?=的?[妈爸]{{1,2}}(?:[，,。：:、！!  \n您你]|说|问|好|$))"
    rf"|(?:(?<=我家)|(?<=们家))(?P<ours>({_H})\4)(?=今年|现在|快|刚|才|也?[0-9]|[，,])"
)
_NO_PET = frozenset(
    "妈妈 爸爸 爷爷 奶奶 姥姥 哥哥 姐姐 弟弟 妹妹 叔叔 宝宝 娃娃 谢谢 天天 常常 刚刚 往往 看看 问问 人人 家家 年年 公公 婆婆".split()
)
_NICK = re.compile(
    rf"(?:(?<![{HAN}])|(?<=患者)|(?<=患儿)|(?<=病人)|(?<=产妇)|(?<=生儿)|(?<=同事)|(?<=亲戚)|(?<=朋友)|(?<=同学)|(?<=邻居)|(?<=隔壁)|(?<=厂里)|(?<=建议)|(?<=请问)|(?<=针对)|(?<=对于)|(?<=需要)|(?<=[和跟找是的叫听问请让给]))"
    "(?P<name>(?:小|老)(?:[王李张刘陈杨赵吴徐朱郭郑谢许韩冯邓曹彭曾蔡潘袁董魏吕沈姚卢崔谭汪廖邹孟秦薛阎侯黎贺龚邵孙周林罗唐程钟]))"
    r"(?!子|女|儿|[皮醋]|[点块粒个片条只瓶口勺杯碗]|力|汉|红|德|氏|度|序|围|头|梅|树|桃|旧|期|天|末|萝|姬)"
)
_SURNAMED = re.compile(
    rf"(?:免贵|[我他她]|本人|患者|孩子|医生)姓(?P<name>{_DOUBLE}|{_SURNAME})(?=[，,。！!  \n的]|$)|姓(?P<whose>{_DOUBLE}|{_SURNAME})(?=的(?:医生|大夫|医师|主任|教授|专家|护士|老师|病人|患者|女士|先生|人))"
)
_FULL = f"(?:(?:{_DOUBLE}){_H}{{1,2}}|{_SURNAME}{_H}{{2}})"
_FILLED = re.compile(
    rf"(?:(?:接诊|主诊|管床|经治|首诊|主管|报告|审核|送检|申请|诊断|手术|麻醉|责任|执行|值班|坐诊)(?:医生|医师|大夫|护士|药师|技师)|(?:检验|审核|记录|报告|采集|采样|执行|送检|核对|陈述|供史|操作|经办|录入|联系|收件|寄件|监护|陪护)[者人员]|主刀|班主任|(?:家长|家属|监护人|医师|医生|护士|患者|本人)(?:签名|签字|姓名)|落款|姓名|{_CHILD}名|其[父母])"
    rf"[ ]*:?[ ]*(?P<name>{_FULL})(?=[，,。；;、  \n（(]|性别|代诉|[审记报核检年]|$)"
    rf"|(?<!{_H})[父母][ ]*:[ ]*(?P<parent>{_FULL})(?=[，,。；;、  \n（(]|$)"
    rf"|(?<!{_H})(?:医生|医师|大夫|护士|家长)[ ]*:[ ]*(?P<role>{_FULL})(?=[ ]*(?:\n|$))"
    rf"|(?:我是|本人|父亲|母亲|爸爸|妈妈)(?P<self>{_FULL})(?=[，,。；;！!\n]|$)"
)
_NOT_SELF = frozenset("人州省市县科生员工者家师型性期族式类级岁过后前时")
"""What a person is, and not who: 我是江西人, 我是单亲家长."""
_SIGNED = re.compile(
    rf"(?:敬礼|祝好|谨启)[!！。，,\s]*(?P<name>{_FULL})(?=\s*(?:$|\n|(?:19|20)\d\d年))|\n[ 　]*(?:——|—|--)[ ]*(?P<dashed>{_FULL})(?=\s*(?:$|\n))"
    rf"|(?:(?<!{_H})|(?<=家长)|(?<=[母父]亲))(?P<closing>{_FULL})(?=[ ]?(?:敬上|谨上|拜上|敬启|谨启|叩谢))|\n[ 　]*(?P<dated>{_FULL})[ 　]*(?=\n[ 　]*(?:19|20)\d\d[年.-])"
)
_KIN = re.compile(
    rf"(?:姓名[ ]+|(?:监护人|家属)[ ]*:[ ]*)(?P<name>(?:{_DOUBLE}){_H}{{1,2}}|{_SURNAME}{_H}{{1,2}})(?=[，,。；;、  \n（(]|$)"
    rf"|(?:患儿|[父母]亲|爸爸|妈妈)[ ]*:[ ]*(?P<full>(?:{_DOUBLE}){_H}{{1,2}}|{_SURNAME}{_H}{{2}})(?=[，,。；;、  \n（(]|$)"
    rf"|我是(?:患[儿者]|病[儿人])?(?P<whose>(?:{_DOUBLE}){_H}{{1,2}}?|{_SURNAME}{_H}{{1,2}}?)的?(?:妈妈|爸爸|母亲|父亲|家属|家长)"
)
_CHILD_OF = re.compile(
    rf"(?:儿子|女儿|闺女|孩子|小孩|宝宝|宝贝|孙子|孙女|外孙|侄子|侄女|弟弟|妹妹)(?P<name>(?:{_DOUBLE}){_H}{{1,2}}|{_SURNAME}{_H}{{1,2}})"
    r"(?=[，, ]?(?:今年|现年|今天|现在)?(?:已经?|刚刚?|才|快|满)?(?:[0-9]{1,2}|[一二两三四五六七八九十]{1,3})个?多?半?(?:周?岁|月))"
)
_AFTER_TITLE = re.compile(
    rf"(?:主任(?:委员|医师)?|(?:主治|责任)医师|院长|所长|护士长|教授|院士|(?<=[科院])(?:医生|大夫|专家))"
    rf"(?P<name>(?:{_DOUBLE}){_H}{{1,2}}|{_SURNAME}{_H}{{1,2}})"
    rf"(?=[，,。；;、！!？?：:  \n（()）]|$|(?:医生|大夫|主任|教授|老师)?(?:介绍|表示|指出|强调|提醒|告诉|解释|说|认为|坐诊|出诊|看看|给|的(?:号|门诊|诊室)))"
)
_SOMEBODY = re.compile(
    rf"(?:(?<!{_H})|(?<=患者)|(?<=患儿)|(?<=病人)|(?<=病儿)|(?<=家属))(?P<name>{_SURNAME}(?:某{{1,2}}|×{{1,2}}|XX|xx|[*]{{1,2}}))|(?P<other>{_SURNAME}(?:某某|××|[*]{{2}}))"
)
_ROLES = (
    "组长 副组长 组织 顾问 成员 秘书 学术指导 主要执笔 执笔人 执笔 主要审阅 审阅 审校 审定 参与制定 参与审阅 编写 编写组 专家组成员 专家组 "
    "编者 编委 作者 通信作者 通讯作者 主编 副主编 协编 校对 录入 整理 撰稿 责任编辑 主治医师 主管医师 责任医师 报告医师 审核医师 医师签名 志愿者"
).split()
_LABEL = "(?:" + "|".join("[ 　]{0,3}".join(role) for role in sorted(_ROLES, key=len, reverse=True)) + ")"
ROLE_LABEL = re.compile(rf"^[ 　]*{_LABEL}[ 　]*(?:[（(][^（）()\n]{{1,30}}[)）])?[ 　]*[:：]")
"""A line that names who wrote, checked or signed: ``组长：``, ``校对：``."""
_ENDS = " 　、，,;；。\n"
_END = rf"(?:[{_ENDS}]|$)"
_GLUED = rf"(?={_SURNAME}{_H}{{1,2}}{_END})"
"""Where a line of a list was joined to the next without a blank: 张示例陈范文　周虚拟."""
_NAME_TOKEN = rf"(?!{_LABEL})(?:(?:{_DOUBLE}){_H}{{1,2}}|{_SURNAME}{_H}{_GLUED}|{_H}{{2,3}}|{_H}[ 　]{_H})(?:\([^()\n]{{1,20}}\))?"
_SEPARATOR = rf"(?:[、，,;；][ 　\n]*|[ 　]+|\n(?=[{HAN} 　]{{2,4}}(?:[(]|{_END}))|{_GLUED})"
_SPACED_LIST = rf"{_NAME_TOKEN}(?:{_SEPARATOR}{_NAME_TOKEN}){{0,400}}"
_LABELLED_LIST = re.compile(rf"{_LABEL}[ 　]*:?(?:\([^()\n]{{1,30}}\))?[ 　]*:[ 　\n]*(?P<list>{_SPACED_LIST})")
_NAMES_THEN_LABEL = re.compile(
    rf"(?m)^[ 　]*(?P<list>{_NAME_TOKEN}(?:[ 　、，,]+{_NAME_TOKEN}){{0,12}})[ 　]+{_LABEL}[ 　]*$"
)
_LABEL_THEN_NAMES = re.compile(
    rf"(?m)^[ 　]*{_LABEL}[ 　]+(?P<list>{_NAME_TOKEN}(?:[ 　、，,]+{_NAME_TOKEN}){{0,12}})[ 　]*$"
)
_LONG_LIST = re.compile(rf"{_NAME_TOKEN}(?:(?:[、，,][ 　\n]*){_NAME_TOKEN}){{7,400}}")
_TOKEN = re.compile(_NAME_TOKEN)
_MEDICAL = frozenset(
    "芪术草骨膏勃花翘参冬芍芩芷苓归地皮仁子根叶藤砂贝母夏陈星麻桂姜枣附热肿痛疹痰咳泻炎病症汤丸散片酸素霉菌疫毒血尿便痒疮"
)


_ILL = frozenset(
    "障疸痘痫癫痹癣疝痔瘤癌瘫疱脓咽喉鼻耳眼牙舌肺胃肠肝肾心脑胆胸腹腰腿脚头脸皮疟烧凉感冒胖瘦矮哭闹睡吃喝吐咬"
)
"""What the word behind a child or a title is about when it only begins like a surname: 白内障, 高烧."""
_CRIES = frozenset(
    "疼痛累饿渴困冷热痒酸胀闷难苦我你您他她它妈爸人不了着过去来声嚷喊唤醒做作什么医护车救到的得吃喝哭闹起别快再这那"
)
"""What follows 叫 where nobody is named: 孩子叫肚子疼, 我叫他吃药."""
_LEANING = frozenset("应曾全任时于向何常")
_LEANS_ON = frozenset("由经让遵听凭靠被从对按据随需须可能会先再并向找跟同") | frozenset(
    "根据 依据 按照 遵照 听从 遵从 服从 严格 及时 尽快 立即 定期 首先 积极 主动 告知 告诉 通知 联系 咨询 寻求 配合".split()
)
"""A surname that is an adverb too, before one of these, is no name: 应由医生决定, 曾经医生诊断."""


def _is_name(word: str) -> bool:
    """Whether ``word`` (2 to 4 Han characters) may be a person's name: a surname first and no known word."""
    if word in NOT_NAMES or word[:2] in NOT_NAMES:
        return False
    if word[0] in _LEANING and word[1:] in _LEANS_ON:
        return False
    if word[:2] in DOUBLE_SURNAMES:
        return 3 <= len(word) <= 4
    return 2 <= len(word) <= 3 and word[0] in SURNAMES and not _NOT_GIVEN & set(word[1:])


def _may_stand_before(ahead: str, name: str) -> bool:
    if ahead and (ahead[-1] in _BEFORE_SURE or ahead.endswith(_BEFORE_WORDS)):
        return name[0] not in _LONELY_NO | _LEANING
    return not ahead or ahead[-1] in _BEFORE_NAME


def _called_name(before: str) -> int:
    """How many characters at the end of ``before`` are the name of the person addressed; 0 for none."""
    for length in (4, 3, 2):
        word, ahead = before[-length:], before[:-length]
        if len(word) < length or (word[0] == "于" and ahead.endswith(_BEFORE_TO)):
            continue
        if word in NOT_NAMES or (length == 2 and (word[-1] in "科级地何" or word in _PLACES)):
            return 0
        if word[0] == "谢" and ahead.endswith(("谢", "感")):
            continue
        if _is_name(word) and _may_stand_before(ahead, word):
            return length
    if before[-2:] in DOUBLE_SURNAMES and _may_stand_before(before[:-2], before[-2:]):
        return 2
    last, ahead = before[-1], before[:-1]
    if last in SURNAMES and last not in _LONELY_NO and _may_stand_before(ahead, last):
        return 1
    return 0


def _is_full_name(word: str) -> bool:
    """`_is_name`, where nothing but the word itself tells: no adverb's, complaint's or people's character in it."""
    leads = _LEANING - {"何"} if len(word) > 2 else _LONELY_NO | _LEANING
    return _is_name(word) and word[0] not in leads and not (_MEDICAL | _ILL) & set(word[1:])


def _names(flat: str) -> Iterator[tuple[int, int, str]]:
    for match in _ADDRESSED.finditer(flat):
        before = _HAN_END.search(flat, max(0, match.start() - 6), match.start())
        length = _called_name(before.group()) if before and before.group() else 0
        start = match.start() - length
        if length and (match.group() != "专家" or (length > 1 and _is_full_name(flat[start : match.start()]))):
            yield start, match.start(), NAME
    for match in _SEXED.finditer(flat):
        if _is_name(match["name"]) or "某" in match["name"]:
            yield (*match.span("name"), NAME)
    for match in _INTRODUCED.finditer(flat):
        if not _CRIES & set(match["name"]):
            yield (*match.span("name"), NAME)
    for match in _SELF.finditer(flat):
        if not _CRIES & set(match["name"]) and (match.group().startswith("我") or _is_full_name(match["name"])):
            yield (*match.span("name"), NAME)
    for match in _KIN.finditer(flat):
        group = match.lastgroup or "name"
        if _is_name(match[group]) and not _MEDICAL & set(match[group][1:]):
            yield (*match.span(group), NAME)
    for pattern in (_CHILD_OF, _AFTER_TITLE, _AGED, _FILLED, _SIGNED):
        for match in pattern.finditer(flat):
            group = match.lastgroup or "name"
            name = match[group]
            if _is_full_name(name) and not (group == "self" and (name[0] in _LONELY_NO or _NOT_SELF & set(name))):
                yield (*match.span(group), NAME)
    for pattern in (_LATIN_NAME, _DOTTED, _NICK, _SURNAMED):
        for match in pattern.finditer(flat):
            yield (*match.span(match.lastgroup or "name"), NAME)
    for match in _PET.finditer(flat):
        group = "name" if match["name"] else "ours"
        if match[group] not in _NO_PET:
            yield (*match.span(group), NAME)
    for match in _SOMEBODY.finditer(flat):
        line = flat[flat.rfind("\n", 0, match.start()) + 1 : match.start()]
        emphasis = line.count("**") % 2 or line.replace("**", "").count("*") % 2
        if "*" in match.group() and emphasis:
            continue  # the stars close a bold or slanted word: **桂枝汤**
        yield (*match.span("name" if match["name"] else "other"), NAME)


def _name_lists(flat: str) -> Iterator[tuple[int, int, str]]:
    for pattern, least, share in (
        (_LABELLED_LIST, 1, 0.5),
        (_NAMES_THEN_LABEL, 1, 0.5),
        (_LABEL_THEN_NAMES, 1, 0.5),
        (_LONG_LIST, 8, 0.8),
    ):
        for match in pattern.finditer(flat):
            group = "list" if "list" in pattern.groupindex else 0
            start = match.start(group)
            tokens = [
                (token.start() + start, token.start() + start + len(token.group().rstrip()))
                for token in _TOKEN.finditer(re.sub(r"\([^()]*\)", lambda m: "#" * len(m.group()), match[group]))
            ]
            words = [re.sub(r"[ 　]", "", flat[a:b]) for a, b in tokens]
            likely = [_is_name(word) and not _MEDICAL & set(word[1:]) for word in words]
            if likely and not likely[-1] and flat[tokens[-1][1] : tokens[-1][1] + 1].strip(_ENDS):
                likely.pop()  # the words after the list begin so
            if len(likely) >= least and sum(likely) >= share * len(likely):
                for a, b in tokens[: len(likely)]:
                    yield a, b, NAME


_FINDERS: tuple[_Finder, ...] = (_numbers, _places, _names, _name_lists)


def residue(text: str) -> list[str]:
    """What masking would still change in ``text``: empty for a text that was masked."""
    return [label for _, _, label in mask_spans(text).edits]


def looks_like_names(values: list[str]) -> bool:
    """Whether a list that should hold something else holds names of persons.

    At least half of the values, and two of them, are surname-first words of two or three characters with
    no medical character in them.
    """
    likely = sum(bool(_is_name(value) and not _MEDICAL & set(value)) for value in values)
    return likely >= 2 and likely * 2 >= len(values)


def shift(offsets: list[int], masked: Masked) -> list[int]:
    """Raw offsets carried over to the masked text."""
    starts = [edit[0] for edit in masked.edits]
    return [masked.offset(offset) if bisect_right(starts, offset) else offset for offset in offsets]
