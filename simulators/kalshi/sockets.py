"""One WebSocket: commands in, what its subscriptions see out."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

from simulators.kalshi.account import Account
from simulators.kalshi.channels import CHANNELS, Channel, SubscriptionError
from simulators.kalshi.faults import Fault, Occasion
from simulators.kalshi.venue import Venue
from simulators.kalshi.wire import SOCKET_PATH, Json, encode
from simulators.rest.transport import Dropped, Request
from simulators.rest.websocket import WebSocket


class CommandError(Exception):
    """A command that cannot be done: the venue's number and words for it."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Session:
    """A signed connection and its subscriptions."""

    def __init__(self, venue: Venue, account: Account) -> None:
        self._venue = venue
        self._account = account
        self._socket = WebSocket()
        self._channels: dict[int, Channel] = {}
        self._next_sid = 1
        self._opened = venue.wall()
        self._engaged: dict[str, float | None] = {}

    async def serve(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Converse until either side ends.

        Raises:
            Dropped: a fault breaks the connection.
        """
        self._venue.sockets_opened += 1
        await self._socket.converse(request, reader, writer, self._command, self._publish)

    def _send(self, message: Json) -> None:
        self._socket.send(encode(message))

    def _command(self, raw: bytes) -> None:
        number: Any = None
        try:
            command = json.loads(raw)
            if not isinstance(command, dict):
                raise CommandError(1, "Unable to process message")
            number = command.get("id")
            for answer in list(self._obey(command)):
                self._send({"id": number, **answer} if number is not None else answer)
        except ValueError:
            self._refuse(number, CommandError(1, "Unable to process message"))
        except (CommandError, SubscriptionError) as exc:
            self._refuse(number, exc if isinstance(exc, CommandError) else CommandError(exc.code, str(exc)))

    def _refuse(self, number: Any, exc: CommandError) -> None:
        answer: Json = {"type": "error", "msg": {"code": exc.code, "msg": str(exc)}}
        self._send({"id": number, **answer} if number is not None else answer)

    def _obey(self, command: Json) -> Iterator[Json]:
        name, params = command.get("cmd"), command.get("params")
        handlers = {
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "update_subscription": self._update,
        }
        if name == "list_subscriptions":
            yield {"type": "ok", "msg": [{"channel": c.name, "sid": sid} for sid, c in self._channels.items()]}
            return
        handler = handlers.get(str(name))
        if handler is None:
            raise CommandError(5, "Unknown command")
        if not isinstance(params, dict):
            raise CommandError(2, "Params required")
        yield from handler(params)

    def _subscribe(self, params: Json) -> Iterator[Json]:
        names = params.get("channels")
        if not isinstance(names, list) or not names:
            raise CommandError(3, "Channels required")
        for name in names:
            if name not in CHANNELS:
                raise CommandError(8, "Unknown channel name")
        now = self._venue.advance()
        for name in names:
            channel = CHANNELS[name](self._venue, self._account, self._next_sid, _tickers(params), now)
            if params.get("send_initial_snapshot") is not True:
                channel.skip_present(now)
            self._channels[self._next_sid] = channel
            self._next_sid += 1
            yield {"type": "subscribed", "msg": {"channel": name, "sid": channel.sid}}

    def _unsubscribe(self, params: Json) -> Iterator[Json]:
        sids = params.get("sids")
        if not isinstance(sids, list) or not sids:
            raise CommandError(4, "Subscription IDs required")
        for sid in sids:
            channel = self._channels.pop(sid, None)
            if channel is None:
                raise CommandError(7, "Unknown subscription ID")
            yield {"type": "unsubscribed", "sid": sid, "seq": channel.next_seq()}

    def _update(self, params: Json) -> Iterator[Json]:
        sids = params.get("sids", [params["sid"]] if "sid" in params else None)
        if not isinstance(sids, list) or len(sids) != 1:
            raise CommandError(12, "Exactly one subscription ID is required")
        channel = self._channels.get(sids[0])
        if channel is None:
            raise CommandError(7, "Unknown subscription ID")
        action, tickers = params.get("action"), _tickers(params)
        if action == "add_markets":
            channel.add(tickers)
            if params.get("send_initial_snapshot") is not True:
                channel.skip_present(self._venue.advance())
        elif action == "delete_markets":
            channel.remove(tickers)
        else:
            raise CommandError(13, "Unsupported action")
        told = sorted(channel.tickers)
        yield {"type": "ok", "sid": channel.sid, "seq": channel.next_seq(), "msg": {"market_tickers": told}}

    def _publish(self) -> None:
        now = self._venue.advance()
        silent = self._disturb()
        for channel in self._channels.values():
            for message in channel.news(now, self._gap):
                if not silent:
                    self._send(message)

    def _occasion(self, tickers: tuple[str, ...] = ()) -> Occasion:
        return Occasion(self._venue.faults, "GET", SOCKET_PATH, tickers, self._account.key_id, self._venue.position)

    def _gap(self, ticker: str) -> int:
        """Return how many sequence numbers a fault skips before the next message about a market."""
        fault = self._occasion((ticker,)).take("gap_websocket")
        return 0 if fault is None else int(fault.params.get("skip", 1))

    def _disturb(self) -> bool:
        """Tell whether a fault keeps the connection silent.

        Raises:
            Dropped: a fault cuts it.
        """
        watched = tuple({ticker for channel in self._channels.values() for ticker in channel.tickers})
        occasion = self._occasion(watched)
        for fault in occasion.matching("cut_websocket"):
            if self._holds(fault):
                raise Dropped
        held = [self._holds(fault) for fault in occasion.matching("silent_websocket")]
        return any(held)

    def _holds(self, fault: Fault) -> bool:
        """Tell whether a fault has hold of this connection; each counts once for each connection."""
        wall = self._venue.wall()
        if wall - self._opened < fault.params.get("after_seconds", 0):
            return False
        if fault.name not in self._engaged:
            self._engaged[fault.name] = wall if fault.take() else None
        since, limit = self._engaged[fault.name], fault.params.get("seconds")
        return since is not None and (limit is None or wall - since < limit)


def _tickers(params: Json) -> set[str]:
    named = params.get("market_tickers") or []
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise CommandError(11, "Invalid parameter")
    single = params.get("market_ticker")
    return {*named, *([single] if isinstance(single, str) else [])}
