"""What the journal adds up to: open trades, what was seen, where to go on, what is still to be reported.

The same `apply` serves a running client and one that starts again, so that a restart knows exactly what was known.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from tbot_client import image, outcome
from tbot_client.brokers.port import Levels
from tbot_client.clock import parse_iso
from tbot_client.journal import Record
from tbot_client.keys import Key
from tbot_client.reports import Report
from tbot_client.trade import Phase, Trade

KEPT_DISPUTES = 100
KEPT_ABSENCES = 50


class State:
    """The fold of one journal; nothing but `apply` changes it."""

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self.trades: dict[str, Trade] = {}
        self.seen: set[str] = set()
        self.ended: set[str] = set()
        self.cursor = ""
        self.hashes: dict[str, dict[str, str]] = {}
        self.last_id = ""
        self.counts: Counter[str] = Counter()
        self.outbox: dict[int, Report] = {}
        self.reports = 0
        self.disputed: list[dict[str, Any]] = []
        self.days: dict[str, dict[str, Decimal]] = {}
        self.days_over: set[str] = set()
        self.distrust = ""
        self.distrust_signers: list[str] = []
        self.keys: dict[str, Key] = {}
        self.outcomes: dict[str, dict[str, Any]] = {}
        self.absences: list[dict[str, Any]] = []
        for record in records:
            self.apply(record)

    def apply(self, record: Record) -> None:
        """Take one record in."""
        _HANDLERS[record["kind"]](self, record)
        outcome.note(self.outcomes, record)
        if report := record.get("report"):
            self.reports += 1
            self.outbox[self.reports] = Report(self.reports, report["signal_id"], report["stage"], report["body"])

    def open_count(self, without: str = "") -> int:
        """Return how many positions are held or may be held."""
        live = (Phase.INTENDED, Phase.OPEN)
        return sum(1 for trade in self.trades.values() if trade.phase in live and trade.signal_id != without)

    def by_trade_id(self, trade_id: str) -> Trade | None:
        return next((trade for trade in self.trades.values() if trade.trade_id == trade_id), None)

    def realised(self, day: str, currency: str) -> Decimal:
        return self.days.get(day, {}).get(currency, Decimal(0))

    def is_over(self, moment: datetime) -> bool:
        """Tell whether the day's loss limit was reached; a later profit does not loosen it."""
        return moment.date().isoformat() in self.days_over


def _all(state: State, record: Record) -> None:
    """Take in what was written as one, so that no crash could part it."""
    for each in record["records"]:
        state.apply({"at": record.get("at", "")} | each)


def _image(state: State, record: Record) -> None:
    image.restore(state, record["state"])


def _key(state: State, record: Record) -> None:
    key = msgspec.convert(record["key"], Key)
    state.keys[key.key] = key


def _absence(state: State, record: Record) -> None:
    entry = {name: record[name] for name in ("since", "until", "why")}
    state.absences = [*state.absences, entry][-KEPT_ABSENCES:]


def _dead_man(state: State, record: Record) -> None:
    trade = state.trades[record["signal_id"]]
    trade.dead_man_done = record["policy"]
    state.counts[f"dead_man:{record['policy']}"] += 1
    if record["policy"] == "flatten":
        trade.end_reason = trade.end_reason or "dead_man"
    if levels := record.get("levels"):
        tightened = levels_of(levels)
        trade.stop, trade.target, trade.trailing = tightened.stop, tightened.target, tightened.trailing
        trade.trailing_percent = tightened.trailing_percent


def _received(state: State, record: Record) -> None:
    trade = _trade(record["signal"])
    trade.end_reason = "closed" if trade.signal_id in state.ended else ""
    state.trades[trade.signal_id] = trade
    state.seen.add(trade.signal_id)
    state.counts["received"] += 1


def _trade(signal: dict[str, Any]) -> Trade:
    fields = dict(signal)
    for name in ("reference", "stop", "target", "trailing", "trailing_percent", "confidence", "edge_bp"):
        fields[name] = None if fields.get(name) is None else Decimal(fields[name])
    for name in ("published_at", "expires_at"):
        fields[name] = parse_iso(fields[name])
    return Trade(**fields)


def _adopted(state: State, record: Record) -> None:
    trade = _trade(record["signal"])
    trade.phase, trade.trade_id = Phase.OPEN, record["trade_id"]
    trade.filled = trade.units = Decimal(record["units"])
    trade.price, trade.resting = trade.reference, trade.levels
    state.trades[trade.signal_id] = trade
    state.seen.add(trade.signal_id)
    state.counts["adopted"] += 1


def _skipped(state: State, record: Record) -> None:
    del state.trades[record["signal_id"]]
    state.counts[f"skipped:{record['reason']}"] += 1


