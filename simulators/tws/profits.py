"""Subscriptions to profit and loss: of an account, and of one position."""

import time
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from simulators.ibkr.clock import NEW_YORK
from simulators.tws.behind import Behind, Handler
from simulators.tws.framing import UNSET, Fields
from simulators.tws.names import Ask
from simulators.tws.order_messages import Row
from simulators.tws.refusal import invalid
from simulators.tws.session import Session

ZERO = Decimal(0)
_EVERY_SECONDS = 1.0


class _Watch(NamedTuple):
    account: str
    # None is the whole account
    conid: int | None


class Profits:
    """Sends profit and loss once a second of the wall clock, when it has changed."""

    def __init__(self, gateway: Behind) -> None:
        self._gateway = gateway
        self._watches: dict[tuple[Session, int], _Watch] = {}
        self._sent: dict[tuple[Session, int], Row] = {}
        self._next = 0.0
        # account -> day and what it was worth when that day was first looked at
        self._mornings: dict[str, tuple[date, Decimal]] = {}

    def handlers(self) -> Mapping[int, Handler]:
        """Return request -> what answers it."""
        return {
            Ask.ReqPnL: lambda session, fields: self._subscribe(session, fields, single=False),
            Ask.ReqPnLSingle: lambda session, fields: self._subscribe(session, fields, single=True),
            Ask.CancelPnL: self._cancel,
            Ask.CancelPnLSingle: self._cancel,
        }

    def forget(self, session: Session) -> None:
        """Drop a client's subscriptions."""
        for key in [key for key in self._watches if key[0] is session]:
            self._drop(key)

    def poll(self) -> None:
        """Send what has changed."""
        if not self._watches or time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _EVERY_SECONDS
        for key in self._watches:
            self._send(key)

    def _subscribe(self, session: Session, fields: Fields, *, single: bool) -> None:
        request, account = fields.whole(), fields.text()
        fields.skip()
        if account not in self._gateway.venue.specs:
            raise invalid(request, f"Invalid account code '{account}'.")
        self._watches[session, request] = _Watch(account, fields.whole() if single else None)
        self._send((session, request))

    def _cancel(self, session: Session, fields: Fields) -> None:
        self._drop((session, fields.whole()))

    def _drop(self, key: tuple[Session, int]) -> None:
        self._watches.pop(key, None)
        self._sent.pop(key, None)

    def _send(self, key: tuple[Session, int]) -> None:
        session, request = key
        watch = self._watches[key]
        row = self._account_row(watch.account) if watch.conid is None else self._single_row(watch)
        if row != self._sent.get(key):
            self._sent[key] = row
            session.send(94 if watch.conid is None else 95, request, *row)

    def _account_row(self, account: str) -> Row:
        values = self._gateway.venue.account_values(account)
        today = self._gateway.now().astimezone(NEW_YORK).date()
        worth = values["NetLiquidation"]
        day, morning = self._mornings.setdefault(account, (today, worth))
        if day != today:
            morning = worth
            self._mornings[account] = (today, worth)
        return worth - morning, values.get("UnrealizedPnL", ZERO), values.get("RealizedPnL", ZERO)

    def _single_row(self, watch: _Watch) -> Row:
        for one in self._gateway.venue.positions(watch.account):
            if one.conid == watch.conid:
                daily = one.unrealised + one.realised
                return int(one.quantity), daily, one.unrealised, one.realised, one.market_value
        return 0, ZERO, UNSET, ZERO, ZERO
