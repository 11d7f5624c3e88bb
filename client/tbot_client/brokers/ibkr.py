"""Interactive Brokers through the Client Portal Web API of a gateway on this machine.

An entry is a day order with a limit, the last price it may be filled at; what is not filled at once is taken back. Its
protective stop is sent with it, as its child, rests at IBKR and is watched: an open position has exactly one. A
position is left by taking the stop back, waiting for proof, and selling what is left then.

What happened is believed from executions alone, and kept in `ibkr_ledger`. An account holds one net number for each
stock, also of what its owner traded by hand; ours is told apart by the ids of our orders.
"""

import re
import time
from datetime import datetime, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

from tbot_client.book import say
from tbot_client.brokers import ibkr_desk as desk
from tbot_client.brokers import ibkr_parse as parse
from tbot_client.brokers.ibkr_books import Books
from tbot_client.brokers.ibkr_ledger import CURRENCY, Held, Ledger, write_levels
from tbot_client.brokers.ibkr_parse import ZERO, Json
from tbot_client.brokers.ibkr_session import Session
from tbot_client.brokers.ibkr_stops import Stops
from tbot_client.brokers.ibkr_wire import IbkrWire
from tbot_client.brokers.port import Account, Event, Instrument, Levels, Order, Position, Quote, Reduced
from tbot_client.clock import Clock, parse_iso
from tbot_client.config import Broker as Settings
from tbot_client.errors import Ask, Refused, Retry

SYMBOL = re.compile(r"[A-Z][A-Z0-9. ]{0,11}")
MOST_UNITS = Decimal(1_000_000)
NEW_YORK = ZoneInfo("America/New_York")
OPENS, CLOSES = time_of_day(9, 30), time_of_day(16)
# A quote this old is none: a holiday, the afternoon of a half day, or a gateway that stands still.
FRESH = timedelta(minutes=5)
# After this an entry that was taken in is over, and whatever it filled is listed.
SETTLED = timedelta(days=1)
FIELDS = "31,84,86,6509"
LOOKS, LOOK_S = 12, 0.15


