"""How the fleet is shown: complete at any width, without anything that counts cut off."""

import os
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from audit.tally import SubscriberTally, SurfaceTally
from audit.why import sentence
from domain.clock import parse_clock
from domain.house import House
from domain.vocabulary import State
from fleet.programs import FLEET
from fleet.standing import Standing
from fleet.status import FleetFacts, ProcessFacts, as_dict, collect_once
from fleet.view import line, page, plain
from journal import Journal

ADDRESSES = {"feed": "http://127.0.0.1:45678/healthz", "stop entries": "touch " + "x" * 60 + "/logs/STOP"}
WIDTHS = (80, 150)


def surface() -> SurfaceTally:
    """Return what a busy day at the longest leaves: numbers with many digits, in two currencies."""
    return SurfaceTally(
        decisions=12_345,
        admitted=678,
        refused=Counter({"EDGE": 9_876, "RISK_CONCENTRATION": 543, "DUPLICATE": 321, "MARKET_CLOSED": 99, "STALE": 1}),
        signals=679,
        closes=677,
        resolved=676,
        late=123,
        wins=345,
        realised={
            ("oanda_candles", "USD"): Decimal("-1234.567"),
            ("sim", "USD"): Decimal(1),
            ("sim", "EUR"): Decimal(2),
        },
        filled_orders={str(n) for n in range(680)},
    )


def process(name: str, seen: str = "RUNNING", **beat: object) -> ProcessFacts:
    return ProcessFacts(name=name, state=seen, pid=123_456, uptime_s=86_400, rss_mib=61.27, beat=dict(beat))


def full() -> FleetFacts:
    facts = FleetFacts(
        processes=[
            process("simulator-oanda"),
            process("oanda-fx", phase="ready", state="REDUCE", reason="daily loss [150 USD]", stopped=["STOP"], open=3),
            process("resolver-fx", phase="ready", open=3, waiting=0),
            process("feed", waiting=1),
            process("demo-subscriber", "BACKOFF"),
        ],
        surfaces={"fx": surface()},
        subscribers=SubscriberTally(
            acked=670, skipped=Counter({"drift": 5}), executed=665, resolved=664, realised={"USD": Decimal("-12.341")}
        ),
    )
    for n in range(20):
        what = f"resolved by take_profit (oanda_candles): 12.34 USD [{n}] " + "and so on " * 30
        facts.events.append((f"2014-05-06T07:{n:02}:00.000000Z", "fx/resolutions", what))
    return facts


def partial() -> FleetFacts:
    facts = FleetFacts(processes=[process("oanda-fx", "STARTING"), process("feed", "FATAL")])
    facts.surfaces["fx"] = SurfaceTally(decisions=1)
    return facts


def down() -> FleetFacts:
    return FleetFacts(problem="expected the supervisor at run/supervisor.sock to answer; found nobody; start the fleet")


def shown(facts: FleetFacts, width: int, *, addresses: dict[str, str] = ADDRESSES, height: int | None = None) -> str:
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=width, file=nowhere)
        console.print(page(facts, title="T BOT demo", addresses=addresses, width=width, height=height))
    return console.export_text()


def words(text: str) -> str:
    """Return the text in one line: what a cell says may be broken over several."""
    return " ".join(text.split())


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("facts", [FleetFacts(), partial(), down(), full()], ids=["empty", "partial", "down", "full"])
def test_the_page_fits_its_width_whatever_there_is_to_show(facts: FleetFacts, width: int) -> None:
    text = shown(facts, width)

    assert max(len(row) for row in text.splitlines()) <= width
    assert "T BOT demo" in text
    assert "subscriber" in text


@pytest.mark.parametrize("width", WIDTHS)
def test_every_count_is_on_the_page_in_full(width: int) -> None:
    text = shown(full(), width)

    for count in ("12345", "679", "680", "676", "123"):
        assert count in text.split(), f"{count} is cut at {width} columns:\n{text}"
    assert "…" not in text.partition("newest")[0]
    assert "670 acked, skipped 5, 665 executed, 664 resolved, -12.34 USD" in words(text)


@pytest.mark.parametrize("width", WIDTHS)
def test_every_process_is_on_the_page_with_its_state(width: int) -> None:
    text = shown(full(), width)

    for name in ("simulator-oanda", "oanda-fx", "resolver-fx", "feed", "demo-subscriber"):
        assert name in text.split(), text
    assert text.count("RUNNING") == 4
    assert "BACKOFF" in text
    assert "123456" in text
    for said in ("REDUCE", "daily loss [150 USD]", "STOP file", "3 open"):
        assert said in words(text), text


@pytest.mark.parametrize("width", WIDTHS)
def test_the_most_frequent_refusals_and_the_money_are_on_the_page(width: int) -> None:
    text = words(shown(full(), width))

    for said in ("EDGE 9876", "RISK_CONCENTRATION 543", "USD", "EUR"):
        assert said in text, text


