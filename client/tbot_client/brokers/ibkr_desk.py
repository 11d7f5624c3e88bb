"""Orders as the Client Portal takes them: tickets, and the conversation it holds before it takes one.

It asks "are you sure?", sometimes several times. Questions of known kinds are answered with yes; any other is declined,
and the order refused: a person reads them, no program.
"""

from collections.abc import Iterable
from contextlib import suppress
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

from tbot_client.brokers.ibkr_parse import Json
from tbot_client.brokers.ibkr_wire import IbkrWire
from tbot_client.brokers.port import Levels
from tbot_client.errors import Ask, ClientError, Refused, Retry

ROUNDS = 8
CENT = Decimal("0.01")


class Desk:
    """Sends orders of one account, one conversation at a time."""

    def __init__(self, wire: IbkrWire, account: str, allowed: Iterable[str]) -> None:
        self._wire = wire
        self._account = account
        self._allowed = frozenset(allowed)

    def send(self, tickets: list[Json]) -> dict[str, str]:
        """Send orders that belong together; return our id -> the broker's number.

        Raises:
            Retry: nothing happened. Ask: nobody knows. Refused: no.
        """
        account = {"acctId": self._account}
        body = {"orders": [account | ticket for ticket in tickets]}
        rows = self._talk(f"/iserver/account/{self._account}/orders", body)
        return _numbers([ticket["cOID"] for ticket in tickets], rows)

    def change(self, order_id: str, ticket: Json) -> None:
        """Give a resting order other prices or another size; errors as of `send`."""
        self._talk(f"/iserver/account/{self._account}/order/{order_id}", {"acctId": self._account} | ticket)

    def cancel(self, order_id: str) -> None:
        """Ask for an order to be taken back: a wish, of which only the order's status tells what came."""
        try:
            self._wire.act("DELETE", f"/iserver/account/{self._account}/order/{order_id}")
        except (Ask, Refused):
            return

    def _talk(self, path: str, body: Any) -> list[Json]:
        reply = self._wire.act("POST", path, body)
        taken: list[Json] = []
        for _ in range(ROUNDS):
            question = _question(reply)
            taken += _receipts(reply)
            if question is None:
                return self._whole(reply, taken)
            try:
                reply = self._answered(question)
            except Refused as error:
                if taken:
                    raise self._broken(taken, error.found) from error
                raise
        raise Ask("an order that is taken", f"{ROUNDS} questions about it", "asking for it by its id")

    def _whole(self, reply: Any, taken: list[Json]) -> list[Json]:
        """Return the receipts of orders that belong together, unless some were refused."""
        rows = reply if isinstance(reply, list) else [reply]
        refused = [str(row["error"])[:200] for row in rows if isinstance(row, dict) and row.get("error")]
        if refused and taken:
            raise self._broken(taken, refused[0])
        if not taken:
            raise Ask("a receipt with the order's number", "one without", "asking what happened")
        return taken

    def _broken(self, taken: list[Json], found: str) -> Ask:
        """Take back what was taken of orders that belong together: an entry without its stop must not fill."""
        for row in taken:
            with suppress(Retry):
                self.cancel(str(row["order_id"]))
        return Ask("orders that are taken together", f"a part refused ({found})", "taken back; asking what happened")

    def _answered(self, question: Json) -> Any:
        kinds = [str(kind) for kind in question.get("messageIds") or ()]
        if not kinds or not set(kinds) <= self._allowed:
            self._decline(str(question["id"]))
            words = " ".join(str(line) for line in question.get("message") or ())[:200]
            name = "".join(kind for kind in "-".join(kinds) if kind.isalnum() or kind == "-")[:40]
            todo = "declined; add it to confirm in [broker] only if it may always be answered with yes"
            raise Refused(f"QUESTION:{name}", "no question that is not in confirm", f"{name}: {words}", todo)
        try:
            return self._wire.act("POST", f"/iserver/reply/{question['id']}", {"confirmed": True})
        except Refused as error:
            if "reply id" not in error.found:
                raise
            raise Ask("an answer that comes in time", error.found, "asking for the order by its id") from error

    def _decline(self, number: str) -> None:
        """Say no; a question that nobody answers lapses too."""
        try:
            self._wire.act("POST", f"/iserver/reply/{number}", {"confirmed": False})
        except ClientError:
            return


def _question(reply: Any) -> Json | None:
    rows = reply if isinstance(reply, list) else [reply]
    return next((r for r in rows if isinstance(r, dict) and "id" in r and "message" in r and "order_id" not in r), None)


def _receipts(reply: Any) -> list[Json]:
    rows = reply if isinstance(reply, list) else [reply]
    return [row for row in rows if isinstance(row, dict) and row.get("order_id")]


def _numbers(names: list[str], rows: list[Json]) -> dict[str, str]:
    """Return our id -> the broker's number, by the ids the receipts repeat, or by their places where none does."""
    found = {str(row.get("local_order_id") or ""): str(row["order_id"]) for row in rows}
    if not found.keys() & set(names) and len(rows) == len(names):
        return {name: str(row["order_id"]) for name, row in zip(names, rows, strict=True)}
    return {name: found[name] for name in names if name in found}


def ticket(client_id: str, conid: int, market: str, side: str, units: Decimal, **more: Any) -> Json:
    """Return what every order has; a day order unless told otherwise."""
    return {
        "conid": conid,
        "secType": f"{conid}:STK",
        "cOID": client_id,
        "ticker": market,
        "side": side.upper(),
        "quantity": plain(units),
        "tif": "DAY",
        "outsideRTH": False,
    } | more


def limit(price: Decimal, side: str) -> Json:
    """Return a limit that is no worse than ``price``, on a cent."""
    return {"orderType": "LMT", "price": plain(on_cent(price, up=side == "sell"))}


def stop(levels: Levels, side: str, at: Decimal | None = None) -> Json:
    """Return a stop that ends a position of ``side``; a trailing one begins at the stop, or ``at`` where it stands."""
    price = plain(on_cent(levels.stop if at is None else at, up=side == "sell"))
    if levels.trailing_percent is not None:
        trail = {"trailingType": "%", "trailingAmt": plain(levels.trailing_percent)}
    elif levels.trailing is not None:
        trail = {"trailingType": "amt", "trailingAmt": plain(max(on_cent(levels.trailing, up=True), CENT))}
    else:
        return {"orderType": "STP", "price": price}
    return {"orderType": "TRAIL", "price": price} | trail


def on_cent(price: Decimal, *, up: bool) -> Decimal:
    return price.quantize(CENT, ROUND_CEILING if up else ROUND_FLOOR)


def plain(value: Decimal) -> int | float:
    """Return a number as JSON has it; the portal takes no text for sizes."""
    return int(value) if value == value.to_integral_value() else float(value)
