"""The answer to "why": everything the journals say about one candidate, order, signal or resolution."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

from audit.decided import decided, is_of_event
from audit.logs import journals
from audit.words import compared, counted, glossed, printable, rounded
from domain.clock import parse_iso
from domain.errors import Refuse
from domain.ids import signal_of_order
from domain.vocabulary import Kind, Stage
from journal import read, since

Record = Mapping[str, Any]
_ID_FIELDS = (
    "id", "signal_id", "decision_id", "client_order_id", "broker_order_id", "broker_trade_id", "reservation"
)  # fmt: skip


def history(logs: Path, wanted: str) -> list[Record]:
    """Return every record about ``wanted`` (a decision, candidate, signal, order or resolution id), by time.

    Raises:
        Refuse: no journal mentions the id.
    """
    needle = _signal_behind(wanted)
    found = [e.record for directory in journals(logs) for e in read(directory) if needle.encode() in e.raw]
    if not any(needle in _ids(record) for record in found):
        raise Refuse("an id that some journal mentions", repr(wanted), f"copy one from a journal under {logs}")
    signals = {r["signal_id"] for r in found if r.get("signal_id")}
    if len(signals) == 1 and needle not in signals:
        return history(logs, signals.pop())
    return sorted([*found, *_ends(logs, found)], key=lambda record: record["ts"])


def _ends(logs: Path, found: Sequence[Record]) -> list[Record]:
    """Return how the contracts ended that decisions among ``found`` were about; an outcome names no decision."""
    contracts = {
        (record["surface"], record["mode"], record["candidate"]["market"]): parse_iso(record["ts"])
        for record in found
        if record["kind"] == Kind.DECISION and is_of_event(record)
    }
    return [
        entry.record
        for (surface, mode, market), decided_at in contracts.items()
        for entry in since(logs / surface / "decisions", decided_at)
        if entry.kind == Kind.OUTCOME and (entry.record["mode"], entry.record["market"]) == (mode, market)
    ]


def _ids(record: Record) -> set[Any]:
    """Return the ids a person may ask by; other words stand in every record and tell nothing."""
    own = {record.get(name) for name in _ID_FIELDS}
    return own | {record.get("candidate", {}).get("id")}


def sentence(record: Record) -> str:
    """Say in one line what a record tells; what strangers wrote into it can't steer a terminal."""
    describe = _SENTENCES.get(record["kind"])
    text = describe(record) if describe else str(record["kind"])
    return printable(text)


def told(records: Sequence[Record]) -> Iterator[tuple[Record, str]]:
    """Yield the records with a sentence each; a row of reconciliations that found nothing is one, told by its first."""
    for is_quiet, found in groupby(records, _is_quiet):
        row = list(found)
        if is_quiet and len(row) > 1:
            yield row[0], _agreed(row)
        else:
            yield from ((record, sentence(record)) for record in row)


def _is_quiet(record: Record) -> bool:
    return bool(record["kind"] == Kind.RECONCILIATION and record["clean"] and not record["gone"])


def _agreed(row: Sequence[Record]) -> str:
    counts = sorted({len(record["matched"]) for record in row})
    matched = counted(counts[0], "position") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} positions"
    until = row[-1]["ts"][:19].replace("T", " ")
    return f"the broker agreed with the journals {len(row)} times until {until}: {matched} matched"


def details(record: Record) -> list[str]:
    """Return further lines about a record that one line can't hold, as safe to print."""
    return [printable(line) for line in decided(record)] if record["kind"] == Kind.DECISION else []


def _signal_behind(wanted: str) -> str:
    parsed = signal_of_order(wanted)
    return parsed[1] if parsed else wanted


def _decision(record: Record) -> str:
    candidate = record["candidate"]
    what = f"{candidate['side']} {candidate['market']} ({candidate['sub_strategy']})"
    if record["admitted"]:
        return f"{what} admitted by all ten gates, size {record['size']['quantity']}"
    verdicts = record["verdicts"]
    first = next(v for v in verdicts if v["passed"] is False)
    passed = sum(v["passed"] is True for v in verdicts)
    also = [v["code"] for v in verdicts if v["passed"] is False][1:]
    more = f"; also {', '.join(also)}" if also else ""
    gate = f"{first['code']} at gate {first['gate']} ({compared(first, candidate['side'])})"
    return f"{what} refused: {gate}, passed {passed} of {len(verdicts)}{more}"


def _intent(record: Record) -> str:
    return f"order {record['client_order_id']} intended: {record['side']} {record['quantity']} {record['market']}"


def _event(record: Record) -> str:
    fill = f" {record['quantity']} at {record['price']}" if record["price"] is not None else ""
    reason = f" ({glossed(record['reason'])})" if record["reason"] else ""
    return f"order {record['client_order_id']} {record['state']}{fill}{reason}"


