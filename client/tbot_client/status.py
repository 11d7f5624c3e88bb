"""How a home stands, read from its journal alone: nothing is asked of feed or broker, and nothing is written."""

import fcntl
import json
import os
from datetime import UTC, datetime
from typing import Any

from tbot_client import errors
from tbot_client.brokers.port import Levels
from tbot_client.clock import Clock, parse_iso
from tbot_client.config import Config
from tbot_client.contact import WRONG_S
from tbot_client.distrust import told
from tbot_client.home import Home
from tbot_client.journal import read
from tbot_client.keys import Keyring
from tbot_client.reports import plain
from tbot_client.state import State
from tbot_client.trade import Phase, Trade

SILENT_S = 180.0


def summary(home: Home, clock: Clock, config: Config) -> dict[str, Any]:
    """Return the home's state as plain values."""
    state = State(read(home.journal))
    contact = _contact(home)
    day = clock.now().date().isoformat()
    counts = state.counts
    return {
        "running": _is_running(home),
        "stopped": home.is_stopped(),
        "entries": _entries(state, home, clock),
        "contact": contact,
        "positions": [_position(t) for t in state.trades.values() if t.phase is Phase.OPEN],
        "undecided": [t.signal_id for t in state.trades.values() if t.phase is Phase.PENDING],
        "unknown_orders": [t.signal_id for t in state.trades.values() if t.phase is Phase.INTENDED],
        "today": {currency: plain(amount) for currency, amount in state.days.get(day, {}).items()},
        "outbox": len(state.outbox),
        "counts": {name: counts[name] for name in ("received", "accepted", "executed", "resolved", "reported")},
        "skipped": _reasons(state, "skipped:"),
        "failed": _reasons(state, "failed:"),
        "disputed": state.disputed,
        "malformed": counts["malformed"],
        "adopted": counts["adopted"],
        "protect_refused": counts["protect_refused"],
        "distrust": told(state, config.feed),
        "signatures": _signatures(state, config, contact),
        "dead_man": _dead_man(state, config, contact),
        "absence": state.absences[-1] if state.absences else None,
    }


def _signatures(state: State, config: Config, contact: dict[str, Any] | None) -> dict[str, Any]:
    ring = Keyring(config.feed.publisher_keys, state.keys)
    keys = [
        {"surface": key.surface, "key": key.key, "from": key.from_, "until": key.until}
        for key in sorted(state.keys.values(), key=lambda key: (key.surface, key.from_))
        if key.key in ring
    ]
    heads = (contact or {}).get("heads", {})
    required = config.feed.require_signatures
    return {"required": required, "pinned": list(config.feed.publisher_keys), "keys": keys, "verified_heads": heads}


def _dead_man(state: State, config: Config, contact: dict[str, Any] | None) -> dict[str, Any]:
    """Return what happens in a silence, what happened in one, and how long this one has lasted by the file's time."""
    done = [{"signal_id": t.signal_id, "did": t.dead_man_done} for t in state.trades.values() if t.dead_man_done]
    counts = {name.removeprefix("dead_man:"): n for name, n in state.counts.items() if name.startswith("dead_man:")}
    silent = None if contact is None else contact["age_s"]
    limits = config.limits
    return {"policy": limits.dead_man, "after_s": limits.dead_man_s, "silent_s": silent, "done": done, "counts": counts}


def problems(found: dict[str, Any]) -> list[str]:
    """Return what a person should look at; empty when all is well."""
    checks = (
        (not found["running"], "no client is running on this home"),
        (found["stopped"], "the STOP file is present: no entries"),
        (found["distrust"], f"the publisher's history changed: {found['distrust']}"),
        (found["unknown_orders"], f"orders of unknown outcome: {len(found['unknown_orders'])}"),
        (abs((found["contact"] or {}).get("offset_s", 0.0)) > WRONG_S, "this machine's clock is wrong"),
        (found["dead_man"]["done"], "the dead-man policy acted on positions that are still held"),
        (found["disputed"], f"reports the feed did not accept: {len(found['disputed'])}"),
        (found["failed"].get("lost"), "positions that vanished at the broker"),
        ((found["contact"] or {}).get("age_s", 0.0) > SILENT_S, "no word from the feed for more than three minutes"),
    )
    return [text for is_so, text in checks if is_so]


