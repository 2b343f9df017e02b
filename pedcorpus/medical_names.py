"""Names of drugs and diseases, what names are made of, and how they are spelled and found.

The lists are in folded, simplified form (`spelled`). They are what a build knows before it has read a source.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

from pedcorpus.records import RawRecord
from pedcorpus.text import HAN, INVISIBLE, fold
from pedcorpus.topics import looks_like_disease

DRUGS = frozenset(
    # antibiotics, antivirals, antifungals, antiparasitics
    "青霉素 苄星青霉素 普鲁卡因青霉素 苯唑西林 氯唑西林 双氯西林 氟氯西林 氨苄西林 氨苄西林舒巴坦 阿莫西林 阿莫西林克拉维酸 阿莫西林克拉维酸钾 哌拉西林 哌拉西林他唑巴坦 美洛西林 阿洛西林 "
    "替卡西林 头孢氨苄 头孢唑林 头孢拉定 头孢羟氨苄 头孢呋辛 头孢呋辛酯 头孢克洛 头孢丙烯 头孢噻肟 头孢曲松 头孢他啶 头孢哌酮 头孢哌酮舒巴坦 头孢克肟 头孢地尼 头孢泊肟 头孢泊肟酯 头孢妥仑 "
    "头孢吡肟 头孢西丁 头孢美唑 头孢唑肟 头孢硫脒 头孢替安 头孢米诺 拉氧头孢 氨曲南 亚胺培南 美罗培南 厄他培南 帕尼培南 法罗培南 红霉素 罗红霉素 琥乙红霉素 依托红霉素 硬脂酸红霉素 克拉霉素 阿奇霉素 "
    "乙酰螺旋霉素 螺旋霉素 麦迪霉素 乙酰麦迪霉素 交沙霉素 吉他霉素 林可霉素 克林霉素 庆大霉素 链霉素 卡那霉素 新霉素 妥布霉素 阿米卡星 丁胺卡那霉素 奈替米星 依替米星 大观霉素 氯霉素 四环素 土霉素 多西环素 米诺环素 "
    "替加环素 万古霉素 去甲万古霉素 替考拉宁 利奈唑胺 达托霉素 磷霉素 多黏菌素 夫西地酸 莫匹罗星 利福平 利福喷丁 利福昔明 异烟肼 吡嗪酰胺 乙胺丁醇 贝达喹啉 磺胺嘧啶 磺胺甲恶唑 复方磺胺甲恶唑 复方新诺明 甲氧苄啶 "
    "柳氮磺吡啶 呋喃妥因 呋喃唑酮 小檗碱 黄连素 诺氟沙星 氧氟沙星 左氧氟沙星 环丙沙星 莫西沙星 加替沙星 妥舒沙星 甲硝唑 替硝唑 奥硝唑 氟康唑 伊曲康唑 伏立康唑 泊沙康唑 酮康唑 克霉唑 咪康唑 联苯苄唑 特比萘芬 制霉菌素 "
    "两性霉素b 卡泊芬净 米卡芬净 灰黄霉素 氟胞嘧啶 阿苯达唑 甲苯达唑 左旋咪唑 吡喹酮 氯喹 羟氯喹 伯氨喹 奎宁 青蒿素 青蒿琥酯 蒿甲醚 双氢青蒿素 乙胺嘧啶 双碘喹啉 噻嘧啶 哌嗪 伊维菌素 恩波吡维铵 氯硝柳胺 "
    "奥司他韦 扎那米韦 帕拉米韦 玛巴洛沙韦 法维拉韦 阿比多尔 金刚烷胺 金刚乙胺 利巴韦林 病毒唑 阿昔洛韦 伐昔洛韦 更昔洛韦 缬更昔洛韦 泛昔洛韦 膦甲酸钠 拉米夫定 恩替卡韦 替诺福韦 齐多夫定 阿巴卡韦 奈韦拉平 依非韦伦 "
    "洛匹那韦 利托那韦 奈玛特韦 阿兹夫定 莫诺拉韦 干扰素 达菲 瑞乐沙 希舒美 美满霉素 "
    "阿莫仙 罗氏芬 舒普深 泰能 "
    # fever, pain, allergy, airway
    "托恩 快克 感康 易蒙停 "
    "布洛芬 右布洛芬 对乙酰氨基酚 扑热息痛 阿司匹林 赖氨匹林 尼美舒利 萘普生 双氯芬酸 吲哚美辛 安乃近 氨基比林 安替比林 保泰松 美洛昔康 塞来昔布 酮咯酸 吗啡 哌替啶 芬太尼 舒芬太尼 瑞芬太尼 可待因 曲马多 丁丙诺啡 "
    "纳洛酮 美林 泰诺林 泰诺 百服宁 氯苯那敏 扑尔敏 苯海拉明 异丙嗪 非那根 赛庚啶 酮替芬 西替利嗪 左西替利嗪 氯雷他定 地氯雷他定 非索非那定 依巴斯汀 奥洛他定 氮卓斯汀 羟嗪 孟鲁司特 扎鲁司特 色甘酸钠 右美沙芬 喷托维林 咳必清 "
    "福尔可定 氨溴索 溴己新 乙酰半胱氨酸 羧甲司坦 愈创甘油醚 愈创木酚甘油醚 桉柠蒎 沐舒坦 伪麻黄碱 麻黄碱 羟甲唑啉 赛洛唑啉 萘甲唑啉 氨茶碱 茶碱 二羟丙茶碱 多索茶碱 沙丁胺醇 左沙丁胺醇 舒喘灵 特布他林 丙卡特罗 班布特罗 妥洛特罗 福莫特罗 沙美特罗 "
    "异丙托溴铵 噻托溴铵 布地奈德 普米克 普米克令舒 氟替卡松 丙酸氟替卡松 沙美特罗替卡松 糠酸莫米松 莫米松 倍氯米松 丙酸倍氯米松 奥马珠单抗 小儿氨酚黄那敏 氨酚烷胺 小儿氨酚烷胺 氨酚黄那敏 氨金黄敏 优卡丹 好娃娃 仁和可立克 "
    "顺尔宁 希刻劳 开瑞坦 仙特明 信必可 辅舒良 世福素 雷诺考特 万托林 爱全乐 可必特 再林 艾畅 护彤 惠菲宁 易坦静 莱特灵 阿奇 氨溴特罗 小儿伪麻美芬 美敏伪麻 布地奈德福莫特罗 复方异丙托溴铵 氯化铵 碘化钾 雄黄 硼砂 "
    # hormones, immune
    "地塞米松 倍他米松 泼尼松 强的松 泼尼松龙 强的松龙 甲泼尼龙 甲基泼尼松龙 甲强龙 氢化可的松 可的松 氟氢可的松 曲安奈德 曲安西龙 地奈德 卤米松 丁酸氢化可的松 胰岛素 生长激素 重组人生长激素 左甲状腺素 左甲状腺素钠 优甲乐 甲状腺素 甲巯咪唑 他巴唑 "
    "丙硫氧嘧啶 去氨加压素 弥凝 加压素 垂体后叶素 催产素 缩宫素 胰高血糖素 二甲双胍 格列本脲 奥曲肽 曲普瑞林 亮丙瑞林 戈舍瑞林 绒毛膜促性腺激素 睾酮 雌二醇 黄体酮 甲地孕酮 来曲唑 促肾上腺皮质激素 环孢素 他克莫司 吡美莫司 西罗莫司 吗替麦考酚酯 霉酚酸酯 环磷酰胺 甲氨蝶呤 "
    "硫唑嘌呤 巯嘌呤 长春新碱 长春地辛 柔红霉素 多柔比星 阿糖胞苷 门冬酰胺酶 培门冬酶 依托泊苷 顺铂 卡铂 放线菌素d 博来霉素 羟基脲 利妥昔单抗 英夫利昔单抗 英夫利西单抗 阿达木单抗 依那西普 托珠单抗 托法替布 芦可替尼 伊马替尼 度普利尤单抗 帕利珠单抗 尼塞韦单抗 免疫球蛋白 丙种球蛋白 "
    "人免疫球蛋白 静注人免疫球蛋白 破伤风抗毒素 破伤风人免疫球蛋白 白喉抗毒素 乙肝免疫球蛋白 狂犬病免疫球蛋白 转移因子 胸腺肽 匹多莫德 脾氨肽 泛福舒 细菌溶解产物 沙利度胺 秋水仙碱 青霉胺 二巯丙醇 二巯丁二酸 依地酸钙钠 去铁胺 去铁酮 地拉罗司 亚甲蓝 "
    "甘精胰岛素 门冬胰岛素 赖脯胰岛素 地特胰岛素 德谷胰岛素 谷赖胰岛素 来氟米特 异维a酸 "
    # nerves
    "地西泮 安定 劳拉西泮 硝西泮 氯硝西泮 氯巴占 咪达唑仑 艾司唑仑 阿普唑仑 三唑仑 苯巴比妥 鲁米那 戊巴比妥 硫喷妥钠 水合氯醛 苯妥英 苯妥英钠 丙戊酸 丙戊酸钠 德巴金 卡马西平 奥卡西平 左乙拉西坦 开浦兰 拉莫三嗪 托吡酯 妥泰 氨己烯酸 拉考沙胺 唑尼沙胺 吡仑帕奈 乙琥胺 加巴喷丁 普瑞巴林 氯丙嗪 奋乃静 氟哌啶醇 硫必利 泰必利 "
    "阿立哌唑 利培酮 奥氮平 氯氮平 喹硫平 可乐定 胍法辛 哌甲酯 专注达 利他林 托莫西汀 择思达 舍曲林 氟西汀 氟伏沙明 帕罗西汀 西酞普兰 艾司西酞普兰 丙咪嗪 阿米替林 氯米帕明 丁螺环酮 碳酸锂 苯海索 安坦 巴氯芬 金刚烷 左旋多巴 新斯的明 溴吡斯的明 吡拉西坦 胞磷胆碱 脑活素 奥拉西坦 氯胺酮 丙泊酚 右美托咪定 依托咪酯 七氟烷 "
    "氟桂利嗪 尼莫地平 舒马普坦 甘露醇 阿托品 山莨菪碱 654-2 东莨菪碱 琥珀胆碱 维库溴铵 罗库溴铵 利多卡因 布比卡因 罗哌卡因 普鲁卡因 丁卡因 "
    "咖啡因 枸橼酸咖啡因 司替戊醇 诺西那生 诺西那生钠 利司扑兰 "
    # heart, blood, kidney
    "肾上腺素 去甲肾上腺素 异丙肾上腺素 去氧肾上腺素 多巴胺 多巴酚丁胺 米力农 左西孟旦 地高辛 西地兰 去乙酰毛花苷 毛花苷丙 呋塞米 速尿 氢氯噻嗪 双氢克尿噻 螺内酯 安体舒通 托拉塞米 布美他尼 托伐普坦 乙酰唑胺 卡托普利 依那普利 贝那普利 培哚普利 赖诺普利 氯沙坦 缬沙坦 厄贝沙坦 硝苯地平 氨氯地平 尼卡地平 维拉帕米 地尔硫卓 普萘洛尔 心得安 "
    "美托洛尔 阿替洛尔 艾司洛尔 卡维地洛 拉贝洛尔 噻吗洛尔 胺碘酮 普罗帕酮 心律平 腺苷 三磷酸腺苷 美西律 索他洛尔 硝普钠 硝酸甘油 硝酸异山梨酯 酚妥拉明 酚苄明 肼屈嗪 哌唑嗪 西地那非 波生坦 安立生坦 曲前列尼尔 前列地尔 伊洛前列素 曲美他嗪 磷酸肌酸 磷酸肌酸钠 果糖二磷酸钠 辅酶q10 辅酶a 肝素 低分子肝素 低分子量肝素 依诺肝素 华法林 利伐沙班 "
    "达比加群 双嘧达莫 潘生丁 氯吡格雷 尿激酶 链激酶 阿替普酶 酚磺乙胺 止血敏 氨甲环酸 氨甲苯酸 氨基己酸 凝血酶 血凝酶 巴曲酶 凝血因子viii 凝血酶原复合物 鱼精蛋白 艾曲泊帕 罗米司亭 促红细胞生成素 重组人促红素 粒细胞集落刺激因子 硫酸亚铁 富马酸亚铁 琥珀酸亚铁 葡萄糖酸亚铁 右旋糖酐铁 蔗糖铁 多糖铁复合物 叶酸 亚叶酸钙 甲钴胺 腺苷钴胺 白蛋白 人血白蛋白 阿托伐他汀 辛伐他汀 别嘌醇 非布司他 "
    "乌拉地尔 甲基多巴 吲达帕胺 乌司他丁 "
    # gut, fluids, vitamins
    "蒙脱石散 蒙脱石 思密达 消旋卡多曲 洛哌丁胺 鞣酸蛋白 益生菌 双歧杆菌 布拉氏酵母菌 酪酸梭菌 枯草杆菌二联活菌 双歧杆菌三联活菌 双歧杆菌四联活菌 地衣芽孢杆菌 妈咪爱 金双歧 培菲康 整肠生 亿活 乳酶生 多酶片 胰酶 乳糖酶 口服补液盐 多潘立酮 吗丁啉 西沙必利 甲氧氯普胺 胃复安 昂丹司琼 格拉司琼 奥美拉唑 兰索拉唑 泮托拉唑 "
    "雷贝拉唑 艾司奥美拉唑 埃索美拉唑 西咪替丁 雷尼替丁 法莫替丁 硫糖铝 铝碳酸镁 枸橼酸铋钾 胶体果胶铋 次水杨酸铋 氢氧化铝 碳酸氢钠 小苏打 乳果糖 聚乙二醇 开塞露 甘油 酚酞 番泻叶 液体石蜡 硫酸镁 西甲硅油 美沙拉嗪 熊去氧胆酸 考来烯胺 消胆胺 谷胱甘肽 还原型谷胱甘肽 葡醛内酯 联苯双酯 甘草酸二铵 复方甘草酸苷 门冬氨酸钾镁 门冬氨酸鸟氨酸 精氨酸 生长抑素 "
    "葡萄糖 氯化钠 生理盐水 氯化钾 氯化钙 葡萄糖酸钙 碳酸钙 乳酸钙 林格液 乳酸林格液 右旋糖酐 羟乙基淀粉 脂肪乳 复方氨基酸 硫酸锌 葡萄糖酸锌 甘草锌 枸橼酸锌 枸橼酸钾 枸橼酸钠 维生素a 维生素b1 维生素b2 维生素b6 维生素b12 维生素c 维生素d 维生素d2 维生素d3 维生素e 维生素k 维生素k1 维生素ad 骨化三醇 阿法骨化醇 鱼肝油 伊可新 左卡尼汀 肌苷 复合维生素b 烟酰胺 辅酶 牛磺酸 赖氨酸 "
    # skin, eyes, poisons
    "炉甘石洗剂 炉甘石 氧化锌 红霉素软膏 百多邦 硼酸 高锰酸钾 碘伏 碘酊 酒精 乙醇 双氧水 过氧化氢 硫磺软膏 林旦 克罗米通 苄氯菊酯 水杨酸 尿素 硝酸银 龙胆紫 甲紫 利凡诺 依沙吖啶 呋喃西林 妥布霉素地塞米松 氯己定 苯扎氯铵 开喉剑 色甘萘甲那敏 碘解磷定 氯解磷定 解磷定 阿扑吗啡 活性炭 药用炭 氟马西尼 乙酰胺 亚硝酸钠 硫代硫酸钠 抗蛇毒血清 新洁尔灭 "
    # patent medicines
    "板蓝根 小柴胡 清开灵 双黄连 连花清瘟 蒲地蓝 蒲地蓝消炎 抗病毒口服液 热毒宁 痰热清 喜炎平 炎琥宁 穿琥宁 莲必治 鱼腥草 柴胡注射液 小儿柴桂退热 小儿豉翘清热 豉翘清热 小儿肺热咳喘 肺热咳喘 小儿消积止咳 小儿咳喘灵 金振口服液 急支糖浆 川贝枇杷膏 蛇胆川贝 养阴清肺膏 止咳糖浆 玉屏风 玉屏风散 醒脾养儿 健胃消食片 健儿消食 王氏保赤丸 保和丸 启脾丸 肥儿丸 小儿七星茶 七星茶 "
    "藿香正气 藿香正气水 六神丸 安宫牛黄丸 紫雪 紫雪散 紫雪丹 至宝丹 牛黄清心丸 牛黄解毒片 牛黄镇惊丸 琥珀抱龙丸 小儿回春丹 猴枣散 保婴丹 珠珀猴枣散 一捻金 八宝惊风散 茵栀黄 丁桂儿脐贴 六味地黄丸 补中益气丸 参苓白术散 四磨汤 双料喉风散 西瓜霜 开喉剑喷雾剂 锡类散 冰硼散 云南白药 速效救心丸 丹参 复方丹参 参麦注射液 生脉散 生脉注射液 生脉饮 参附注射液 醒脑静 "
    # formulas
    "麻黄汤 桂枝汤 葛根汤 银翘散 桑菊饮 麻杏石甘汤 麻杏甘石汤 小青龙汤 大青龙汤 射干麻黄汤 苏子降气汤 三子养亲汤 定喘汤 葶苈大枣泻肺汤 清气化痰汤 二陈汤 六君子汤 四君子汤 异功散 香砂六君子汤 理中汤 理中丸 附子理中汤 葛根芩连汤 葛根黄芩黄连汤 白头翁汤 七味白术散 平胃散 藿香正气散 五苓散 猪苓汤 五皮饮 越婢汤 实脾饮 真武汤 小柴胡汤 大柴胡汤 白虎汤 清营汤 犀角地黄汤 "
    "清瘟败毒饮 普济消毒饮 黄连解毒汤 凉膈散 导赤散 泻白散 泻黄散 泻青丸 龙胆泻肝汤 茵陈蒿汤 承气汤 大承气汤 小承气汤 调胃承气汤 增液汤 沙参麦冬汤 百合固金汤 养阴清肺汤 桑杏汤 清燥救肺汤 止嗽散 金沸草散 人参五味子汤 黄芪桂枝五物汤 牡蛎散 归脾汤 八珍汤 四物汤 补中益气汤 缩泉丸 菟丝子散 金匮肾气丸 左归丸 右归丸 大定风珠 羚角钩藤汤 镇惊丸 "
    "定痫丸 温胆汤 涤痰汤 桃红四物汤 血府逐瘀汤 少腹逐瘀汤 解肌透痧汤 宣毒发表汤 清解透表汤 透疹凉解汤 甘露消毒丹 六一散 新加香薷饮 王氏清暑益气汤 竹叶石膏汤 乌梅丸 使君子散 养脏汤 消乳丸 资生健脾丸 四逆汤 独参汤 参附汤 参附龙牡救逆汤 桑白皮汤 苍耳子散 辛夷散 玉女煎 清胃散 消风散 小蓟饮子 八正散 甘麦大枣汤 逍遥散 "
    # herbs that are no food
    "麻黄 桂枝 柴胡 黄芩 黄连 黄柏 大黄 石膏 知母 连翘 荆芥 防风 羌活 独活 白芷 细辛 辛夷 苍耳子 牛蒡子 蝉蜕 蝉衣 升麻 葛根 前胡 桔梗 紫菀 款冬花 百部 苏子 紫苏子 葶苈子 桑白皮 半夏 天南星 胆南星 贝母 川贝母 浙贝母 瓜蒌 竹茹 竹沥 天竺黄 僵蚕 地龙 全蝎 蜈蚣 钩藤 天麻 羚羊角 石决明 牡蛎 龙骨 磁石 朱砂 琥珀 远志 酸枣仁 石菖蒲 郁金 麝香 冰片 牛黄 水牛角 "
    "犀角 生地黄 熟地黄 玄参 丹皮 牡丹皮 赤芍 白芍 当归 川芎 红花 桃仁 三棱 莪术 水蛭 三七 白及 仙鹤草 茜草 蒲黄 大蓟 小蓟 地榆 槐花 黄芪 党参 太子参 西洋参 白术 苍术 茯苓 甘草 沙参 麦冬 麦门冬 天冬 石斛 玉竹 五味子 乌梅 诃子 肉豆蔻 补骨脂 益智仁 桑螵蛸 菟丝子 枸杞子 山茱萸 山萸肉 杜仲 续断 牛膝 附子 肉桂 干姜 吴茱萸 木香 香附 枳实 枳壳 厚朴 "
    "槟榔 莱菔子 神曲 鸡内金 使君子 苦楝皮 雷丸 贯众 猪苓 泽泻 车前子 滑石 木通 通草 茵陈 栀子 龙胆草 夏枯草 大青叶 青黛 金银花 紫花地丁 白头翁 秦皮 苦参 白鲜皮 地肤子 土茯苓 青蒿 地骨皮 白薇 银柴胡 胡黄连 藿香 佩兰 砂仁 芒硝 番泻叶 阿胶 何首乌 鳖甲 龟板 浮小麦 麻黄根 白茅根 芦根 侧柏叶 "
    "acetaminophen paracetamol ibuprofen aspirin epinephrine adrenaline norepinephrine dexamethasone prednisone prednisolone methylprednisolone hydrocortisone budesonide salbutamol albuterol montelukast oseltamivir "
    "risperidone haloperidol fluoxetine clonidine tramadol promethazine dextromethorphan linezolid chloramphenicol tylenol motrin advil augmentin "
    "calpol nurofen oxycodone caffeine melatonin methylphenidate atomoxetine sertraline lamotrigine topiramate amphotericin metformin spironolactone propranolol "
    "zanamivir baloxavir acyclovir ganciclovir ribavirin diazepam lorazepam midazolam phenobarbital phenytoin valproate levetiracetam carbamazepine insulin heparin warfarin furosemide mannitol digoxin dopamine dobutamine morphine codeine fentanyl ketamine "
    "vancomycin gentamicin amikacin tetracycline doxycycline rifampicin rifampin isoniazid metronidazole ivermectin loperamide ondansetron domperidone zinc atropine naloxone immunoglobulin methotrexate cyclophosphamide cyclosporine rituximab infliximab cetirizine loratadine chlorpheniramine diphenhydramine".split()
)  # fmt: skip
"""Generic names, the best known brands, formulas and herbs. Herbs that are eaten as food are left out."""

DISEASES = frozenset(
    "肺炎 支气管肺炎 大叶性肺炎 间质性肺炎 支原体肺炎 肺炎支原体肺炎 衣原体肺炎 病毒性肺炎 细菌性肺炎 腺病毒肺炎 吸入性肺炎 新生儿肺炎 重症肺炎 支气管炎 急性支气管炎 慢性支气管炎 毛细支气管炎 喘息性支气管炎 闭塞性细支气管炎 气管炎 "
    "支气管扩张 支气管扩张症 支气管哮喘 哮喘 咳嗽变异性哮喘 感冒 普通感冒 流行性感冒 流感 副流感 上呼吸道感染 急性上呼吸道感染 下呼吸道感染 咽炎 扁桃体炎 化脓性扁桃体炎 喉炎 急性喉炎 会厌炎 咽喉炎 咽峡炎 疱疹性咽峡炎 咽结膜热 鼻炎 过敏性鼻炎 变应性鼻炎 鼻窦炎 "
    "腺样体肥大 中耳炎 化脓性中耳炎 外耳道炎 胸膜炎 脓胸 气胸 肺脓肿 肺不张 肺气肿 肺水肿 肺出血 肺动脉高压 肺栓塞 呼吸衰竭 呼吸窘迫综合征 急性呼吸窘迫综合征 胎粪吸入综合征 支气管肺发育不良 肺透明膜病 结核 肺结核 结核病 结核性脑膜炎 粟粒性肺结核 原发综合征 淋巴结核 百日咳 副百日咳 白喉 猩红热 "
    "麻疹 风疹 水痘 带状疱疹 幼儿急疹 手足口病 流行性腮腺炎 腮腺炎 脊髓灰质炎 小儿麻痹症 小儿麻痹 登革热 出血热 流行性出血热 伤寒 副伤寒 霍乱 菌痢 细菌性痢疾 中毒性菌痢 痢疾 阿米巴痢疾 流行性脑脊髓膜炎 流脑 流行性乙型脑炎 乙脑 狂犬病 破伤风 新生儿破伤风 疟疾 血吸虫病 黑热病 钩端螺旋体病 "
    "艾滋病 梅毒 先天性梅毒 传染性单核细胞增多症 传单 巨细胞病毒感染 先天性巨细胞病毒感染 弓形虫病 新型冠状病毒感染 新冠 新冠肺炎 诺如病毒感染 轮状病毒肠炎 病毒性肝炎 甲型肝炎 乙型肝炎 丙型肝炎 戊型肝炎 甲肝 乙肝 丙肝 猫抓病 败血症 脓毒症 脓毒性休克 感染性休克 菌血症 新生儿败血症 "
    "脑炎 病毒性脑炎 脑膜炎 化脓性脑膜炎 病毒性脑膜炎 脑膜脑炎 脑脓肿 脑病 缺氧缺血性脑病 肺性脑病 肝性脑病 胆红素脑病 核黄疸 脑水肿 脑疝 脑积水 脑瘫 脑性瘫痪 癫痫 癫痫持续状态 婴儿痉挛症 婴儿痉挛 热性惊厥 高热惊厥 颅内出血 蛛网膜下腔出血 脑出血 脑梗死 脑梗塞 脑血管病 脑卒中 脑炎后遗症 格林巴利综合征 "
    "吉兰巴雷综合征 急性播散性脑脊髓炎 重症肌无力 脊髓炎 脊髓性肌萎缩症 进行性肌营养不良 肌营养不良 周围性面瘫 面神经炎 抽动症 抽动障碍 抽动秽语综合征 多动症 注意缺陷多动障碍 孤独症 自闭症 孤独症谱系障碍 精神发育迟滞 智力低下 智力障碍 抑郁症 焦虑症 强迫症 精神分裂症 遗尿症 夜惊 学习障碍 语言发育迟缓 "
    "先天性心脏病 先心病 室间隔缺损 房间隔缺损 动脉导管未闭 法洛四联症 法乐四联症 肺动脉狭窄 主动脉缩窄 大动脉转位 大血管错位 心肌炎 病毒性心肌炎 心肌病 扩张型心肌病 肥厚型心肌病 限制型心肌病 心内膜炎 感染性心内膜炎 心内膜弹力纤维增生症 心包炎 心包积液 心力衰竭 心衰 充血性心力衰竭 心律失常 心动过速 室上性心动过速 阵发性室上性心动过速 "
    "房室传导阻滞 房颤 心房颤动 风湿热 风湿性心脏病 风心病 肺源性心脏病 肺心病 冠心病 高血压 低血压 川崎病 冠状动脉瘤 心源性休克 过敏性休克 低血容量性休克 高血压脑病 肾炎 肾小球肾炎 急性肾小球肾炎 急性肾炎 慢性肾炎 肾病综合征 肾病 肾盂肾炎 泌尿道感染 泌尿系感染 尿路感染 膀胱炎 紫癜性肾炎 iga肾病 狼疮性肾炎 肾衰竭 急性肾衰竭 "
    "慢性肾衰竭 急性肾损伤 尿毒症 溶血尿毒综合征 肾积水 肾结石 肾小管酸中毒 尿崩症 肾母细胞瘤 尿道炎 尿道下裂 包茎 隐睾 鞘膜积液 睾丸扭转 睾丸炎 包皮龟头炎 阴道炎 外阴炎 外阴阴道炎 贫血 缺铁性贫血 营养性缺铁性贫血 巨幼细胞性贫血 巨幼细胞贫血 再生障碍性贫血 溶血性贫血 自身免疫性溶血性贫血 地中海贫血 蚕豆病 "
    "g6pd缺乏症 葡萄糖-6-磷酸脱氢酶缺乏症 遗传性球形红细胞增多症 血友病 血小板减少 血小板减少性紫癜 免疫性血小板减少症 特发性血小板减少性紫癜 过敏性紫癜 弥散性血管内凝血 白血病 急性白血病 急性淋巴细胞白血病 急性髓系白血病 淋巴瘤 霍奇金淋巴瘤 非霍奇金淋巴瘤 神经母细胞瘤 视网膜母细胞瘤 朗格汉斯细胞组织细胞增生症 噬血细胞综合征 "
    "噬血细胞性淋巴组织细胞增生症 骨肉瘤 横纹肌肉瘤 肝母细胞瘤 脑瘤 血管瘤 淋巴管瘤 肿瘤 恶性肿瘤 癌症 肝癌 胃癌 肺癌 宫颈癌 中性粒细胞减少症 粒细胞减少症 维生素k缺乏 维生素k缺乏性出血症 新生儿出血症 新生儿溶血病 新生儿黄疸 病理性黄疸 生理性黄疸 母乳性黄疸 胆道闭锁 先天性胆道闭锁 胆总管囊肿 胆囊炎 胆石症 胆道蛔虫病 "
    "新生儿窒息 新生儿硬肿症 硬肿症 新生儿寒冷损伤综合征 坏死性小肠结肠炎 新生儿坏死性小肠结肠炎 脐炎 脐疝 腹股沟疝 鹅口疮 口腔炎 口炎 疱疹性口炎 溃疡性口炎 牙龈炎 龋齿 舌系带过短 食管炎 胃食管反流 胃食管反流病 胃炎 慢性胃炎 胃溃疡 消化性溃疡 十二指肠溃疡 上消化道出血 消化道出血 肠炎 胃肠炎 急性胃肠炎 诺如病毒胃肠炎 结肠炎 溃疡性结肠炎 克罗恩病 "
    "炎症性肠病 阑尾炎 急性阑尾炎 腹膜炎 肠套叠 肠梗阻 肠扭转 先天性巨结肠 巨结肠 幽门狭窄 先天性肥厚性幽门狭窄 肛裂 肛周脓肿 脱肛 直肠息肉 肠息肉 痔疮 肠系膜淋巴结炎 胰腺炎 急性胰腺炎 肝炎 肝硬化 脂肪肝 肝衰竭 肝豆状核变性 肝脓肿 婴儿肝炎综合征 乳糖不耐受 牛奶蛋白过敏 食物过敏 乳糜泻 婴儿肠绞痛 肠绞痛 功能性消化不良 消化不良 功能性便秘 肠易激综合征 "
    "小儿腹泻病 腹泻病 秋季腹泻 蛔虫病 蛲虫病 钩虫病 绦虫病 囊虫病 姜片虫病 营养不良 蛋白质-能量营养不良 佝偻病 维生素d缺乏性佝偻病 维生素d缺乏性手足搐搦症 手足搐搦症 维生素a缺乏症 坏血病 脚气病 单纯性肥胖 肥胖症 锌缺乏症 碘缺乏病 克汀病 糖尿病 1型糖尿病 2型糖尿病 糖尿病酮症酸中毒 酮症酸中毒 低血糖症 低血糖 高血糖 甲状腺功能亢进 甲状腺功能亢进症 甲亢 "
    "甲状腺功能减退 甲状腺功能减退症 甲减 先天性甲状腺功能减退症 甲状腺炎 生长激素缺乏症 矮小症 性早熟 中枢性性早熟 真性性早熟 乳房早发育 特纳综合征 先天性肾上腺皮质增生症 肾上腺皮质功能减退 苯丙酮尿症 糖原累积病 黏多糖病 甲基丙二酸血症 半乳糖血症 唐氏综合征 21三体综合征 先天愚型 脆性x综合征 软骨发育不全 成骨不全 染色体病 低钠血症 高钠血症 低钾血症 高钾血症 低钙血症 "
    "高钙血症 低镁血症 代谢性酸中毒 代谢性碱中毒 呼吸性酸中毒 呼吸性碱中毒 酸中毒 碱中毒 低蛋白血症 高脂血症 高胆红素血症 痛风 类风湿关节炎 幼年特发性关节炎 类风湿性关节炎 关节炎 化脓性关节炎 滑膜炎 髋关节滑膜炎 骨髓炎 系统性红斑狼疮 红斑狼疮 皮肌炎 硬皮病 强直性脊柱炎 免疫缺陷病 原发性免疫缺陷病 联合免疫缺陷 慢性肉芽肿病 先天性髋关节脱位 发育性髋关节发育不良 "
    "先天性马蹄内翻足 斜颈 先天性肌性斜颈 脊柱侧弯 脊柱侧凸 扁平足 骨折 颅骨骨折 桡骨小头半脱位 湿疹 特应性皮炎 异位性皮炎 脂溢性皮炎 接触性皮炎 尿布皮炎 尿布疹 皮炎 荨麻疹 丘疹性荨麻疹 药疹 痱子 脓疱疮 脓疱病 黄水疮 疖 疖肿 丹毒 蜂窝织炎 疥疮 头癣 体癣 足癣 花斑癣 白癜风 银屑病 牛皮癣 鱼鳞病 多形红斑 渗出性多形红斑 史蒂文斯-约翰逊综合征 中毒性表皮坏死松解症 "
    "葡萄球菌烫伤样皮肤综合征 传染性软疣 寻常疣 扁平疣 疣 冻疮 玫瑰糠疹 血管性水肿 毛囊炎 单纯疱疹 疱疹 结膜炎 急性结膜炎 角膜炎 麦粒肿 霰粒肿 斜视 弱视 近视 远视 散光 先天性白内障 白内障 青光眼 早产儿视网膜病变 新生儿泪囊炎 泪囊炎 沙眼 听力障碍 耳聋 中暑 热射病 烧伤 烫伤 溺水 电击伤 气管异物 食物中毒 一氧化碳中毒 有机磷中毒 铅中毒 药物中毒 多器官功能障碍综合征 多器官功能衰竭 "
    "瑞氏综合征 婴儿猝死综合征 非典 非典型肺炎 动脉硬化 动脉瘤 心肌梗死 心肌梗塞 心绞痛 脑栓塞 血栓形成 深静脉血栓 休克 晕厥 惊风 急惊风 慢惊风 痫证 疳积 疳证 积滞 丹痧 痄腮 风痧 顿咳 肺炎喘嗽 奶麻 奶癣 脐风 夜啼 胎黄 疰夏 乳蛾 解颅 五迟 五软 痿证 痹证 淋证 暑温 春温 湿温 风温 秋燥 伏暑 破伤风证 多囊肾 脑震荡 心肌损害 胃肠功能紊乱 脱臼".split()
)  # fmt: skip
"""Diseases of children and what is told apart from them, with old names of them that are in use."""

NO_DISEASES = frozenset(
    "发热 发烧 高热 低热 咳嗽 咳 呕吐 恶心 腹泻 泄泻 便秘 头痛 头晕 眩晕 腹痛 腹胀 皮疹 出疹 水肿 黄疸 惊厥 抽搐 抽风 出血 脱水 乏力 胸痛 胸闷 心悸 盗汗 自汗 汗证 多汗 厌食 食欲不振 打鼾 流涕 鼻塞 鼻出血 血尿 蛋白尿 尿频 "
    "遗尿 昏迷 瘙痒 疼痛 喘息 气喘 喘嗽 喘证 肥胖 消瘦 矮小 失眠 呃逆 啼哭 感染 中毒 过敏 窒息 肿胀 呼吸困难 急症 疾病 吐泻 腹水 紫绀 发绀 杂病 吐乳 不乳 痰饮 血证 虚劳 呼吸道感染 细菌感染 病毒感染 并发症 后遗症 瘫痪 痉挛 疝气 虫痛".split()
)  # fmt: skip
"""Symptoms, signs and class words: what a graph or a heading calls a disease and what every answer may say."""

NO_DRUGS = frozenset(
    "抗生素 抗菌素 抗菌药物 抗病毒药物 激素 糖皮质激素 皮质激素 维生素 退热药 止咳药 甲状腺 矿物质 微量元素 蛋白质 氨基酸 电解质 中成药 中药 疫苗 药物 营养素 大环内酯 阴性菌 注射液 口服液".split()
)  # fmt: skip

SAME: tuple[tuple[str, ...], ...] = tuple(
    tuple(group.split("="))
    for group in (
        "对乙酰氨基酚=扑热息痛=乙酰氨基酚=acetaminophen=paracetamol 布洛芬=ibuprofen 阿司匹林=乙酰水杨酸=aspirin 地西泮=安定 苯巴比妥=鲁米那 泼尼松=强的松 泼尼松龙=强的松龙 甲泼尼龙=甲强龙=甲基泼尼松龙=甲基强的松龙 "
        "氯苯那敏=扑尔敏 异丙嗪=非那根 维生素c=抗坏血酸 小檗碱=黄连素 利巴韦林=病毒唑=三氮唑核苷 呋塞米=速尿 普萘洛尔=心得安 螺内酯=安体舒通 沙丁胺醇=舒喘灵=万托林=salbutamol=albuterol 甲氧氯普胺=胃复安 多潘立酮=吗丁啉 复方磺胺甲恶唑=复方新诺明 山莨菪碱=654-2 "
        "酚磺乙胺=止血敏 碳酸氢钠=小苏打 蒙脱石散=思密达 氢氯噻嗪=双氢克尿噻 去乙酰毛花苷=西地兰 丙种球蛋白=免疫球蛋白=静注人免疫球蛋白=人免疫球蛋白 蝉蜕=蝉衣 丹皮=牡丹皮 麦冬=麦门冬 麻杏石甘汤=麻杏甘石汤 奥司他韦=达菲=oseltamivir 肾上腺素=epinephrine=adrenaline "
        "流行性感冒=流感 流行性腮腺炎=流腮 流行性乙型脑炎=乙脑 流行性脑脊髓膜炎=流脑 甲型病毒性肝炎=甲型肝炎=甲肝 乙型病毒性肝炎=乙型肝炎=乙肝 丙型病毒性肝炎=丙型肝炎=丙肝 先天性心脏病=先心病 风湿性心脏病=风心病 肺源性心脏病=肺心病 冠状动脉粥样硬化性心脏病=冠心病 "
        "心力衰竭=心衰=心功能衰竭 肾衰竭=肾功能衰竭=肾衰 急性肾衰竭=急性肾功能衰竭 呼吸衰竭=呼衰 甲状腺功能亢进=甲亢 甲状腺功能亢进症=甲亢=甲状腺功能亢进 甲状腺功能减退=甲减 甲状腺功能减退症=甲减=甲状腺功能减退 脑性瘫痪=脑瘫 细菌性痢疾=菌痢 孤独症=自闭症 多动症=注意缺陷多动障碍=adhd 脊髓性肌萎缩症=sma "
        "抽动症=抽动障碍 脑梗死=脑梗塞 心肌梗死=心肌梗塞 特应性皮炎=异位性皮炎 过敏性鼻炎=变应性鼻炎 脊髓灰质炎=小儿麻痹症=小儿麻痹 传染性单核细胞增多症=传单 新型冠状病毒感染=新冠=新冠肺炎 唐氏综合征=21三体综合征=先天愚型 泌尿道感染=尿路感染=泌尿系感染=泌尿系统感染 上呼吸道感染=上感 "
        "哮喘=支气管哮喘 法洛四联症=法乐四联症 猩红热=丹痧 弥散性血管内凝血=弥漫性血管内凝血=dic 慢性阻塞性肺疾病=慢阻肺 白癜风=白斑风 银屑病=牛皮癣 脓疱疮=黄水疮 热性惊厥=高热惊厥 "
        "孟鲁司特=顺尔宁=montelukast 头孢克洛=希刻劳 氯雷他定=开瑞坦=loratadine 西替利嗪=仙特明=cetirizine 布地奈德福莫特罗=信必可 氟替卡松=辅舒良 头孢克肟=世福素 布地奈德=普米克=雷诺考特=budesonide 异丙托溴铵=爱全乐 "
        "复方异丙托溴铵=可必特 阿莫西林=再林 小儿伪麻美芬=艾畅 小儿氨酚黄那敏=护彤 美敏伪麻=惠菲宁 氨溴特罗=易坦静 阿奇霉素=阿奇 手足口病=手足口"
    ).split()
)  # fmt: skip
"""Names of one and the same thing."""

OTHER_BEFORE: dict[str, tuple[str, ...]] = {
    "胰岛素": ("甘精", "门冬", "赖脯", "地特", "德谷", "谷赖"),
    "麻疹": ("荨",), "伤寒": ("副",), "流感": ("副",), "流行性感冒": ("副",), "百日咳": ("副",), "气管炎": ("支",), "霍乱": ("副", "类"),
    "红霉素": ("罗",), "肾上腺素": ("去甲", "异丙", "去氧", "苯"), "可的松": ("氢化", "氟氢"), "氯雷他定": ("地",), "西替利嗪": ("左",), "布洛芬": ("右",),
    "沙丁胺醇": ("左",), "氧氟沙星": ("左",), "麻黄碱": ("伪",), "茶碱": ("氨", "羟丙", "多索"), "硝西泮": ("氯",), "万古霉素": ("去甲",), "泼尼松龙": ("甲", "甲基"), "昔洛韦": ("阿", "更", "伐", "泛"),
    "更昔洛韦": ("缬",), "奥美拉唑": ("艾司", "埃索"), "西酞普兰": ("艾司",), "卡西平": ("马", "奥"), "柴胡": ("银",), "黄连": ("胡",), "丙嗪": ("异", "氯"), "血糖": ("低", "高"), "磷定": ("碘", "氯"),
    "青霉素": ("苄星", "普鲁卡因"), "茯苓": ("土",), "肝素": ("低分子", "低分子量"), "喉炎": ("咽",), "脊髓炎": ("脑",),
}  # fmt: skip
"""What before a name makes another one of it."""

OTHER_AFTER: dict[str, tuple[str, ...]] = {
    "泼尼松": ("龙",), "强的松": ("龙",), "葡萄糖": ("酸", "-6"), "麻黄": ("碱", "根"), "流感": ("嗜血",), "流行性感冒": ("嗜血",), "金刚烷": ("胺",), "胰岛素": ("样",), "甘草": ("酸", "锌"),
    "青蒿": ("素", "琥"), "乙醇": ("胺",), "阿莫西林": ("克拉维酸", "/克拉维酸", "-克拉维酸"), "氨苄西林": ("舒巴坦", "/舒巴坦"), "哌拉西林": ("他唑巴坦", "/他唑巴坦"), "头孢哌酮": ("舒巴坦", "/舒巴坦"),
    "麻疹": ("样",), "水痘": ("样",), "川崎病": ("样",), "尿素": ("氮",), "乙酰胺": ("基",), "肺炎": ("球菌", "链球菌", "克雷伯", "衣原体", "支原体(?!肺炎)"), "甘油": ("三酯",), "辅酶": ("q", "a"),
    "多巴": ("胺", "酚"), "腺苷": ("钴",), "丹参": ("酮",),
}  # fmt: skip
"""What after a name makes another one of it."""

DRUG_STEMS = (
    "霉素 西林 沙星 洛芬 [洛那米他拉沙替巴]韦 米松 松龙 泼尼龙 替丁 拉唑 康唑 硝唑 达唑 [他那]定 [利替]嗪 西泮 唑仑 [巴苯]比妥 米星 培南 他汀 [洛托维]尔 普利 沙坦 地平 司特 特罗 奈德 替卡松 氨酚 单抗 瑞林 匹林 烷胺 溴索 司琼 昔布 西坦 "
    "韦林 他林 芬净 (?<!抗)菌素 巴坦 环素 噻嗪 咪唑 替尼 昔康 溴铵 唑胺 磺胺嘧啶 索尼 莫司 曲坦 拉明 氯铵 磷定 匹坦 格雷 沙班 必利 哌酮 卡因 乙酸钠".split()
)
"""Endings that only drugs have. Regular expressions."""

DRUG_FORMS = (
    "颗粒 口服液 口服溶液 糖浆 注射液 胶囊 软胶囊 混悬液 混悬剂 滴剂 滴丸 滴眼液 滴鼻液 滴耳液 喷雾剂 气雾剂 粉雾剂 冲剂 合剂 酏剂 乳膏 软膏 眼膏 洗剂 贴剂 栓剂 缓释片 分散片 咀嚼片 泡腾片 肠溶片 含片 "
    "(?<![分扩发消弥播驱失表疏聚浮辛气能涣溃])散(?![步发在开布热寒结风])(?!光) (?<!睾)丸(?!剂) (?<![鸡米菜鱼肉骨姜豆高清])汤(?![匙勺药剂水]) (?<![石牙唇药硬软])膏(?![药剂肓粱])".split()
)
"""What medicine is made into. Regular expressions."""

NO_PRODUCTS = frozenset(
    "口服 外用 静脉 退热 止咳 化痰 祛痰 缓释 肠溶 中药 药物 硬 软 水蜜 蜜 药 大蜜 浓缩 空心 阴道 抗生素 抗菌 雾化 吸入 服用 使用 相应 润肤 护肤 保湿 激素 抗过敏 皮质激素 皮肤 医用 儿童 小儿 维生素 复方 各种 保健 益气 "
    "红细胞 白细胞 中毒 微 脂质 嗜酸 高 分 炼蜜 为 研 捣 制 煎 米 一 服 饮 液 该 本 上 加 喝 淀粉 混合 果糖 糖 退烧 感冒 消炎 磨 药用 盐 辨证 调敷 外敷 贴 共为细末炼蜜 肉 番茄 绿豆 清 蔬菜 高浓度 营养 聚集 气雾 耗 集 离 涣 溃".split()
)
"""What may stand before a form without making a product of it."""

CUTS = frozenset(
    "的了和与或及用予给服吃在是为对把将等如以须需含有不无被并其此该这那后前中时至于由因而且但若即则也都还再更最之者所以去来使让向你您我他她它们个种些"
)
"""Characters that end what is left of a pattern's name."""