class IbkrBroker:
    """One account, used by one thread.

    Args:
        path: the ledger's file.
        grace_s: real seconds that the gateway's lists may lag behind.
        fill_s: real seconds after which what an order did not get is taken back.
        late_s: real seconds in which an order that was taken back may still turn out to have filled.
    """

    def __init__(
        self,
        settings: Settings,
        path: Path,
        clock: Clock,
        *,
        grace_s: float = 10.0,
        fill_s: float = 2.0,
        late_s: float = 1.0,
    ) -> None:
        self._account = settings.account_id
        self._clock = clock
        self._fill_s = fill_s
        self._wire = IbkrWire(settings)
        self._session = Session(self._wire, self._account, compete=settings.compete)
        self._desk = desk.Desk(self._wire, self._account, settings.confirm)
        self._ledger = Ledger(path, clock.now)
        self._books = Books(self._wire, self._ledger, self._account, settings.page_pause_s, grace_s)
        self._stops = Stops(self._desk, self._ledger, self._books, self._price, grace_s=grace_s, late_s=late_s)
        self._conids: dict[str, int] = {}

    def shut(self) -> None:
        self._wire.close()
        self._ledger.close()

    def account(self) -> Account:
        self._session.ensure()
        summary = self._wire.get(f"/portfolio/{self._account}/summary")
        return parse.read("a summary", self._worth, summary)

    def _worth(self, summary: Json) -> Account:
        worth, free = summary["netliquidation"], summary["availablefunds"]
        currency = str(worth["currency"])
        is_bound = self._session.is_cash and currency == CURRENCY
        return Account(
            currency=currency,
            equity=parse.number(worth["amount"]),
            last_id=self._ledger.last_id,
            cash=parse.number(free["amount"]) if is_bound else None,
        )

    def instrument(self, name: str) -> Instrument | None:
        if self._conid(name) is None:
            return None
        return Instrument(
            name=name, price_digits=2, unit_digits=0, minimum=Decimal(1), maximum=MOST_UNITS, takes_worst=True
        )

    def _conid(self, name: str) -> int | None:
        """Return IBKR's number of a stock listed in the United States; None if there is none, or more than one."""
        if name not in self._conids and SYMBOL.fullmatch(name):
            self._session.ensure()
            found = self._wire.get("/trsrv/stocks", symbols=name)
            numbers = parse.read("stocks", lambda rows: _listed(rows.get(name) or []), found)
            if len(numbers) == 1:
                self._conids[name] = numbers.pop()
        return self._conids.get(name)

    def quote(self, instrument: str, reference: Decimal) -> Quote | None:
        conid = self._conid(instrument)
        if conid is None:
            return None
        self._session.ensure()
        found = self._snapshot(conid)
        if found is None:
            return None
        now = self._clock.now()
        is_open = found.is_live and _is_session(now) and now - found.at < FRESH
        rate = Decimal(1) if self._session.currency == CURRENCY else None
        return Quote(bid=found.bid, ask=found.ask, tradeable=is_open, home_rate=rate)

    def _snapshot(self, conid: int) -> parse.Snapshot | None:
        """Ask for a quote; the first question only begins a stream, and is answered with nothing."""
        for _ in range(LOOKS):
            rows = self._wire.get("/iserver/marketdata/snapshot", conids=conid, fields=FIELDS)
            mine = [row for row in rows if isinstance(row, dict) and str(row.get("conid")) == str(conid)]
            found = parse.read("a quote", parse.snapshot, mine[0]) if mine else None
            if found is not None:
                return found
            time.sleep(LOOK_S)
        return None

    def _price(self, held: Held) -> Decimal | None:
        """Return what is bid for a position now, live or not."""
        found = self._snapshot(held.conid)
        if found is None:
            return None
        return found.bid if held.side == "buy" else found.ask

    def place(self, order: Order) -> list[Event]:
        """Buy, or sell, up to the worst price, with the protective orders as children; the rest ends at once."""
        if done := self._ledger.of(order.client_id):
            return done
        conid = self._conid(order.instrument)
        if conid is None:
            raise Refused("UNKNOWN_STOCK", "a stock IBKR lists", order.instrument, "not sent")
        self._session.ensure()
        net = self._books.nets().get(conid, ZERO)
        if net * (1 if order.side == "buy" else -1) < 0:
            todo = "not sent: it would close that instead"
            raise Refused("OPPOSITE_POSITION", "nothing held the other way", f"{net:f} held", todo)
        self._ledger.sent(
            order.client_id,
            market=order.instrument,
            conid=conid,
            side=order.side,
            units=str(order.units),
            levels=write_levels(order.levels),
        )
        self._books.stir()
        self._books.expect(order.client_id)
        numbers = self._desk.send(_family(order, conid))
        try:
            self._ledger.taken(order.client_id, numbers[order.client_id])
            self._finish(order.client_id, numbers[order.client_id])
            self._sync()
        except (Retry, Refused, KeyError) as error:
            raise Ask("what became of the order", str(error)[:100], "it was taken in; asking again") from error
        return self._ledger.of(order.client_id)

    def _finish(self, client_id: str, order_id: str) -> None:
        """Wait until an order is over; what it has not got in time is taken back."""
        deadline = time.monotonic() + self._fill_s
        while self._books.look(client_id, order_id).is_live and time.monotonic() < deadline:
            time.sleep(LOOK_S)
        if self._books.look(client_id, order_id).is_live:
            self._stops.take_back({client_id: order_id})

    def find(self, client_id: str) -> list[Event]:
        self._sync()
        if done := self._ledger.of(client_id):
            return done
        if not self._books.is_absent(client_id):
            raise Ask("the order in IBKR's lists", "nothing final yet", "asking again")
        if client_id in self._ledger.numbers and not self.is_taken(client_id):
            self._ledger.unfilled(client_id, "NOT_FILLED")
        return self._ledger.of(client_id)

    def is_taken(self, client_id: str) -> bool:
        """Tell whether IBKR gave an entry a number and no list can have shown yet what became of it.

        It was an order of one day: the list of executions, which reaches back further, has the last word the day after.
        """
        if client_id not in self._ledger.numbers:
            return False
        return self._clock.now() - parse_iso(self._ledger.intents[client_id]["time"]) < SETTLED

    def protect(self, trade_id: str, instrument: str, levels: Levels) -> None:
        """Move the resting stop, and the target, to where they are wanted now."""
        self._session.ensure()
        self._books.read()
        held = self._open(trade_id)
        self._books.note_split(held, levels)
        self._ledger.levels(held, write_levels(levels))
        self._books.stir()
        self._stops.move(held)

    def close(self, trade_id: str, reference: Decimal | None) -> list[Event]:
        """Take back what rests for a position, then sell what is left; begun again, it goes on where it stopped."""
        before = self._ledger.count
        self._session.ensure()
        self._books.read()
        held = self._ledger.held.get(trade_id)
        if held is None and (events := self._of_trade(before, trade_id)):
            return events
        held = self._open(trade_id)
        if not _is_session(self._clock.now()):
            raise Refused(
                "SESSION_OVER", "the exchange to be open", "a closed one", "the stop stays; closed when it opens"
            )
        self._books.require_shown(held)
        resting = [row for row in self._books.rows_of(held) if row.is_live]
        orders = {row.client_id: row.order_id for row in resting}
        self._stops.take_back(orders)
        units = self._books.left_after(held, orders)
        if units > 0:
            self._sell(held, units)
        else:
            self._books.read()
        return self._of_trade(before, trade_id)

    def _sell(self, held: Held, units: Decimal) -> None:
        client_id = self._books.next_id(held, "exit")
        side = "sell" if held.side == "buy" else "buy"
        self._ledger.sent(client_id)
        self._books.stir()
        wanted = desk.ticket(client_id, held.conid, held.market, side, units, orderType="MKT")
        numbers = self._desk.send([wanted])
        try:
            deadline = time.monotonic() + self._fill_s
            while self._books.look(client_id, numbers[client_id]).is_live and time.monotonic() < deadline:
                time.sleep(LOOK_S)
            self._books.read()
        except (Retry, Refused, KeyError) as error:
            raise Ask("what became of the exit", str(error)[:100], "it was taken in; asking again") from error

    def _of_trade(self, before: int, trade_id: str) -> list[Event]:
        events = self._ledger.since_count(before)
        return [event for event in events if isinstance(event, Reduced) and event.trade_id == trade_id]

    def _open(self, trade_id: str) -> Held:
        held = self._ledger.held.get(trade_id)
        if held is None:
            raise Refused("TRADE_DOESNT_EXIST", "an open position", trade_id, "nothing to do")
        return held

    def since(self, last_id: str) -> tuple[list[Event], str]:
        """Return what the lists brought; they may be read once in five seconds, and nobody is kept waiting for that."""
        self._session.ensure()
        if self._books.is_due():
            self._sync()
        return self._ledger.after(last_id), self._ledger.last_id

    def is_behind(self) -> bool:
        return self._books.is_behind

    def positions(self) -> list[Position]:
        self._sync()
        return [
            _position(held, units) for held in self._ledger.held.values() if (units := self._books.left_of(held)) > 0
        ]

    def _sync(self) -> None:
        """Read what is new; see that no entry of ours rests, and that every position has its stop."""
        self._session.ensure()
        self._books.read()
        for row in self._books.loose_entries():
            say(f"{row.client_id}: an entry still rested; taking it back")
            self._stops.take_back({row.client_id: row.order_id})
            self._books.read()
        for row in self._books.orphans():
            say(f"{row.client_id}: what it was for is over; taking it back")
            self._books.stir()
            self._desk.cancel(row.order_id)
        for held in list(self._ledger.held.values()):
            self._stops.watch(held)


