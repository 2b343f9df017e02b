"""Which records something may be made of: about a child, current, clinical, and no front matter, list or case."""

from __future__ import annotations

import pytest

from pedcorpus.screen import DocumentNote, is_pediatric, screen, superseded
from tests.making import record

CHILD = """
宝宝8个月了，今天早上开始发烧，体温38.5度，要不要吃退烧药？
我女儿两岁半，晚上睡觉总是磨牙，是缺钙还是有虫？
新生儿出生第5天，脸和眼睛都发黄，要照蓝光吗？
孩子6岁，咳嗽半个月了，一运动就喘，是不是哮喘？
我家小孩体重12公斤，发烧能吃多少毫升的退烧药？
儿子上小学一年级，老师说他上课坐不住，是多动症吗？
小孩子拉肚子一天七八次，有点蔫，怎么补水？
四个月的宝宝可以加辅食了吗？
早产儿出院以后什么时候打疫苗？
我弟弟今年7岁，尿床还没好，要不要看医生？
外甥女三岁，脖子上摸到小疙瘩，会是淋巴结吗？
宝宝吐奶厉害，喂完就吐，是不是胃食管反流？
男，5岁，流鼻血三天，伴有低热。
女孩9岁乳房发育，是性早熟吗？
患儿，男，1岁2月，因“发热伴抽搐1次”入院。
侄子十个月大，不小心吞了一颗纽扣电池怎么办？
怀孕的时候一切正常，现在宝宝三个月，脖子歪向一边，是斜颈吗？
我产后奶水不足，宝宝两个月体重长得慢，要不要加奶粉？
奶奶带的孩子，3岁，天天喂饭还是瘦，怎么调理？
孙子一岁半还不会走路，需要检查吗？
小婴儿鼻塞，吃奶费劲怎么办？
孩子爷爷有哮喘，孩子现在5岁也老咳嗽，会遗传吗？
我家闺女4岁，屁股上长了好多红疹子，痒。
小儿肺炎支原体感染要用阿奇霉素几天？
幼儿园里有手足口病，我家宝贝要不要隔离？
儿童挑食缺锌有什么表现？
十三岁男孩长高慢，一年才长三厘米，正常吗？
12岁的女生月经来了半个月还没干净，怎么办？
刚满月的娃，肚脐眼流脓，怎么处理？
宝宝出生20天，大便绿色有泡沫，正常吗？
我儿子3岁，扁桃体老发炎，需要切掉吗？
孩子被狗咬了，要打几针狂犬疫苗？
青少年脊柱侧弯怎么锻炼？
女儿13个月，打完麻腮风疫苗后发烧，要紧吗？
产检时说胎儿肾积水，现在孩子已经1岁了，复查还有积水，要手术吗？
龙凤胎六个月，一个总比另一个轻，正常吗？
我家二宝七个月，还不会翻身。
小朋友在学校摔断了门牙，牙片要不要带去医院？
外孙五岁，晚上睡觉打呼噜张口呼吸。
双胞胎早产，现在纠正月龄4个月，头围偏小。
我小孩今年八岁，视力0.6，要配镜吗？
宝宝湿疹反复，我是母乳喂养，要忌口吗？
刚出生的小孩打嗝停不下来怎么办？
孩子1.5岁，舌头上有白膜，像鹅口疮。
小学生腹痛一周，做了B超说肠系膜淋巴结肿大。
半岁宝宝能喝蜂蜜水吗？
十一个月的男宝睾丸一大一小。
他今年4周岁，说话不清楚，是舌系带短吗？
我们家孩子身高只有95cm，今年5岁，需要打生长激素吗？
我15岁，脸上长了很多青春痘，还在长个子，能用维A酸吗？
我女儿刚上幼儿园，老是揉鼻子打喷嚏。
孩子昨天突然抽了一次，带孩子去医院做了脑电图，正常吗？
我小时候有哮喘，我儿子今年5岁，也老咳嗽，会不会遗传？
我家孩子像个小老头，七岁了身高才105厘米。
一名7天大的女婴出现呕吐和腹胀，可能是什么病？
生后三周的男婴皮肤发黄，怎么办？
过期产儿出生后五天呼吸快，是肺炎吗？
患者男，12岁，查出乙肝大三阳两年。
母亲是乙肝携带者，宝宝一出生就打了免疫球蛋白，还要查什么？
三岁男孩体检说肝功能异常。
11岁来月经以后还会长高吗？我女儿现在140厘米。
九岁的孩子眼睛老是眨，是抽动症吗？
妈妈31岁，新生儿出生后第三天黄疸偏高，怎么办？
怀孕37周生下的早产儿，新生儿期喂养要注意什么？
给6岁的孩子买了儿童用的退热贴，怀孕的妈妈能碰吗？
小儿麻痹疫苗吃完后孩子拉肚子怎么办？
我女儿11岁，想打HPV疫苗，要打几针？
""".strip().split("\n")
ADULT = """
我女儿今年30岁，怀孕两个月，感冒了能吃药吗？
备孕半年没怀上，想要个宝宝，要做什么检查？
孕妇得了水痘，对胎儿有影响吗？
怀孕35周，产检说羊水偏少，要紧吗？
我今年45岁，高血压十年，最近头晕怎么办？
剖腹产后半年，月经一直没来，正常吗？
老公乙肝大三阳，我们能要孩子吗？
我妈妈65岁，糖尿病脚肿怎么治？
结婚三年没有孩子，输卵管不通怎么办？
生完孩子以后腰疼，是月子没坐好吗？
奶奶78岁，中风后不能说话，怎么康复？
28岁男性，尿频尿急一周。
哺乳期感冒可以吃头孢吗？
我有甲亢，能生育吗，会不会遗传给下一代？
试管婴儿移植后第十天，有点出血怎么办？
产后抑郁应该看什么科？
爸爸56岁，胃镜说萎缩性胃炎，严重吗？
带孩子太累，腰椎间盘突出又犯了，怎么办？
宫颈糜烂会影响怀孕吗？
前列腺炎会影响要小孩吗？
我25岁，脸上长痘，用什么药好？
老人便秘五天没有大便，怎么办？
二胎怀孕12周，NT检查结果偏厚，怎么办？
痛风发作脚痛得走不了路，吃什么药快？
流产后多久可以同房？
我儿子35岁，转氨酶高，喝酒，要吃保肝药吗？
男朋友22岁，包皮过长要不要割？
更年期潮热出汗，能吃激素吗？
哮喘病人可以生小孩吗？
我今年32岁，二十岁的时候得过肺结核，现在咳嗽。
为了给孩子喂奶，我乳腺炎不敢吃药，怎么办？
胆结石3厘米要不要手术？
甲状腺结节4类怎么办？
丈夫30岁，弱精，吃什么能提高？
体检发现血压偏高，需要吃药吗？
我外公脑梗，昏迷两天了。
女，46岁，绝经一年，阴道出血。
颈椎病引起头晕，做什么检查？
月经推迟10天，是不是怀孕了？
孕期糖尿病怎么控制饮食？
我50岁了，孩子都上大学了，最近失眠严重怎么办？
产后42天复查，子宫恢复不好，怎么办？
我孩子刚满月，我自己痔疮出血，能用痔疮膏吗？
宝宝6个月了我还在喂奶，我感冒了能吃什么药？
儿媳妇怀孕了，可以打流感疫苗吗？
我和老公都是地中海贫血携带者，怀孕要做什么检查？
腰疼两年，生过两个孩子，是不是妇科病？
大学生，20岁，熬夜后心慌怎么办？
乙肝妈妈可以顺产吗？
想要二胎，男方需要补叶酸吗？
我女婿有高血压，能吃党参吗？
我上小学时查出乙肝，现在一直没治，会变重吗？
我大概10岁查出大三阳，现在22岁，想结婚了。
婆婆近来脸色发黄，医生说是肝硬化，怕传染给孩子。
我老公有肝炎，我们儿子已经四岁了，很担心老公的身体。
前几天去儿童医院看病，顺便量血压，说我有点高。
他脾气不好，跟个小孩子一样，最近查出高血压。
孕36周，一直蹲着上厕所，对宝宝会有影响吗？
我们边上有个女孩子，刚读大学，得了癫痫。
医生我女儿给我买了人参，高血压能吃吗？
我生孩子有两个月了，我有癫痫病，哺乳期能吃药吗？
怀孕13周，6岁的大女儿得了水痘，对胎儿有影响吗？
女，现年45，头疼头晕，血压85到140。
五六十岁的人得了糖尿病，饮食怎么安排？
一名41岁男性，小儿麻痹后遗症，近来走路更费力，怎么康复？
患者女，26岁，病理报告写着婴儿血管外皮细胞瘤，怎么治？
某男子33岁，反复低热，怀疑小儿艾滋病，该做什么检查？
产妇小周，29岁，产程停滞，胎心下降，婴儿娩出后情况怎样？
儿童用的钙片孕妇能吃吗？我怀孕五个月，小腿老抽筋。
备孕时查出宫颈高危型HPV感染，以后对小孩有影响吗？
我儿子今年24岁，从九岁起就有癫痫，能换药吗？
十九岁的大一男生，青少年时长的痘印怎么去掉？
""".strip().split("\n")


