"""Reviews and titles of the shop, in English or Chinese: the text alone tells the liking.

A review is put together from phrases that people might write, graded from bad to good. Its mood
scatters around the product's liking, so one review informs and several inform better.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

MOOD_NOISE = 0.7  # standard deviation of a review's mood around the liking
TOPIC_NOISE = 0.6  # ... of a sentence's mood around the review's

# How a review names them: language -> kind or voice -> words.
KIND_NAMES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "en": {
            "alarm clock": "an alarm clock",
            "doorbell": "a doorbell",
            "radio": "a radio",
            "music box": "a music box",
            "toy robot": "a toy robot",
            "kettle": "a kettle",
            "telephone": "a telephone",
            "loudspeaker": "a loudspeaker",
        },
        "zh": {
            "alarm clock": "闹钟",
            "doorbell": "门铃",
            "radio": "收音机",
            "music box": "八音盒",
            "toy robot": "玩具机器人",
            "kettle": "烧水壶",
            "telephone": "电话机",
            "loudspeaker": "音箱",
        },
    }
)
VOICE_NAMES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "en": {
            "bell": "bell",
            "whistle": "whistle",
            "buzzer": "buzzer",
            "plucked melody": "plucked melody",
            "drum": "drum",
            "organ chord": "organ chord",
            "birdsong": "birdsong",
            "siren": "siren",
        },
        "zh": {
            "bell": "铃声",
            "whistle": "哨声",
            "buzzer": "蜂鸣声",
            "plucked melody": "拨弦旋律",
            "drum": "鼓声",
            "organ chord": "管风琴和弦",
            "birdsong": "鸟鸣声",
            "siren": "警笛声",
        },
    }
)

Phrases = tuple[str, ...]


@dataclass(frozen=True)
class _Tongue:
    """What a language has to say; graded phrases run from bad to good."""

    overall: tuple[Phrases, ...]  # seven grades
    topics: tuple[tuple[Phrases, ...], ...]  # five grades a topic
    about_kind: tuple[Phrases, ...]  # three grades, with {kind}
    about_voice: tuple[Phrases, ...]  # three grades, with {voice}
    openers: Phrases  # neutral, with {number}, {unit}, {person} or {month}
    contrasts: Phrases  # before a sentence whose mood turns
    numbers: Phrases
    units: Phrases
    people: Phrases
    months: Phrases
    stop: str
    space: str
    brands: Phrases
    titles: Phrases  # with {brand}, {letter} or {model}

    def slots(self, pick: Callable[[Phrases], str]) -> dict[str, str]:
        """Fill the slots of an opener."""
        return {
            "number": pick(self.numbers),
            "unit": pick(self.units),
            "person": pick(self.people),
            "month": pick(self.months),
        }


def write_review(
    liking: float,
    generator: np.random.Generator,
    language: str = "en",
    kind: str | None = None,
    voice: str | None = None,
) -> str:
    """Write a review of one to three sentences.

    Parameters
    ----------
    liking : float
        How much the product is liked, in standard deviations from the average product; the tone
        does not change beyond ±3.
    generator : numpy.random.Generator
        The same state gives the same review.
    language : {"en", "zh"}
        English or simplified Chinese.
    kind, voice : str, optional
        The product's kind (a key of ``KIND_NAMES[language]``) or voice (of ``VOICE_NAMES``), for
        the review to name. Otherwise nothing in it tells them.

    Returns
    -------
    str
        Whole sentences on one line.

    Raises
    ------
    ValueError
        For an unknown language, kind or voice, or a liking that is not a finite number.

    Examples
    --------
    >>> print(write_review(2.5, np.random.default_rng(4), voice="drum"))
    I love it, and so does everyone who visits. As a present it was a triumph.
    I never tire of the drum.
    """
    tongue = _tongue(language)
    if not math.isfinite(liking):
        raise ValueError(f"liking is {liking}; it must be a finite number")
    for name, value, known in (("kind", kind, KIND_NAMES), ("voice", voice, VOICE_NAMES)):
        if value is not None and value not in known[language]:
            raise ValueError(f"{name} is {value!r}; the shop has {list(known[language])}")

    shares = iter(generator.random(20).tolist())
    scatter = iter(generator.standard_normal(5).tolist())

    def pick(bank: Sequence[Any]) -> Any:
        return bank[int(next(shares) * len(bank))]

    def say(grades: Sequence[Phrases], mood: float) -> str:
        middle = len(grades) // 2
        grade = middle + round(0.35 * (middle + 1) * mood)
        return pick(grades[min(max(grade, 0), 2 * middle)])

    tone = min(max(liking, -3.0), 3.0) + MOOD_NOISE * next(scatter)
    named = (kind is not None) + (voice is not None)
    n_topics = max(pick((0, 0, 1, 1, 1, 1, 1, 2, 2, 2)) - named, 0)
    first, step = pick(range(len(tongue.topics))), pick(range(1, len(tongue.topics)))

    sentences = [say(tongue.overall, tone)]
    if n_topics + named == 0 or next(shares) < 0.4:
        sentences[0] = pick(tongue.openers).format(**tongue.slots(pick)) + sentences[0]
    for topic in range(n_topics):
        mood = tone + TOPIC_NOISE * next(scatter)
        turn = pick(tongue.contrasts) if mood * tone < 0 and abs(mood - tone) > 0.8 else ""
        sentences.append(
            turn + say(tongue.topics[(first + topic * step) % len(tongue.topics)], mood)
        )
    if kind is not None:
        phrase = say(tongue.about_kind, tone + TOPIC_NOISE * next(scatter))
        sentences.append(phrase.format(kind=KIND_NAMES[language][kind]))
    if voice is not None:
        phrase = say(tongue.about_voice, tone + TOPIC_NOISE * next(scatter))
        sentences.append(phrase.format(voice=VOICE_NAMES[language][voice]))
    return tongue.space.join(each[0].upper() + each[1:] + tongue.stop for each in sentences)


def write_title(generator: np.random.Generator, language: str = "en") -> str:
    """Make up a product name that tells nothing about kind, voice or liking.

    Parameters
    ----------
    generator : numpy.random.Generator
        The same state gives the same title.
    language : {"en", "zh"}
        English or simplified Chinese.

    Returns
    -------
    str
        A made-up brand and a model number.

    Raises
    ------
    ValueError
        For an unknown language.

    Examples
    --------
    >>> write_title(np.random.default_rng(0))
    'Galena A110'
    """
    tongue = _tongue(language)
    form, brand, letter, model = generator.random(4).tolist()
    return tongue.titles[int(form * len(tongue.titles))].format(
        brand=tongue.brands[int(brand * len(tongue.brands))],
        letter="ACDEFHKLMNPRSTVX"[int(letter * 16)],
        model=100 + 5 * int(model * 180),
    )


def _tongue(language: str) -> _Tongue:
    """Return what a language has to say."""
    if language not in _TONGUES:
        raise ValueError(f"language is {language!r}; the shop's reviews are in {list(_TONGUES)}")
    return _TONGUES[language]


def _phrases(line: str) -> Phrases:
    """Read phrases set apart by bars."""
    return tuple(line.split(" | "))


def _grades(block: str) -> tuple[Phrases, ...]:
    """Read one grade a line, from bad to good."""
    return tuple(_phrases(line) for line in block.strip().splitlines())


def _topics(text: str) -> tuple[tuple[Phrases, ...], ...]:
    """Read one topic a paragraph."""
    return tuple(_grades(block) for block in text.split("\n\n"))


_ENGLISH = _Tongue(
    overall=_grades("""\
