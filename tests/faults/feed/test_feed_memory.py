"""A long life: what the feed has in memory after hundreds of thousands of signals, and how soon it is there again."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from domain.clock import FakeClock
from domain.house import House
from domain.ids import new_id
from domain.signal import SignalClose, SignalOpen
from domain.vocabulary import ExitReason, Mode, Side, Surface
from journal import Journal, NewRecord, head

DAYS = 25  # all of them within FEED_RETENTION_DAYS
OPEN_OF = 100  # one signal in so many stays open
BATCH = 400
AT = "2026-03-02T09:00:00Z"
# A signal that is over takes a row of 64 bytes; the rest is what the allocator makes of it in a short life.
BYTES_PER_SIGNAL = 400
LIMIT_MIB = 200
# Of the processor's time: a busy machine makes the start longer, but not this.
RESTART_CPU_S = 3.0


def opened(now: datetime, number: int) -> SignalOpen:
    signal_id = new_id("sig", now)
    return SignalOpen(
        id=signal_id, signal_id=signal_id, surface=Surface.FX, mode=Mode.PAPER, market="EUR_USD", side=Side.BUY,
        strategy="ema", sub_strategy="cross", thesis="a cross of two averages", quantity=Decimal(1000),
        edge_bp=Decimal("2.5"), reference_price=Decimal(100_000 + number).scaleb(-5), stop_loss=Decimal("0.9"),
        take_profit=Decimal("9.9"), trailing_distance=None, quote_currency="USD", confidence=Decimal("0.7"),
        eta_hours=Decimal(2), decision_id=new_id("dec", now), opened_at=now, published_at=now,
        expires_at=now + timedelta(seconds=600),
    )  # fmt: skip


def closed(signal: SignalOpen, now: datetime) -> SignalClose:
    return SignalClose(
        id=new_id("cls", now), signal_id=signal.id, surface=Surface.FX, mode=Mode.PAPER, market="EUR_USD",
        side=Side.SELL, exit_price=Decimal("1.12"), reason=ExitReason.TAKE_PROFIT, closed_at=now, published_at=now,
    )  # fmt: skip


def record(value: SignalOpen | SignalClose) -> NewRecord:
    return NewRecord(kind="signal", surface=value.surface, mode=value.mode, id=value.id, fields=value)


def live_long(house: House, number: int) -> list[str]:
    """Write the logs of weeks in which so many signals were published; return the ids of a few that are over."""
    clock = FakeClock(datetime.now(UTC) - timedelta(days=DAYS))
    pause_s = DAYS * 86_400 * BATCH / (number + BATCH)
    over: list[str] = []
    numbers = iter(range(number))
    with (
        Journal.open(house.log("fx", "signals"), clock=clock, durable=False) as signals,
        Journal.open(house.log("fx", "resolutions"), clock=clock, durable=False) as resolutions,
    ):
        while batch := [(n, opened(clock.now(), n)) for n in islice(numbers, BATCH)]:
            signals.append_many([record(one) for _, one in batch])
            resolutions.append_many([record(closed(one, clock.now())) for n, one in batch if n % OPEN_OF])
            over.append(batch[-1][1].id)
            clock.advance(pause_s)
    return over


def peak_mib(pid: int) -> float:
    """Return the most that a process ever had in memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def cpu_s(pid: int) -> float:
    """Return the processor time a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def records(house: House) -> int:
    heads = [head(house.log("fx", stream)) for stream in ("signals", "resolutions")]
    return sum(one.seq for one in heads if one is not None)


@pytest.fixture
def started(stage: Any, wait_until: Callable[..., None]) -> Callable[..., Any]:
    """Start a feed that reads its logs from the beginning, and return when it has noted what the next start needs."""

    def start(**env: str) -> Any:
        stage.house.feed_memory.unlink(missing_ok=True)
        feed = stage.feed(**env)
        wait_until("the memory for the next start", stage.house.feed_memory.exists)
        return feed

    return start


async def late_acks(wire: Any, over: list[str]) -> int:
    """Report on signals of all the weeks; return how many were known, and known to be over."""
    answers = [await wire.report(one, "ack", {"at": AT, "decision": "accept"}) for one in over]
    return sum(answer.status == 200 and answer.json["do_not_execute"] for answer in answers)


async def shown(wire: Any) -> tuple[int, int]:
    """Return how many of the oldest opens are flagged, and how many signals are open."""
    page = (await wire.poll(start="oldest", wait=0, limit=500)).json
    snapshot = (await wire.ask("GET", "/api/signals/open")).json
    assert set(page["expired"]) == {item["id"] for item in page["items"] if item.get("action") == "open"}
    return len(page["expired"]), len(snapshot["items"])


@pytest.mark.proves("row 13")
def test_a_signal_that_is_over_costs_little_memory(stage: Any, started: Callable[..., Any], dose: Any) -> None:
    number = dose(20_000, 100_000)
    small = {"FEED_RING_LINES": "100"}  # what the rings hold does not grow with the logs
    live_long(stage.house, 1)
    empty = started(**small)
    before_mib = empty.rss_mib
    empty.end()
    live_long(stage.house, number)
    each = (started(**small).rss_mib - before_mib) * 2**20 / number
    print(f"{each:.0f} bytes a signal")

    assert records(stage.house) > 1.98 * number
    assert each < BYTES_PER_SIGNAL


@pytest.mark.soak
@pytest.mark.proves("row 13")
@pytest.mark.timeout(1800)
def test_a_million_records_stay_below_200_mib(
    stage: Any, started: Callable[..., Any], run: Any, wire: Any, dose: Any
) -> None:
    number = dose(20_000, 500_000)
    over = live_long(stage.house, number)
    token = stage.token()
    cold = started()
    found = run(late_acks(wire(cold.port, token), over)), run(shown(wire(cold.port, token)))
    cold_mib = peak_mib(cold.process.pid)
    cold.end()
    begun = time.monotonic()
    warm = stage.feed()
    took_s, took_cpu_s = time.monotonic() - begun, cpu_s(warm.process.pid)
    found_again = run(late_acks(wire(warm.port, token), over)), run(shown(wire(warm.port, token)))
    warm_mib = peak_mib(warm.process.pid)
    print(f"{records(stage.house)} records: {cold_mib:.0f} and {warm_mib:.0f} MiB at most")
    print(f"back in {took_s:.1f} s, {took_cpu_s:.1f} of them the processor's")

    assert records(stage.house) > 1.98 * number
    assert found == found_again
    assert (found[0], found[1][1]) == (len(over), number // OPEN_OF)
    assert max(cold_mib, warm_mib) < LIMIT_MIB
    assert took_cpu_s < RESTART_CPU_S
