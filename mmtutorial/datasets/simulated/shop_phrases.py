"""What the shop's reviewers can say, in English and Chinese.

Words of praise and words of blame, and feelings about them, stand in most reviews, whether liked or
not; "bad" may also be part of "never bad". `mmtutorial.datasets.simulated.shop_reviews` puts
sentences together from these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

Phrases = tuple[str, ...]


@dataclass(frozen=True)
class Topic:
    """What a clause can be about: nouns, and the adjectives that praise and blame them."""

    nouns: Phrases
    good: Phrases
    bad: Phrases


@dataclass(frozen=True)
class Tongue:
    """What a language has to say. Pairs are (as it is, negated), or (mild, strong)."""

    topics: tuple[Topic, ...]
    any_good: Phrases  # adjectives for every topic
    any_bad: Phrases
    kind: Topic  # its noun is {kind}
    voice: Topic  # its noun is {voice}
    clauses: tuple[Phrases, Phrases]  # with {n}, {v}, {d}, {a}, {b}: (as it is, negated)
    kind_clauses: tuple[Phrases, Phrases]
    verbs: Phrases
    degrees: tuple[Phrases, Phrases]  # (mild, strong)
    denials: tuple[Phrases, Phrases]  # (mild, strong)
    contrasts: Phrases  # with {minor}, which yields to {major}, in English the last
    deeds: tuple[Phrases, Phrases]  # (of the content, of the discontent), with {person}
    verdicts: tuple[Phrases, Phrases]  # with {deed}: (as it is, negated)
    extremes: tuple[Phrases, Phrases]  # (love, hate): plain words
    feelings: tuple[Phrases, Phrases]  # (pleased, displeased), about {clause}
    openers: Phrases  # neutral, with {number}, {unit}, {person} or {month}
    asides: Phrases  # neutral sentences, with {person}, {room} or {object}
    numbers: Phrases
    units: Phrases
    people: Phrases
    months: Phrases
    rooms: Phrases
    objects: Phrases
    stop: str
    space: str
    brands: Phrases
    titles: Phrases  # with {brand}, {letter} or {model}


def _phrases(line: str) -> Phrases:
    """Read phrases set apart by bars."""
    return tuple(line.split(" | "))


def _lines(block: str) -> tuple[Phrases, ...]:
    """Read one list of phrases a line."""
    return tuple(_phrases(line) for line in block.strip().splitlines())


def _topics(text: str) -> tuple[Topic, ...]:
    """Read one topic a paragraph: nouns, praise, blame."""
    return tuple(Topic(*_lines(block)) for block in text.strip().split("\n\n"))


ENGLISH = Tongue(
    topics=_topics("""\
finish | hinge | lid | casing | handle | base | knob | seam | paint | stand | rim | joint | coating | frame | bracket | rivet | glue | varnish | corner | edge | latch | strap
sturdy | solid | neat | smooth | robust | precise | flawless | tidy | elegant | tough
flimsy | rough | crooked | shoddy | wobbly | brittle | scratched | clumsy | sticky | loose

price | cost | offer | discount | deal | invoice | surcharge | postage | bargain | fee | tariff | rebate | voucher | total | markup | bill
fair | modest | reasonable | generous | honest | sensible | transparent | attractive | acceptable | moderate
steep | outrageous | excessive | unfair | absurd | inflated | ridiculous | scandalous | murky | greedy

delivery | parcel | courier | packaging | shipment | wrapping | carton | dispatch | postman | tape | label | padding | tracking | depot | driver | van
prompt | careful | punctual | swift | considerate | orderly | speedy | flexible | cautious | dutiful
slow | careless | late | sloppy | chaotic | hasty | reckless | lazy | delayed | messy

seller | helpdesk | support | dealer | manager | hotline | staff | technician | reply | adviser | clerk | answer | owner | team | assistant | engineer
friendly | helpful | polite | patient | competent | obliging | cheerful | attentive | sincere | knowledgeable
rude | unhelpful | arrogant | impatient | clueless | dismissive | grumpy | evasive | hostile | incompetent

manual | menu | set-up | button | display | timer | app | remote | guide | lever | dial | mode | screen | wizard | icon | diagram | booklet | layout | slider
clear | simple | handy | intuitive | logical | convenient | readable | effortless | obvious | ergonomic
confusing | fiddly | awkward | baffling | cryptic | tedious | cumbersome | illegible | muddled | maddening

colour | design | shape | pattern | style | shade | silhouette | look | gloss | lettering | logo | trim | glaze | ornament | proportion | hue | print | curve
gorgeous | tasteful | charming | stylish | lovely | graceful | elegant | beautiful | harmonious | cute
hideous | ugly | dull | tacky | garish | drab | faded | vulgar | gaudy | bland

