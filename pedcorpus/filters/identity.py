"""Answers in which another product speaks: a named assistant, a model, or an advertiser."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pedcorpus.plugins import Drop, Keep
from pedcorpus.records import Row

_MACHINE = r"(?:AI|A\.I\.|人工智能|语言模型|大模型|机器人|智能[^，。！？\n]{0,6}(?:助手|助理|系统|程序|医生))"
PRODUCTS = (
    r"(?:ChatGPT|GPT-?\d|OpenAI|Claude|Gemini|DeepSeek|文心一言|通义千问|讯飞星火|豆包|混元|智谱清言|华佗GPT|[Kk]imi)"
)
_CLAIM = re.compile(
    rf"我(?:是|叫|名叫)(?!不是)[^，。！？?\n\"“”]{{0,16}}?(?:{_MACHINE}|(?<![生师任授士的])助手)"
    rf"|我(?:叫|名叫)[^，。！？?\n]{{1,10}}[，,][ ]?(?:是|一[个名款位])[^，。！？?\n]{{0,16}}?(?:{_MACHINE}|(?<![生师任授士的])助手)"
    rf"|我(?:是|叫|名叫)[^，。！？?\n\"“”]{{0,6}}?{PRODUCTS}|由[ ]?{PRODUCTS}[ ]?(?:公司)?(?:开发|训练|研发|打造|创建)"
    rf"|作为(?:一[个名位款种])?[^，。！？\n的]{{0,8}}?{_MACHINE}(?:[^，。！？\n]{{0,8}})?[，, ]?[ ]?我"
    rf"|(?i:\bas an? (?:[a-z-]+ ){{0,3}}(?:AI|artificial intelligence|language model)\b|\bI(?:'m| am) (?:an? )?(?:[a-z-]+ ){{0,3}}(?:AI|language model|chatbot|ChatGPT)\b)"
)
_CONTACT = r"(?:加|联系|私信|私聊|扫)(?:我|下方|上方|这个|本人)?(?:的)?(?:[VvQq]|微信|QQ|扣+|二维码|\[账号\]|\[电话\])"
_ADVERT = re.compile(
    rf"(?:[挣赚][^，。！？\n]{{0,12}}钱|兼职|[日月]入[^，。！？\n]{{0,6}}[元块千万]|招(?:代理|加盟)|做代理|加盟)[^。！？\n]{{0,60}}?(?:{_CONTACT}|加我|联系我|私信我|了解[，。！]?)"
    rf"|加我[^，。！？\n]{{0,24}}?(?:了解|咨询|详[谈聊情]|领取|免费)|{_CONTACT}[^，。！？\n]{{0,20}}?(?:了解|咨询|购买|订购|下单|领取|优惠)"
)


@dataclass(frozen=True, slots=True)
class IdentityFilter:
    """Drops rows whose answers claim to be some assistant, model or robot, or that tout for customers.

    Only the project's own self-cognition rows say who speaks.
    """

    name = "identity"

    def check(self, row: Row) -> Keep | Drop:
        """Keep or drop ``row``."""
        if row.task in ("self_cognition", "cpt"):
            return Keep()
        for answer in row.answers():
            claim = _CLAIM.search(answer)
            if claim:
                return Drop("quality.identity", claim.group())
            advert = _ADVERT.search(answer)
            if advert:
                return Drop("quality.advert", advert.group())
        return Keep()
