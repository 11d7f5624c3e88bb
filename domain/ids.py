"""Identifiers: time-ordered ones for records, and client order ids that are a pure function of the trade."""

import os
import re
from datetime import datetime

from domain.vocabulary import Leg, Surface

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_ID = re.compile(r"[a-z]{3}_[0-7][0-9A-HJKMNP-TV-Z]{25}")
_CLIENT_ORDER_ID = re.compile(
    r"tb-(?P<surface>[a-z]+)-(?P<ulid>[0-9A-Z]{26})-(?P<leg>[a-z]+)-(?P<attempt>0|[1-9][0-9]*)"
)


def new_id(prefix: str, moment: datetime) -> str:
    """Return ``<prefix>_<26 characters>``: 48 bits of milliseconds, then 80 random bits (the ULID layout)."""
    value = (int(moment.timestamp() * 1000) << 80) | int.from_bytes(os.urandom(10), "big")
    return f"{prefix}_{_base32(value)}"


def is_id(text: str, prefix: str) -> bool:
    """Tell whether ``text`` has the form of an id with this prefix."""
    return text.startswith(f"{prefix}_") and _ID.fullmatch(text) is not None


def client_order_id(surface: Surface, signal_id: str, leg: Leg, attempt: int) -> str:
    """Return the id an order carries at the broker.

    Surface and resolver derive the same id for the same order, so whoever asks twice gets the same order.
    """
    return f"tb-{surface}-{signal_id.removeprefix('sig_')}-{leg}-{attempt}"


def signal_of_order(order_id: str) -> tuple[Surface, str, Leg, int] | None:
    """Take a client order id apart, or return None when it is not one of ours."""
    found = _CLIENT_ORDER_ID.fullmatch(order_id)
    if found is None:
        return None
    try:
        return Surface(found["surface"]), f"sig_{found['ulid']}", Leg(found["leg"]), int(found["attempt"])
    except ValueError:
        return None


def _base32(value: int) -> str:
    # Two characters at a time: half the work, and every record without an id of its own passes here.
    return "".join([_PAIRS[(value >> shift) & 1023] for shift in range(120, -1, -10)])
