r"""Mask personal data: phones, ID cards, e-mail and chat accounts, addresses, hospitals, names.

Rules look at digit borders, never at ``\b``: a Han character counts as a word character, so ``\b`` is
blind in ``电话13800138000请回``. Names are masked where people are addressed (``李医生``), introduced
(``患者王某，男``), labelled (``校对：``) or listed (``组长：…``). Masking a masked text changes nothing.
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

_NO_UNIT = r"(?![ ]?(?:[A-Za-zμ%℃/~-]|[毫微千]?克|毫升|单位|片|万|元|年))"
"""Figures that a unit follows count something: 400 800 1200 mg."""
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"), EMAIL),
    (
        re.compile(
            r"(?<![0-9A-Za-z])[1-9]\d{5}(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dXx](?![0-9A-Za-z])"
        ),
        ID_CARD,
    ),
    (re.compile(r"(?<![0-9A-Za-z])[1-9]\d{7}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}(?![0-9A-Za-z])"), ID_CARD),
    (re.compile(r"(?<!\d)(?<!\d\.)(?:(?:\+|00)?86[- ]?)?1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?!\d)"), PHONE),
    (re.compile(r"(?<![\d.])(?:\(0\d{2,3}\)|0\d{2,3})[-—– ]?[2-9]\d{6,7}(?:[-转]\d{1,6})?(?!\d)" + _NO_UNIT), PHONE),
    (re.compile(r"(?<![\d.])[48]00[- ]?\d{3}[- ]?\d{4}(?!\d)" + _NO_UNIT), PHONE),
    (
        re.compile(
            r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-Z][A-Z0-9]{5,6}(?![0-9A-Za-z])"
        ),
        NUMBER,
    ),
)
_SPELLED_DIGITS = str.maketrans("〇○零一二三四五六七八九幺", "0001234567891")
_SPELLED_PHONE = re.compile(r"(?<!\d)1[3-9]\d[- ]?\d{4}[- ]?\d{4}(?!\d)")
_LABELLED: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(
            r"(?:微信|威信|薇信|[Vv]信|[Ww]e[Cc]hat|weixin|(?<![A-Za-z])[Vv][Xx]|QQ|(?<![A-Za-z])qq|扣扣|抖音|微博|[加+][vVqQ])"
            r"(?:号码|号|群|[账帐]号)?(?:是|为|加我|加)?[ :,，]*(?P<value>[A-Za-z0-9][A-Za-z0-9_-]{4,19})"
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
        re.compile(r"(?:电话|手机|热线|联系方式|传真)(?:号码|号)?(?:是|为)?[ :]*(?P<value>\d[\d -]{5,14}\d)(?!\d)"),
        PHONE,
    ),
    (
        re.compile(
            r"(?:身份证|证件|医保卡|社保卡|护照|出生(?:医学)?证明?)(?:号码|编号|号)?(?:是|为)?[ :]*(?P<value>[0-9A-Za-z]{8,20})"
        ),
        ID_CARD,
    ),
    (
        re.compile(
            r"(?:门诊|住院|病历|病案|病例|床位|床|就诊|登记|档案)(?:号码|号)(?:是|为)?[ :,，]*(?P<value>[A-Za-z]{0,3}\d{2,12})"
        ),
        NUMBER,
    ),
)


def _numbers(flat: str) -> Iterator[tuple[int, int, str]]:
    for pattern, label in _PATTERNS:
        for match in pattern.finditer(flat):
            yield (*match.span(), label)
    for match in _SPELLED_PHONE.finditer(flat.translate(_SPELLED_DIGITS)):
        if not flat[match.start() : match.end()].isascii():
            yield (*match.span(), PHONE)
    for pattern, label in _LABELLED:
        for match in pattern.finditer(flat):
            yield (*match.span("value"), label)


# --- places -----------------------------------------------------------------------------------------

_PLACE = "|".join(sorted({*PROVINCES, *CITIES}, key=len, reverse=True))
_H = f"[{HAN}]"
_STREET = r"(?:大街|大道|路|街|巷|弄|胡同)"
_ADDRESS = re.compile(
    rf"(?:(?:{_PLACE})(?:省|市|自治区)?)?(?:{_H}{{1,6}}?(?:市|区|县|镇|乡|街道))*"
    rf"[{HAN}0-9]{{1,10}}{_STREET}[0-9一二三四五六七八九十]{{1,5}}号(?:[{HAN}0-9-]{{0,12}}(?:室|栋|幢|楼|单元|院|层))?"
    rf"|(?<=[住在])[{HAN}]{{2,12}}(?:小区|花园|新村|公寓|家园)(?:[{HAN}0-9-]{{0,10}}(?:室|栋|幢|楼|单元|号))?"
)
_ADDRESS_LEAD = re.compile(r"(?:.{0,4}?(?:家住|现住|住址|地址|住在|家在|人在|位于|来自))|[我你您在到去从住]+")
_ADDRESS_LABEL = re.compile(
    rf"(?:家住|现住(?!院|[进在了]院)|居住地(?!区)|住址|家庭住址|地址|户籍(?!地区))(?:[ :]|是|在|为|地)*(?!附近|周围|周边|旁边)(?P<value>[{HAN}0-9A-Za-z-]{{2,40}})"
)
_ADDRESS_SIGN = re.compile(
    rf"(?:{_PLACE})(?:省|市|自治区|自治州|区|县)?"
    rf"|{_H}{{1,8}}?(?:小区|花园|新村|公寓|家园|街道|(?<![大])街|胡同|(?<=[{HAN}]{{2}})路(?![上边途口程过况面旁])"
    rf"|(?<![农乡山渔本同全外])村(?![民里上])|(?<![城乡集市本同])镇(?![静痛上咳吐])|(?<![地社山城郊疫灾牧林行病发寒热多老新矿辖景工业])区|(?<![本同全外区各])县(?![医级城])|(?<![城县都本外农大])市(?![里区场民面医级]))"
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
_GENERIC_PLACE = re.compile(rf"^(?:当地|本地|外地|所在|附近|{_H}?级|各{_H}?)")


def _address_end(value: str) -> int:
    """Where the address at the start of ``value`` ends, which sick children may be told of behind; 0 for none."""
    end = 0
    for sign in _ADDRESS_SIGN.finditer(value):
        if sign.start() > end + 1:
            break
        end = sign.end()
    return end


def _places(flat: str) -> Iterator[tuple[int, int, str]]:
    for match in _ADDRESS.finditer(flat):
        lead = _ADDRESS_LEAD.match(match.group())
        yield match.start() + (lead.end() if lead else 0), match.end(), ADDRESS
    for match in _ADDRESS_LABEL.finditer(flat):
        end = _address_end(match["value"])
        if end:
            yield match.start("value"), match.start("value") + end, ADDRESS
    for match in _HOSPITAL.finditer(flat):
        if not _GENERIC_PLACE.match(match.group()):
            yield (*match.span(), HOSPITAL)


# --- names ------------------------------------------------------------------------------------------

_SURNAME = "[" + "".join(sorted(SURNAMES)) + "]"
_DOUBLE = "|".join(sorted(DOUBLE_SURNAMES))
_TITLE = r"(?:副主任医师|主任医师|主治医师|主治医生|医生|大夫|医师|主任|教授|院长|院士|护士长|护士|药师)"
_TITLED = re.compile(rf"(?P<before>{_H}{{1,4}})(?={_TITLE})")
_CALLED = re.compile(rf"(?P<before>{_H}{{1,4}})(?=先生|女士|小姐|同学|太太)")
_BEFORE_TO = tuple("由对关至属位处基等鉴过")
_BEFORE_NAME = frozenset("于找看请问给跟让有位好您你们的是谢叫被像对说感到了咨询向由见着")
_NOT_GIVEN = frozenset("或与及的了是我你他她它在有和不这那就都也要会去来到说看请问给谢您好医科诊院级病患任何某各位名个")
_LONELY_NO = frozenset("谢祝和师时应向于连明全成经任何单单方古易项位安常文平解余管路边游费项支查")
_SEXED = re.compile(
    rf"(?:(?<![{HAN}])|(?<=患者)|(?<=患儿)|(?<=病人)|(?<=病儿))(?P<name>(?:{_DOUBLE}){_H}{{1,2}}|{_SURNAME}{_H}{{1,2}})"
    rf"(?=[，,、 ]{{0,2}}(?:男|女)(?:[，,、。；;  ]|性|婴|孩|童|\d))"
)
_INTRODUCED = re.compile(
    rf"(?:(?:姓名|联系人|大名|小名|乳名|昵称|署名|签名|签字)[ ]*[:是为叫]|我叫|名叫|[大小乳]名(?![ :是为叫鼎])|名字是|名字叫|孩子叫|宝宝叫|儿子叫|女儿叫)"
    rf"[ ]*(?P<name>{_H}{{2,4}})(?=[，,。；;、！!  \n（(]|今年|[大小乳]名|$|\d)"
)
_KIN = re.compile(
    rf"(?:姓名[ ]+|(?:监护人|家属)[ ]*:[ ]*)(?P<name>(?:{_DOUBLE}){_H}{{1,2}}|{_SURNAME}{_H}{{1,2}})(?=[，,。；;、  \n（(]|$)"
    rf"|(?:患儿|[父母]亲|爸爸|妈妈)[ ]*:[ ]*(?P<full>(?:{_DOUBLE}){_H}{{1,2}}|{_SURNAME}{_H}{{2}})(?=[，,。；;、  \n（(]|$)"
    rf"|我是(?P<whose>(?:{_DOUBLE}){_H}{{1,2}}?|{_SURNAME}{_H}{{1,2}}?)的?(?:妈妈|爸爸|母亲|父亲|家属|家长)"
)
_CHILD_OF = re.compile(
    rf"(?:儿子|女儿|闺女|孩子|小孩|宝宝|宝贝|孙子|孙女|外孙|侄子|侄女|弟弟|妹妹)(?P<name>(?:{_DOUBLE}){_H}{{1,2}}|{_SURNAME}{_H}{{1,2}})"
    r"(?=[，, ]?(?:今年|现年|今天|现在)(?:已经?|刚刚?|才|快|满)?[0-9一二两三四五六七八九十]{1,3}个?多?半?(?:周?岁|月))"
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


def _called_name(before: str, lonely: bool) -> int:
    """How many characters at the end of ``before`` are the name of the person addressed; 0 for none."""
    for length in (4, 3, 2):
        word, ahead = before[-length:], before[:-length]
        if len(word) < length or (word[0] == "于" and ahead.endswith(_BEFORE_TO)):
            continue
        if word in NOT_NAMES or (length == 2 and word[-1] in "科级地何"):
            return 0
        if word[0] == "谢" and ahead.endswith(("谢", "感")):
            continue
        if _is_name(word) and (not ahead or ahead[-1] in _BEFORE_NAME):
            return length
    if lonely and before[-2:] in DOUBLE_SURNAMES and (len(before) == 2 or before[-3] in _BEFORE_NAME):
        return 2
    last, ahead = before[-1], before[:-1]
    if lonely and last in SURNAMES and last not in _LONELY_NO and (not ahead or ahead[-1] in _BEFORE_NAME):
        return 1
    return 0


def _names(flat: str) -> Iterator[tuple[int, int, str]]:
    for pattern in (_TITLED, _CALLED):
        for match in pattern.finditer(flat):
            before = match["before"]
            length = _called_name(before, lonely=True)
            edge = match.start("before") > 0 and len(before) == 4 and length == 4
            if length and not edge:
                yield match.end() - length, match.end(), NAME
    for match in _SEXED.finditer(flat):
        if _is_name(match["name"]) or "某" in match["name"]:
            yield (*match.span("name"), NAME)
    for match in _INTRODUCED.finditer(flat):
        yield (*match.span("name"), NAME)
    for match in _KIN.finditer(flat):
        group = match.lastgroup or "name"
        if _is_name(match[group]) and not _MEDICAL & set(match[group][1:]):
            yield (*match.span(group), NAME)
    for pattern in (_CHILD_OF, _AFTER_TITLE):
        for match in pattern.finditer(flat):
            name = match["name"]
            leads = _LEANING - {"何"} if len(name) > 2 else _LONELY_NO | _LEANING
            if _is_name(name) and name[0] not in leads and not (_MEDICAL | _ILL) & set(name[1:]):
                yield (*match.span("name"), NAME)
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
