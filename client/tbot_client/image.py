"""The state as one record, with which a journal that grew long begins anew.

This module is the single authority for what of the state outlives a compaction: everything.
"""

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from tbot_client.keys import Key
from tbot_client.reports import Report
from tbot_client.trade import Trade

if TYPE_CHECKING:
    from tbot_client.state import State


class _Image(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The fields of a state, by the same names."""

    trades: dict[str, Trade]
    seen: list[str]
    ended: list[str]
    cursor: str
    hashes: dict[str, dict[str, str]]
    last_id: str
    counts: dict[str, int]
    outbox: dict[int, Report]
    reports: int
    disputed: list[dict[str, Any]]
    days: dict[str, dict[str, Decimal]]
    days_over: list[str]
    distrust: str
    distrust_signers: list[str] = []  # absent from what an older client wrote
    keys: dict[str, Key]
    outcomes: dict[str, dict[str, Any]]
    absences: list[dict[str, Any]]


_SETS = frozenset({"seen", "ended", "days_over"})


def of(state: "State") -> dict[str, Any]:
    """Return the whole state as plain values."""
    fields = {name: getattr(state, name) for name in _Image.__struct_fields__}
    fields |= {name: sorted(fields[name]) for name in _SETS}
    plain: dict[str, Any] = msgspec.to_builtins(_Image(**fields), str_keys=True)
    return plain


def restore(state: "State", plain: dict[str, Any]) -> None:
    """Set every field of the state to what `of` returned."""
    found = msgspec.convert(plain, _Image, strict=False)
    for name in _Image.__struct_fields__:
        value = getattr(found, name)
        setattr(state, name, set(value) if name in _SETS else value)
    state.counts = Counter(found.counts)