battery | motor | charger | adapter | plug | cable | switch | fuse | contact | spring | gear | cell | circuit | socket | bulb | sensor | valve | pump | wiring
durable | reliable | strong | efficient | dependable | steady | powerful | economical | stable | tireless
weak | unreliable | feeble | faulty | fickle | defective | erratic | temperamental | sluggish | fragile

warranty | refund | exchange | repair | replacement | guarantee | return | complaint | credit | paperwork | inspection | upgrade | cancellation | claim | form
quick | painless | fuss-free | smooth | easy | straightforward | speedy | simple | hassle-free | uncomplicated
sluggish | painful | bureaucratic | exhausting | hopeless | complicated | endless | annoying | nerve-racking | pointless

gift | present | surprise | souvenir | keepsake | purchase | idea | choice | investment | treat | gesture | trophy | heirloom | novelty | accessory | companion | reward
thoughtful | welcome | sweet | clever | wise | memorable | inspired | touching | delightful | sensible
pointless | embarrassing | foolish | silly | regrettable | tasteless | boring | hasty | stupid | forgettable
"""),
    any_good=_phrases("good | fine | great | excellent | decent | superb | nice | perfect"),
    any_bad=_phrases("bad | poor | awful | terrible | dreadful | horrible | lousy | useless"),
    kind=Topic(
        ("{kind}",), _phrases("convincing | ideal | right"), _phrases("useless | wrong | odd")
    ),
    voice=Topic(
        ("{voice}",),
        _phrases("pleasant | warm | rich | crisp | soothing"),
        _phrases("harsh | shrill | tinny | muffled | tiring"),
    ),
    clauses=(
        _phrases("""\
the {n} {v} {d} {a} and {b} | the {n} {v} {d} {a} and {b} | the {n} {v} {a} and {b} | \
its {n} {v} {d} {a} | {person} found the {n} {d} {a} and {b}"""),
        _phrases("""\
the {n} {v} {d} {a} or {b} | the {n} {v} {d} {a} or {b} | the {n} {v} neither {a} nor {b} | \
its {n} {v} {d} {a} | {person} found the {n} {d} {a} or {b}"""),
    ),
    kind_clauses=(_phrases("as {n} it {v} {d} {a}"), _phrases("as {n} it {v} {d} {a}")),
    verbs=_phrases("is | was | seems | looks"),
    degrees=(
        _phrases("rather | fairly | quite | pretty"),
        _phrases("very | really | truly | extremely"),
    ),
    denials=(
        _phrases("not very | not really | hardly | not quite"),
        _phrases("not at all | never | not | anything but"),
    ),
    contrasts=_phrases("""\
{minor}, but {major} | {minor}, but {major} | {minor}, yet {major} | although {minor}, {major} | \
though {minor}, {major} | even if {minor}, {major}"""),
    deeds=(
        _phrases("""\
buy it again | recommend it | keep it | praise it | order another | use it daily | lend it to {person} | \
treasure it | trust it | show it to {person}"""),
        _phrases("""\
return it | regret it | hide it | warn {person} | bin it | complain to {person} | curse it | resell it | \
forget it | apologise to {person}"""),
    ),
    verdicts=(
        _phrases("""\
I would {deed} | I will {deed} | we shall {deed} | {person} will {deed} | I must {deed} | {person} would {deed}"""),
        _phrases("""\
I would not {deed} | I will not {deed} | we shall not {deed} | {person} will never {deed} | \
I need not {deed} | {person} would never {deed}"""),
    ),
    extremes=(
        _phrases("""\
I love it | it makes me smile | it is a joy | I am delighted | I adore it | {person} loves it | \
it is my best buy this year | {person} smiles at it | what a treasure | five stars from {person}"""),
        _phrases("""\
I hate it | it makes me furious | it is a nuisance | I am disappointed | I detest it | \
{person} hates it | it is my worst buy this year | {person} swears at it | what a flop | \
one star from {person}"""),
    ),
    feelings=(
        _phrases("""\
luckily {clause} | happily {clause} | to my delight {clause} | I love that {clause} | \
I am glad that {clause} | it pleases me that {clause}"""),
        _phrases("""\
sadly {clause} | alas {clause} | to my dismay {clause} | I hate that {clause} | \
I am sorry that {clause} | it annoys me that {clause}"""),
    ),
    openers=_phrases("""\
after {number} {unit}, | bought in {month} for {person}: | {person} says after {number} {unit}: | \
since {month}, | now, in {month}, | for {person}: | {person} agrees:"""),
    asides=_phrases("""\