def _signal(record: Record) -> str:
    if record["action"] == "open":
        what = f"{record['side']} {record['quantity']} {record['market']} at {record['reference_price']}"
        return f"published open: {what}, valid until {record['expires_at'][11:19]}"
    if record["action"] == "close":
        return f"published close: {record['market']} at {record['exit_price']} ({record['reason']})"
    return f"published amend: stop {record['stop_loss']}, target {record['take_profit']}"


def _resolution(record: Record) -> str:
    money = f"{Decimal(record['realised']):+.2f} {record['currency']}"
    source, contested = record["resolution_source"], ", disputed" if record.get("disputed") else ""
    if record.get("provisional"):
        seen = f"{record['market']} seen early: {record['outcome']}{contested}"
        return f"{seen}, nothing paid yet; {money} if it holds ({source})"
    outcome = f", outcome {record['outcome']}" if record.get("outcome") else ""
    hours = f"{Decimal(record['actual_hours']):.2f} h of {Decimal(record['eta_hours']):.2f} h expected"
    return f"{record['market']} resolved {money} by {record['reason']}{outcome}, {hours} ({source}){contested}"


def _outcome(record: Record) -> str:
    result = record["result"] or "no result"
    read = f", read as {record['read_as']}" if record["read_as"] else ""
    closed = record["closed_at"][:16].replace("T", " ")
    return f"contract {record['market']} ended {result}: YES paid {rounded(record['value'])}{read}; closed {closed}"


def _reserved(record: Record) -> str:
    call = f"{record['provider']} {record['model']} about {record['question']}"
    return f"reserved {record['amount']} {record['currency']} for a call of {call}"


def _settled(record: Record) -> str:
    used = f"{record['tokens_in']} tokens in and {record['tokens_out']} out"
    cost = f"{record['amount']} {record['currency']}"
    return f"{record['provider']} {record['model']} {record['outcome']}: {cost} for {used} ({record['reservation']})"


def _state(record: Record) -> str:
    return f"{record['cause']} wants {record['state']}: {record['reason']}"


def _cooldown(record: Record) -> str:
    return f"{record['market']} rests until {record['until']} ({record['reason']})"


def _callback(record: Record) -> str:
    late = ", late" if record["late"] else ""
    if record["stage"] == Stage.EXECUTED:
        return f"a subscriber executed {record['quantity']} at {record['price']}{late}"
    if record["stage"] == Stage.RESOLVED:
        money = f"{Decimal(record['realised']):+.2f} {record['currency']}"
        return f"a subscriber resolved {money} by {record['reason']}{late}"
    reason = f" ({record['reason']})" if record["reason"] else ""
    return f"a subscriber acknowledged: {record['decision']}{reason}{late}"


def _conflict(record: Record) -> str:
    return f"a subscriber's {record['stage']} report, revision {record['rev']}, contradicts the books: {record['code']}"


def _day(record: Record) -> str:
    tripped = ", breaker tripped" if record["tripped"] else ""
    return f"trading day {record['day']} began with {Decimal(record['start_equity']):.2f} {record['currency']}{tripped}"


def _suspension(record: Record) -> str:
    until = record["until"] or "a person lifts it"
    return f"{record['name']} is suspended until {until} ({record['reason']})"


# field of a reconciliation that leaves something unexplained -> what it lists
_UNEXPLAINED = {
    "external": "unknown position",
    "wrong_quantity": "position of another size or side",
    "unproven": "order of unknown outcome",
}


def _reconciliation(record: Record) -> str:
    if record["clean"]:
        gone = f", {len(record['gone'])} gone" if record["gone"] else ""
        return f"the broker agrees with the journals: {counted(len(record['matched']), 'position')} matched{gone}"
    found = [f"{noun}: {', '.join(record[name])}" for name, noun in _UNEXPLAINED.items() if record[name]]
    return f"the broker does not agree with the journals: {'; '.join(found)}"


_SENTENCES = {
    Kind.DECISION: _decision,
    Kind.ORDER_INTENT: _intent,
    Kind.ORDER_EVENT: _event,
    Kind.SIGNAL: _signal,
    Kind.RESOLUTION: _resolution,
    Kind.OUTCOME: _outcome,
    Kind.COST_RESERVED: _reserved,
    Kind.COST_SETTLED: _settled,
    Kind.CALLBACK: _callback,
    Kind.STATE: _state,
    Kind.COOLDOWN: _cooldown,
    Kind.DAY: _day,
    Kind.SUSPENSION: _suspension,
    Kind.RECONCILIATION: _reconciliation,
    Kind.CALLBACK_CONFLICT: _conflict,
}
