"""The live view of a fleet: a page for a terminal, or plain lines where there is none."""

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from audit.tally import SurfaceTally, is_synthetic
from fleet.status import FleetFacts, ProcessFacts, realised_text


def page(facts: FleetFacts, *, title: str, addresses: dict[str, str], width: int) -> RenderableType:
    """Lay the facts out as one page, at most ``width`` columns wide."""
    return Group(
        Text(title, style="bold"),
        _processes(facts),
        _surfaces(facts),
        _subscribers(facts),
        _events(facts, width),
        _addresses(addresses),
    )


def plain(facts: FleetFacts) -> str:
    """Return the facts as lines of text."""
    lines = [
        f"{p.name:16} {p.state:9} pid {p.pid:<7} up {p.uptime_s:>5} s {p.rss_mib:6.1f} MiB" for p in facts.processes
    ]
    lines += [f"{name:16} {_counts(tally)}" for name, tally in facts.surfaces.items()]
    lines.append(f"{'subscribers':16} {_reports(facts)}")
    if facts.problem:
        lines.append(facts.problem)
    return "\n".join(lines)


def line(facts: FleetFacts) -> str:
    """Return the facts in one line, for a log."""
    surfaces = "; ".join(f"{name}: {_counts(tally)}" for name, tally in facts.surfaces.items())
    up = sum(p.state == "RUNNING" for p in facts.processes)
    return f"{up}/{len(facts.processes)} running; {surfaces or 'no surface yet'}; subscriber: {_reports(facts)}"


def _processes(facts: FleetFacts) -> RenderableType:
    if facts.problem:
        return Text(facts.problem, style="red")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name, justify in (("process", "left"), ("state", "left"), ("pid", "right"), ("up", "right"), ("MiB", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    table.add_column("what it says")
    for process in facts.processes:
        style = "green" if process.state == "RUNNING" else "yellow"
        table.add_row(
            process.name,
            Text(process.state, style=style),
            str(process.pid or "-"),
            f"{process.uptime_s} s",
            f"{process.rss_mib:.0f}",
            Text(_beat(process)),  # a reason may hold brackets, which are markup in a plain string
        )
    return table


def _beat(process: ProcessFacts) -> str:
    beat = process.beat
    if not beat:
        return ""
    stopped = " STOP file" if beat.get("stopped") else ""
    state = f" {beat['state']} ({beat['reason']})" if beat.get("state") not in (None, "RUN") else ""
    open_ = f", {beat['open']} open" if "open" in beat else ""
    return f"{beat.get('phase', '')}{state}{stopped}{open_}"


def _surfaces(facts: FleetFacts) -> RenderableType:
    if not facts.surfaces:
        return Text("no decision yet: the surfaces are warming up", style="dim")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("surface", "candidates", "signals", "filled", "resolved", "late", "realised"):
        table.add_column(name, justify="left" if name == "surface" else "right")
    for name, tally in facts.surfaces.items():
        counts = (tally.decisions, tally.signals, tally.executed, tally.resolved, tally.late)
        table.add_row(name, *map(str, counts), _money(tally))
    return Group(table, *(_refused(name, tally) for name, tally in facts.surfaces.items()))


def _refused(name: str, tally: SurfaceTally) -> Text:
    # A line of its own: as a column it would be cut where a terminal is narrow.
    codes = ", ".join(f"{code} {n}" for code, n in tally.refused.most_common(4)) or "nothing yet"
    return Text.assemble((f"{name} refused  ", "dim"), codes)


def _subscribers(facts: FleetFacts) -> Text:
    return Text.assemble(("subscriber  ", "dim"), _reports(facts))


def _events(facts: FleetFacts, width: int) -> Panel:
    rows = [
        Text(f"{ts[5:19].replace('T', ' ')}  {log:14}  {what}"[: width - 4]) for ts, log, what in sorted(facts.events)
    ]
    return Panel(
        Group(*rows) if rows else Text("nothing published yet", style="dim"), title="newest", title_align="left"
    )


def _addresses(addresses: dict[str, str]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(overflow="fold")  # whole, so that it can be copied
    for name, where in addresses.items():
        table.add_row(Text(name, style="dim"), where)
    return table


def _counts(tally: SurfaceTally) -> str:
    return (
        f"{tally.decisions} decisions, {tally.signals} signals, {tally.executed} executed, {tally.resolved} resolved, "
        f"{_money(tally)}"
    )


def _money(tally: SurfaceTally) -> str:
    """Return what was realised, real and synthetic apart: they never make one total."""
    real = {unit: tally.real(unit) for source, unit in tally.realised if not is_synthetic(source)}
    synthetic = {unit: tally.synthetic(unit) for source, unit in tally.realised if is_synthetic(source)}
    return f"{realised_text(real)} (sim: {realised_text(synthetic)})" if synthetic else realised_text(real)


def _reports(facts: FleetFacts) -> str:
    s = facts.subscribers
    skipped = f", skipped {sum(s.skipped.values())}" if s.skipped else ""
    return f"{s.acked} acked{skipped}, {s.executed} executed, {s.resolved} resolved, {realised_text(s.realised)}"