DISEASE_ENDINGS = (
    "(?<![发消抗止有无因上])炎(?![热症性夏凉]) (?<![诊战胜疾生看发患致得治防染犯毛起疫诸此该本各旧多久新重大小急慢性何无有主成初受原祛除胀类])病(?![人房情因史程毒原菌例变理痛床儿区历害态机灶位种势者]) "
    "(?<![临]床)综合征 (?<![病炎重轻急发遗应忌合对热虚实主兼变杂顽绝寒其见诸])症(?![状候型见治结]) (?<![皮出透红丘斑发白见水收现布])疹(?![子出点退透]) 瘤 癌(?!症) 结核(?!菌) (?<=[HAN])中毒(?!性) (?<=[HAN])哮喘 (?<=[HAN])惊厥 畸形 (?<!注意)缺陷 梗阻 (?<=[颅脑道肺肠内室])出血(?!性) "
    "(?<=[HAN])休克 衰竭 (?<=[HAN])贫血 癫痫 麻痹 积水 骨折 闭锁 (?<=[管脉门])狭窄 缺乏症 (?<=[HAN])紫癜 脓肿 囊肿 息肉 溃疡 硬化 梗死 梗塞 栓塞 白血病 间隔缺损 心动过速 心动过缓 传导阻滞".split()
)
"""Endings of the names of diseases. Regular expressions; HAN stands for a Chinese character."""

