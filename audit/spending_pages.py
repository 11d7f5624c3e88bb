"""What paid estimates cost, as text for a terminal."""

from collections.abc import Sequence
from decimal import Decimal

from audit.spending import CURRENCY, ModeSpending, Spending, SurfaceSpending, fleet
from audit.words import counted, printable, rounded


def spending_text(found: Sequence[SurfaceSpending]) -> str:
    """Lay out what several surfaces spent, and what that makes together."""
    lines = [printable(line) for one in found for line in [*_surface(one), ""]]
    return "\n".join([*lines, f"fleet: {_sum(fleet(found))}"])


def _surface(found: SurfaceSpending) -> list[str]:
    lines: list[str] = []
    for _, mode in sorted(found.modes.items()):
        lines += [f"{found.surface}, {mode.mode}: {_sum(mode.total)}", *_mode(mode)]
    return lines or [f"{found.surface}: no decision and no paid call in this period"]


def _mode(mode: ModeSpending) -> list[str]:
    if not mode.total.calls:
        return [f"  {counted(mode.decisions, 'decision')}, none of them paid for"]
    lines = [f"  {_each(mode)}"]
    if mode.caps:
        caps = ", ".join(f"{name} {rounded(str(cap.limit))} {CURRENCY}" for name, cap in sorted(mode.caps.items()))
        lines.append(f"  budgets as decisions last met them: {caps}")
    lines.append("  day         provider    model                     calls  answered   tokens in      out  USD billed")
    for (day, provider, model), row in sorted(mode.rows.items()):
        what = (
            f"  {day}  {provider:10}  {model:24} {row.calls:6}  {row.answered:8}  {row.tokens_in:10} {row.tokens_out:8}"
        )
        lines.append(f"{what} {row.settled:11.4f}{_beside(row)}")
    return lines


def _sum(spent: Spending) -> str:
    if not spent.calls:
        return "no paid call"
    text = f"{counted(spent.calls, 'call')}, {spent.answered} answered, {_money(spent.total)}"
    if spent.unsettled:
        text += f", of which {_money(spent.reserved)} reserved for {counted(spent.unsettled, 'call')} not settled yet"
    return text


def _each(mode: ModeSpending) -> str:
    parts = [
        (mode.each(mode.decisions), f"a decision ({mode.decisions})"),
        (mode.each(mode.asked), f"a decision models were asked for ({mode.asked})"),
        (mode.each(mode.admitted), f"an admitted trade ({mode.admitted})"),
    ]
    return ", ".join(f"{_money(amount)} {what}" for amount, what in parts if amount is not None)


def _beside(row: Spending) -> str:
    """Return what did not go as it should: calls that failed, by reason, and calls nobody settled."""
    parts = [f"{reason} {number}" for reason, number in row.failures().items()]
    if row.unsettled:
        parts.append(f"{_money(row.reserved)} reserved for {row.unsettled} unsettled")
    return f"  {', '.join(parts)}" if parts else ""


def _money(amount: Decimal) -> str:
    return f"{amount:.4f} {CURRENCY}"