@pytest.mark.parametrize("width", WIDTHS)
def test_only_the_newest_events_are_shown_and_each_takes_one_line(width: int) -> None:
    text = shown(full(), width)

    assert len([row for row in text.splitlines() if "  fx    resolved by take_profit" in row]) == 12
    assert "07:19:00" in text
    assert "07:07:00" not in text


def test_an_event_that_is_too_long_says_so_and_keeps_its_source() -> None:
    rows = [row for row in shown(whole(), 80).splitlines() if "resolved -42.97 USD" in row]

    assert len(rows) == 12
    assert all(row.rstrip(" │").endswith("… (kalshi_resolution)") for row in rows)


def test_plain_text_keeps_its_columns_within_80_beside_the_longest_names() -> None:
    facts = whole()
    facts.surfaces = {
        name: SurfaceTally(
            decisions=1234, signals=180, filled_orders={str(n) for n in range(180)}, resolved=73,
            realised={("kalshi_resolution", "USD"): Decimal("-1234.56")},
        )
        for name in facts.standings
    }  # fmt: skip

    rows = plain(facts).splitlines()

    assert {row.index("RUNNING") for row in rows if "RUNNING" in row} == {len("demo-subscriber-kalshi") + 1}
    assert {row.index(row.split(maxsplit=1)[1]) for row in rows if "RUNNING" not in row} == {len("subscribers") + 1}
    assert max(len(row) for row in rows) <= 80


def whole() -> FleetFacts:
    """Return a demo in full swing: every program, four surfaces, longer names and numbers than it has."""
    money = {("kalshi_resolution", "USD"): Decimal("-12345.678")}
    facts = FleetFacts(processes=[process(item.name) for item in FLEET], subscribers=full().subscribers)
    for name in ("st", "lt", "fx", "stk"):
        facts.surfaces[name] = replace(surface(), realised=money)
        facts.standings[name] = Standing(
            state=State.RUN, reason="", flatten=False, ordered="", open=123, stop_files=(), beat_age_s=0.4
        )
    for n in range(20):
        what = (
            f"resolved -42.97 USD by settled, outcome no: KXFBPLYPOL-14MAY06-{n:06} at 0.1524812030 (kalshi_resolution)"
        )
        facts.events.append((f"2014-05-06T12:{n:02}:00.000000Z", "lt/resolutions", what))
    return facts


@pytest.mark.parametrize("height", [24, 32, 50])
@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_page_of_a_whole_demo_fits_a_terminal_with_its_newest_events(width: int, height: int) -> None:
    text = shown(whole(), width, addresses={}, height=height)

    assert max(len(row) for row in text.splitlines()) <= width
    assert len(text.splitlines()) <= height
    assert all(item.name in text for item in FLEET)
    assert "12:19:00  lt" in text
    assert "12:17:00  lt" in text


def test_a_process_in_trouble_keeps_a_line_of_its_own_where_rows_are_few() -> None:
    facts = whole()
    facts.processes[0] = process("oanda-fx", phase="degraded", trouble="the venue does not answer", open=2)
    facts.processes[1] = process("resolver-fx", "BACKOFF")

    text = shown(facts, 80, addresses={}, height=24)

    assert "oanda-fx RUNNING degraded, 2 open, the venue does not answer" in text
    assert "resolver-fx BACKOFF" in text
    assert f"{len(FLEET) - 2} running (MiB): " in text


def test_an_event_that_looks_like_markup_is_shown_as_it_is() -> None:
    facts = full()
    facts.events.append(("2014-05-06T07:59:00.000000Z", "fx/state", "[red]not red[/red]"))

    assert "[red]not red[/red]" in shown(facts, 150)


def test_what_a_broker_wrote_cannot_steer_the_terminal() -> None:
    said = sentence({"kind": "order_event", "client_order_id": "a", "state": "rejected", "price": None,
                     "reason": "no \x1b[2J\x9b2J\x07 \u202e funds"})  # fmt: skip

    assert said.isprintable()
    assert "funds" in said


def test_a_problem_takes_the_place_of_the_processes() -> None:
    assert "start the fleet" in words(shown(down(), 80))


def test_plain_text_names_each_process_and_every_count() -> None:
    text = plain(full())

    assert len([row for row in text.splitlines() if "pid 123456" in row]) == 5
    assert "12345 decisions, 679 signals, 680 executed, 676 resolved" in text
    assert "670 acked, skipped 5, 665 executed, 664 resolved" in text


@pytest.mark.parametrize("facts", [FleetFacts(), partial(), down()], ids=["empty", "partial", "down"])
def test_plain_text_and_the_log_line_say_something_even_about_nothing(facts: FleetFacts) -> None:
    assert "0 acked" in plain(facts)
    assert "\n" not in line(facts)
    assert "running" in line(facts)