CLASS_DISEASES = frozenset(
    "传染病 遗传病 慢性病 常见病 多发病 皮肤病 地方病 职业病 基础病 老毛病 儿科病 富贵病 流行病 精神病 心理病 肿瘤病 眼病 内科病 怪病 百病 万病 热病 疫病 胃肠病 伤病 宿病 疑难病 夏季病 病变 过敏症 禁忌症 适应症 并发症 后遗症 合并症 "
    "危重症 危急重症 重症 炎症 急重症 综合症 综合征 溃疡 麻痹 骨折 脓肿 囊肿 息肉 积水 畸形 缺陷 梗阻 衰竭 硬化 栓塞 狭窄 梗死 梗塞 闭锁 出生缺陷 先天畸形 人病 儿病 种病 类病 些病 的病 炎 病 症 疹 瘤 癌 器质性病 器质性疾病 合征 发炎 消炎".split()
)
"""Class words and bare endings, which are no names of their own."""

MODIFIERS = frozenset(
    "急性 慢性 亚急性 重症 重型 轻型 轻症 轻度 中度 重度 中重度 急性重症 原发性 继发性 先天性 获得性 特发性 化脓性 复发性 反复 新生儿 早产儿 儿童 小儿 婴幼儿 婴儿 婴 幼儿 局部 单纯 典型 不典型".split()
)
"""Words before a disease that may stand elsewhere in the evidence."""

