"""What TWS says, as the SDK's decoder calls it out, sorted to whoever waits for it or keeps it.

The decoder wants methods of these names; those it calls by name and that concern nothing of ours are left out where it
allows it, and do nothing where it does not.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC
from decimal import Decimal
from typing import Any, Protocol

from brokers.ibkr import codes
from brokers.ibkr.tws import parse
from domain.errors import Retry


class Listener(Protocol):
    """Who is told what nobody in particular asked for."""

    def on_order(self, terms: parse.Terms, status: str) -> None: ...
    def on_status(self, perm_id: int, order_id: int, client_id: int, status: str, filled: Decimal) -> None: ...
    def on_completed(self, terms: parse.Terms, status: str) -> None: ...
    def on_execution(self, contract: Any, told: Any) -> None: ...
    def on_commission(self, exec_id: str, fee: Decimal, currency: str) -> None: ...
    def on_position(self, account: str, contract: Any, quantity: Decimal, average_cost: Decimal) -> None: ...
    def on_value(self, account: str, tag: str, value: str, currency: str) -> None: ...
    def on_price(self, request: int, kind: int, price: float, size: float) -> None: ...
    def on_tick(self, request: int, kind: int, value: float) -> None: ...
    def on_data_kind(self, request: int, kind: int) -> None: ...
    def on_message(self, request: int, code: int, text: str) -> None: ...
    def on_closed(self, words: str = "") -> None: ...


class Failed(Exception):
    """TWS answered a request with a message code."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code} {text}")
        self.code = code
        self.text = text

    def as_retry(self, what: str) -> Retry:
        return Retry(what, f"{self.code} {self.text}", "ask again")


class Ears:
    """The object the SDK's client reports to. ``futures`` are requests under way: request number or name -> answer."""

    # The decoder of ib_async converts times with these two.
    defaultTimezone = UTC
    TimezoneTWS = "UTC"

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.ib = self
        self._futures: dict[int | str, asyncio.Future[Any]] = {}
        self._results: dict[int | str, list[Any]] = {}
        self.refused_id = asyncio.Event()
        self.closed = asyncio.Event()
        self.update_number: Callable[[int], None] = lambda number: None

    def expect(self, key: int | str) -> "asyncio.Future[Any]":
        """Return the future in which the answer to a request will be, a list: that of one under way, or a new one."""
        future = self._futures.get(key)
        if future is None or future.done():
            future = asyncio.get_running_loop().create_future()
            self._futures[key], self._results[key] = future, []
        return future

    def is_asked(self, key: int | str) -> bool:
        future = self._futures.get(key)
        return future is not None and not future.done()

    def drop(self, key: int | str) -> None:
        self._futures.pop(key, None)
        self._results.pop(key, None)

    def _end(self, key: int | str, error: Exception | None = None) -> None:
        future, found = self._futures.pop(key, None), self._results.pop(key, [])
        if future is None or future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(found)

    def _add(self, key: int | str, item: Any) -> None:
        if key in self._results:
            self._results[key].append(item)

    # ---------------------------------------------------------------------------------- the connection

    def connectAck(self) -> None:
        """Nothing to do: the client starts the API by itself."""

    def setEventsDone(self) -> None:
        self.closed.set()

    def connectionClosed(self) -> None:
        self.abandon()
        self._listener.on_closed()

    def abandon(self) -> None:
        """Tell everybody who waits that no answer will come."""
        self.closed.set()
        for key in list(self._futures):
            self._end(key, ConnectionError("the connection to TWS was lost"))

    def error(self, reqId: int, errorCode: int, errorString: str, advancedOrderRejectJson: str = "") -> None:
        if errorCode == codes.CLIENT_ID_IN_USE:
            self.refused_id.set()
        is_remark = 2100 <= errorCode < 2200 or errorCode in codes.DELAYED
        if reqId > 0 and reqId in self._futures and not is_remark:
            self._end(reqId, Failed(errorCode, errorString))
        self._listener.on_message(reqId, errorCode, errorString)

    def currentTime(self, time: int) -> None:
        self._add("time", time)
        self._end("time")

    # ----------------------------------------------------------------------------- orders and executions

    def openOrder(self, orderId: int, contract: Any, order: Any, orderState: Any) -> None:
        if order.whatIf:
            return
        self._used(orderId)
        terms = parse.terms_of(contract, order)
        self._listener.on_order(terms, orderState.status)
        self._add("open orders", terms.perm_id)

    def _used(self, number: int) -> None:
        """Number from above an order's own; one made by hand may have the largest number there is, for none."""
        self.update_number(number + 1 if number < 2**31 - 1 else 0)

    def openOrderEnd(self) -> None:
        self._end("open orders")

    def completedOrder(self, contract: Any, order: Any, orderState: Any) -> None:
        self._listener.on_completed(parse.completed_terms_of(contract, order, orderState.status), orderState.status)

    def completedOrdersEnd(self) -> None:
        self._end("completed orders")

    def orderStatus(
        self,
        orderId: int,
        status: str,
        filled: float,
        remaining: float,
        avgFillPrice: float,
        permId: int,
        parentId: int,
        lastFillPrice: float,
        clientId: int,
        whyHeld: str,
        mktCapPrice: float = 0.0,
    ) -> None:
        self._listener.on_status(permId, orderId, clientId, status, parse.number(filled) or Decimal(0))

    def execDetails(self, reqId: int, contract: Any, execution: Any) -> None:
        self._used(int(execution.orderId))
        self._listener.on_execution(contract, execution)

    def execDetailsEnd(self, reqId: int) -> None:
        self._end(reqId)

    def commissionReport(self, commissionReport: Any) -> None:
        fee = parse.number(commissionReport.commission)
        if fee is not None:
            self._listener.on_commission(commissionReport.execId, fee, commissionReport.currency)

    # ------------------------------------------------------------------------------ account and positions

    def position(self, account: str, contract: Any, posSize: float, avgCost: float) -> None:
        quantity = parse.number(posSize) or Decimal(0)
        self._listener.on_position(account, contract, quantity, parse.number(avgCost) or Decimal(0))
        self._add("positions", (account, contract.conId))

    def positionEnd(self) -> None:
        self._end("positions")

    def updateAccountValue(self, tag: str, val: str, currency: str, account: str) -> None:
        self._listener.on_value(account, tag, val, currency)

    def accountDownloadEnd(self, account: str) -> None:
        self._end("account")

    def updatePortfolio(self, *told: Any) -> None:
        """Positions are asked for by themselves."""

    # --------------------------------------------------------------------------------- contracts and bars

    def contractDetails(self, reqId: int, contractDetails: Any) -> None:
        self._add(reqId, contractDetails)

    def contractDetailsEnd(self, reqId: int) -> None:
        self._end(reqId)

    def historicalData(self, reqId: int, bar: Any) -> None:
        self._add(reqId, bar)

    def historicalDataEnd(self, reqId: int, start: str, end: str) -> None:
        self._end(reqId)

    # ---------------------------------------------------------------------------------------------- prices

    def priceSizeTick(self, reqId: int, tickType: int, price: float, size: float) -> None:
        self._listener.on_price(reqId, tickType, price, size)

    def tickSize(self, reqId: int, tickType: int, size: float) -> None:
        self._listener.on_tick(reqId, tickType, size)

    def tickGeneric(self, reqId: int, tickType: int, value: float) -> None:
        self._listener.on_tick(reqId, tickType, value)

    def tickSnapshotEnd(self, reqId: int) -> None:
        self._end(reqId)

    def marketDataType(self, reqId: int, marketDataId: int) -> None:
        self._listener.on_data_kind(reqId, marketDataId)
