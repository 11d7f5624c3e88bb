"""The state file: everything the venue knows, written whole and put in place at once."""

import json
import os
from dataclasses import asdict, fields
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from simulators.ibkr.accounts import Account
from simulators.ibkr.book import Carried, Entry, Fill, SplitEntry, folded
from simulators.ibkr.desk import Desk
from simulators.ibkr.orders import Commission, Execution, Order, Terms

FILE = "venue.json"
VERSION = 1
_TERMS_NUMBERS = ("quantity", "limit", "stop", "trail_amount", "trail_percent", "trail_stop", "limit_offset")
_ORDER_NUMBERS = ("filled", "average_price", "last_price", "max_quantity")
_ORDER_TIMES = ("placed_at", "done_at")
_ENTRIES: dict[str, type[Entry]] = {"fill": Fill, "split": SplitEntry, "carried": Carried}

Json = dict[str, Any]


class StateError(ValueError):
    """A state file that cannot be continued."""


def dumped(desk: Desk, position: int, extra: Json) -> bytes:
    """Return the venue's state; the same state always gives the same bytes."""
    state = {
        "version": VERSION,
        "as_of": position,
        **extra,
        "next_perm_id": desk.next_perm_id,
        "next_execution": desk.next_execution,
        "halted": sorted(desk.halted),
        "taken": [[*key, time, shares] for key, (time, shares) in sorted(desk.taken.items())],
        "accounts": {account.id: _account(account) for account in desk.accounts.values()},
        "orders": [_plain(order) for order in desk.orders.values()],
        "executions": [{**_shallow(each), "order": each.perm_id} for each in desk.executions],
        "commissions": [asdict(each) for each in desk.commissions.values()],
    }
    return json.dumps(state, default=_text, separators=(",", ":")).encode() + b"\n"


def _account(account: Account) -> Json:
    entries = {str(conid): [_entry(each) for each in each_list] for conid, each_list in account.entries.items()}
    return {"cash": account.cash, "entries": entries}


def _entry(entry: Entry) -> Json:
    kind = next(name for name, each in _ENTRIES.items() if isinstance(entry, each))
    return {"is": kind, **asdict(entry)}


def _plain(order: Order) -> Json:
    return {**_shallow(order), "terms": asdict(order.terms)}


def _shallow(item: Order | Execution) -> Json:
    return {each.name: getattr(item, each.name) for each in fields(item)}


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def write(folder: Path, content: bytes) -> None:
    """Put the state in place; a crash leaves the old or the new one, never half."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{FILE}.part"
    part.write_bytes(content)
    os.replace(part, folder / FILE)


def read(folder: Path) -> Json | None:
    """Return the state kept in a folder; None where there is none.

    Raises:
        StateError: the file is damaged or of another version.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        state = json.loads(path.read_bytes())
    except ValueError as exc:
        raise StateError(f"state: expected JSON in {path}; found {exc}; move the file away") from exc
    if not isinstance(state, dict) or state.get("version") != VERSION:
        raise StateError(f"state: expected version {VERSION} in {path}; move the file away")
    return cast("Json", state)


def restore(desk: Desk, state: Json) -> None:
    """Bring a new desk to a kept state; accounts that are no longer given are left out."""
    desk.next_perm_id, desk.next_execution = state["next_perm_id"], state["next_execution"]
    desk.halted = set(state["halted"])
    desk.taken = {(symbol, side): (time, Decimal(shares)) for symbol, side, time, shares in state["taken"]}
    for name, kept in state["accounts"].items():
        if name in desk.accounts:
            account = desk.accounts[name]
            account.cash = Decimal(kept["cash"])
            account.entries = {int(c): [_entry_from(each) for each in items] for c, items in kept["entries"].items()}
            account.books = {conid: folded(entries) for conid, entries in account.entries.items()}
    for item in state["orders"]:
        order = _order_from(item)
        if order.terms.account in desk.accounts:
            desk.orders[order.perm_id] = order
            if not order.is_done:
                desk.live[order.perm_id] = order
    for item in state["executions"]:
        if item["order"] in desk.orders:
            desk.executions.append(_execution_from(item, desk.orders[item["order"]]))
    for item in state["commissions"]:
        desk.commissions[item["exec_id"]] = Commission(**_numbers(item, ("amount", "realised")))


def _entry_from(item: Json) -> Entry:
    fields_of = {name: value for name, value in item.items() if name != "is"}
    if item["is"] == "split":
        return SplitEntry(**fields_of)
    if item["is"] == "carried":
        return Carried(**_numbers(fields_of, ("quantity", "average")))
    return Fill(**_numbers(fields_of, ("quantity", "price", "commission")))


def _order_from(item: Json) -> Order:
    terms = Terms(**_numbers(item["terms"], _TERMS_NUMBERS))
    owner = tuple(item["owner"]) if isinstance(item["owner"], list) else item["owner"]
    times = {name: _time(item[name]) for name in _ORDER_TIMES}
    return Order(**{**_numbers(item, _ORDER_NUMBERS), **times, "terms": terms, "owner": owner})


def _execution_from(item: Json, order: Order) -> Execution:
    numbers = _numbers(item, ("quantity", "price", "cumulative", "average"))
    return Execution(**{**numbers, "order": order, "at": _time(item["at"])})


def _numbers(item: Json, names: tuple[str, ...]) -> Json:
    return {**item, **{name: None if item[name] is None else Decimal(item[name]) for name in names}}


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
