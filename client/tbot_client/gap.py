"""What happened while this client was away: what was missed, what was closed late, what is still open.

The publisher's own lines say what happened, this home's journal what was done about it. What following a missed signal
would have brought is worked out from the publisher's prices alone, and labelled as the guess it is.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from tbot_client.clock import MOMENT, Clock, parse_iso
from tbot_client.config import Config
from tbot_client.contact import spoken
from tbot_client.errors import Usage
from tbot_client.feed import FeedClient
from tbot_client.home import Home
from tbot_client.journal import read
from tbot_client.keys import Keyring
from tbot_client.past import Line, Past
from tbot_client.reports import plain
from tbot_client.state import State
from tbot_client.wire import Item

BP = Decimal(10_000)
HELD = frozenset({"held", "closed", "lost"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """An absence: nothing was heard between these moments of the feed's time."""

    since: datetime
    until: datetime
    why: str = "asked for"


def ask(home: Home, config: Config, clock: Clock, since: str) -> dict[str, Any] | None:
    """Read the feed again and report on the last absence, or on all since a moment; None if there was no absence.

    Raises:
        ClientError: the moment is none, or the feed can't be read.
    """
    state = State(read(home.journal))
    feed = FeedClient(config)
    try:
        if since:
            window: Window | None = Window(since=_given(since), until=feed_time(feed, clock))
        else:
            window = last_absence(state)
        if window is None:
            return None
        ring = Keyring(config.feed.publisher_keys, state.keys)
        past = Past(feed, ring, is_required=config.feed.require_signatures)
        past.learn()
        return report(window, past.since(window.since), state)
    finally:
        feed.close()


def _given(text: str) -> datetime:
    try:
        return parse_iso(text)
    except (ValueError, OverflowError) as error:
        raise Usage(f"--since as {MOMENT}", repr(text), "correct it") from error


def feed_time(feed: FeedClient, clock: Clock) -> datetime:
    """Return what time it is for the feed."""
    page = feed.snapshot()
    clock.correct(page.server_time, page.asked_s, page.got_s)
    return clock.now()


def last_absence(state: State) -> Window | None:
    """Return the newest absence the journal knows of."""
    if not state.absences:
        return None
    entry = state.absences[-1]
    return Window(since=parse_iso(entry["since"]), until=parse_iso(entry["until"]), why=entry["why"])


def report(window: Window, lines: Iterable[Line], state: State) -> dict[str, Any]:
    """Compare what the publisher wrote within the window with what was done here."""
    opens, ends, untrusted = _sorted(window, lines)
    rows = [_row(opened, ends.get(signal_id), state) for signal_id, opened in opens.items()]
    return {
        "since": window.since.isoformat(),
        "until": window.until.isoformat(),
        "why": window.why,
        "missed": [row for row in rows if row["here"] not in HELD],
        "entered": [row for row in rows if row["here"] in HELD],
        "closed": [row for end in ends.values() if (row := _closed(end, state)) is not None],
        "open": [row["signal_id"] for row in rows if not row["ended"]],
        "held": sorted(state.trades.keys() & {s for s, o in state.outcomes.items() if o["what"] == "held"}),
        "untrusted": untrusted,
    }


def _sorted(window: Window, lines: Iterable[Line]) -> tuple[dict[str, Item], dict[str, Item], int]:
    """Return the opens and the first ends of the window by signal, and how many lines could not be believed."""
    opens: dict[str, Item] = {}
    ends: dict[str, Item] = {}
    untrusted = 0
    for line in lines:
        moment = _moment(line.item)
        if moment is None or not window.since <= moment <= window.until:
            continue
        if line.fault or line.is_older:
            untrusted += 1
        elif line.item.is_open:
            opens[line.item.signal_id] = line.item
        elif line.item.is_end:
            ends.setdefault(line.item.signal_id, line.item)
    return opens, ends, untrusted


def _moment(item: Item) -> datetime | None:
    return parse_iso(item.ts) if item.ts else item.published_at


