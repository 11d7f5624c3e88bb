"""Memory of the surface's process while it trades: flat, and less than a small machine has."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean

import pytest
from stock_rig import StockRig
from stock_venue import Venue
from waiting import until

MIB = 1024
MOST_KIB = 120 * MIB
WEEK_S = 7 * 86_400
TRANSPORTS = ("tws", "portal")
# What the demo trades with: entries a few hundredths of a percent away, so that trades come and go all day.
LIVELY = {
    "STK_MARKETS": "SPY,IBM,AIG,AAPL,TWX",
    "STK_STRATEGIES": "stop_entry,crossover",
    "STK_RECORD_QUOTES": "true",
    "STRATEGY_ENTRY_PCT": "0.04",
    "STRATEGY_TRAIL_PCT": "0.06",
    "STRATEGY_REPRICE_PCT": "0.1",
    "STRATEGY_SETTLE_S": "120",
    "STRATEGY_STUCK_S": "600",
    "STRATEGY_RETRY_S": "120",
    "STRATEGY_HISTORY_BARS": "260",
    "CROSS_PERIOD_S": "300",
    "IBKR_FRESH_ORDER_GRACE_S": "5",
    "IBKR_ORDER_TIMEOUT_S": "3",
    "IBKR_QUOTE_SILENCE_S": "3",
    "IBKR_PROBE_INTERVAL_S": "5",
    "IBKR_PROBE_TIMEOUT_S": "5",
}


def paced(speed):
    """Return settings whose times are a few real seconds at a speed."""
    turn, patience = str(0.1 * speed), str(5 * speed)
    return {
        "STK_LOOP_S": turn,
        "STK_KEEP_S": turn,
        "STK_UNKNOWN_QUERY_S": str(speed),
        "STK_RECONCILE_S": str(30 * speed),
        "RISK_MAX_QUOTE_AGE_S": patience,
        "IBKR_QUOTE_MAX_AGE_S": patience,
    }


def resident_kib(process):
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1])


def lived(folder, transport, *, speed, seconds):
    """Let surface and resolver trade for so many real seconds; return the rig and the surface's memory over time."""
    venue = Venue(transport, begin="2014-05-05T13:20:00Z", speed=speed)
    rig = StockRig(venue, folder / transport, **LIVELY, **paced(speed))
    return rig, samples(rig, seconds)


def samples(rig, seconds):
    found = []
    try:
        rig.start(cold=True)
        # Until a first trade has ended the process is still loading what it trades with.
        until(rig.resolutions, rig.said, 90)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(min(1.0, seconds / 60))
            assert all(process.poll() is None for process in rig.running.values()), rig.said()
            found.append(resident_kib(rig.running["surfaces"]))
    finally:
        rig.finish()
        rig.venue.stop()
    return found


def assert_flat(found):
    third = len(found) // 3
    middle, last = mean(found[third : 2 * third]), mean(found[2 * third :])
    told = f"middle {middle / MIB:.1f} MiB, last {last / MIB:.1f} MiB, most {max(found) / MIB:.1f} MiB"
    print(told)
    assert max(found) < MOST_KIB, told
    assert last <= middle * 1.05, told


def test_memory_of_the_surface_is_flat_over_a_lively_quarter_of_an_hour(tmp_path):
    with ThreadPoolExecutor(len(TRANSPORTS)) as pool:
        lives = list(pool.map(lambda transport: lived(tmp_path, transport, speed=120, seconds=9), TRANSPORTS))

    for rig, found in lives:
        assert rig.signals()
        assert_flat(found)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_memory_of_the_surface_is_flat_over_a_week(tmp_path, transport):
    speed = 1200
    rig, found = lived(tmp_path, transport, speed=speed, seconds=WEEK_S / speed)

    assert len(rig.resolutions()) > 50
    assert {row["day"] for row in rig.records("decisions") if row["kind"] == "performance"}
    assert_flat(found)
