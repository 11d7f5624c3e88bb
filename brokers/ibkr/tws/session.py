"""One connection to TWS: made, asked, listened to, and thrown away when it breaks."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from brokers.ibkr.config import IbkrConfig
from brokers.ibkr.tws.ears import Ears, Failed, Listener
from domain.clock import RealClock
from domain.errors import Misconfigured, Retry

# Order numbers start at quarter seconds since then, so that no restart of a gateway can make us use one twice.
_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
_ACCOUNT = "account"
# IBKR ends a connection that sends more messages in a second.
_MOST_PER_S = 50
_PAIR = 2


class IdInUse(Exception):
    """Another client has our id."""


class Session:
    """A client of the SDK with ears of ours. Questions are coroutines; each has a deadline and raises Retry."""

    def __init__(self, config: IbkrConfig, listener: Listener) -> None:
        from brokers.ibkr.tws import sdk  # noqa: PLC0415  must be imported inside the running loop

        self.sdk = sdk
        self._config = config
        self._listener = listener
        self.ears = Ears(listener)
        self.client: Any = sdk.Client(self.ears)
        self.client.MaxRequests = config.messages_per_s
        self.ears.update_number = self.client.updateReqId
        self.client_id = -1
        self._has_account = False
        self._is_free = asyncio.Event()
        self._is_free.set()
        # When the last pairs were sent, on the loop's clock.
        self._pairs: deque[float] = deque(maxlen=(_MOST_PER_S - config.messages_per_s) // _PAIR)
        self.client.throttleStart.connect(lambda: self._throttle(on=True), keep_ref=True)
        self.client.throttleEnd.connect(lambda: self._throttle(on=False), keep_ref=True)

    async def connect(self, client_id: int) -> None:
        """Connect and wait until TWS serves requests.

        Raises:
            IdInUse: the client id is taken.
            Retry: nobody answers, or TWS took the connection and said nothing more.
            Misconfigured: IBKR_ACCOUNT is not an account of this login.
        """
        self.client_id = client_id
        try:
            await self._race(client_id)
        except (OSError, TimeoutError) as error:
            raise Retry("TWS or IB Gateway to answer", _words(error), "connecting again") from error
        self._require_account()
        numbers = int((RealClock().now() - _EPOCH).total_seconds() * 4)
        self.client.updateReqId(numbers)

    async def _race(self, client_id: int) -> None:
        """Connect, but give up at once when TWS says that the id is taken, or hangs up."""
        config = self._config
        connecting = asyncio.ensure_future(
            self.client.connectAsync(config.host, config.socket_port, client_id, config.connect_timeout_s)
        )
        signs = [asyncio.ensure_future(sign.wait()) for sign in (self.ears.refused_id, self.ears.closed)]
        try:
            await asyncio.wait([connecting, *signs], return_when=asyncio.FIRST_COMPLETED)
            if self.ears.refused_id.is_set():
                raise IdInUse(str(client_id))
            if not connecting.done():
                raise OSError("TWS closed the connection while it was made")
            connecting.result()
        finally:
            for task in (connecting, *signs):
                task.cancel()
            await asyncio.gather(connecting, *signs, return_exceptions=True)

    def _require_account(self) -> None:
        known = [name for name in self.client.getAccounts() if name]
        if not known:
            # A gateway that has just been restarted: no reason to end the process for good.
            raise Retry("the accounts of this login", "none told", "connecting again")
        if self._config.account not in known:
            raise Misconfigured(
                f"IBKR_ACCOUNT to be one of {', '.join(known)}", self._config.account, "correct IBKR_ACCOUNT"
            )

    @property
    def is_open(self) -> bool:
        return bool(self.client.isReady()) and not self.ears.closed.is_set()

    def close(self) -> None:
        """Hang up. The SDK tells of a connection that was lost, but not of one that we end: who waits hears it here."""
        self.client.disconnect()
        self.ears.abandon()

    def _give_up(self, words: str) -> None:
        """Hang up a connection that cannot be trusted any more, and have another one made."""
        if self.is_open:
            self.close()
            self._listener.on_closed(words)

    @property
    def is_throttled(self) -> bool:
        """Tell whether messages wait for their turn under ``messages_per_s``: then a late answer proves nothing."""
        return not self._is_free.is_set()

    def _throttle(self, *, on: bool) -> None:
        (self._is_free.clear if on else self._is_free.set)()

    async def room_for_pair(self) -> None:
        """Wait until two messages can leave in the same moment, however many were sent in the second before.

        Raises:
            Retry: there was no room in time.
        """
        try:
            async with asyncio.timeout(self._config.request_timeout_s):
                # Others may have sent between the moment that was waited for and the one in which this goes on.
                while self.is_throttled or self._wait_for_pair() > 0:
                    await self._is_free.wait()
                    await asyncio.sleep(max(self._wait_for_pair(), 0))
        except TimeoutError as error:
            words = f"more than {self._config.messages_per_s} messages a second waiting"
            raise Retry("room for an order and its stop", words, "ask again") from error

    def _wait_for_pair(self) -> float:
        """Return for how long another pair would be one too many for IBKR."""
        now, is_full = asyncio.get_running_loop().time(), len(self._pairs) == self._pairs.maxlen
        return self._pairs[0] + float(self.client.RequestsInterval) - now if is_full else 0.0

    @contextmanager
    def together(self) -> Iterator[None]:
        """Let the two messages written in here leave at once, after ``room_for_pair``.

        The SDK may otherwise hold the second one back for a second, and whoever dies then leaves half of a pair behind.
        """
        self._pairs.append(asyncio.get_running_loop().time())
        usual, self.client.MaxRequests = self.client.MaxRequests, 0
        try:
            yield
        finally:
            self.client.MaxRequests = usual

    # ------------------------------------------------------------------------------------------ questions

    async def ask(self, what: str, key: int | str, send: Callable[[], None], timeout_s: float | None = None) -> Any:
        """Send a question, once the same is not under way any more, and return its answer.

        The answer to one that was asked before proves nothing of now, even where nobody waits for it any more.
        A question without a number that is not answered in time ends the connection: its answer, should it come yet,
        would be taken for that of the next such question, and tell of a time before it was asked.

        Raises:
            Failed: TWS answered with a message code.
            Retry: no answer in time, or no connection.
        """
        try:
            async with asyncio.timeout(timeout_s or self._config.request_timeout_s):
                while self.ears.is_asked(key):
                    await asyncio.wait({self.ears.expect(key)})
                future = self.ears.expect(key)
                send()
                return await asyncio.shield(future)
        except TimeoutError as error:
            self.ears.drop(key)
            late = Retry(f"an answer to {what}", "none in time", "ask again")
            if isinstance(key, str):
                self._give_up(f"not connected: {late}")
            raise late from error
        except ConnectionError as error:
            raise Retry(f"a connection for {what}", str(error), "ask again once it is back") from error

    async def probe(self) -> None:
        """Ask for the time: a socket that is dead does not answer."""
        await self.ask("the time", "time", self.client.reqCurrentTime, self._config.probe_timeout_s)

    async def open_orders(self) -> frozenset[int]:
        """Have every open order of every client told to the listener; return their permanent ids."""
        return frozenset(await self.ask("the open orders", "open orders", self.client.reqAllOpenOrders))

    async def completed_orders(self) -> None:
        await self.ask("the completed orders", "completed orders", lambda: self.client.reqCompletedOrders(False))

    async def executions(self) -> None:
        """Have all executions since midnight, of every client, told to the listener, with their commissions."""
        number = self.next_number()
        wanted = self.sdk.ExecutionFilter(acctCode=self._config.account)
        try:
            await self.ask("the executions", number, lambda: self.client.reqExecutions(number, wanted))
        except Failed as error:
            raise error.as_retry("the executions") from error

    async def positions(self) -> frozenset[tuple[str, int]]:
        """Have every position told, and every later change; return account and contract of those there are."""
        return frozenset(await self.ask("the positions", "positions", self.client.reqPositions))

    async def account(self) -> None:
        """Have the account's figures told, and every later change. Asked a second time TWS may stay silent, so that the
        first subscription is ended before.
        """

        def send() -> None:
            if self._has_account:
                self.client.reqAccountUpdates(False, self._config.account)
            self._has_account = True
            self.client.reqAccountUpdates(True, self._config.account)

        await self.ask("the account", _ACCOUNT, send)

    async def contract_details(self, contract: Any) -> list[Any]:
        number = self.next_number()
        found = await self.ask("contract details", number, lambda: self.client.reqContractDetails(number, contract))
        return list(found)

    def next_number(self) -> int:
        """Return a number for a request or an order. Raises Retry without a connection."""
        if not self.is_open:
            raise Retry("a connection to TWS", "none", "wait until it is back")
        return int(self.client.getReqId())


def _words(error: BaseException) -> str:
    """Say what became of a connection: the SDK raises bare TimeoutErrors."""
    return str(error) or {"TimeoutError": "no answer in time"}.get(type(error).__name__, type(error).__name__)


__all__ = ["Failed", "IdInUse", "Session"]
