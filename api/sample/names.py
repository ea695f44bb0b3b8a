"""Made-up names of people and firms, and how to reach them; nobody is meant."""

from __future__ import annotations

import json
from typing import Final

from api.sample.chance import draws
from api.sample.places import Province

FAMILY: Final = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董潘袁蔡蒋余于杜叶程"
    "苏魏吕丁任卢姚沈钟姜崔谭陆范汪廖石金韦贾夏付方邹熊白孟秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万"
)
GIVEN: Final = (
    "伟芳娜敏静秀丽强磊军洋勇艳杰娟涛明超霞平刚桂英华玉兰红梅建国志文海燕春晓东雪峰婷宇浩然思远"
    "若溪嘉怡子涵梓轩雨桐一诺欣悦泽宇俊熙博文诗琪佳慧晨曦安然清和知秋书墨云舒"
)
WORDS: Final = (
    "清和", "云岫", "松风", "听泉", "半山", "问茶", "一叶", "雨前", "谷雨", "春山", "茗香", "和气",
    "古道", "陶然", "闲云", "竹里", "溪上", "雅集", "同福", "万象", "金叶", "碧波", "南园", "东篱",
    "瑞草", "紫笋", "玉露", "岩韵", "山房", "知味", "静水", "朴园", "长乐", "福源", "鼎盛", "恒茂",
)  # fmt: skip
TRADES: Final = ("茶业", "茶行", "茶庄", "商贸", "茶叶", "贸易", "茶文化传播", "食品")
FORMS: Final = ("有限公司", "有限公司", "有限公司", "股份有限公司", "有限责任公司")
ROADS: Final = ("人民路", "解放路", "中山路", "建设路", "和平路", "文化路", "新华街", "示例路")

_USCC: Final = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_NOWHERE: Final = "910000"
"""An organization of no real region, so that no code here is a real firm's."""


def person(name: str) -> str:
    """Return a name for a person; `name` says which one is meant."""
    draw = draws(f"person/{name}")
    given = "".join(draw.choice(GIVEN) for _ in range(draw.choice((1, 2, 2, 2))))
    return draw.choice(FAMILY) + given


def firm(name: str, province: Province) -> str:
    """Return a name for a firm of a province."""
    draw = draws(f"firm/{name}")
    city = draw.choice(province.cities or (province.place,)).names.zh
    short = city if city.endswith(("区", "县", "州", "盟")) else city.removesuffix("市")
    return f"{short}{draw.choice(WORDS)}{draw.choice(TRADES)}{draw.choice(FORMS)}"


def contact(name: str) -> str:
    """Return how to reach somebody, as the doors write it; no such telephone exists."""
    draw = draws(f"contact/{name}")
    phone = f"+86100{draw.randrange(10**8):08d}"
    return json.dumps(
        {"name": person(f"contact/{name}"), "phone": phone, "email": "name@example.com"},
        ensure_ascii=False,
    )


def address(name: str, province: Province) -> str:
    """Return where somebody is."""
    draw = draws(f"address/{name}")
    city = draw.choice(province.cities or (province.place,)).names.zh
    return f"{province.place.names.zh}{city}{draw.choice(ROADS)} {draw.randrange(1, 400)} 号"


def uscc(name: str) -> str:
    """Return a well-formed unified social credit code (GB 32100-2015) of no real organization."""
    draw = draws(f"uscc/{name}")
    body = "91" + _NOWHERE + "".join(draw.choice(_USCC) for _ in range(9))
    total = sum(_USCC.index(sign) * pow(3, place, 31) for place, sign in enumerate(body))
    return body + _USCC[(31 - total % 31) % 31]
