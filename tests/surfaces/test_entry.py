"""The way of an order: written before it is sent, sent once, believed only when the broker says so."""

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from domain.errors import Halt
from domain.vocabulary import Code, Gate, Kind, Leg, OrderState, Side
from journal import Journal, Syscalls

D = Decimal
ROOT = Path(__file__).parents[2]


class FullDisk(Syscalls):
    """A disk that takes nothing more once it is ``full``, or fails to sync once it is ``broken``."""

    full = broken = False

    def write(self, fd, data):
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(fd, data)

    def fdatasync(self, fd):
        if self.broken:
            raise OSError(5, "Input/output error")
        super().fdatasync(fd)


def use_disk(stage, stream, disk):
    """Reopen one of the surface's journals on another disk."""
    stage.books._journals[stream].close()
    directory = stage.house.log("fx", stream)
    stage.books._journals[stream] = Journal.open(directory, clock=stage.clock, syscalls=disk)


def refusal(decision):
    """Return gate and code of a refused decision."""
    return next(v.gate for v in decision.verdicts if v.passed is False), decision.code


def test_a_sound_proposal_is_decided_sent_filled_and_published(running):
    signal_id = running.trade()

    assert running.events() == [OrderState.FILLED]
    assert [signal["signal_id"] for signal in running.signals()] == [signal_id]
    assert [trade.client_order_id for trade in running.broker.trades.values()] == [f"tb-fx-{signal_id[4:]}-entry-1"]


def test_the_intent_and_its_decision_are_on_disk_before_the_order_is_sent(running):
    seen = []

    def look(intent):
        intents = running.records("orders", Kind.ORDER_INTENT)
        seen.append((intents[-1]["client_order_id"], running.decisions()[-1].signal_id, intent.client_order_id))

    running.broker.on_submit = look
    signal_id = running.trade()

    order_id = f"tb-fx-{signal_id[4:]}-entry-1"
    assert seen == [(order_id, signal_id, order_id)]


def test_an_order_carries_a_bound_and_brackets_on_the_tick_and_never_looser_than_asked(running):
    running.propose(stop_loss=D("1.0950"), take_profit=D("1.1100"))
    running.tick()
    running.propose(
        "GBP_USD", side=Side.SELL, stop_loss=D("1.1050"), take_profit=D("1.0900"), decision_price=D("1.0999")
    )
    running.tick()

    buy, sell = running.broker.sent
    # 3 bp of 1.1000 and of 1.0999; 1.10022997 is rounded up, towards the market.
    assert (buy.price_bound, sell.price_bound) == (D("1.10033"), D("1.09958"))
    assert (buy.stop_loss, buy.take_profit, buy.quantity) == (D("1.0950"), D("1.1100"), D(10_000))
    assert all(value % D("0.00001") == 0 for value in (sell.price_bound, sell.stop_loss, sell.take_profit))


@pytest.mark.parametrize("stream", ["decisions", "orders"])
def test_no_journal_no_order_when_the_disk_is_full(running, stream):
    disk = FullDisk()
    use_disk(running, stream, disk)
    disk.full = True
    running.propose()

    assert running.tick() is False
    assert running.broker.sent == []
    assert running.events() == []


@pytest.mark.parametrize("stream", ["decisions", "orders"])
def test_no_journal_no_order_when_the_disk_fails_and_the_process_ends(running, stream):
    disk = FullDisk()
    use_disk(running, stream, disk)
    disk.broken = True
    running.propose()

    with pytest.raises(Halt):
        running.tick()

    assert running.broker.sent == []