LEADS = frozenset(
    "一个 一些 一切 一定 一旦 一样 一直 一种 一般 三种 不 不仅 不会 不但 不像 不再 不在 不如 不属于 不常见 不得 不断 不是 不算 不能 不过 与 与此 且 两种 严重 严重的 严防 中期 临床诊断 为 为了 主治 主要 主要是 乃 之一 之前 之后 也 也叫 也称 也许 了 了解 争取 于 产生 什么 仅 仅仅 介绍 仍 仍然 从 "
    "从而 他 他们 令 以 以为 以前 以及 以往 们 任何 会 会引来 传播 传染 估计 伴 伴发 伴发了 伴有 伴随 似 似乎 但 但是 住院 作为 作用 你 你们 使 使得 使用 例如 依据 依然 促使 促发 促进 俗称 保持 保证 倘若 值得 停止 偶尔 偶有 偶见 像 像是 儿童 儿童期 允许 克服 入院 全部 共同 共存 共患 关于 "
    "关注 其 其他 其它 具备 具有 典型的 兼 再次 决定 减低 减少 减轻 几乎 几种 凡 出于 出现 出现了 出院 分为 分别 分成 列为 则 则为 刚 刚刚 创造 初期 初步诊断 判定为 判断 判断为 别把 到 到底 到达 加以 加剧 加强 加快 加速 加重 包含 包括 区分 区分开 区别 区别于 升高 即 即使 原来 参考 又 又名 又称 及 及时 "
    "及时治疗 反复 反映 反而 发作 发展为 发展到 发展成 发展至 发现 发生 发生于 受到 变为 变成 口服 另外 只 只怕 只是 只有 叫 叫作 叫做 可 可以 可引起 可是 可治 可能 可致 可见 各个 各种 各类 合并 合并了 同时 同样 名为 后期 否则 含有 听说 告知 命名为 和 哪 哪些 哪种 因 因为 因此 因而 在 在于 均 坚持 增加 处于 "
    "处理 复发 复查 复诊 外伤后 多半 多数 多种 多见 多见于 大多 大部分 夹杂 女孩 她 好像 好发 好发于 如 如何 如同 如果 如此 妈妈有 妊娠期 始终 娃 娃娃 婴儿 婴幼儿 存在 存在着 学习 孩子 它 它们 完善 完成 定为 宝宝 宝贝 害怕 家族 家族有 家里 家长 家长有 容易 密切相关的 对 对于 对抗 对症治疗 导致 将 小儿 小儿时期 小孩 小孩子 小朋友 "
    "少见 尚 尚未 尤其 就是 就算 就诊 尽可能 尽快 尽早 尽量 居然 属 属于 属于一种 已 已有 已经 希望 带来 帮助 常常 常见 常见于 常见的 平息 并 并且 并发 并发了 并存 并非 幼儿 应 应对 应当 应用 应该 延误 开始 开展 引出 引发 引发的 引起 引起的 强调 归为 归于 归入 归咎于 归因于 归类为 当作 当成 当然 形成 影响 往往 很像 "
    "很快 得 得上 得了 得了的 得到 得知 得过 必然 必要 必须 忽然 忽视 怀疑 怎么 怎样 急性期 总是 恐怕 恢复 恢复期 恶化为 患 患上 患儿 患有 患者 患者的 患过 您 想到 想起 意味 意味着 成为 我 我们 或 或者 战胜 所以 所有 所致 所致的 所谓 所谓的 手术 打 打击 找到 把 抗 抗击 护理 抵御 抵抗 担心 拒绝 拥有 持续 "
    "外涂 外用 外擦 外敷 外洗 涂 涂抹 服 服用 口含 吃 喝 注射 静滴 静脉滴注 肌注 吸入 雾化 选 选用 选择 改用 换用 停用 慎用 禁用 加用 联用 合用 配合 搭配 辅以 而成 而致 而发 酿成 铸成 化为 变作 当心 小心 慎防 留神 提示为 考虑到 想到是 怕是 恐是 按照 掌握 排查 排查有无 排除 接受 接种 控制 推荐 推进 掩盖 提供 提出 提到 提升 提示 提示有 提醒 提防 提高 携带 摆脱 支 支持 改善 改进 放弃 故 救治 无 无论 既往 既然 早期 时 明确 易 易患 易致 是 是否 是指 显得 显示 晚期 暂时 暴发 更 更加 更是 曾 曾患 曾有 曾经 最 最后 最终 有 有些 有关 "
    "有关于 有关的 有无 有时 有点像 有过 期望 期间 未 本 本病 术后 来自 来说 极为 果然 某些 查出 查到 根据 检出 检出了 检查 检测 此 此外 此类 死于 每个 每种 比如 比较 毕竟 永远 没得 没有 没有得 治 治好 治愈 治疗 注意 流行 测出 消除 涉及 混同 混有 混淆 清除 源于 漏掉 漏诊 演变为 演变到 演变成 然而 照顾 父母有 爸爸有 "
    "特别 现在 理解 甚至 用 用于 由 由于 由此 男孩 留下 留意 疑为 疑似 疑诊 病人 痊愈 的 的话 监测 目前 直面 相似 相信 相关 相关的 相反 相对 相当 看 看作 看到 看来 看看 真正 瞧 知道 确定 确认 确诊 确诊为 碰到 禁止 积极 积极治疗 称 称为 称之为 究竟 突出 立即 符合 符合为 符合了 等 筛出 筛查 简称 算 算是 "
    "类似 纠正 终于 结束 给 给予 绝对 统称 继发 继发了 继发于 继续 维护 维持 综合治疗 缓和 缓解 罕见 罹患 考虑 考虑为 而 而且 而是 而言 而非 耽误 肯定 能 能够 能引起 自己 自身 至于 至今 致 致使 若 获得 落下 虽然 补充 表明 表现 表现为 表现出 表示 表达 被 被称为 见 见于 观察 规范治疗 视为 觉得 解释 解除 警惕 认为 "
    "认定为 认识 讨论 让 讲 证实 评估 识别 诊断 诊断为 诊断成 译为 该 该病 误 误当作 误当成 误认为 误诊 误诊为 诱使 诱发 诱发了 说 说明 谈 谨防 起因于 起病 跟 转为 转变为 转归为 转成 轻微 轻微的 较 达 达到 还 还是 还有 还要 这 这个 这些 这样 这次 这种 这种的 这类 进展为 进展到 进而 进行 远离 远远 适应 适用 逐渐 "
    "通常 通过 造成 遇到 遗留 避免 避开 那 那么 那些 那种 部分 都 采取 采用 重视 鉴别 鉴定 针对 针对性治疗 长期 门诊 防 防止 防治 降低 降低了 限制 除了 除外 随即 随后 随着 难以 难道 需 需要 非常 面临 面对 须防 预示 预示着 预防 首先 高度怀疑 麻醉".split()
)  # fmt: skip
"""What may stand before a name without being part of it."""

