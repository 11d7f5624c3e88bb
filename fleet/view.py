"""The live view of a fleet: a page for a terminal, or plain lines where there is none."""

from collections.abc import Mapping
from textwrap import wrap

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from audit.tally import SurfaceTally, is_synthetic
from audit.words import counted, printable
from domain.vocabulary import State
from fleet.standing import Standing
from fleet.status import FleetFacts, ProcessFacts, realised_text

# Rows of a page besides processes, standings, surfaces, addresses and events: title, headings, subscribers, a frame.
OTHER_ROWS = 6
MOST_ROWS = 1000
# A space at which no line is broken.
TIE = "\u00a0"
FEWEST_EVENTS = 3
FRAME = 4
NAMES = len("subscribers")


def page(
    facts: FleetFacts, *, title: str, addresses: dict[str, str], width: int, height: int | None = None
) -> RenderableType:
    """Lay the facts out as one page, at most ``width`` columns wide.

    Args:
        height: rows there are. Where they are few, processes about which there is nothing to say share a line, and the
            oldest events give way.
    """
    rows = _rows_left(facts, addresses, height)
    is_tight = rows - len(facts.processes) - 1 < FEWEST_EVENTS
    processes = _brief_processes(facts, width) if is_tight else [_processes(facts)]
    used = len(processes) if is_tight else len(facts.processes) + 1
    return Group(
        Text(title, style="bold"),
        *processes,
        *(_brief_standings(facts) if is_tight else _standings(facts.standings)),
        _surfaces(facts),
        _subscribers(facts),
        *(Text(said, style="red") for said in _unreadable(facts)),
        _events(facts, width, most=max(FEWEST_EVENTS, rows - used)),
        _addresses(addresses),
    )


def _rows_left(facts: FleetFacts, addresses: dict[str, str], height: int | None) -> int:
    """Return how many rows processes and events may take together."""
    if height is None:
        return MOST_ROWS
    taken = len(facts.standings) + 2 * len(facts.surfaces) + len(facts.unreadable) + len(addresses)
    return height - taken - OTHER_ROWS


def plain(facts: FleetFacts) -> str:
    """Return the facts as lines of text."""
    longest = max((len(process.name) for process in facts.processes), default=0)
    lines = [f"{process.name:{longest}} {_process(process)}" for process in facts.processes]
    # Columns of their own: beside the longest name of a process the counts would not fit a terminal.
    lines += [f"{name:{NAMES}} {standing_text(standing)}" for name, standing in facts.standings.items()]
    lines += [f"{name:{NAMES}} {_counts(tally)}" for name, tally in _tallies(facts)]
    lines.append(f"{'subscribers':{NAMES}} {_reports(facts)}")
    lines += _unreadable(facts)
    if facts.problem:
        lines.append(facts.problem)
    return "\n".join(lines)


def line(facts: FleetFacts) -> str:
    """Return the facts in one line, for a log."""
    surfaces = "; ".join(f"{name}: {_held(facts, name)}{_counts(tally)}" for name, tally in _tallies(facts))
    up = sum(p.state == "RUNNING" for p in facts.processes)
    running = f"running unknown: {facts.problem}" if facts.problem else f"{up}/{len(facts.processes)} running"
    damaged = f"; cannot be read: {', '.join(facts.unreadable)}" if facts.unreadable else ""
    return f"{running}; {surfaces or 'no surface yet'}; subscriber: {_reports(facts)}{damaged}"


def standing_text(standing: Standing) -> str:
    """Return in one line what a surface may do, what it holds, and how fresh that is."""
    parts = [
        _held_text(standing),
        f"{standing.open} open",
        _heartbeat(standing),
    ]
    return printable(", ".join(parts))


def _heartbeat(standing: Standing) -> str:
    if standing.beat_age_s is not None:
        return f"heartbeat {standing.beat_age_s} s ago"
    return f"no heartbeat since it ended ({standing.ended})" if standing.ended else "no heartbeat"


