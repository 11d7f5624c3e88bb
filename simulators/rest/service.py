"""One simulated service: its answers, what goes wrong with them, and the control pages about both."""

import asyncio
import json
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from simulators.rest.control import fault_page
from simulators.rest.faults import Action, FaultBook, Json
from simulators.rest.transport import Dropped, Request, Response

_REMEMBERED = 500


class Ticking(Protocol):
    """A clock of simulated time."""

    def now_ms(self) -> int:
        """Return the simulated time in epoch milliseconds."""


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


@dataclass(frozen=True, slots=True)
class Call:
    """One request, the simulated time it came at, and the faults that may bend its answer."""

    request: Request
    now: datetime
    faults: FaultBook

    @property
    def path(self) -> str:
        """Return the path without its query."""
        return self.request.path

    @property
    def host(self) -> str:
        """Return how the client reached this service, to build absolute URLs with."""
        return f"http://{self.request.headers.get('host', '127.0.0.1')}"

    def fault(self, action: str) -> Json | None:
        """Count this request for an action; return the parameters of the fault that fires, if any."""
        return self.faults.take(action, self.request.method, self.path, self.now)


def json_response(body: Any, status: int = 200, content_type: str = "application/json") -> Response:
    """Return a reply of JSON."""
    return Response(status, json.dumps(body, ensure_ascii=False).encode(), {"Content-Type": content_type})


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What makes one service differ from another.

    ``answer`` gives the reply to a request that no fault stops, ``actions`` are its own faults, ``fail`` gives the body
    of a scripted status, ``source`` tells where the data of a moment was recorded.
    """

    name: str
    answer: Callable[[Call], Response]
    actions: Mapping[str, Action]
    fail: Callable[[int, str], Response]
    source: Callable[[datetime], Json]


class Service:
    """Answers requests, bends the answers by script, and remembers what it was asked."""

    def __init__(self, kind: Kind, clock: Ticking) -> None:
        self.kind = kind
        self.clock = clock
        self.faults = FaultBook(kind.actions)
        self._asked: deque[Json] = deque(maxlen=_REMEMBERED)
        self._counts: Counter[str] = Counter()

    def now(self) -> datetime:
        """Return the simulated time."""
        return datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC)

    async def handle(self, request: Request) -> Response:
        """Return the reply to a request.

        Raises:
            Dropped: a fault breaks the connection.
        """
        if request.path.startswith("/_sim/"):
            return self._control(request)
        call = Call(request, self.now(), self.faults)
        entry: Json = {"time": call.now.isoformat(), "method": request.method, "path": request.path}
        entry |= {"query": request.query, "user_agent": request.headers.get("user-agent"), "status": None}
        self._asked.append(entry)
        self._counts[f"{request.method} {request.path}"] += 1
        response = await self._answered(call)
        entry["status"] = response.status
        return response

    async def _answered(self, call: Call) -> Response:
        if (delay := call.fault("delay")) is not None:
            await asyncio.sleep(delay["seconds"])
        if call.fault("drop") is not None:
            raise Dropped
        if (status := call.fault("status")) is not None:
            return self._failed(status)
        try:
            response = self.kind.answer(call)
        except Refused as exc:
            return exc.response
        if (malformed := call.fault("malformed")) is not None:
            # cut in the middle, as a proxy that gives up leaves it
            body = malformed.get("body", "").encode() or response.body[: len(response.body) // 2]
            return Response(response.status, body, response.headers)
        return response

    def _failed(self, params: Json) -> Response:
        response = self.kind.fail(params["status"], "The simulator was told to fail.")
        headers = dict(response.headers)
        if "retry_after" in params:
            headers["Retry-After"] = str(params["retry_after"])
        body = params["body"].encode() if "body" in params else response.body
        return Response(response.status, body, headers)

    def _control(self, request: Request) -> Response:
        match request.method, request.path:
            case "GET", "/_sim/state":
                return json_response(self._state())
            case "GET", "/_sim/requests":
                return json_response({"requests": list(self._asked)})
        faults = fault_page(self.faults, request)
        if faults is not None:
            return json_response(*faults)
        return json_response({"error": f"no control page {request.method} {request.path}"}, 404)

    def _state(self) -> Json:
        now = self.now()
        return {
            "simulated_time": now.isoformat(),
            "source": self.kind.source(now),
            "requests": dict(self._counts),
            "faults": [fault.state() for fault in self.faults.faults],
        }