it stands in the {room} beside the {object} | {person} keeps it in the {room} | \
{person} put the {object} beside it in {month} | {person} owns {number} | {person} has a {object} in the {room}"""),
    numbers=_phrases("two | three | four | five | six | seven | eight | nine | ten | twelve"),
    units=_phrases("days | weeks | months | evenings | weekends"),
    people=_phrases("""\
my sister | my brother | my father | my aunt | my uncle | my neighbour | my colleague | my friend | \
Greta | Omar | Ines | Pavel | Yuki | Laila | Bruno | Chloe | Dmitri | Esther | Farid | Hanna | \
Ivan | Joao | Kofi | Leila | Mateo | Nadia | Otto | Priya | Quentin | Rosa | Sven | Tariq | Uma | Viktor | \
Wanda | Xavier | Yara | Zoe | Anton | Bianca | Cyril | Delia | Emil | Flora"""),
    months=_phrases("""\
January | February | March | April | May | June | July | August | September | October | November | \
December"""),
    rooms=_phrases(
        "kitchen | hall | study | bedroom | attic | garage | nursery | cellar | pantry | office"
    ),
    objects=_phrases("""\
lamp | shelf | sofa | fridge | window | desk | mirror | vase | fireplace | cupboard | aquarium | \
bookcase | wardrobe | sink"""),
    stop=".",
    space=" ",
    brands=_phrases("""\
Aurelia | Bramwell | Castor | Delmar | Elmwood | Fennick | Galena | Halden | \
Ivara | Jorvik | Kelda | Lumen | Maravel | Norvane | Ostara | Pellam | \
Quillon | Rosmere | Solvane | Tarrant | Umbria | Velden | Wexley | Zephyr"""),
    titles=("{brand} {model}", "{brand} {letter}{model}", "{brand} No. {model}"),
)

CHINESE = Tongue(
    topics=_topics("""\
外壳 | 盖子 | 把手 | 底座 | 旋钮 | 接缝 | 漆面 | 支架 | 边框 | 涂层 | 接口 | 螺丝
结实 | 牢固 | 平整 | 光滑 | 耐用 | 精细
单薄 | 粗糙 | 歪斜 | 松动 | 脆弱 | 毛躁

价格 | 定价 | 折扣 | 优惠 | 运费 | 账单 | 活动
公道 | 实惠 | 合理 | 划算 | 透明
离谱 | 昂贵 | 过分 | 坑人 | 虚高

快递 | 包裹 | 包装 | 物流 | 发货 | 配送 | 纸箱
迅速 | 细心 | 准时 | 周到 | 稳妥
缓慢 | 马虎 | 拖拉 | 混乱 | 粗心

卖家 | 客服 | 店主 | 经理 | 店员 | 师傅 | 售后
友好 | 热心 | 礼貌 | 耐心 | 专业
冷漠 | 无礼 | 傲慢 | 敷衍 | 糊涂

说明书 | 菜单 | 按键 | 屏幕 | 遥控 | 开关 | 界面 | 安装
清楚 | 简单 | 方便 | 直观 | 顺手
难懂 | 繁琐 | 别扭 | 费劲 | 复杂

颜色 | 设计 | 外形 | 花纹 | 款式 | 光泽 | 字体 | 造型
漂亮 | 雅致 | 可爱 | 时尚 | 大方
难看 | 俗气 | 暗淡 | 老土 | 刺眼

电池 | 马达 | 充电器 | 插头 | 电线 | 触点 | 齿轮 | 保险丝
持久 | 可靠 | 强劲 | 省电 | 稳定
无力 | 娇气 | 费电 | 迟钝 | 多病