def _row(opened: Item, end: Item | None, state: State) -> dict[str, Any]:
    here = state.outcomes.get(opened.signal_id, {"what": "never seen"})
    return {
        "signal_id": opened.signal_id,
        "market": opened.market,
        "side": opened.side,
        "published_at": opened.published_at.isoformat() if opened.published_at else "",
        "reference_price": _text(opened.reference_price),
        "here": here["what"],
        "reason": here.get("reason", ""),
        "ended": end is not None,
        "exit_price": _text(end.exit_price) if end else None,
        "hypothetical_bp": _gain_bp(opened, end),
    }


def _gain_bp(opened: Item, end: Item | None) -> str | None:
    """Return what following would have brought at the publisher's prices, before costs.

    In parts of the entry's price, or, of an event contract (a level of 0), of its payout of 1.
    """
    if end is None or end.exit_price is None or opened.reference_price is None:
        return None
    sign = 1 if opened.side == "buy" else -1
    is_contract = Decimal(0) in (opened.stop_loss, opened.take_profit)
    gain = (end.exit_price - opened.reference_price) * sign / (1 if is_contract else opened.reference_price) * BP
    return plain(gain.quantize(Decimal("0.1")))


def _closed(end: Item, state: State) -> dict[str, Any] | None:
    """Return what is told of a position of ours whose end was published meanwhile."""
    here = state.outcomes.get(end.signal_id, {})
    ended = _moment(end)
    if here.get("what") not in HELD or ended is None:
        return None
    closed_at = here.get("closed_at")
    late = None if not closed_at else round((parse_iso(closed_at) - ended).total_seconds(), 1)
    return {
        "signal_id": end.signal_id,
        "market": end.market,
        "published_at": ended.isoformat(),
        "publisher_price": _text(end.exit_price),
        "here": here["what"],
        "price": here.get("exit_price"),
        "end_reason": here.get("end_reason", ""),
        "late_s": late,
    }


def _text(number: Decimal | None) -> str | None:
    return None if number is None else plain(number)


def summary(found: dict[str, Any]) -> str:
    """Write one line for a person."""
    reasons = Counter(row["reason"] or row["here"] for row in found["missed"])
    why = f" ({', '.join(f'{reason} {n}' for reason, n in sorted(reasons.items()))})" if reasons else ""
    lates = [row["late_s"] for row in found["closed"] if row["late_s"] is not None]
    late = f" (up to {max(lates):.0f} s late)" if lates else ""
    away = spoken(parse_iso(found["until"]) - parse_iso(found["since"]))
    return (
        f"away {away} ({found['why']}): {len(found['missed'])} opens missed{why}, {len(found['entered'])} entered, "
        f"{len(found['closed'])} closes{late}, {len(found['open'])} of them still open"
    )


def as_text(found: dict[str, Any]) -> str:
    """Write the report for a person."""
    lines = [summary(found)]
    lines += [_missed_line(row) for row in found["missed"]]
    lines += [f"entered   {row['side']} {row['market']} [{row['signal_id']}]" for row in found["entered"]]
    lines += [_closed_line(row) for row in found["closed"]]
    if found["untrusted"]:
        lines.append(f"! {found['untrusted']} lines were left out: not shown to be the publisher's; see `verify`")
    return "\n".join(lines)


def _missed_line(row: dict[str, Any]) -> str:
    would = "still open" if not row["ended"] else f"ended at {row['exit_price']}"
    if row["hypothetical_bp"] is not None:
        would += f", hypothetical {row['hypothetical_bp']} bp before costs"
    reason = row["reason"] or row["here"]
    return (
        f"missed    {row['side']} {row['market']} at {row['reference_price']} ({reason}); {would} [{row['signal_id']}]"
    )


def _closed_line(row: dict[str, Any]) -> str:
    late = "" if row["late_s"] is None else f", {row['late_s']:.0f} s after the publisher"
    price = row["price"] or "not closed yet"
    return f"closed    {row['market']} at {price} (publisher {row['publisher_price']}{late}) [{row['signal_id']}]"
