"""The single comparisons that gates are made of, and how several become one verdict."""

from datetime import timedelta
from decimal import Decimal
from typing import NamedTuple

from domain.decision import Size, Verdict
from domain.vocabulary import Code, Gate
from risk.caps import Cap

_ONE = Decimal(1)
_MICROSECOND = timedelta(microseconds=1)


class Check(NamedTuple):
    """One comparison of ``value`` with ``limit``, both in ``unit``, and the code it refuses with."""

    passed: bool
    code: Code
    value: Decimal
    limit: Decimal
    unit: str
    note: str = ""


# Both state the comparison that admits, so that a number that compares with nothing (NaN) admits nothing.
def at_most(code: Code, value: Decimal | int, limit: Decimal | int, unit: str, note: str = "") -> Check:
    """Pass while ``value`` is not above ``limit``."""
    return Check(value <= limit, code, Decimal(value), Decimal(limit), unit, note)


def at_least(code: Code, value: Decimal | int, limit: Decimal | int, unit: str, note: str = "") -> Check:
    """Pass while ``value`` is not below ``limit``."""
    return Check(value >= limit, code, Decimal(value), Decimal(limit), unit, note)


def within(cap: Cap, size: Size) -> Check:
    """Pass while ``size`` fits on top of what ``cap`` has used."""
    added: Decimal = getattr(size, cap.measure)
    return at_most(cap.code, cap.used + added, cap.limit, size.currency, cap.name)


def verdict(gate: Gate, *checks: Check) -> Verdict:
    """Return the first failing check as the gate's verdict, or the tightest one when all pass."""
    for check in checks:
        if not check.passed:
            return _verdict(gate, check)
    return _verdict(gate, checks[0] if len(checks) == 1 else min(checks, key=_slack))


def seconds(span: timedelta) -> Decimal:
    """Return ``span`` in seconds, exact to the microsecond."""
    return Decimal(span // _MICROSECOND).scaleb(-6)


def _slack(check: Check) -> Decimal:
    """Return how far a passed check is from its limit, relative to it; 1 for a limit of zero, which has no "near"."""
    return abs(check.value - check.limit) / check.limit if check.limit else _ONE


def _verdict(gate: Gate, check: Check) -> Verdict:
    return Verdict(
        gate=gate,
        passed=check.passed,
        code=None if check.passed else check.code,
        value=check.value,
        limit=check.limit,
        unit=check.unit,
        note=check.note,
    )
