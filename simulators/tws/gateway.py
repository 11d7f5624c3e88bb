"""The gateway: its clients, the venue behind it, and what each message of a client leads to."""

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from simulators.ibkr.contracts import LISTED, Contract
from simulators.ibkr.events import Event
from simulators.ibkr.orders import Rejected
from simulators.ibkr.venue import Venue
from simulators.rest.faults import Json
from simulators.tws.account_desk import AccountDesk
from simulators.tws.behind import Handler
from simulators.tws.contract_desk import ContractDesk
from simulators.tws.faults import Fault, FaultBook
from simulators.tws.framing import Fields, Malformed
from simulators.tws.historical_desk import HistoricalDesk
from simulators.tws.market_desk import MarketDesk
from simulators.tws.names import Ask, name_of
from simulators.tws.order_desk import OrderDesk
from simulators.tws.order_messages import stamp
from simulators.tws.order_numbers import OrderNumbers
from simulators.tws.refusal import Refused, unknown_contract
from simulators.tws.session import Session
from simulators.tws.troubles import Troubles
from simulators.tws.wanted import WantedContract

_REMEMBERED = 500
# what the gateway answers by itself, whether or not it reaches the broker
_LOCAL = frozenset({Ask.StartApi, Ask.ReqCurrentTime, Ask.ReqIds, Ask.ReqManagedAccts, Ask.ReqMarketDataType})


