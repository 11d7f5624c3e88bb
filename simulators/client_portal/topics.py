"""What a WebSocket can subscribe to: prices, orders, trades, profit."""

import time
from collections.abc import Iterator
from datetime import datetime

from simulators.client_portal.call import Call
from simulators.client_portal.endpoints.accounts import profits
from simulators.client_portal.gateway import Gateway
from simulators.client_portal.order_views import last_changes, order_view, trade_view
from simulators.client_portal.snapshots import snapshot_row
from simulators.client_portal.wire import Json
from simulators.ibkr.contracts import Contract
from simulators.ibkr.events import Charged, Event, Executed, OrderChanged
from simulators.ibkr.orders import Order

# prices are looked at this often (wall-clock seconds)
_PAUSE = 0.2
_PROFIT_PAUSE = 1.0
_KEYS = ("acct", "conid", "orderId")


class Prices:
    """``smd+<conid>``: the fields asked for, then those that change."""

    def __init__(self, call: Call, contract: Contract, fields: list[str]) -> None:
        self._call = call
        self._contract = contract
        self._fields = fields
        self._sent: Json = {}
        self._looked = 0.0

    def news(self, now: datetime) -> Iterator[Json]:
        """Yield what changed."""
        if time.monotonic() - self._looked < _PAUSE:
            return
        self._looked = time.monotonic()
        self._call.now = now
        row = snapshot_row(self._call, self._contract, self._fields)
        changed = {name: value for name, value in row.items() if self._sent.get(name) != value}
        self._sent = row
        if not changed.keys() - {"_updated"}:
            return
        conid = self._contract.conid
        own = {"topic": f"smd+{conid}", "server_id": row["server_id"], "conid": conid, "conidEx": str(conid)}
        yield {**own, "_updated": row["_updated"], **changed}


class Orders:
    """``sor``: every order of the selected account once, then whatever of one changes."""

    def __init__(self, gateway: Gateway) -> None:
        self._venue = gateway.venue
        self._account = gateway.selected
        self._sent: dict[int, Json] = {}
        # in the order in which they changed
        self._changed: dict[int, Order] = {order.perm_id: order for order in self._venue.orders(self._account)}
        self.end = gateway.venue.subscribe(self._hear)

    def _hear(self, event: Event) -> None:
        if isinstance(event, OrderChanged) and event.order.terms.account == self._account:
            self._changed[event.order.perm_id] = event.order

    def news(self, now: datetime) -> Iterator[Json]:
        """Yield one message for each order that changed."""
        del now
        if not self._changed:
            return
        changed, self._changed = self._changed, {}
        executed = last_changes(self._venue.executions(self._account))
        for perm_id, order in changed.items():
            view = order_view(self._venue, order, executed.get(perm_id))
            before = self._sent.get(perm_id, {})
            self._sent[perm_id] = view
            delta = {name: value for name, value in view.items() if name in _KEYS or before.get(name) != value}
            if delta.keys() - set(_KEYS):
                yield {"topic": "sor", "args": [delta]}


class Trades:
    """``str``: the day's executions unless only new ones are wanted, then each as it happens, with its commission."""

    def __init__(self, gateway: Gateway, *, only_new: bool) -> None:
        self._venue = gateway.venue
        self._account = gateway.selected
        past = [] if only_new else self._venue.executions(self._account)
        self._changed = {execution.exec_id: execution for execution in past}
        self._seen = dict(self._changed)
        self.end = gateway.venue.subscribe(self._hear)

    def _hear(self, event: Event) -> None:
        if isinstance(event, Executed) and event.execution.account == self._account:
            self._changed[event.execution.exec_id] = self._seen[event.execution.exec_id] = event.execution
        elif isinstance(event, Charged) and event.commission.exec_id in self._seen:
            exec_id = event.commission.exec_id
            self._changed[exec_id] = self._seen[exec_id]

    def news(self, now: datetime) -> Iterator[Json]:
        """Yield new executions together."""
        del now
        changed, self._changed = self._changed, {}
        if changed:
            yield {"topic": "str", "args": [trade_view(self._venue, execution) for execution in changed.values()]}


class Profits:
    """``spl``: profit by account whenever it changes, once a second at most."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._sent: Json = {}
        self._looked = 0.0

    def news(self, now: datetime) -> Iterator[Json]:
        """Yield all accounts if one changed."""
        if time.monotonic() - self._looked < _PROFIT_PAUSE:
            return
        self._looked, self._call.now = time.monotonic(), now
        found = profits(self._call)
        if found != self._sent:
            self._sent = found
            yield {"topic": "spl", "args": found}
