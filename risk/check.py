"""The single comparisons that gates are made of, and how several become one verdict."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import TypeAlias

from domain.decision import Size, Verdict
from domain.vocabulary import Code, Gate
from risk.caps import Cap

# Whether it passed, the code it refuses with, the value and the limit it was compared with, their unit, a note. A plain
# tuple, because a candidate costs two dozen of them and a NamedTuple takes six times as long to make.
Check: TypeAlias = "tuple[bool, Code, Decimal, Decimal, str, str]"

_ZERO = Decimal(0)
_ONE = Decimal(1)
_COUNTS = tuple(Decimal(count) for count in range(256))
_MICROSECOND = timedelta(microseconds=1)
_MICRO = Decimal("0.000001")


# Both state the comparison that admits, so that a number that compares with nothing (NaN) admits nothing.
def at_most(code: Code, value: Decimal, limit: Decimal, unit: str, note: str = "") -> Check:
    """Pass while ``value`` is not above ``limit``."""
    return value <= limit, code, value, limit, unit, note


def at_least(code: Code, value: Decimal, limit: Decimal, unit: str, note: str = "") -> Check:
    """Pass while ``value`` is not below ``limit``."""
    return value >= limit, code, value, limit, unit, note


def within(cap: Cap, size: Size) -> Check:
    """Pass while ``size`` fits on top of what ``cap`` has used."""
    code, name, measure, used, limit = cap
    value = used + getattr(size, measure)
    return value <= limit, code, value, limit, size.currency, name


def number(count: int) -> Decimal:
    """Return a count as the Decimal that verdicts hold."""
    return _COUNTS[count] if 0 <= count < len(_COUNTS) else Decimal(count)


def clear(gate: Gate, unit: str) -> Verdict:
    """Return the answer of a gate that found nothing in the way: none of ``unit``, where none is allowed."""
    return Verdict(gate=gate, passed=True, code=None, value=_ZERO, limit=_ZERO, unit=unit)


def found(gate: Gate, code: Code, names: Sequence[str], unit: str) -> Verdict:
    """Return the refusal of a gate that found ``names`` in the way."""
    count = number(len(names))
    return Verdict(gate=gate, passed=False, code=code, value=count, limit=_ZERO, unit=unit, note=", ".join(names))


def verdict(gate: Gate, checks: Sequence[Check]) -> Verdict:
    """Return the first failing check as the gate's verdict, or the tightest one when all pass."""
    if len(checks) == 1:
        return _verdict(gate, checks[0])
    tightest, least = checks[0], None
    for check in checks:
        passed, _, value, limit, _, _ = check
        if not passed:
            return _verdict(gate, check)
        # How far it is from its limit, relative to it; 1 for a limit of zero, which has no "near".
        slack = abs(value - limit) / limit if limit else _ONE
        if least is None or slack < least:
            tightest, least = check, slack
    return _verdict(gate, tightest)


def seconds(span: timedelta) -> Decimal:
    """Return ``span`` in seconds, exact to the microsecond."""
    return (span // _MICROSECOND) * _MICRO


def _verdict(gate: Gate, check: Check) -> Verdict:
    passed, code, value, limit, unit, note = check
    return Verdict(
        gate=gate, passed=passed, code=None if passed else code, value=value, limit=limit, unit=unit, note=note
    )