class Gateway:
    """Takes what clients say, asks the venue, and tells clients what happened."""

    def __init__(self, venue: Venue, state: Path | None = None, listed: Sequence[Contract] = LISTED) -> None:
        self.venue = venue
        self.listed = listed
        self.faults = FaultBook()
        self.sessions: list[Session] = []
        self.uncharged: set[str] = set()
        self.log: deque[Json] = deque(maxlen=_REMEMBERED)
        self.counts: Counter[str] = Counter()
        self.numbers = OrderNumbers(state)
        self.troubles = Troubles(self)
        self.orders = OrderDesk(self)
        self.accounts = AccountDesk(self)
        self.contracts = ContractDesk(self)
        self.market = MarketDesk(self)
        self.history = HistoricalDesk(self)
        self._handlers: Mapping[int, Handler] = {
            Ask.ReqCurrentTime: self._current_time,
            Ask.ReqIds: self._ids,
            Ask.ReqManagedAccts: self._managed_accounts,
            Ask.SetServerLogLevel: lambda session, fields: None,
            **self.orders.handlers(),
            **self.accounts.handlers(),
            **self.contracts.handlers(),
            **self.market.handlers(),
            **self.history.handlers(),
        }
        # messages of clients and events of the venue that wait for the connection to come back
        self._asked: deque[tuple[Session, list[str]]] = deque()
        self._happened: deque[Event] = deque()
        # subscriptions to prices that were lost with the data
        self.lost = 0
        self.closed_until = 0.0
        # stops listening; set by whoever listens
        self.shut: Callable[[], None] = lambda: None
        self._due: list[tuple[float, Callable[[], object]]] = []
        venue.subscribe(self._happen)

    # -- what desks ask
    def now(self) -> datetime:
        """Return the simulated time."""
        return self.venue.now()

    def take(
        self,
        action: str,
        session: Session | None,
        message: str,
        symbol: str = "",
        fits: Callable[[Json], bool] | None = None,
    ) -> Fault | None:
        """Count an occasion for an action; return the fault that fires on it, if any."""
        client = None if session is None else session.client
        return self.faults.take(action, self.now(), message=message, client=client, symbol=symbol, fits=fits)

    def holding(self, action: str, session: Session | None = None, symbol: str = "") -> Fault | None:
        """Return the fault of a span that holds now, if any."""
        client = None if session is None else session.client
        return self.faults.holding(action, self.now(), client, symbol)

    def of_client(self, client: int) -> Session | None:
        """Return the session of a client, if it is here."""
        return next((one for one in self.sessions if one.client == client and one.ready), None)

    def resolve(self, wanted: WantedContract, request: int) -> Contract:
        """Return the contract a client describes.

        Raises:
            Refused: there is none, or it is none this venue trades.
        """
        found = self.venue.contract(wanted.conid) if wanted.conid else self.venue.find(wanted.symbol)
        if found is None and not wanted.conid and wanted.local_symbol:
            found = self.venue.find(wanted.local_symbol)
        if found is None or found not in self.listed or not _fits(wanted, found):
            raise unknown_contract(request)
        return found

    def broken(self, farm: str) -> Fault | None:
        """Return the fault that broke a farm, if one is broken."""
        return self.troubles.broken(farm)

    def watchers(self, session: Session, symbol: str) -> Sequence[int]:
        """Return a client's subscriptions to quotes of the symbols a pattern means."""
        return self.market.watchers(session, symbol)

    def lose_subscriptions(self) -> None:
        """Forget every subscription to prices."""
        self.lost += self.market.lose_all() + self.history.lose_all()

    def close_door(self, seconds: float) -> None:
        """Put every client out and refuse connections for so long."""
        self.closed_until = time.monotonic() + seconds
        if seconds:
            self.shut()
        for session in list(self.sessions):
            session.close()

    def later(self, seconds: float, do: Callable[[], object]) -> None:
        """Do something after so many seconds of the wall clock, at the end of a poll."""
        self._due.append((time.monotonic() + seconds, do))

    # -- clients
    def greeting(self) -> str | None:
        """Return the time of connection; None when a fault keeps the gateway silent."""
        if (fault := self.holding("dead_socket")) is not None:
            fault.fired += 1
            return None
        return stamp(self.now())

    def join(self, session: Session) -> None:
        """Take a new connection; it is nobody until it says its number."""
        self.sessions.append(session)

    def left(self, session: Session) -> None:
        """Forget a client that has gone."""
        if session in self.sessions:
            self.sessions.remove(session)
        self._asked = deque(item for item in self._asked if item[0] is not session)
        for desk in (self.accounts, self.market, self.history, self.orders):
            desk.forget(session)

    def hear(self, session: Session, values: list[str]) -> None:
        """Act on one message."""
        number = int(values[0]) if values and values[0].isascii() and values[0].isdigit() else -1
        name = name_of(number)
        self.counts[name] += 1
        self.log.append(
            {"time": self.now().isoformat(), "client": session.client, "message": name, "fields": values[1:]}
        )
        if session.counts_too_many():
            text = f"Max rate of messages per second has been exceeded:max=50 rec=51 ({session.breaches})"
            session.error(-1, 100, text)
            if session.is_put_out:
                session.close()
            return
        if self._breaks(session, name, values):
            return
        if self.troubles.is_cut_off and number not in _LOCAL:
            self._asked.append((session, values))
            return
        self._answer(session, number, values)

    def _breaks(self, session: Session, name: str, values: list[str]) -> bool:
        """Tell whether a fault ended the connection at this message."""
        if (slow := self.take("slow_answers", session, name)) is not None:
            session.hold(slow.params["seconds"])
        fault = self.take("drop_socket", session, name)
        if fault is None:
            return False
        match fault.params.get("when", "before"):
            case "before":
                session.abort()
                return True
            case "middle":
                session.cut_next = True
                return False
        session.dead = True
        self._answer(session, int(values[0]), values)
        session.abort()
        return True

    def _answer(self, session: Session, number: int, values: list[str]) -> None:
        if number == Ask.StartApi and not session.ready:
            self._start(session, Fields(values))
            return
        if not session.ready:
            return
        handler = self._handlers.get(number)
        fields = Fields(values)
        try:
            if handler is None:
                raise Malformed(f"message {values[:1]} is unknown")
            fields.skip()
            handler(session, fields)
        except Malformed as exc:
            session.error(_request_of(values), 320, f"Server error when reading an API client request: {exc}")
        except Refused as exc:
            session.error(exc.request, exc.code, exc.text)

    def _start(self, session: Session, fields: Fields) -> None:
        try:
            fields.skip(2)
            client = fields.whole(-1)
        except Malformed:
            session.close()
            return
        if (dead := self.faults.holding("dead_socket", self.now(), client)) is not None:
            dead.fired += 1
            session.dead = True
            return
        session.client = client
        taken = any(one.client == client and one is not session for one in self.sessions)
        if taken or self.take("client_id_in_use", session, "startApi") is not None:
            session.client = None
            text = "Unable to connect as the client id is already in use. Retry with a unique client id."
            session.error(-1, 326, text)
            session.close()
            return
        if self.take("half_up", session, "startApi") is not None:
            return
        if (late := self.take("late_orders", session, "startApi")) is not None:
            session.unloaded_until = time.monotonic() + late.params["seconds"]
        session.ready = True
        self._welcome(session, client)

    def _welcome(self, session: Session, client: int) -> None:
        session.send(15, 1, ",".join(self.venue.specs))
        if (back := self.take("id_rollback", session, "startApi")) is not None:
            self.numbers.roll_back(client, back.params.get("by", 10))
            self.orders.forget_numbers(client)
        session.send(9, 1, self.numbers.next_of(client))
        for code, text in self.troubles.notices():
            session.error(-1, code, text)

    # -- requests the gateway answers itself
    def _current_time(self, session: Session, fields: Fields) -> None:
        session.send(49, 1, int(self.now().timestamp()))

    def _ids(self, session: Session, fields: Fields) -> None:
        session.send(9, 1, self.numbers.next_of(session.client or 0))

    def _managed_accounts(self, session: Session, fields: Fields) -> None:
        session.send(15, 1, ",".join(self.venue.specs))

    # -- the venue
    def _happen(self, event: Event) -> None:
        if self.troubles.is_cut_off:
            self._happened.append(event)
        else:
            self._tell(event)

    def _tell(self, event: Event) -> None:
        self.orders.told(event)
        self.accounts.told(event)

    def catch_up(self) -> None:
        """Tell what happened, and do what was asked, while the broker could not be reached."""
        while self._happened:
            self._tell(self._happened.popleft())
        while self._asked:
            session, values = self._asked.popleft()
            self._answer(session, int(values[0]) if values[0].isdigit() else -1, values)

    def poll(self) -> None:
        """Move the venue along and tell clients what is new."""
        self.venue.advance()
        self.troubles.look()
        self._do_what_is_due()
        self.orders.poll()
        if not self.troubles.is_cut_off:
            self.market.poll()
            self.history.poll()
            self.accounts.poll()

    def _do_what_is_due(self) -> None:
        now = time.monotonic()
        due = [do for at, do in self._due if at <= now]
        if due:
            self._due = [item for item in self._due if item[0] > now]
        for do in due:
            try:
                do()
            except (LookupError, Rejected):
                # what was to be bent ended or was forgotten meanwhile
                continue


def _fits(wanted: WantedContract, contract: Contract) -> bool:
    kinds = wanted.kind in ("", contract.kind)
    money = wanted.currency in ("", contract.currency)
    listed = wanted.primary in ("", contract.primary, "SMART")
    routed = wanted.exchange in ("", *contract.valid_exchanges.split(","))
    return kinds and money and listed and routed


def _request_of(values: list[str]) -> int:
    """Return the number of a request that could not be read; -1 where it has none."""
    for text in values[1:3]:
        if text.isdigit() and len(values) > 2:
            return int(values[2]) if values[2].lstrip("-").isdigit() else int(text)
    return -1
