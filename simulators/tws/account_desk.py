"""Answers about accounts: positions, values, executions, profit and loss, and what changes in them."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from simulators.ibkr.accounts import Position
from simulators.ibkr.clock import NEW_YORK
from simulators.ibkr.events import AccountChanged, Event, PositionChanged
from simulators.ibkr.orders import Execution
from simulators.tws.behind import Behind, Handler
from simulators.tws.framing import Fields
from simulators.tws.names import Ask
from simulators.tws.order_book import key_of
from simulators.tws.order_messages import Row, commission_report, contract_fields, exec_details
from simulators.tws.profits import Profits
from simulators.tws.refusal import invalid
from simulators.tws.session import Session

_CENT = Decimal("0.01")
# simulated seconds after which values are sent again although nothing was traded
_REFRESH_SECONDS = 180


class Watch(NamedTuple):
    """A subscription: the request's number (-1 where it has none), the account, and how it is written."""

    request: int
    account: str
    form: str


class AccountDesk:
    """Answers requests about accounts and keeps subscribers up to date."""

    def __init__(self, gateway: Behind) -> None:
        self._gateway = gateway
        self._venue = gateway.venue
        self._positions: set[Session] = set()
        self._watches: dict[Session, list[Watch]] = {}
        self._summaries: dict[Session, dict[int, tuple[str, ...]]] = {}
        self._profits = Profits(gateway)
        self._stale: set[str] = set()
        self._refreshed = datetime.min.replace(tzinfo=UTC)

    def handlers(self) -> Mapping[int, Handler]:
        """Return request -> what answers it."""
        return {
            Ask.ReqPositions: self._list_positions,
            Ask.CancelPositions: lambda session, fields: self._positions.discard(session),
            Ask.ReqPositionsMulti: self._list_multi,
            Ask.CancelPositionsMulti: lambda session, fields: None,
            Ask.ReqAccountUpdates: self._updates,
            Ask.ReqAccountUpdatesMulti: self._updates_multi,
            Ask.CancelAccountUpdatesMulti: self._cancel_multi,
            Ask.ReqAccountSummary: self._summary,
            Ask.CancelAccountSummary: self._cancel_summary,
            Ask.ReqExecutions: self._executions,
            **self._profits.handlers(),
        }

    def forget(self, session: Session) -> None:
        """Drop a client's subscriptions."""
        self._positions.discard(session)
        self._watches.pop(session, None)
        self._summaries.pop(session, None)
        self._profits.forget(session)

    def told(self, event: Event) -> None:
        """Note what changed in accounts."""
        match event:
            case PositionChanged():
                for session in self._positions:
                    row = contract_fields(event.contract, event.contract.primary)
                    session.send(61, 3, event.account, *row, event.quantity, event.average_cost)
                self._stale.add(event.account)
            case AccountChanged():
                self._stale.add(event.account)

    def poll(self) -> None:
        """Send what is new to those who watch."""
        now = self._gateway.now()
        if (now - self._refreshed).total_seconds() >= _REFRESH_SECONDS:
            self._stale.update(self._venue.specs)
            self._refreshed = now
        for account in self._stale:
            for session, watches in self._watches.items():
                for watch in watches:
                    if watch.account == account:
                        self._send_values(session, watch)
            for session, summaries in self._summaries.items():
                for request, tags in summaries.items():
                    self._send_summary(session, request, account, tags)
        self._stale.clear()
        self._profits.poll()

    # -- positions
    def _list_positions(self, session: Session, fields: Fields) -> None:
        self._positions.add(session)
        for one in self._venue.positions():
            session.send(61, 3, one.account, *self._contract(one), one.quantity, one.average_cost)
        session.send(62, 1)

    def _list_multi(self, session: Session, fields: Fields) -> None:
        fields.skip()
        request, account = fields.whole(), fields.text()
        for one in self._venue.positions(account or None):
            session.send(71, 1, request, one.account, *self._contract(one), one.quantity, one.average_cost, "")
        session.send(72, 1, request)

    def _contract(self, position: Position, right: str = "") -> Row:
        contract = self._venue.contract(position.conid)
        assert contract is not None
        return contract_fields(contract, contract.primary, right)

    # -- values
    def _updates(self, session: Session, fields: Fields) -> None:
        fields.skip()
        subscribe, account = fields.flag(), fields.text()
        watches = [one for one in self._watches.get(session, []) if one.form != "updates"]
        self._watches[session] = watches
        if not subscribe:
            return
        watch = Watch(-1, self._known(account or next(iter(self._venue.specs)), -1), "updates")
        watches.append(watch)
        self._send_values(session, watch)
        session.send(54, 1, watch.account)

    def _updates_multi(self, session: Session, fields: Fields) -> None:
        fields.skip()
        request, account = fields.whole(), fields.text()
        watch = Watch(request, self._known(account or next(iter(self._venue.specs)), request), "multi")
        self._watches.setdefault(session, []).append(watch)
        self._send_values(session, watch)
        session.send(74, 1, request)

    def _cancel_multi(self, session: Session, fields: Fields) -> None:
        fields.skip()
        request = fields.whole()
        self._watches[session] = [one for one in self._watches.get(session, []) if one.request != request]

    def _known(self, account: str, request: int) -> str:
        if account not in self._venue.specs:
            raise invalid(request, f"Invalid account code '{account}'.")
        return account

    def _send_values(self, session: Session, watch: Watch) -> None:
        for key, value, currency in self._values(watch.account):
            if watch.form == "multi":
                session.send(73, 1, watch.request, watch.account, "", key, value, currency)
            else:
                session.send(6, 2, key, value, currency, watch.account)
        if watch.form == "multi":
            return
        for one in self._venue.positions(watch.account):
            session.send(7, 8, *self._portfolio(one), watch.account)
        session.send(8, 1, f"{self._gateway.now().astimezone(NEW_YORK):%H:%M}")

    def _values(self, account: str) -> Iterator[tuple[str, str, str]]:
        spec = self._venue.specs[account]
        yield "AccountCode", account, ""
        yield "AccountReady", "true", ""
        yield "AccountType", "INDIVIDUAL", ""
        yield "Currency", spec.currency, spec.currency
        for key, value in self._venue.account_values(account).items():
            yield key, f"{value:.2f}", spec.currency

    def _portfolio(self, one: Position) -> Row:
        worth = (one.market_price or 0, one.market_value, one.average_cost, one.unrealised, one.realised)
        return (*self._contract(one, "0"), one.quantity, *worth)

    # -- summary
    def _summary(self, session: Session, fields: Fields) -> None:
        fields.skip()
        request, group, tags = fields.whole(), fields.text(), fields.text()
        if group != "All":
            raise invalid(request, f"Unknown group '{group}'.")
        wanted = tuple(tag for tag in tags.split(",") if tag)
        self._summaries.setdefault(session, {})[request] = wanted
        for account in self._venue.specs:
            self._send_summary(session, request, account, wanted)
        session.send(64, 1, request)

    def _send_summary(self, session: Session, request: int, account: str, tags: tuple[str, ...]) -> None:
        for key, value, currency in self._values(account):
            if key in tags:
                session.send(63, 1, request, account, key, value, currency)

    def _cancel_summary(self, session: Session, fields: Fields) -> None:
        fields.skip()
        self._summaries.get(session, {}).pop(fields.whole(), None)

    # -- executions
    def _executions(self, session: Session, fields: Fields) -> None:
        fields.skip()
        request, wanted = fields.whole(), _Wanted.read(fields)
        for execution in self._venue.executions() if session.is_loaded else ():
            contract = self._venue.contract(execution.conid)
            if contract is None or not wanted.means(execution, contract.symbol):
                continue
            session.send(*exec_details(execution, contract, key_of(execution.order), request))
            commission = self._venue.commission_of(execution.exec_id)
            if commission is not None and execution.exec_id not in self._gateway.uncharged:
                session.send(*commission_report(commission))
        session.send(55, 1, request)