def _held(facts: FleetFacts, name: str) -> str:
    """Return what keeps a surface from trading freely, nothing when nothing does."""
    standing = facts.standings.get(name)
    return "" if standing is None or _is_free(standing) else printable(f"{_held_text(standing)}, ")


def _is_free(standing: Standing) -> bool:
    return standing.state in (None, State.RUN) and not _brakes(standing)


def _held_text(standing: Standing) -> str:
    reason = f" ({standing.reason})" if standing.reason else ""
    return ", ".join([f"{standing.state or 'never ran'}{reason}", *_brakes(standing)])


def _brakes(standing: Standing) -> list[str]:
    """Return what holds a surface back besides its state."""
    found = ["flatten"] if standing.flatten else []
    if standing.stop_files:
        found.append(f"STOP file {' and '.join(standing.stop_files)}")
    if standing.ordered:
        found.append(f"ordered {standing.ordered}, not obeyed yet")
    return found


def _process(process: ProcessFacts) -> str:
    if process.pid:
        trouble = printable(f"  {process.beat['trouble']}") if process.beat.get("trouble") else ""
        return f"{process.state:9} pid {process.pid:<7} up {process.uptime_s:>5} s {process.rss_mib:6.1f} MiB{trouble}"
    return f"{process.state}{_ending(process)}"


def _ending(process: ProcessFacts) -> str:
    """Return how a process that is not there ended, and where to read on."""
    status = f" ({process.exit_status})" if process.exit_status is not None else ""
    trouble = f", {process.trouble}" if process.trouble else ""
    return printable(f"{status}{trouble}{f', see {process.log}' if process.log else ''}")


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
            f"{process.uptime_s} s" if process.pid else "-",
            f"{process.rss_mib:.0f}" if process.pid else "-",
            Text(
                _beat(process) if process.pid else _ending(process).strip(", ")
            ),  # a reason may hold brackets, which are markup in a plain string
        )
    return table


def _brief_processes(facts: FleetFacts, width: int) -> list[RenderableType]:
    """Return a line for each process there is something to say about, the others together by name and memory."""
    if facts.problem:
        return [Text(facts.problem, style="red")]
    well = [process for process in facts.processes if process.state == "RUNNING" and not _trouble(process)]
    rows: list[RenderableType] = [
        Text(f"{process.name} {process.state} {_trouble(process)}".rstrip(), style="yellow")
        for process in facts.processes
        if process not in well
    ]
    names = [f"{process.name}{TIE}{process.rss_mib:.0f}" for process in well]
    text = f"{len(well)} running (MiB): " + ", ".join(names)
    folded = wrap(text, width, break_on_hyphens=False)
    return [*rows, *(Text(row.replace(TIE, " "), style="green") for row in folded)]


def _trouble(process: ProcessFacts) -> str:
    """Return what keeps a process from its plain work, nothing when nothing does."""
    if not process.pid:
        return _ending(process).strip(", ")
    beat = process.beat
    is_plain = not (beat.get("trouble") or beat.get("stopped") or beat.get("state") not in (None, "RUN"))
    return "" if is_plain else _beat(process)


def _beat(process: ProcessFacts) -> str:
    beat = process.beat
    if not beat:
        return ""
    stopped = " STOP file" if beat.get("stopped") else ""
    state = f" {beat['state']} ({beat['reason']})" if beat.get("state") not in (None, "RUN") else ""
    open_ = f", {beat['open']} open" if "open" in beat else ""
    trouble = f", {beat['trouble']}" if beat.get("trouble") else ""
    return printable(f"{beat.get('phase', '')}{state}{stopped}{open_}{trouble}")


def _standings(standings: Mapping[str, Standing]) -> list[RenderableType]:
    return [_standing(name, standing) for name, standing in standings.items()]