def exit_code(found: dict[str, Any]) -> int:
    return errors.DEGRADED if problems(found) else errors.OK


def as_text(found: dict[str, Any]) -> str:
    """Write a summary for a person."""
    contact = found["contact"]
    heard = "never reached" if contact is None else f"{contact['age_s']:.0f} s ago"
    lines = [
        f"running   {'yes' if found['running'] else 'no'}    entries {found['entries']}",
        f"feed      {heard}, outbox {found['outbox']}",
        f"clock     {_clock(contact)}",
        f"signed    {_signed(found['signatures'])}",
        f"dead man  {_silence(found['dead_man'])}",
        f"today     {_pairs(found['today']) or 'no closed trades'}",
        f"signals   {_pairs(found['counts'])}",
        f"skipped   {_pairs(found['skipped']) or 'none'}",
    ]
    if found["failed"]:
        lines.append(f"failed    {_pairs(found['failed'])}")
    lines += [_position_line(position) for position in found["positions"]]
    return "\n".join(lines + [f"! {text}" for text in problems(found)])


def _clock(contact: dict[str, Any] | None) -> str:
    if contact is None or contact.get("bound_s") is None:
        return "not compared with the feed's yet, or simulated"
    return f"the feed's is {contact['offset_s']:+.2f} s from this machine's, ± {contact['bound_s']:.2f} s"


def _signed(signatures: dict[str, Any]) -> str:
    keys = ", ".join(f"{key['surface']}:{key['key']}" for key in signatures["keys"] if key["until"] is None)
    heads = ", ".join(f"{log} {seq}" for log, seq in signatures["verified_heads"].items())
    needed = "required" if signatures["required"] else "not required"
    return f"{needed}, by {keys or 'no key known yet'}; heads {heads or 'none seen'}"


def _silence(dead_man: dict[str, Any]) -> str:
    did = f", did {_pairs(dead_man['counts'])}" if dead_man["counts"] else ""
    return f"{dead_man['policy']} after {dead_man['after_s']:.0f} s without the feed{did}"


def _position_line(position: dict[str, Any]) -> str:
    levels = position["resting"] or {}
    held = f"position  {position['side']} {position['units']} {position['market']} at {position['price']}, "
    if position["settles"]:
        return f"{held}settles at 0 or 1  [{position['signal_id']}]"
    target = f" target {levels['target']}" if levels.get("target") else ""
    trailing = f" trailing {levels['trailing']}" if levels.get("trailing") else ""
    percent = f" trailing {levels['trailing_percent']} %" if levels.get("trailing_percent") else ""
    return f"{held}stop {levels.get('stop')}{target}{trailing}{percent}  [{position['signal_id']}]"


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _entries(state: State, home: Home, clock: Clock) -> str:
    if state.distrust:
        return "off: history"
    if home.is_stopped():
        return "off: STOP file"
    return "off: daily loss" if state.is_over(clock.now()) else "on"


def _position(trade: Trade) -> dict[str, Any]:
    return {
        "signal_id": trade.signal_id,
        "market": trade.market,
        "side": trade.side,
        "units": plain(trade.filled - trade.closed_units),
        "price": plain(trade.price),
        "resting": _levels(trade.resting),
        "wanted": _levels(trade.levels),
        "closing": trade.end_reason,
        "settles": trade.is_contract,
    }


def _levels(levels: Levels | None) -> dict[str, str | None] | None:
    if levels is None:
        return None
    named = {name: getattr(levels, name) for name in ("stop", "target", "trailing", "trailing_percent")}
    return {name: None if level is None else plain(level) for name, level in named.items()}


def _reasons(state: State, prefix: str) -> dict[str, int]:
    return {name.removeprefix(prefix): n for name, n in sorted(state.counts.items()) if name.startswith(prefix)}


def _contact(home: Home) -> dict[str, Any] | None:
    """Return when the feed last answered; the age is in real seconds, from the file's own time."""
    try:
        contact: dict[str, Any] = json.loads(home.contact.read_text())
        parse_iso(contact["at"])
        age = datetime.now(UTC).timestamp() - home.contact.stat().st_mtime
    except (OSError, ValueError, KeyError):
        return None
    return contact | {"age_s": round(age, 1)}


def _is_running(home: Home) -> bool:
    """Tell whether a client holds the lock; the file is only opened for reading, so that any home can be looked at."""
    try:
        fd = os.open(home.lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