class _Wanted(NamedTuple):
    """Which executions a client asks for; empty parts mean all."""

    client: int
    account: str
    since: datetime | None
    symbol: str
    kind: str
    side: str

    @classmethod
    def read(cls, fields: Fields) -> "_Wanted":
        client, account, since = fields.whole(), fields.text(), fields.text()
        symbol, kind = fields.text(), fields.text()
        fields.skip()
        return cls(client, account, read_since(since), symbol, kind, fields.text())

    def means(self, execution: Execution, symbol: str) -> bool:
        sides = {"BUY": ("BUY", "BOT"), "SELL": ("SELL", "SLD")}[execution.side]
        return (
            self.client in (0, key_of(execution.order)[0])
            and self.account in ("", execution.account)
            and (self.since is None or execution.at >= self.since)
            and self.symbol in ("", symbol)
            and self.kind in ("", "STK")
            and self.side.upper() in ("", *sides)
        )


def read_since(text: str) -> datetime | None:
    """Read the time of a filter: ``YYYYMMDD-HH:MM:SS`` is UTC, with a space it is New York's."""
    for form, zone in (("%Y%m%d-%H:%M:%S", UTC), ("%Y%m%d %H:%M:%S", NEW_YORK)):
        try:
            return datetime.strptime(text[:17], form).replace(tzinfo=zone)
        except ValueError:
            continue
    return None