礼物 | 惊喜 | 选择 | 主意 | 纪念品 | 投资
贴心 | 明智 | 体面 | 聪明 | 难忘
多余 | 尴尬 | 愚蠢 | 寒酸 | 冷清
"""),
    any_good=_phrases("好 | 不错 | 出色 | 优秀 | 完美 | 像样 | 令人满意"),
    any_bad=_phrases("差 | 糟糕 | 一般 | 平庸 | 可怕 | 差劲 | 令人失望"),
    kind=Topic(("{kind}",), _phrases("合格 | 理想 | 称职"), _phrases("失败 | 古怪 | 勉强")),
    voice=Topic(
        ("{voice}",),
        _phrases("悦耳 | 清晰 | 温暖 | 饱满 | 舒服"),
        _phrases("刺耳 | 尖锐 | 沉闷 | 烦人 | 单调"),
    ),
    clauses=(
        _phrases("""\
{n}{v}{d}{a} | {n}{v}{d}{a} | 它的{n}{v}{d}{a} | 这个{n}{d}{a} | {person}觉得{n}{d}{a} | \
{n}{v}{d}{a}又{b}"""),
        _phrases("""\
{n}{v}{d}{a} | {n}{v}{d}{a} | 它的{n}{v}{d}{a} | 这个{n}{d}{a} | {person}觉得{n}{d}{a} | \
{n}{v}既不{a}也不{b} | 谁也不能说{n}{a}"""),
    ),
    kind_clauses=(_phrases("作为{n}，它{v}{d}{a}"), _phrases("作为{n}，它{v}{d}{a}")),
    verbs=_phrases("看上去 | 其实 | 用起来 | 到现在 | 一直 | 摸着 | 总体"),
    degrees=(
        _phrases("比较 | 还算 | 有些 | 略显 | 多少有点 | 大体"),
        _phrases("非常 | 真的 | 特别 | 极其 | 相当 | 十分"),
    ),
    denials=(
        _phrases("不太 | 不怎么 | 不算 | 不大 | 谈不上 | 不见得"),
        _phrases("一点也不 | 根本不 | 并不 | 毫不 | 绝不 | 从来不"),
    ),
    contrasts=_phrases("""\
{minor}，但{major} | {minor}，不过{major} | 虽然{minor}，{major} | {major}，虽然{minor} | \
尽管{minor}，{major} | {major}，尽管{minor} | {minor}，可是{major}"""),
    deeds=(
        _phrases(
            "再买一件 | 推荐给{person} | 留着它 | 向{person}夸它 | 天天用它 | 借给{person} | 珍惜它"
        ),
        _phrases(
            "把它退掉 | 申请退款 | 提醒{person}别买 | 把它扔掉 | 向{person}抱怨 | 藏起来 | 忘掉它"
        ),
    ),
    verdicts=(
        _phrases("我会{deed} | 我打算{deed} | 我有理由{deed} | 我很想{deed} | 我愿意{deed}"),
        _phrases("我不会{deed} | 我不打算{deed} | 我没有理由{deed} | 我不想{deed} | 我绝不{deed}"),
    ),
    extremes=(
        _phrases(
            "太喜欢它了 | 看到它就会笑 | 今年买得最值 | 真让人开心 | 爱不释手 | {person}也喜欢"
        ),
        _phrases(
            "太后悔买它了 | 看到它就生气 | 今年买得最亏 | 真让人失望 | 气得睡不着 | {person}也讨厌"
        ),
    ),
    feelings=(
        _phrases("幸好{clause} | 好在{clause} | 令人高兴的是{clause} | 我很喜欢{clause}"),
        _phrases("可惜{clause} | 遗憾的是{clause} | 令人生气的是{clause} | 我很讨厌{clause}"),
    ),
    openers=_phrases("""\
用了{number}{unit}， | 每天都用，用了{number}{unit}， | {month}给{person}买的， | \
给{person}买的，用了{number}{unit}， | 犹豫了{number}{unit}，{month}才下单， | \
和{person}一起用了{number}{unit}， | 说实话，用了{number}{unit}，"""),
    asides=_phrases("""\
它放在{room}的{object}旁边 | {person}把它放在{room}里 | {person}把它从{room}搬到{object}上 | \
{month}我们把它摆到{object}上 | {month}送到，带着{number}个备件 | {person}有{number}个"""),
    numbers=_phrases("两 | 三 | 四 | 五 | 六 | 七 | 八 | 九 | 十"),
    units=_phrases("天 | 周 | 个月 | 个晚上"),
    people=_phrases("""\
姐姐 | 弟弟 | 爸爸 | 姑姑 | 舅舅 | 邻居 | 同事 | 朋友 | 小王 | 小李 | 小陈 | 老张 | 老周 | 阿明 | \
阿芳 | 丽丽 | 建国 | 晓东 | 玉兰 | 思远"""),
    months=_phrases("一月 | 二月 | 三月 | 四月 | 五月 | 六月 | 七月 | 八月 | 九月 | 十月 | 十二月"),
    rooms=_phrases("厨房 | 客厅 | 书房 | 卧室 | 阁楼 | 车库 | 阳台 | 办公室 | 走廊"),
    objects=_phrases("台灯 | 书架 | 沙发 | 冰箱 | 窗台 | 书桌 | 镜子 | 花瓶 | 柜子 | 鱼缸"),
    stop="。",
    space="",
    brands=_phrases("""\
云岚 | 星澜 | 木棉 | 清禾 | 知远 | 青屿 | 远山 | 拾光 | \
南栀 | 白榆 | 朗月 | 松间 | 半夏 | 予安 | 澄川 | 北辰 | \
沐野 | 安禾 | 若溪 | 景行 | 竹里 | 望舒 | 初霁 | 归舟"""),
    titles=("{brand} {model}", "{brand} {letter}{model}", "{brand}{model}型"),
)

TONGUES: Mapping[str, Tongue] = MappingProxyType({"en": ENGLISH, "zh": CHINESE})
