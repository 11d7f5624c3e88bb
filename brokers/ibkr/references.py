"""Our client order ids as IBKR carries them: ``orderRef`` on the socket, ``cOID`` at the portal.

A trade at IBKR has no id of its own, only a net position per symbol: here its id is that of its entry order.
"""

from functools import lru_cache

from domain.ids import client_order_id
from domain.ids import signal_of_order as _parse
from domain.vocabulary import Leg, Surface

FIRST = 1
# The same few orders are asked about for every execution of a week, each second.
signal_of_order = lru_cache(maxsize=4096)(_parse)


def entry_of(reference: str) -> str | None:
    """Return the id of the entry (attempt 1) of the signal that ``reference`` belongs to; None when it is not ours."""
    parsed = signal_of_order(reference)
    return client_order_id(parsed[0], parsed[1], Leg.ENTRY, FIRST) if parsed else None


def stop_of(reference: str, attempt: int = FIRST) -> str | None:
    """Return the id of the protective order of the signal that ``reference`` belongs to; None when it is not ours."""
    parsed = signal_of_order(reference)
    return client_order_id(parsed[0], parsed[1], Leg.STOP, attempt) if parsed else None


def leg_of(reference: str | None) -> Leg | None:
    """Return which part of a trade an order is; None when it is not ours."""
    parsed = signal_of_order(reference or "")
    return parsed[2] if parsed else None


def attempt_of(reference: str) -> int:
    """Return which attempt an order of ours is; 0 when it is not ours."""
    parsed = signal_of_order(reference)
    return parsed[3] if parsed else 0


def signal_id_of(reference: str | None) -> str | None:
    parsed = signal_of_order(reference or "")
    return parsed[1] if parsed else None


def group_of(surface: Surface, signal_id: str) -> str:
    """Return the one-cancels-all group that we give to a signal's stops and exits: ``tb-stk-<ULID>``."""
    return f"tb-{surface}-{signal_id.removeprefix('sig_')}"
