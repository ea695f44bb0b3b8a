"""Identifiers as other people defined them: USCC, resident identity number, telephone."""

from __future__ import annotations

import re
from typing import Final, Literal

import phonenumbers
from stdnum.cn import ric, uscc
from stdnum.exceptions import ValidationError

from domain.errors import Refused

HOME_REGION: Final = "CN"
"""Where a telephone number without a country code is dialled."""

IdentityDocument = Literal["resident_identity_card", "passport", "other"]

_PASSPORT = re.compile(r"[A-Z0-9]{5,20}")


def credit_code(text: str) -> str:
    """Return a unified social credit code (GB 32100-2015). Raises `Refused` `uscc.malformed`."""
    try:
        return uscc.validate(text)
    except ValidationError:
        raise Refused("uscc.malformed") from None


def identity_number(text: str, document: IdentityDocument) -> str:
    """Return the number of an identity document; a resident's is checked by GB 11643-1999.

    Raises `Refused` `identity_number.malformed`; the number itself goes nowhere.
    """
    compact = re.sub(r"[\s-]", "", text).upper()
    try:
        if document == "resident_identity_card":
            return ric.validate(compact)
    except ValidationError:
        raise Refused("identity_number.malformed", document=document) from None
    if document == "passport" and _PASSPORT.fullmatch(compact) is None:
        raise Refused("identity_number.malformed", document=document)
    return compact


def telephone(text: str) -> str:
    """Return a telephone number in E.164. Raises `Refused` `phone.malformed`."""
    try:
        parsed = phonenumbers.parse(text, HOME_REGION)
    except phonenumbers.NumberParseException:
        raise Refused("phone.malformed") from None
    if not phonenumbers.is_valid_number(parsed):
        raise Refused("phone.malformed")
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