ENGLISH_NAMES = (
    r"[a-z]{2,}(?:cillin|mycin|micin|floxacin|azole|profen|cycline|penem|vir|olone|asone|azepam|azolam|barbital|tidine|prazole|terol|lukast|statin|pril|sartan|dipine|olol|mab|tinib)s?"
    r"|cef[a-z]{3,}|ceph[a-z]{3,}|[a-z]{2,}(?:itis|osis|emia|aemia|oma|pathy|plegia)|pneumonia|asthma|measles|rubella|varicella|influenza|pertussis|diphtheria|tetanus|polio(?:myelitis)?|epilepsy|diabetes|adhd|sma|sepsis|tuberculosis|malaria|mumps|"
    r"(?:[a-z]+[ -])?(?:syndrome|disease)|(?:scarlet|dengue|typhoid|rheumatic) fever"
)
"""English names by their endings. A regular expression over lower-case text."""

NO_ENGLISH = frozenset({"diagnosis", "prognosis", "dosis", "osmosis", "mitosis", "the disease", "this disease", "a disease", "disease", "syndrome", "the syndrome", "this syndrome", "of disease"})  # fmt: skip
"""Words and phrases that the endings hit and that are no names."""

# --- spelling and finding --------------------------------------------------------------------------

_INVISIBLE = re.compile(f"[{INVISIBLE}]")
_VARIANTS = str.maketrans(
    {**dict.fromkeys("粘", "黏"), "噁": "恶", "癥": "症", "蕁": "荨", **dict.fromkeys("*_`#", "")}
)
_SPELLINGS = (("综合症", "综合征"), ("斯匹林", "司匹林"), ("症候群", "综合征"), ("甲基强的松龙", "甲泼尼龙"))
_CHILD = re.compile(r"^(?:小儿|儿童|婴幼儿|婴儿|幼儿|患儿|宝宝)(?!麻痹)")
_SALT = re.compile(
    r"^(?:盐酸|硫酸|磷酸|马来酸|醋酸|枸橼酸|酒石酸|富马酸|甲磺酸|氢溴酸|丙酸|糠酸|乳酸|门冬氨酸|重组人?|注射用|口服|外用)+(?=[^钠钾钙镁锌铁铵铝铋]{3})"
)
_FORM = re.compile(
    r"(?:肠溶|缓释|控释|分散|咀嚼|泡腾|干混悬|混悬|口服|雾化|吸入|软|滴眼|滴鼻|气雾|喷雾|粉雾)*(?:片|颗粒|胶囊|滴?剂|混悬液|溶液|口服液|糖浆|滴丸|注射液|栓|乳膏|软膏|凝胶|液|类药物|类|粉|针)$"
)
_STATING = frozenset({"分类", "病因", "传播方式", "症状", "检查", "并发症", "治疗方式", "常用药物", "预防", "简介"})
_TREATING = frozenset({"治疗方式", "常用药物"})
_DENIED_TAIL = re.compile(r"避免|[禁忌停不勿慎]")
_LONGEST_TAIL = 24
_TRADITIONAL = re.compile(r"[清解热毒止咳化痰益气血养补脾消食安活祛风宣润滋通理降散疏灵康宁肺心丸丹汤]")
_SAME = {name: group for group in SAME for name in group}


