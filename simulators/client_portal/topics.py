"""What a WebSocket can subscribe to: prices, orders, trades, profit."""

import time
from collections import deque
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
from simulators.ibkr.orders import Execution, Order

# prices are looked at this often (wall-clock seconds)
_PAUSE = 0.2
_PROFIT_PAUSE = 1.0
_RECENT = 200
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
    """``sor``: every live order of the user's accounts once, then whatever of one changes."""

    def __init__(self, gateway: Gateway) -> None:
        self._venue = gateway.venue
        self._sent: dict[int, Json] = {}
        # in the order in which they changed
        self._changed: dict[int, Order] = {order.perm_id: order for order in self._venue.orders()}
        self.end = gateway.venue.subscribe(self._hear)

    def _hear(self, event: Event) -> None:
        if isinstance(event, OrderChanged):
            self._changed[event.order.perm_id] = event.order

    def news(self, now: datetime) -> Iterator[Json]:
        """Yield one message for each order that changed."""
        del now
        if not self._changed:
            return
        changed, self._changed = self._changed, {}
        executed = last_changes(self._venue.executions())
        for perm_id, order in changed.items():
            view = order_view(self._venue, order, executed.get(perm_id))
            before = self._sent.get(perm_id, {})
            self._sent[perm_id] = view
            delta = {name: value for name, value in view.items() if name in _KEYS or before.get(name) != value}
            if delta.keys() - set(_KEYS):
                yield {"topic": "sor", "args": [delta]}
            if order.is_done:
                # what may still come of it is told whole
                del self._sent[perm_id]


class Trades:
    """``str``: the day's executions unless only new ones are wanted, then each as it happens, with its commission."""

    def __init__(self, gateway: Gateway, *, only_new: bool) -> None:
        self._venue = gateway.venue
        past = [] if only_new else self._venue.executions()
        # told already, or in line to be; a commission that comes later repeats its execution
        self._changed = {execution.exec_id: execution for execution in past}
        self._recent: deque[Execution] = deque(past, maxlen=_RECENT)
        self.end = gateway.venue.subscribe(self._hear)

    def _hear(self, event: Event) -> None:
        if isinstance(event, Executed):
            self._changed[event.execution.exec_id] = event.execution
            self._recent.append(event.execution)
        elif isinstance(event, Charged):
            charged = (each for each in self._recent if each.exec_id == event.commission.exec_id)
            self._changed.update({each.exec_id: each for each in charged})

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