def _listed(companies: list[Json]) -> set[int]:
    return {
        int(parse.number(contract["conid"]))
        for company in companies
        if company.get("assetClass", "STK") == "STK"
        for contract in company["contracts"]
        if contract.get("isUS") is True
    }


def _is_session(moment: datetime) -> bool:
    """Tell whether New York's regular session may be on; holidays show in quotes that stand still."""
    local = moment.astimezone(NEW_YORK)
    return local.weekday() < 5 and OPENS <= local.time() < CLOSES


def _family(order: Order, conid: int) -> list[Json]:
    """Return an entry and what protects it, sent together so that there is no moment without."""
    worst = order.reference if order.worst is None else order.worst
    stem = order.client_id.removesuffix("-entry-1")
    entry = desk.ticket(
        order.client_id, conid, order.instrument, order.side, order.units, **desk.limit(worst, order.side)
    )
    leaving = "sell" if order.side == "buy" else "buy"
    child = {"parentId": order.client_id, "tif": "GTC"}
    kinds = {"stop": desk.stop(order.levels, order.side)}
    if order.levels.target is not None:
        kinds["target"] = desk.limit(order.levels.target, leaving)
    return [entry] + [
        desk.ticket(f"{stem}-{leg}-1", conid, order.instrument, leaving, order.units, **kind, **child)
        for leg, kind in kinds.items()
    ]


def _position(held: Held, units: Decimal) -> Position:
    levels = held.levels
    return Position(
        client_id=held.client_id,
        trade_id=held.stem,
        instrument=held.market,
        side=held.side,
        units=units,
        price=held.price,
        levels=(levels.stop, levels.target, levels.trailing),
        trailing_percent=levels.trailing_percent,
    )