def test_the_log_line_holds_the_counts_of_every_surface() -> None:
    assert line(full()).startswith("4/5 running; fx: 12345 decisions, 679 signals, 680 executed, 676 resolved")


def test_real_and_synthetic_profit_are_told_apart() -> None:
    for text in (plain(full()), line(full()), words(shown(full(), 150))):
        assert "-1234.57 USD (sim: +2.00 EUR, +1.00 USD)" in text
        assert "-1233.57" not in text


def test_the_facts_as_json_hold_every_process_and_count() -> None:
    facts = as_dict(full())

    assert facts["processes"]["demo-subscriber"] == {"state": "BACKOFF", "pid": 123_456, "rss_mib": 61.27}
    assert facts["surfaces"]["fx"] == {
        "decisions": 12_345,
        "signals": 679,
        "executed": 680,
        "resolved": 676,
        "realised": {"oanda_candles": {"USD": "-1234.567"}, "sim": {"USD": "1", "EUR": "2"}},
    }
    assert facts["subscribers"] == {
        "acked": 670, "skipped": {"drift": 5}, "executed": 665, "resolved": 664, "realised": {"USD": "-12.341"}
    }  # fmt: skip


def held() -> FleetFacts:
    """Return a fleet whose surface a person halted, with everything that can hold it back."""
    facts = FleetFacts(processes=[ended()], surfaces={"fx": SurfaceTally(decisions=1, signals=1)})
    facts.standings["fx"] = Standing(
        state=State.HALT, reason="storm [1]", flatten=True, ordered="RUN (calm)", open=3,
        stop_files=("logs/STOP", "logs/fx/STOP"), beat_age_s=12.5,
    )  # fmt: skip
    return facts


def ended() -> ProcessFacts:
    return ProcessFacts(
        name="oanda-fx", state="EXITED", pid=0, uptime_s=0, rss_mib=0.0, beat={"phase": "ready"}, exit_status=78,
        log="logs/oanda-fx.log",
    )  # fmt: skip


def test_what_holds_a_surface_back_is_said_in_every_view() -> None:
    for text in (plain(held()), line(held()), words(shown(held(), 80)), words(shown(held(), 150))):
        for said in ("HALT (storm [1])", "flatten", "STOP file logs/STOP and logs/fx/STOP", "RUN (calm), not obeyed"):
            assert said in text, text
    for text in (plain(held()), words(shown(held(), 80))):
        assert "3 open, heartbeat 12.5 s ago" in text


def test_a_process_that_ended_shows_how_and_where_to_read_on_instead_of_its_memory() -> None:
    row = plain(held()).splitlines()[0]

    assert row.split(maxsplit=1) == ["oanda-fx", "EXITED (78), see logs/oanda-fx.log"]
    assert "(78), see logs/oanda-fx.log" in words(shown(held(), 80))
    assert as_dict(held())["processes"]["oanda-fx"] == {
        "state": "EXITED", "pid": None, "exit_status": 78, "trouble": "", "log": "logs/oanda-fx.log"
    }  # fmt: skip


def test_one_of_a_thing_is_said_in_the_singular() -> None:
    assert "1 decision, 1 signal, 0 executed" in plain(held())


def test_a_silent_supervisor_is_said_in_the_log_line() -> None:
    assert "start the fleet" in line(down())


def test_all_running_needs_at_least_one_process() -> None:
    assert not FleetFacts().all_running
    assert not partial().all_running
    assert FleetFacts(processes=[process("feed")]).all_running


def test_a_process_that_can_not_do_its_work_says_why() -> None:
    why = "expected room to append; found No space left on device; free disk space"
    facts = FleetFacts(processes=[process("oanda-fx", phase="degraded", trouble=why, open=0)])

    for text in (plain(facts), words(shown(facts, 150))):
        assert why in text


def test_a_damaged_journal_hides_nothing_else(tbot_home: Path) -> None:
    house = House(home=tbot_home)
    for log in ("signals", "orders"):
        with Journal.open(house.log("fx", log), clock=parse_clock("real")) as journal:
            journal.append("note", surface="fx", mode="paper", fields={})
    segment = house.log("fx", "signals") / "000001.jsonl"
    segment.write_bytes(segment.read_bytes()[:-1])
    found = collect_once(tbot_home)

    assert found.unreadable.keys() == {"fx/signals"}
    assert "fx/signals       cannot be read: expected the log in" in plain(found)
    assert as_dict(found)["surfaces"]["fx"]["decisions"] == 0
    assert line(found).endswith("; cannot be read: fx/signals")
    for width in WIDTHS:
        text = shown(found, width)
        assert "fx/signals cannot be read: expected the log in" in words(text)
        assert words(found.unreadable["fx/signals"])[-20:] in words(text)
        assert max(len(row) for row in text.splitlines()) <= width
