"""The single comparisons that gates are made of, and how several become one verdict."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import TypeAlias

from domain.decision import Size, Verdict, make_verdict
from domain.vocabulary import Code, Gate
from risk.caps import Cap

# Whether it passed, the code it refuses with, the value and the limit it was compared with, their unit, a note. A plain
# tuple, because a candidate costs two dozen of them and a NamedTuple takes six times as long to make. Gates state the
# comparison that admits, so that a number that compares with nothing (NaN) admits nothing.
Check: TypeAlias = "tuple[bool, Code, Decimal, Decimal, str, str]"

_ZERO, _ONE, _TWO = Decimal(0), Decimal(1), Decimal(2)
_LEAST = Decimal("-Infinity")
_COUNTS = tuple(Decimal(count) for count in range(256))
_MICROSECOND = timedelta(microseconds=1)
_MICRO = Decimal("0.000001")


def within(caps: Iterable[Cap], size: Size) -> list[Check]:
    """Return a check for each cap: that ``size`` fits on top of what the cap has used."""
    stake = {"notional": size.notional, "risk": size.risk, "margin": size.margin}
    checks: list[Check] = []
    for code, name, measure, used, limit in caps:
        value = used + stake[measure]
        checks.append((value <= limit, code, value, limit, size.currency, name))
    return checks


def number(count: int) -> Decimal:
    """Return a count as the Decimal that verdicts hold."""
    return _COUNTS[count] if 0 <= count < 256 else Decimal(count)


def clear(gate: Gate, unit: str) -> Verdict:
    """Return the answer of a gate that found nothing in the way: none of ``unit``, where none is allowed."""
    return make_verdict(gate, True, None, _ZERO, _ZERO, unit, "")


def found(gate: Gate, code: Code, names: Sequence[str], unit: str) -> Verdict:
    """Return the refusal of a gate that found ``names`` in the way."""
    return make_verdict(gate, False, code, number(len(names)), _ZERO, unit, ", ".join(names))


def verdict(gate: Gate, checks: Sequence[Check]) -> Verdict:
    """Return the first failing check as the gate's verdict, or the tightest one when all pass.

    How far a value is from its limit, relative to it, is one less the share of the limit that it is; a limit of zero
    has no "near". A value above its limit is as near as one that far below.
    """
    tightest, most = checks[0], _LEAST
    for check in checks:
        passed, code, value, limit, unit, note = check
        if not passed:
            return make_verdict(gate, False, code, value, limit, unit, note)
        share = value / limit if value and limit else _ZERO
        if share > most:
            nearness = share if share <= _ONE else _TWO - share
            if nearness > most:
                tightest, most = check, nearness
    _, _, value, limit, unit, note = tightest
    return make_verdict(gate, True, None, value, limit, unit, note)


def seconds(span: timedelta) -> Decimal:
    """Return ``span`` in seconds, exact to the microsecond."""
    return (span // _MICROSECOND) * _MICRO