def spelled(text: str) -> str:
    """The copy of ``text`` that names are compared in."""
    folded = fold(_INVISIBLE.sub("", text)).translate(_VARIANTS)
    for other, usual in _SPELLINGS:
        folded = folded.replace(other, usual)
    return folded


def base(drug: str) -> str:
    """A drug without salt, form and whom it is for."""
    return re.sub(r"(?<=..)[钠钾]$", "", _FORM.sub("", _SALT.sub("", _CHILD.sub("", drug))))


class Finder:
    """Leftmost longest names in a text, by a table of their first two characters."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = frozenset(name for name in names if len(name) > 1)
        lengths: dict[str, set[int]] = {}
        for name in self.names:
            lengths.setdefault(name[:2], set()).add(len(name))
        self.lengths = {head: sorted(found, reverse=True) for head, found in lengths.items()}

    def find(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Start, end and name of each."""
        place, lengths, names = 0, self.lengths, self.names
        while place < len(text) - 1:
            for length in lengths.get(text[place : place + 2], ()):
                end = place + length
                name = text[place:end]
                if name in names and not (
                    name[-1].isascii() and text[end : end + 1].isascii() and text[end : end + 1].isalnum()
                ):
                    yield place, end, name
                    place = end - 1
                    break
            place += 1


@lru_cache(maxsize=8192)
def other_names(name: str) -> tuple[str, ...]:
    """``name`` and what else it is called."""
    bare = [name, _CHILD.sub("", name), _SALT.sub("", name)]
    return tuple(dict.fromkeys(other for item in bare for other in (item, *_SAME.get(item, ()))))


