"""A broker without a market: it fills at the publisher's prices and keeps its account in a file of the home.

It is what `run --dry-run` trades with. Protective orders rest here but nothing triggers them; a position ends when the
publisher's does.
"""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from tbot_client.brokers.port import (
    Account,
    Event,
    Instrument,
    Levels,
    NotFilled,
    Opened,
    Order,
    Position,
    Quote,
    Reduced,
)
from tbot_client.clock import iso, parse_iso
from tbot_client.config import Broker as Settings
from tbot_client.errors import Refused
from tbot_client.journal import Journal, Record, read

# What has no second currency in its name is a share or an event contract, priced in this one.
PAIR, CURRENCY = "_", "USD"


class PaperBroker:
    """An account whose transactions are the lines of ``path``."""

    def __init__(self, settings: Settings, path: Path, now: Callable[[], datetime]) -> None:
        self._currency = settings.currency
        self._balance = settings.balance
        self._now = now
        self._records: list[Record] = list(read(path))
        self._journal = Journal(path, lambda: iso(now()))

    def shut(self) -> None:
        self._journal.close()

    def account(self) -> Account:
        realised = sum(
            (Decimal(r["realised"]) for r in self._records if r.get("currency") == self._currency), Decimal(0)
        )
        return Account(currency=self._currency, equity=self._balance + realised, last_id=str(len(self._records)))

    def instrument(self, name: str) -> Instrument | None:
        return Instrument(
            name=name,
            price_digits=5,
            unit_digits=0,
            minimum=Decimal(1),
            maximum=Decimal(100_000_000),
            is_as_signalled=True,
        )

    def quote(self, instrument: str, reference: Decimal) -> Quote | None:
        return Quote(bid=reference, ask=reference, tradeable=True, home_rate=self._rate(instrument, reference))

    def _rate(self, instrument: str, price: Decimal) -> Decimal | None:
        base, _, quoted = instrument.partition(PAIR)
        quoted = quoted or CURRENCY
        if quoted == self._currency:
            return Decimal(1)
        return 1 / price if base == self._currency else None

    def place(self, order: Order) -> list[Event]:
        if self.find(order.client_id):
            raise Refused("CLIENT_TRADE_ID_ALREADY_EXISTS", "a new order id", order.client_id, "not done")
        return [
            self._write(
                kind="opened",
                client_id=order.client_id,
                instrument=order.instrument,
                side=order.side,
                units=str(order.units),
                price=str(order.reference),
                **_level_texts(order.levels),
            )
        ]

    def find(self, client_id: str) -> list[Event]:
        return [_event(record) for record in self._records if record.get("client_id") == client_id]

    def is_taken(self, client_id: str) -> bool:
        return False  # every order is over at once

    def protect(self, trade_id: str, instrument: str, levels: Levels) -> None:
        self._open(trade_id)
        self._write(kind="protected", trade_id=trade_id, **_level_texts(levels))

    def close(self, trade_id: str, reference: Decimal | None) -> list[Event]:
        opened = self._open(trade_id)
        entry, units = Decimal(opened["price"]), Decimal(opened["units"])
        price = entry if reference is None else reference
        rate = self._rate(opened["instrument"], price)
        gained = (price - entry) * units * (1 if opened["side"] == "buy" else -1) * (1 if rate is None else rate)
        quoted = opened["instrument"].partition(PAIR)[2] or CURRENCY
        currency = self._currency if rate is not None else quoted
        return [
            self._write(
                kind="closed",
                trade_id=trade_id,
                units=str(units),
                price=str(price),
                realised=f"{gained.quantize(Decimal('0.0001')):f}",
                currency=currency,
            )
        ]

    def since(self, last_id: str) -> tuple[list[Event], str]:
        news = [_event(record) for record in self._records[int(last_id) :] if record["kind"] != "protected"]
        return news, str(len(self._records))

    def is_behind(self) -> bool:
        return False

    def positions(self) -> list[Position]:
        closed = {record["trade_id"] for record in self._records if record["kind"] == "closed"}
        return [_position(r) for r in self._records if r["kind"] == "opened" and r["id"] not in closed]

    def _open(self, trade_id: str) -> Record:
        if all(position.trade_id != trade_id for position in self.positions()):
            raise Refused("TRADE_DOESNT_EXIST", "an open trade", trade_id, "nothing to do")
        return next(record for record in self._records if record["id"] == trade_id)

    def _write(self, **fields: object) -> Event:
        record = {"id": str(len(self._records) + 1), "time": iso(self._now())} | fields
        self._journal.append([record])
        self._records.append(record)
        return _event(record)


def _level_texts(levels: Levels) -> dict[str, object]:
    three = (levels.stop, levels.target, levels.trailing)
    return {"levels": [_text(level) for level in three], "trailing_percent": _text(levels.trailing_percent)}


def _text(level: Decimal | None) -> str | None:
    return None if level is None else str(level)


def _event(record: Record) -> Event:
    at = parse_iso(record["time"])
    if record["kind"] == "opened":
        return Opened(
            id=record["id"],
            client_id=record["client_id"],
            trade_id=record["id"],
            units=Decimal(record["units"]),
            price=Decimal(record["price"]),
            at=at,
        )
    if record["kind"] == "closed":
        return Reduced(
            id=record["id"],
            trade_id=record["trade_id"],
            units=Decimal(record["units"]),
            price=Decimal(record["price"]),
            realised=Decimal(record["realised"]),
            currency=record["currency"],
            reason="broker",
            at=at,
        )
    return NotFilled(id=record["id"], client_id="", reason="")


def _position(record: Record) -> Position:
    stop, target, trailing = (None if text is None else Decimal(text) for text in record["levels"])
    percent = record.get("trailing_percent")
    return Position(
        client_id=record["client_id"],
        trade_id=record["id"],
        instrument=record["instrument"],
        side=record["side"],
        units=Decimal(record["units"]),
        price=Decimal(record["price"]),
        levels=(stop, target, trailing),
        trailing_percent=None if percent is None else Decimal(percent),
    )