# --- who is the patient ---


@pytest.mark.parametrize("question", CHILD)
def test_a_child_is_the_patient(question: str) -> None:
    assert is_pediatric(record(kind="distilled", pair=(question, "请到医院看看。")))
    talk = [("user", question), ("assistant", "多久了？"), ("user", "两三天吧。"), ("assistant", "请到医院看看。")]
    assert is_pediatric(record(kind="conversation", turns=talk))


@pytest.mark.parametrize("question", ADULT)
def test_an_adult_is_the_patient(question: str) -> None:
    assert not is_pediatric(record(kind="distilled", pair=(question, "请带孩子和儿童用品到儿科看看。")))
    assert screen(record(kind="distilled", pair=(question, "请到医院看看。")), "pediatric", {}) == (
        "screen.not_pediatric",
        "no child named as patient",
    )
    assert screen(record(kind="distilled", pair=(question, "请到医院看看。")), "all", {}) is None


@pytest.mark.parametrize(
    ("age", "child"),
    [
        ("17岁", True),
        ("18岁", False),
        ("十七岁", True),
        ("十八岁", False),
        ("二十岁", False),
        ("三十二岁", False),
        ("一岁半", True),
        ("两岁半", True),
        ("1.5岁", True),
        ("3周岁", True),
        ("100岁", False),
        ("25 岁", False),
    ],
)
def test_age_alone_decides_where_no_word_does(age: str, child: bool) -> None:
    assert is_pediatric(record(kind="distilled", pair=(f"今年{age}，咳嗽三天了怎么办？", "多喝水。"))) is child