def test_no_journal_no_order_under_a_file_size_limit(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "sent 0 turned False"


# RLIMIT_FSIZE makes write(2) itself fail, once SIGXFSZ is ignored: no fake of ours stands between code and kernel.
LIMITED = """
import resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sys.path.insert(0, "tests/support")
from surface_stage import Stage
stage = Stage(Path(sys.argv[1])).start()
size = max(path.stat().st_size for path in Path(sys.argv[1]).glob("logs/fx/*/000001.jsonl"))
stage.tick()
stage.propose()
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 300, size + 300))
turned = stage.tick()
print("sent", len(stage.broker.sent), "turned", turned)
"""


def test_a_full_disk_after_the_order_was_sent_leaves_it_unknown_until_there_is_room(running):
    disk = FullDisk()
    use_disk(running, "orders", disk)
    running.broker.on_submit = lambda intent: setattr(disk, "full", True)
    running.propose()

    assert running.tick() is False

    disk.full = False
    running.tick()

    assert running.events() == [OrderState.FILLED]
    assert len(running.broker.sent) == len(running.signals()) == 1


def test_a_full_disk_while_a_cooldown_is_due_costs_the_turn_and_not_the_process(running):
    running.stop_out(running.trade())
    disk = FullDisk()
    use_disk(running, "decisions", disk)
    disk.full = True

    assert running.tick() is False

    disk.full = False
    running.tick()
    assert len(running.records("decisions", Kind.COOLDOWN)) == 1


def test_an_operators_order_that_finds_the_disk_full_is_obeyed_when_there_is_room(running):
    disk = FullDisk()
    use_disk(running, "decisions", disk)
    running.order(state="HALT", reason="now")
    disk.full = True
    refused = running.tick()
    disk.full = False
    running.tick()

    assert refused is False
    assert running.books.fold.state.state == "HALT"
    assert len(running.records("decisions", Kind.STATE)) == 1


def test_an_order_without_an_answer_is_unknown_and_blocks_its_market_and_no_other(running):
    running.broker.accidents.append(running.Accident.REPLY_LOST)
    running.broker.hesitations = 99
    running.trade()
    running.propose(thesis="another", side=Side.SELL, stop_loss=D("1.1050"), take_profit=D("1.0900"))
    running.tick()
    blocked = running.decisions()[-1]
    running.propose("GBP_USD")
    running.tick()

    assert running.events() == [OrderState.UNKNOWN, OrderState.FILLED]
    assert refusal(blocked) == (Gate.DEDUP, Code.DUPLICATE)
    assert [intent.market for intent in running.broker.sent] == ["EUR_USD", "GBP_USD"]


def test_an_unknown_order_is_never_resent_and_published_once_when_it_is_found(running):
    running.broker.accidents.append(running.Accident.REPLY_LOST)
    running.broker.hesitations = 2
    signal_id = running.trade()

    assert running.signals() == []

    for _ in range(8):
        running.tick()

    assert running.events() == [OrderState.UNKNOWN, OrderState.FILLED]
    assert [signal["signal_id"] for signal in running.signals()] == [signal_id]
    assert len(running.broker.sent) == 1


def test_an_order_proven_absent_frees_its_market(running):
    running.broker.accidents.append(running.Accident.REQUEST_LOST)
    running.trade()
    running.tick()
    running.propose(thesis="another")
    running.tick()

    assert running.events() == [OrderState.UNKNOWN, OrderState.ABSENT, OrderState.FILLED]
    assert len({intent.client_order_id for intent in running.broker.sent}) == len(running.broker.sent) == 2


@pytest.mark.parametrize(
    ("accident", "state"),
    [
        ("NOT_SENT", OrderState.ABSENT),
        ("REFUSED", OrderState.REJECTED),
        ("REJECTED", OrderState.REJECTED),
        ("CANCELLED", OrderState.CANCELLED),
    ],
)
def test_an_order_that_came_to_nothing_is_noted_and_not_repeated(running, accident, state):
    running.broker.accidents.append(running.Accident[accident])
    running.trade()
    for _ in range(5):
        running.tick()

    assert running.events() == [state]
    assert len(running.broker.sent) == 1
    assert running.signals() == []
    assert running.books.fold.unfinished(Leg.ENTRY) == []


def test_a_partial_fill_is_published_with_what_filled(running):
    running.broker.accidents.append(running.Accident.HALF_FILLED)
    running.trade()

    assert running.events() == [OrderState.PARTIAL, OrderState.CANCELLED]
    assert [signal["quantity"] for signal in running.signals()] == ["5000"]


def test_what_is_left_of_a_partly_filled_order_still_counts_until_its_end_is_known(running):
    signal_id = running.trade()
    fold, order_id = running.books.fold, running.broker.sent[0].client_order_id
    event = fold.events[order_id][0]
    fold.events[order_id][:] = [
        replace(event, state=OrderState.PARTIAL, quantity=D(4000)),
        replace(event, state=OrderState.UNKNOWN, quantity=D(0), transaction_id=None),
    ]
    fold._note_state(order_id)  # what folding these events would have done
    fold._positions.clear()
    running.broker.hesitations = 99
    running.propose(thesis="another")
    running.tick(1)

    decision = running.decisions()[-1]
    caps = {verdict.gate: verdict for verdict in decision.verdicts}
    assert fold.position(signal_id).quantity == 4000
    assert refusal(decision) == (Gate.DEDUP, Code.DUPLICATE)
    assert "unknown" in caps[Gate.DEDUP].note


def test_a_signal_says_what_the_publisher_did_and_expires_after_its_time(running):
    signal_id = running.trade()

    [signal] = running.signals()
    decision = running.decisions()[-1]
    told = {key: signal[key] for key in ("id", "signal_id", "action", "market", "side", "strategy", "sub_strategy")}
    assert told == {
        "id": signal_id,
        "signal_id": signal_id,
        "action": "open",
        "market": "EUR_USD",
        "side": "buy",
        "strategy": "fx_trend",
        "sub_strategy": "breakout",
    }
    numbers = ("reference_price", "stop_loss", "take_profit", "quantity", "edge_bp", "confidence", "eta_hours")
    expected = ("1.1000", "1.0950", "1.1100", "10000", "7", "0.7", "6")
    assert tuple(signal[key] for key in numbers) == expected
    assert (signal["decision_id"], signal["quote_currency"], signal["mode"]) == (decision.id, "USD", "paper")
    published = running.clock.now()
    assert running.books.fold.published[signal_id].opened_at == published
    assert running.books.fold.published[signal_id].published_at == published
    assert running.books.fold.published[signal_id].expires_at == published + timedelta(seconds=600)


@pytest.mark.parametrize(("late_s", "published"), [(599, 1), (601, 0)])
def test_a_fill_learned_of_late_is_published_only_while_it_could_still_be_followed(running, late_s, published):
    running.broker.accidents.append(running.Accident.REPLY_LOST)
    running.trade()
    running.broker.hesitations = 0
    running.tick(late_s)
    running.tick()

    assert running.events()[-1] == OrderState.FILLED
    assert len(running.signals()) == published


def test_a_protective_order_that_nobody_wants_once_it_is_written_is_not_sent(running):
    signal_id = running.trade()
    key = f"tb-fx-{signal_id[4:]}-stop-2"
    entry = running.books.fold.intents[f"tb-fx-{signal_id[4:]}-entry-1"]
    stop = replace(entry, client_order_id=key, leg=Leg.STOP, attempt=2, side=entry.side.opposite)
    asked = []

    def is_wanted():
        asked.append(running.records("orders", Kind.ORDER_INTENT)[-1]["client_order_id"])
        return False

    running.loop._entries.protect(stop, is_wanted)

    assert asked == [key]
    assert key not in [intent.client_order_id for intent in running.broker.sent]
    assert running.books.fold.order_state(key) is OrderState.ABSENT