# --- the names of a build --------------------------------------------------------------------------


@dataclass(frozen=True)
class Names:
    """Names of diseases and drugs, and what the graph states of each disease, all in folded form.

    ``around`` holds all that is stated, ``treating`` what is given for the disease.
    """

    diseases: frozenset[str] = frozenset()
    drugs: frozenset[str] = frozenset()
    around: Mapping[str, frozenset[str]] = field(default_factory=dict)
    treating: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def collect(cls, records: Iterable[RawRecord]) -> Names:
        """The names that records bring: headings and heads of a graph, and the drugs among its tails."""
        diseases: set[str] = set()
        drugs: set[str] = set()
        around: dict[str, set[str]] = {}
        treating: dict[str, set[str]] = {}
        for record in records:
            if record.disease and record.era == "modern":
                diseases.update(_disease_names(record.disease, bool(record.triples)))
            for triple in record.triples:
                tail = spelled(triple.tail)
                if triple.relation == "常用药物":
                    drugs.update(_drug_names(tail))
                if triple.relation in _STATING and len(tail) <= _LONGEST_TAIL:
                    around.setdefault(spelled(triple.head), set()).add(tail)
                    if triple.relation in _TREATING and not _DENIED_TAIL.match(tail):
                        treating.setdefault(spelled(triple.head), set()).add(tail)
        return cls(frozenset(diseases), frozenset(drugs), _frozen(around), _frozen(treating))

    def merge(self, other: Names) -> Names:
        """The names of both."""
        return Names(
            self.diseases | other.diseases,
            self.drugs | other.drugs,
            _joined(self.around, other.around),
            _joined(self.treating, other.treating),
        )

    def to_json(self) -> str:
        """One line of JSON, the same for the same names."""
        content = {
            "diseases": sorted(self.diseases),
            "drugs": sorted(self.drugs),
            "around": {disease: sorted(tails) for disease, tails in sorted(self.around.items())},
            "treating": {disease: sorted(tails) for disease, tails in sorted(self.treating.items())},
        }
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n"

    @classmethod
    def from_json(cls, content: str) -> Names:
        """The names that `to_json` wrote."""
        data = json.loads(content)
        around, treating = _frozen(data["around"]), _frozen(data.get("treating", {}))
        return cls(frozenset(data["diseases"]), frozenset(data["drugs"]), around, treating)

    @cached_property
    def known_drugs(self) -> frozenset[str]:
        """Drugs of the build and of the built-in list."""
        return self.drugs | {name for name in DRUGS if not name.isascii()}

    @cached_property
    def finder(self) -> Finder:
        """Finds every known name."""
        listed = {spelled(name) for name in (*DISEASES, *DRUGS) if not name.isascii()}
        listed.update(name for group in SAME for name in group if not name.isascii())
        return Finder(listed | self.diseases | self.drugs)