I regret buying it and have asked for my money back | \
this is the worst purchase I have made in years | \
it is awful, and I would not wish it on anyone | \
nothing about it works as promised, so stay away | \
it was broken on arrival and useless after the repair | \
I threw it away within days, a complete waste | \
it is a dreadful thing that nobody should have to pay for
I am disappointed and will send it back | it is poor, and I expected far better | \
I cannot recommend it to anyone I know | it has let me down more than once | \
it is so frustrating that I hardly use it any more | it is a bad buy, and the photos flatter it | \
I would not buy it a second time
it is a little disappointing, all things considered | I had hoped for something slightly better | \
it is not quite what I expected | it works most days, though it rather underwhelms | \
I am not really convinced by it yet | it is somewhat weaker than the description suggests | \
it has a few flaws too many for my liking
it is all right, neither good nor bad | it does what it says and nothing beyond that | \
I have mixed feelings about it | it is average, and I can live with that | \
it is an ordinary thing that I neither love nor hate | it is fine, I suppose, for everyday use | \
some days I like it and some days I do not
it is quite good, with a few small flaws | I am fairly pleased with it so far | \
it is a bit better than I expected | it is a decent buy on the whole | \
it has won me over, more or less | I rather like it, even if it is not perfect | \
it seems to be a sensible choice
I am very happy with it and use it daily | it is a really good buy that I would recommend | \
it does everything well, and it looks lovely too | I would gladly buy it again | \
it has been a pleasure to own | it is a great little thing, well worth having | \
I am glad that I chose this one
I love it, and so does everyone who visits | it is perfect, the best thing I bought this year | \
it is absolutely wonderful, I could not ask for more | \
it is superb in every way, so go and buy it | \
it is outstanding, and I have already ordered a second one | \
it is a brilliant thing that makes me smile every day | \
I am delighted with it from top to bottom
"""),
    topics=_topics("""\