def test_neither_age_nor_word_is_no_child() -> None:
    assert not is_pediatric(record(kind="distilled", pair=("咳嗽三天了怎么办？", "给孩子多喝水。")))


def test_the_title_of_a_talk_and_its_department_count() -> None:
    pair = ("咳嗽三天了怎么办？", "多喝水。")
    assert is_pediatric(record(kind="distilled", pair=pair, department="儿科"))
    assert is_pediatric(record(kind="distilled", pair=pair, extra={"title": "小儿咳嗽"}))
    assert not is_pediatric(record(kind="distilled", pair=pair, department="呼吸内科", extra={"title": "咳嗽"}))


def test_a_childrens_department_does_not_make_a_child_of_who_wants_one() -> None:
    asked = "我表姐有心肌病，结婚两年一直想要个孩子，家里人都很担心。"
    assert not is_pediatric(record(kind="conversation", turns=[("user", asked)], department="儿科"))
    asked = "怀孕时查出心脏有个小洞，现在宝宝四个月了，要不要手术？"
    assert is_pediatric(record(kind="conversation", turns=[("user", asked)], department="儿科"))


@pytest.mark.parametrize(
    ("title", "path", "text", "child"),
    [
        ("儿科学", ("总论",), "血压的测量方法。", True),
        ("内科学", ("新生儿疾病",), "体温的测量方法。", True),
        ("内科学", ("高血压",), "血压的测量方法。", False),
        ("内科学", ("哮喘",), "儿童患者按体重计算。", True),
        ("非新生儿破伤风诊疗规范", ("治疗",), "破伤风的治疗原则。", False),
        ("非新生儿破伤风诊疗规范", ("治疗",), "新生儿与儿童的治疗见下。", True),
        ("孤儿药目录研究", ("前文",), "罕见病药物。", False),
    ],
)
def test_a_section_is_about_a_child_by_title_or_text(title: str, path: tuple[str, ...], text: str, child: bool) -> None:
    assert is_pediatric(record(text, title=title, path=path)) is child