def _frozen(tails: Mapping[str, Iterable[str]]) -> dict[str, frozenset[str]]:
    return {disease: frozenset(found) for disease, found in tails.items()}


def _joined(one: Mapping[str, frozenset[str]], other: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    return {name: one.get(name, frozenset()) | other.get(name, frozenset()) for name in (*one, *other)}


def load_names(path: str) -> Names:
    """The names in a file, read once for each state of it; no path gives the built-in names alone."""
    if not path:
        return _built_in()
    state = Path(path).stat()
    return _load(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=1)
def _built_in() -> Names:
    return Names()


@lru_cache(maxsize=4)
def _load(path: str, changed: int, size: int) -> Names:
    return Names.from_json(Path(path).read_text(encoding="utf-8"))


def _disease_names(disease: str, in_graph: bool) -> Iterator[str]:
    name = spelled(disease)
    if not in_graph and not (
        looks_like_disease(disease) and len(name) > 2 and not re.search(r"[证病]$|[诸十五]", name)
    ):
        return
    for found in (name, _CHILD.sub("", name)):
        if 2 <= len(found) <= 30 and found not in NO_DISEASES and re.search(f"[{HAN}]", found):
            yield found


def _drug_names(tail: str) -> Iterator[str]:
    name = re.sub(r"\(.*$", "", tail)
    if not 3 <= len(name) <= 20 or not re.fullmatch(rf"(?=.*[{HAN}])[{HAN}a-z0-9·-]+", name) or name in NO_DRUGS:
        return
    yield name
    bare = base(name)
    if bare != name and len(bare) > 2 and bare not in NO_DRUGS and not _TRADITIONAL.search(bare):
        yield bare
