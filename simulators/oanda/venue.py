"""The venue: accounts on a replayed market that has always caught up with its clock."""

import time as wall
from collections import Counter, deque

from simulators.oanda.account import Account
from simulators.oanda.clock import Clock
from simulators.oanda.faults import FaultBook, Occasion
from simulators.oanda.market import Market
from simulators.oanda.matching import expire, meet_quote
from simulators.oanda.persistence import Store
from simulators.oanda.tape import Tape
from simulators.oanda.wire import Json, rfc3339
from simulators.rest.state_file import StateError

REQUESTS_KEPT = 500


class Venue:
    """Everything behind the API.

    Time is lazy: a request, or a stream's poll, first replays every quote since the last one, so that
    what happened between two requests does not depend on when they came.
    """

    def __init__(self, clock: Clock, tape: Tape, accounts: list[Account], store: Store | None = None) -> None:
        self.clock = clock
        self.faults = FaultBook()
        self.market = Market(tape, self.faults)
        self.accounts = {account.id: account for account in accounts}
        self.requests: deque[Json] = deque(maxlen=REQUESTS_KEPT)
        self.routes: Counter[str] = Counter()
        self.quotes_matched = 0
        self.position = clock.now_ms()
        self._store = store
        self._committed: dict[str, int] = {}
        self._restore()

    def _restore(self) -> None:
        as_of = None if self._store is None else self._store.load(self.accounts)
        if as_of is not None and as_of > self.position:
            raise StateError(
                f"state: expected a clock at or after {rfc3339(as_of)}, where the file ends; "
                f"found {rfc3339(self.position)}; start the clock later or move the file away"
            )
        for account in self.accounts.values():
            self._committed[account.id] = len(account.transactions)
            if not account.transactions:
                account.open(self.position)
        self.position = self.position if as_of is None else as_of
        self.commit()

    def by_token(self, token: str) -> list[Account]:
        """Return the accounts a token opens."""
        return [account for account in self.accounts.values() if account.token == token]

    def advance(self) -> int:
        """Replay every quote up to the clock and return its time."""
        now = max(self.clock.now_ms(), self.position)
        watched = tuple(sorted(self._watched()))
        if watched:
            for quote in self.market.tape.merged(watched, self.position, now):
                if self.market.is_halted(quote.instrument, quote.time):
                    continue
                self.quotes_matched += 1
                for account in self.accounts.values():
                    meet_quote(account, self.market, quote)
            for account in self.accounts.values():
                expire(account, now)
        self.position = now
        self.commit()
        return now

    def _watched(self) -> set[str]:
        names = set[str]()
        for account in self.accounts.values():
            names.update(order.instrument for order in account.pending.values())
            names.update(trade.instrument for trade in account.open_trades.values())
        return names

    def commit(self) -> None:
        """Make new transactions late where a fault says so, and keep them on disk where asked to."""
        for account in self.accounts.values():
            start = self._committed[account.id]
            for index in range(start, len(account.transactions)):
                self._delay_fill(account, index)
            self._committed[account.id] = len(account.transactions)
            if self._store is not None:
                self._store.save(account, self.position)

    def _delay_fill(self, account: Account, index: int) -> None:
        if account.transactions[index]["type"] != "ORDER_FILL":
            return
        late = Occasion(self.faults, "*", "", account.id, self.position).take("late_transactions")
        if late is not None:
            account.hidden[index] = wall.time() + late.params["seconds"]