def test_a_disease_of_a_graph_is_a_childs_by_name_department_or_age() -> None:
    def graph(disease: str, *triples: tuple[str, str]) -> bool:
        return is_pediatric(record(kind="knowledge_graph", disease=disease, triples=[("症状", "发热"), *triples]))

    assert graph("小儿肺炎") and graph("水痘", ("科室", "儿科")) and graph("麻疹", ("易感人群", "8个月大的孩子"))
    assert graph("某病", ("易感人群", "多见于5岁以前"))
    assert not graph("痛风", ("科室", "风湿科"), ("易感人群", "40岁以上男性"))
    assert not graph("痛风", ("症状", "儿童少见")), "what a symptom says is no audience"


# --- historic, superseded, not clinical ---


def test_historic_medicine_is_never_current() -> None:
    verdict = screen(record("小儿发热，用某汤。", era="historic", edition="1742年"), "all", {})
    assert verdict == ("screen.historic", "儿科学 (1742年)")


def test_what_a_newer_edition_replaces_is_dropped_whatever_is_selected() -> None:
    item = record("小儿发热多喝水。", document_id="old")
    assert screen(item, "all", {"old": "新版 (2025年版)"}) == ("screen.superseded", "by 新版 (2025年版)")
    assert screen(item, "pediatric", {"other": "新版"}) is None


def notes(*titles: tuple[str, str | None]) -> list[DocumentNote]:
    return [DocumentNote(f"d{n}", title, edition, n) for n, (title, edition) in enumerate(titles)]


def test_the_newest_edition_of_one_work_stays() -> None:
    found = superseded(
        notes(
            ("儿童肺炎支原体肺炎诊疗指南（2023年版）", "2023年版"),
            ("关于印发儿童肺炎支原体肺炎诊疗指南（2025年版）的通知", "2025年版"),
            ("儿童腹泻病诊疗规范（2013年版）", "2013年版"),
            ("儿童肺炎支原体肺炎诊疗指南", None),
        )
    )
    assert list(found) == ["d0"] and "2025年版" in found["d0"]


def test_years_and_ordinals_do_not_compare_and_other_works_do_not_either() -> None:
    assert superseded(notes(("儿科学", "第8版"), ("儿科学", "2018年版"))) == {}
    assert list(superseded(notes(("儿科学 第8版", "第8版"), ("儿科学 第9版", "第9版")))) == ["d0"]
    assert superseded(notes(("儿童哮喘指南（2016年版）", "2016年版"), ("儿童流感指南（2020年版）", "2020年版"))) == {}
    assert superseded(notes(("儿科学", "第9版"), ("儿科学", "第9版"))) == {}, "the same edition twice is a duplicate"


def test_a_revision_of_the_same_year_is_newer() -> None:
    found = superseded(
        notes(("流感诊疗方案（2018年版）", "2018年版"), ("流感诊疗方案（2018年版修订版）", "2018年版修订版"))
    )
    assert list(found) == ["d0"]