def _brief_standings(facts: FleetFacts) -> list[RenderableType]:
    """Return a line for each surface that something holds back or that is not heard, the others together."""
    well = {name: one for name, one in facts.standings.items() if _is_free(one) and one.beat_age_s is not None}
    rest = {name: one for name, one in facts.standings.items() if name not in well}
    together = ", ".join(f"{name} {one.open} open" for name, one in well.items())
    return [*_standings(rest), *([Text(f"free to trade: {together}")] if well else [])]


def _standing(name: str, standing: Standing) -> Text:
    return Text.assemble((f"{name} stands    ", "dim"), (standing_text(standing), "" if _is_free(standing) else "red"))


def _tallies(facts: FleetFacts) -> list[tuple[str, SurfaceTally]]:
    """Return what each surface did, in the order in which they stand above it."""
    places = {name: place for place, name in enumerate(facts.standings)}
    return sorted(facts.surfaces.items(), key=lambda item: places.get(item[0], len(places)))


def _surfaces(facts: FleetFacts) -> RenderableType:
    if not facts.surfaces:
        return Text("no decision yet: the surfaces are warming up", style="dim")
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("surface", "candidates", "signals", "filled", "resolved", "late", "realised"):
        table.add_column(name, justify="left" if name == "surface" else "right")
    for name, tally in _tallies(facts):
        counts = (tally.decisions, tally.signals, tally.executed, tally.resolved, tally.late)
        table.add_row(name, *map(str, counts), _money(tally))
    return Group(table, *(_refused(name, tally) for name, tally in _tallies(facts)))


def _refused(name: str, tally: SurfaceTally) -> Text:
    # A line of its own: as a column it would be cut where a terminal is narrow.
    codes = ", ".join(f"{code} {n}" for code, n in tally.refused.most_common(4)) or "nothing yet"
    return Text.assemble((f"{name} refused  ", "dim"), codes)


def _subscribers(facts: FleetFacts) -> Text:
    return Text.assemble(("subscriber  ", "dim"), _reports(facts))


def _events(facts: FleetFacts, width: int, *, most: int) -> Panel:
    rows = [
        Text(_fitted(f"{ts[11:19]}  {log.partition('/')[0]:4}  {what}", width - FRAME))
        for ts, log, what in sorted(facts.events)[-most:]
    ]
    return Panel(
        Group(*rows) if rows else Text("nothing published yet", style="dim"), title="newest", title_align="left"
    )


def _fitted(text: str, room: int) -> str:
    """Return the text in one line; one that is too long loses words before its last parenthesis, which is a source."""
    if len(text) <= room:
        return text
    start = text.rfind(" (")
    end = text[start:] if text.endswith(")") and len(text) - start < room / 2 else ""
    return f"{text[: room - len(end) - 1].rpartition(' ')[0]} …{end}"


def _addresses(addresses: dict[str, str]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(overflow="fold")  # whole, so that it can be copied
    for name, where in addresses.items():
        table.add_row(Text(name, style="dim"), where)
    return table


def _counts(tally: SurfaceTally) -> str:
    return (
        f"{counted(tally.decisions, 'decision')}, {counted(tally.signals, 'signal')}, {tally.executed} executed, "
        f"{tally.resolved} resolved, "
        f"{_money(tally)}"
    )


def _money(tally: SurfaceTally) -> str:
    """Return what was realised, real and synthetic apart: they never make one total."""
    real = {unit: tally.real(unit) for source, unit in tally.realised if not is_synthetic(source)}
    synthetic = {unit: tally.synthetic(unit) for source, unit in tally.realised if is_synthetic(source)}
    return f"{realised_text(real)} (sim: {realised_text(synthetic)})" if synthetic else realised_text(real)


def _unreadable(facts: FleetFacts) -> list[str]:
    return [printable(f"{name:16} cannot be read: {why}") for name, why in facts.unreadable.items()]


def _reports(facts: FleetFacts) -> str:
    s = facts.subscribers
    skipped = f", skipped {sum(s.skipped.values())}" if s.skipped else ""
    return f"{s.acked} acked{skipped}, {s.executed} executed, {s.resolved} resolved, {realised_text(s.realised)}"