it arrived three weeks late in a crushed parcel | \
the delivery was a disaster and nobody answered my messages
the parcel came late and a bit dented | the delivery took longer than promised
the delivery took the usual few days | it came on the last day of the promised week
it arrived on time and well packed | the delivery was quick and without fuss
it arrived a day early and beautifully packed | the delivery was astonishingly fast and careful

a part snapped off on the first day | it feels flimsy and fell apart in my hands
the finish is rough and the seams show | the plastic feels cheap to the touch
the build is plain but holds together | the finish is what you expect at this price
it feels solid and well made | the finish is neat, with clean edges
the craftsmanship is superb down to the last screw | \
it is built like a treasure and will outlive me

it is a shameless rip-off at this price | every penny of it was wasted
it is overpriced for what it offers | there are better things for less money
the price is about right, no more and no less | you get what you pay for
it is good value for the money | the price is fair for what it offers
it is an incredible bargain | it is easily worth twice the price

the battery died within an hour and never charged again | \
it devours batteries, and the last one leaked
the battery runs down too soon | it needs a new battery far too often
the battery lasts about as long as stated | the battery is neither strong nor weak
the battery holds up well | one battery is good for several weeks
the battery seems to last for ever | months later the first battery still runs superbly

I was ashamed to have given it as a present | as a present it was a flop that ended in tears
as a present it was met with a polite shrug | I would think twice before giving it away
as a present it is acceptable | my nephew said thanks and put it on a shelf
it made a nice present | my niece was pleased with it
as a present it was a triumph | my mother adores it and tells everyone about it

it is impossible to set up and the manual is nonsense | \
I gave up after an hour with the instructions
it is awkward to use | the buttons are fiddly and confusing
it takes a while to get used to | the manual is short but will do
it is easy to use | it was simple to set up
it is a joy to use from the first minute | even my grandfather mastered it at once

it looks hideous and the paint peeled off at once | it is the ugliest thing in the house
the colour is duller than in the photo | it looks rather cheap on the shelf
it looks plain and inoffensive | it looks much as it does in the photo
it looks nice on the shelf | the design is tasteful
it looks gorgeous and everyone asks about it | the design is stunning from every side

customer service was rude and refused a refund | the seller ignored every complaint
customer service was slow to answer | the seller made excuses
I had no need of customer service | the seller answered in the end
customer service was friendly | the seller replied within a day
customer service was outstanding and sent a spare part free | \
the seller went out of the way to help

it stopped working for good on the second day | it broke twice before I gave up
it already shows signs of wear | it works one day and sulks the next
time will tell how long it lasts | so far it has neither improved nor failed
it has worked without trouble so far | it is reliable, day in, day out
it fell down the stairs and still works flawlessly | it has run flawlessly for months
"""),
    about_kind=_grades("""\
as {kind} it fails its purpose | I expected far more of {kind}
as {kind} it does its job | it is {kind} like many others
as {kind} it is just right | I was looking for {kind} as good as this
"""),
    about_voice=_grades("""\