@pytest.mark.parametrize("title", ["国家基本医疗保险药品目录", "药品集中采购中选名单", "医疗服务价格项目"])
def test_lists_of_prices_are_no_guidance(title: str) -> None:
    verdict = screen(record("小儿用退热栓。", kind="guideline", title=title), "all", {})
    assert verdict is not None and verdict[0] == "screen.not_clinical"
    assert screen(record("小儿用退热栓。", kind="textbook", title=title), "all", {}) is None


# --- front matter, lists of names, cases ---


@pytest.mark.parametrize(
    "heading",
    [
        "目录",
        "目 录",
        "前　言",
        "一、前言",
        "编者的话",
        "【参考文献】",
        "第一章 凡例",
        "附录",
        "编写说明",
        "致谢",
        "复习思考题",
        "利益冲突：",
    ],
)
def test_front_matter_is_dropped(heading: str) -> None:
    verdict = screen(record("小儿内科学的编写经过。", path=("儿科学", heading)), "pediatric", {})
    assert verdict is not None and verdict[0] == "screen.front_matter"


@pytest.mark.parametrize("heading", ["前驱期", "目赤", "参考值", "附：流脑", "编码规则", "导管护理", "后遗症"])
def test_headings_that_only_begin_like_front_matter_stay(heading: str) -> None:
    assert screen(record("小儿的表现如下所述。", path=("儿科学", heading)), "pediatric", {}) is None


def test_contents_and_lists_of_names_are_seen_without_a_heading() -> None:
    contents = "第一章 新生儿……………… 1\n第二章 呼吸……………… 23\n第三章 消化……………… 45"
    assert screen(record(contents, title="儿科学"), "all", {}) == ("screen.front_matter", "a table of contents")
    names = "组长：[姓名]\n组员：[姓名]、[姓名]、[姓名]、[姓名]"
    assert screen(record(names), "all", {}) == ("screen.front_matter", "a list of names")
    told = (
        "[姓名]的孩子咳嗽三天，" * 2
        + "[姓名]医生说多喝水，注意休息，观察体温和精神，三天不退要复诊，加重就去急诊。" * 2
    )
    assert screen(record(told), "all", {}) is None, "names in a text are no list"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("肺炎", "典型病例"), "咳嗽三天。"),
        (("肺炎", "病案举例"), "咳嗽三天。"),
        (("肺炎", "医案"), "咳嗽三天。"),
        (("肺炎",), "例1：男孩，3岁，咳嗽三天入院。"),
        (("肺炎",), "病例：男孩，3岁，咳嗽三天入院。"),
        (("肺炎",), "[姓名]，男，3岁，咳嗽三天入院。"),
        (("肺炎",), "住院号：[编号]，咳嗽三天入院。"),
    ],
)
def test_the_history_of_one_patient_is_dropped(path: tuple[str, ...], text: str) -> None:
    verdict = screen(record(text, path=path), "all", {})
    assert verdict is not None and verdict[0] == "screen.case_history"


@pytest.mark.parametrize("text", ["例如咳嗽、流涕。", "病例定义：有接触史者。", "举例来说，一岁的孩子每天喝奶两三次。"])
def test_an_example_is_no_case(text: str) -> None:
    assert screen(record(text, path=("肺炎", "诊断")), "all", {}) is None


def test_talks_are_never_cases() -> None:
    pair = ("[姓名]，男，3岁，咳嗽三天怎么办？", "多喝水。")
    assert screen(record(kind="distilled", pair=pair), "pediatric", {}) is None


def test_the_first_reason_counts() -> None:
    item = record("例1：男孩咳嗽。", path=("前言", "医案"), era="historic", document_id="old", title="内科学")
    assert [
        verdict[0]
        for verdict in (
            screen(item, "pediatric", {"old": "新版"}),
            screen(record(item.text, path=item.section_path, document_id="old"), "pediatric", {"old": "新版"}),
            screen(record(item.text, path=item.section_path), "pediatric", {}),
            screen(record(item.text, path=("医案",)), "pediatric", {}),
        )
        if verdict
    ] == ["screen.historic", "screen.superseded", "screen.front_matter", "screen.case_history"]