def _intended(state: State, record: Record) -> None:
    trade = state.trades[record["signal_id"]]
    trade.phase, trade.units = Phase.INTENDED, Decimal(record["units"])
    trade.resting = trade.levels
    state.counts["accepted"] += 1


def _opened(state: State, record: Record) -> None:
    trade = state.trades[record["signal_id"]]
    trade.phase, trade.trade_id = Phase.OPEN, record["trade_id"]
    trade.filled, trade.price = Decimal(record["units"]), Decimal(record["price"])
    state.counts["executed"] += 1


def _failed(state: State, record: Record) -> None:
    del state.trades[record["signal_id"]]
    state.counts[f"failed:{record['reason']}"] += 1


def _amended(state: State, record: Record) -> None:
    state.seen.add(record["id"])
    trade = state.trades[record["signal_id"]]
    levels = levels_of(record)
    trade.stop, trade.target, trade.trailing = levels.stop, levels.target, levels.trailing
    trade.amended_ts = record.get("ts", "")


def _resting(state: State, record: Record) -> None:
    trade = state.trades[record["signal_id"]]
    if record["refused"]:
        trade.refused = levels_of(record)
        state.counts["protect_refused"] += 1
    else:
        trade.resting = levels_of(record)


def _ending(state: State, record: Record) -> None:
    trade = state.trades[record["signal_id"]]
    trade.end_reason = trade.end_reason or record["reason"]
    trade.end_price = None if record["price"] is None else Decimal(record["price"])


def _ended(state: State, record: Record) -> None:
    state.ended.add(record["signal_id"])


def _reduced(state: State, record: Record) -> None:
    trade = state.trades[record["signal_id"]]
    units, realised = Decimal(record["units"]), Decimal(record["realised"])
    trade.reductions.add(record["id"])
    trade.closed_units += units
    trade.closed_value += units * Decimal(record["price"])
    trade.realised += realised
    day = state.days.setdefault(record["day"], {})
    day[record["currency"]] = day.get(record["currency"], Decimal(0)) + realised


def _closed(state: State, record: Record) -> None:
    del state.trades[record["signal_id"]]
    state.counts["resolved"] += 1


def _place(state: State, record: Record) -> None:
    state.cursor, state.hashes = record["cursor"], record["hashes"]


def _transaction(state: State, record: Record) -> None:
    state.last_id = record["id"]


def _sent(state: State, record: Record) -> None:
    del state.outbox[record["number"]]
    state.counts["reported"] += 1


def _disputed(state: State, record: Record) -> None:
    report = state.outbox.pop(record["number"])
    state.counts[record["kind"]] += 1
    entry = {"signal_id": report.signal_id, "stage": report.stage, "status": record["status"], "text": record["text"]}
    state.disputed = [*state.disputed, entry][-KEPT_DISPUTES:]


def _day_over(state: State, record: Record) -> None:
    state.days_over.add(record["day"])


def _distrust(state: State, record: Record) -> None:
    state.distrust = record["what"]
    state.distrust_signers = record.get("signers", [])


def _trusted(state: State, record: Record) -> None:
    state.distrust, state.cursor, state.hashes, state.keys = "", "", {}, {}
    state.distrust_signers = []


def _malformed(state: State, record: Record) -> None:
    state.counts["malformed"] += 1


def levels_of(record: Record) -> Levels:
    """Read the levels of a record; what an older client wrote has no ``trailing_percent``."""
    return Levels(
        stop=Decimal(record["stop"]),
        target=_number(record["target"]),
        trailing=_number(record["trailing"]),
        trailing_percent=_number(record.get("trailing_percent")),
    )


def level_texts(levels: Levels) -> Record:
    """Write levels as `levels_of` reads them."""
    return {
        "stop": str(levels.stop),
        "target": _text(levels.target),
        "trailing": _text(levels.trailing),
        "trailing_percent": _text(levels.trailing_percent),
    }


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _text(number: Decimal | None) -> str | None:
    return None if number is None else str(number)


_HANDLERS: dict[str, Callable[[State, Record], None]] = {
    "all": _all,
    "image": _image,
    "key": _key,
    "absence": _absence,
    "dead_man": _dead_man,
    "received": _received,
    "adopted": _adopted,
    "skipped": _skipped,
    "intended": _intended,
    "opened": _opened,
    "failed": _failed,
    "amended": _amended,
    "resting": _resting,
    "ending": _ending,
    "ended": _ended,
    "reduced": _reduced,
    "closed": _closed,
    "lost": _failed,
    "place": _place,
    "transaction": _transaction,
    "sent": _sent,
    "disputed": _disputed,
    "dropped": _disputed,
    "day_over": _day_over,
    "distrust": _distrust,
    "trusted": _trusted,
    "malformed": _malformed,
}