the {voice} is harsh and tires the ear | the {voice} gets on my nerves
the {voice} is as one would expect | the {voice} is neither loud nor quiet
the {voice} is clear and pleasant | I never tire of the {voice}
"""),
    openers=(
        "after {number} {unit}, ",
        "after {number} {unit} of daily use, ",
        "bought in {month} for my {person}: ",
        "bought for my {person}, tried for {number} {unit}: ",
        "ordered in {month} after {number} {unit} of hesitation: ",
        "my {person} and I agree after {number} {unit}: ",
        "to be honest after {number} {unit}, ",
    ),
    contrasts=("still, ", "that said, ", "then again, ", "on the other hand, "),
    numbers=_phrases("two | three | four | five | six | seven | eight | nine"),
    units=_phrases("days | weeks | months"),
    people=_phrases("sister | brother | father | aunt | uncle | neighbour | colleague | friend"),
    months=_phrases("January | March | April | June | August | October | December"),
    stop=".",
    space=" ",
    brands=_phrases("""\
Aurelia | Bramwell | Castor | Delmar | Elmwood | Fennick | Galena | Halden | \
Ivara | Jorvik | Kelda | Lumen | Maravel | Norvane | Ostara | Pellam | \
Quillon | Rosmere | Solvane | Tarrant | Umbria | Velden | Wexley | Zephyr"""),
    titles=("{brand} {model}", "{brand} {letter}{model}", "{brand} No. {model}"),
)

_CHINESE = _Tongue(
    overall=_grades("""\
非常后悔买了它，已经申请退款 | 这是我这几年买过最差的东西 | 质量糟糕透顶，劝大家千万别买 | \
完全没法用，纯属浪费钱 | 刚收到就是坏的，气得我直接扔了 | 彻底失望，一颗星都不想给 | \
说是新品，结果问题一大堆，太坑了
很失望，准备退货 | 质量差，远远不如预期 | 不会推荐给身边的任何人 | 用了几次就不想再用了 | \
体验很不好，和宣传差得太多 | 不会再买第二次 | 三天两头出问题，让人心烦
有点失望，没有想象中那么好 | 整体略差一些，不算满意 | 和期待相比还差那么一点 | \
勉强能用，但总觉得不太值 | 暂时还没有被它说服 | 小毛病有几处，稍微有些遗憾 | \
比描述里写的要逊色一点
中规中矩，谈不上好也谈不上坏 | 普普通通，够用就行 | 感觉比较复杂，有好有坏 | \
一般般吧，没什么特别的 | 就是一件平常的东西，不爱也不讨厌 | 日常用用还可以，没有惊喜 | \
有时候喜欢，有时候又觉得一般
总体还不错，有一点小瑕疵 | 目前来看比较满意 | 比预想的要好一点 | 算是一次不错的购物 | \
慢慢用出了好感，挺喜欢的 | 虽然不算完美，但我还挺喜欢 | 整体过关，值得考虑
非常满意，每天都在用 | 很好用，愿意推荐给朋友 | 各方面都做得很好，也很好看 | 有需要还会回购 | \
买得很值，心情都变好了 | 是一件让人开心的好东西 | 很庆幸当初选了这一款
太喜欢了，来家里的客人也都夸 | 简直完美，是今年买到最好的东西 | 远超期待，挑不出任何毛病 | \
无可挑剔，强烈推荐，闭眼入 | 爱不释手，已经又下单了一件 | 惊艳极了，每天看到都会笑 | \
从里到外都让人惊喜，满分
"""),
    topics=_topics("""\
快递晚了三周，包裹还被压扁了 | 物流一塌糊涂，发消息也没人理
发货比承诺的慢 | 包裹来得晚，还有磕碰
快递和平时一样，等了几天 | 踩着最后期限送到
准时送到，包装完好 | 发货挺快，没费什么心
提前一天送到，包装特别用心 | 物流神速，小心又周到

第一天就掉了一个零件 | 做工差到一碰就散架
做工有些粗糙，接缝明显 | 塑料感太重，摸着廉价
做工普通，还算结实 | 做工和这个价位相当
做工扎实，手感不错 | 细节处理得挺干净
做工精湛，连螺丝都讲究 | 用料十足，感觉能传给下一代

