"""A client of the TWS simulator with the vendor's library, which remembers what it was told."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Self

import ib_async
from tws_sim import TwsSim

SPY = ib_async.Stock("SPY", "SMART", "USD", conId=756733)
AAPL = ib_async.Stock("AAPL", "SMART", "USD", conId=265598)


class Client:
    """A connected ``IB``; ``errors`` are (request, code, text), ``statuses`` are (order number, status)."""

    def __init__(self, sim: TwsSim, number: int, **options: Any) -> None:
        self.sim, self.number, self.options = sim, number, options
        self.ib = ib_async.IB()
        self.errors: list[tuple[int, int, str]] = []
        self.statuses: list[tuple[int, str]] = []
        self.fills: list[Any] = []
        self.commissions: list[Any] = []
        self.ib.errorEvent += lambda request, code, text, contract: self.errors.append((request, code, text))
        self.ib.orderStatusEvent += lambda trade: self.statuses.append((trade.order.orderId, trade.orderStatus.status))
        self.ib.execDetailsEvent += lambda trade, fill: self.fills.append(fill)
        self.ib.commissionReportEvent += lambda trade, fill, report: self.commissions.append(report)

    async def __aenter__(self) -> Self:
        await self.ib.connectAsync(self.sim.host, self.sim.port, clientId=self.number, **{"timeout": 4, **self.options})
        # what was told of orders and executions before this client came
        for told in (self.statuses, self.fills, self.commissions):
            told.clear()
        return self

    async def __aexit__(self, *problem: object) -> None:
        self.ib.disconnect()
        # the socket says goodbye in the next turn of the loop
        await asyncio.sleep(0.02)

    @property
    def codes(self) -> list[int]:
        return [code for _, code, _ in self.errors]

    def market(self, side: str = "BUY", quantity: float = 10, **fields: Any) -> Any:
        """Place a market order of SPY and return its trade."""
        return self.ib.placeOrder(SPY, ib_async.MarketOrder(side, quantity, **fields))

    def limit(self, side: str = "BUY", price: float = 100, quantity: float = 10, **fields: Any) -> Any:
        """Place a limit order of SPY, far from the market unless a price is given, and return its trade."""
        return self.ib.placeOrder(SPY, ib_async.LimitOrder(side, quantity, price, **fields))

    async def until(self, look: Callable[[], Any], seconds: float = 30) -> Any:
        """Return what ``look`` finds, asking until it finds something."""
        deadline = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < deadline, "it did not happen in time"
            await asyncio.sleep(0.01)
        return found

    async def status(self, trade: Any, status: str) -> Any:
        """Wait for a status of an order."""
        return await self.until(lambda: trade.orderStatus.status == status)

    async def settled(self) -> None:
        """Wait until everything the gateway had to say before now has been heard."""
        await self.ib.reqCurrentTimeAsync()

    async def ticking(self, contract: Any = SPY) -> Any:
        """Return a ticker that has prices."""
        ticker = self.ib.reqMktData(contract)
        await self.until(lambda: ticker.bid > 0 and ticker.last > 0)
        return ticker

    async def moves(self, ticker: Any) -> None:
        """Wait until a ticker changes."""
        before = last_frame(ticker)
        await self.until(lambda: last_frame(ticker) != before)

    async def stands_still(self, ticker: Any, fault: str) -> bool:
        """Tell whether a ticker stays as it is while its fault has something to withhold."""
        before, fired = last_frame(ticker), self.sim.fired(fault)
        await self.until(lambda: self.sim.fired(fault) > fired)
        await self.settled()
        return last_frame(ticker) == before


def last_frame(ticker: Any) -> tuple[float, ...]:
    """Return what a ticker shows."""
    return ticker.bid, ticker.ask, ticker.last, ticker.volume


class Wire:
    """The messages of some numbers a client is sent, as they come."""

    def __init__(self, client: Client, *numbers: int) -> None:
        self.rows: list[tuple[str, ...]] = []
        wanted = {str(number) for number in numbers}
        interpret = client.ib.client.decoder.interpret

        def listen(fields: list[str]) -> None:
            if fields and fields[0] in wanted:
                self.rows.append(tuple(fields))
            interpret(fields)

        client.ib.client.decoder.interpret = listen
