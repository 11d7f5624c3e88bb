"""Reports as text for a terminal."""

from decimal import Decimal

from audit.report import Miss, Outcomes, SurfaceReport, has_degree
from audit.words import counted, printable, rounded


def report_text(report: SurfaceReport) -> str:
    """Lay one surface's report out in plain text."""
    parts = [_header(report), _outcomes(report), _early(report), _funnel(report)]
    return "\n\n".join(part for part in parts if part)


def _header(report: SurfaceReport) -> str:
    if report.first is None or report.last is None:
        return f"{report.surface}: no decisions in this period"
    span = f"{report.first:%Y-%m-%d %H:%M} to {report.last:%Y-%m-%d %H:%M} UTC"
    return f"{report.surface}: {counted(report.candidates, 'candidate')}, {report.admitted} admitted, {span}"


def _outcomes(report: SurfaceReport) -> str:
    if not report.outcomes:
        return "  no trade has been resolved in this period"
    lines = ["  mode     source             trades  wins     realised         late  actual/eta"]
    lines += [_outcome(item) for _, item in sorted(report.outcomes.items())]
    if any(item.is_synthetic for item in report.outcomes.values()):
        lines.append("  synthetic sources (sim) are never added to real ones")
    return "\n".join(lines)


def _outcome(item: Outcomes) -> str:
    facts = item.as_dict()
    ratio = facts["actual_over_eta_median"]
    eta = "-" if ratio is None else f"{ratio:.2f}"
    late = f"{item.late / item.trades:.0%}"
    money = f"{item.realised:.2f} {item.currency}"
    line = f"  {item.mode:8} {item.source:18} {item.trades:6}  {item.wins:4}  {money:>15}  {late:>6}  {eta:>10}"
    return printable(line)


def _early(report: SurfaceReport) -> str:
    if not report.early:
        return ""
    lines = ["  seen early, nothing paid yet and in no total:"]
    for early in report.early.values():
        money = f"{Decimal(early.amount):+.2f} {early.currency} if it holds"
        contested = ", disputed" if early.disputed else ""
        seen = f"{early.market} {early.outcome} by {early.source}{contested}, {money} ({early.mode}, {early.signal_id})"
        lines.append(printable(f"    {seen}"))
    return "\n".join(lines)


def _funnel(report: SurfaceReport) -> str:
    if not report.candidates:
        return ""
    lines = ["  gate         reached  refused  with code; nearest miss"]
    for gate, reached, refused in report.funnel():
        codes = ", ".join(f"{code} {n}" for code, n in report.codes[gate].most_common())
        miss = report.nearest.get(gate)
        told = "; ".join(part for part in (codes, _nearest(miss) if miss else "") if part)
        lines.append(printable(f"  {gate:12} {reached:7}  {refused:7}  {told}".rstrip()))
    lines.append(f"  admitted     {report.admitted:7}")
    return "\n".join(lines)


def _nearest(miss: Miss) -> str:
    if not has_degree(miss.unit, Decimal(miss.limit)):
        return ""
    return f"{miss.market} {rounded(miss.value)} against {rounded(miss.limit)} {miss.unit} ({miss.decision_id})"