这个价钱简直是坑人 | 每一分钱都白花了
定价偏高，不太划算 | 同样的钱能买到更好的
价格差不多就这样 | 一分钱一分货
性价比不错 | 这个价格很公道
性价比高得惊人 | 贵一倍也值得买

电池没撑过一个小时，再也充不进电 | 电池漏液，吓得我不敢再用
电池掉电太快 | 隔三差五就要换电池
电池续航和说明上写的差不多 | 电池不算耐用也不算差
电池挺耐用 | 一节电池能用好几周
电池好像永远用不完 | 几个月过去，第一节电池依然有电

拿来送人，丢脸丢到家了 | 当礼物送出去，孩子都气哭了
当礼物送人有点拿不出手 | 收礼的人只是客气地笑了笑
当礼物也说得过去 | 侄子道了谢就放到架子上了
送人挺合适 | 外甥女收到以后很高兴
当礼物大获成功，对方感动得不行 | 妈妈收到以后爱得不得了

怎么都装不好，说明书像天书 | 折腾了一个小时还是放弃了
操作不太顺手 | 按键难按，还容易弄混
需要一点时间适应 | 说明书简短，勉强够看
操作简单 | 安装很方便
一上手就会，用起来是种享受 | 连爷爷都一学就会，太省心了

外观丑得没法看，漆一碰就掉 | 摆在家里都嫌丑
颜色比图片暗 | 摆在架子上显得廉价
外观普通，不难看 | 外观就是图片上的样子
外观耐看，摆着挺好 | 设计有品位
颜值太高了，谁来都要问一句 | 设计惊艳，怎么看都看不够

客服态度恶劣，还拒绝退款 | 卖家对投诉一律不理
客服回复很慢 | 卖家总在找借口
没有联系过客服 | 卖家最后还是回复了
客服态度友好 | 卖家当天就回复了
客服好得没话说，还免费寄来配件 | 卖家主动帮忙，贴心到感动

第二天就彻底坏了 | 修了两次还是坏
没多久就有磨损了 | 时好时坏，不太可靠
能用多久还要再看 | 到现在没变好也没变坏
到现在没出过问题 | 一直很稳定
摔过一次，照样完好如新 | 连续用了几个月，毫无故障
"""),
    about_kind=_grades("""\
作为{kind}，它不合格 | 买{kind}的话，我会选别的
作为{kind}，基本合格 | 和别的{kind}差不多
作为{kind}，它恰到好处 | 一直想找这样一款{kind}
"""),
    about_voice=_grades("""\
{voice}刺耳，听久了难受 | {voice}让人心烦
{voice}和想象中差不多 | {voice}不大不小
{voice}清晰悦耳 | {voice}百听不厌
"""),
    openers=(
        "用了{number}{unit}，",
        "每天都用，用了{number}{unit}，",
        "{month}给{person}买的，",
        "给{person}买的，用了{number}{unit}，",
        "犹豫了{number}{unit}，{month}才下单，",
        "和{person}一起用了{number}{unit}，",
        "说实话，用了{number}{unit}，",
    ),
    contrasts=("不过，", "但是，", "话说回来，", "另一方面，"),
    numbers=_phrases("两 | 三 | 四 | 五 | 六 | 七 | 八 | 九"),
    units=_phrases("天 | 周 | 个月"),
    people=_phrases("姐姐 | 弟弟 | 爸爸 | 姑姑 | 舅舅 | 邻居 | 同事 | 朋友"),
    months=_phrases("一月 | 三月 | 四月 | 六月 | 八月 | 十月 | 十二月"),
    stop="。",
    space="",
    brands=_phrases("""\
云岚 | 星澜 | 木棉 | 清禾 | 知远 | 青屿 | 远山 | 拾光 | \
南栀 | 白榆 | 朗月 | 松间 | 半夏 | 予安 | 澄川 | 北辰 | \
沐野 | 安禾 | 若溪 | 景行 | 竹里 | 望舒 | 初霁 | 归舟"""),
    titles=("{brand} {model}", "{brand} {letter}{model}", "{brand}{model}型"),
)

_TONGUES = MappingProxyType({"en": _ENGLISH, "zh": _CHINESE})
