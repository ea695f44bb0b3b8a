"""What `counterseal` says, in Chinese and English; the texts lie in `cli_texts.toml`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from replay.cli_texts import Language, Texts, understood

__all__ = ["OWN", "Language", "has", "say", "speak", "spoken", "texts", "understood", "word"]

OWN: Final = Texts("counterseal", Path(__file__).with_name("cli_texts.toml"))

speak = OWN.speak
spoken = OWN.spoken
texts = OWN.texts
has = OWN.has
say = OWN.say
word = OWN.word
