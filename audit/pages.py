"""Reports as text for a terminal."""

from decimal import Decimal

from audit.report import Miss, Outcomes, SurfaceReport
from audit.words import counted, printable, rounded

# Gates that answer yes or no count these; with a limit of 0 no refusal is nearer than another.
COUNTED = frozenset({"reasons", "positions", "blocks", "closures", "suspensions", "trips"})


def report_text(report: SurfaceReport) -> str:
    """Lay one surface's report out in plain text."""
    parts = [_header(report), _outcomes(report), _funnel(report)]
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


def _funnel(report: SurfaceReport) -> str:
    if not report.candidates:
        return ""
    lines = ["  gate         reached  refused  nearest miss"]
    for gate, reached, refused in report.funnel():
        miss = report.nearest.get(gate)
        near = _nearest(miss) if miss else ""
        lines.append(printable(f"  {gate:12} {reached:7}  {refused:7}  {near}".rstrip()))
    lines.append(f"  admitted     {report.admitted:7}")
    return "\n".join(lines)


def _nearest(miss: Miss) -> str:
    if miss.unit in COUNTED and Decimal(miss.limit) == 0:
        return ""
    return f"{miss.market} {rounded(miss.value)} against {rounded(miss.limit)} {miss.unit} ({miss.decision_id})"
