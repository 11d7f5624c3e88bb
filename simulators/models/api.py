"""Front door of the four APIs: prefix, key, model, faults, answer, books."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from simulators.models.catalogue import Model
from simulators.models.control import control
from simulators.models.faults import Occasion, Taken
from simulators.models.spoiling import refusal, spoiled
from simulators.models.vendors.anthropic import Anthropic
from simulators.models.vendors.deepseek import DeepSeek
from simulators.models.vendors.gemini import Gemini
from simulators.models.vendors.openai import OpenAi
from simulators.models.vendors.port import Route, Task, Vendor
from simulators.models.venue import Venue
from simulators.models.wire import LABEL, Answer, Ask, Json, Kind, Problem, Reply, encode
from simulators.rest.transport import Dropped, Request, Response, pause

VENDORS: dict[str, Vendor] = {vendor.name: vendor for vendor in (Anthropic(), OpenAi(), Gemini(), DeepSeek())}
_PROMPT_SHOWN = 4000
_HTML_502 = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_SECRETS = ("authorization", "x-api-key", "x-goog-api-key")


@dataclass(slots=True)
class _Call:
    """One request on its way; ``line`` is what ``/_sim/requests`` will show of it."""

    vendor: Vendor
    request: Request
    path: str
    number: int
    line: Json
    key: str = ""


class Api:
    """Answers every request to the vendors' APIs and to the control pages."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._numbers = count(1)

    async def handle(self, request: Request) -> Response:
        """Answer one request.

        Raises:
            Dropped: the connection is to be broken, or nobody waits at its other end.
        """
        if request.path.startswith("/_sim"):
            return control(self._venue, request)
        provider, _, rest = request.path.removeprefix("/").partition("/")
        vendor = VENDORS.get(provider)
        if vendor is None:
            known = ", ".join(f"/{name}/" for name in VENDORS)
            return _json(404, {"error": {"message": f"expected a path under {known}; found {request.path}"}})
        call = _Call(vendor, request, f"/{rest}", next(self._numbers), self._line(provider, request))
        book = self._venue.ledger.providers[provider]
        book.requests += 1
        book.in_flight += 1
        try:
            response = await self._answer(call)
        finally:
            book.in_flight -= 1
        call.line["status"] = None if response is None else response.status
        book.by_status["none" if response is None else str(response.status)] += 1
        if response is None or request.is_left():
            raise Dropped
        return response

    def _line(self, provider: str, request: Request) -> Json:
        headers = {name: _hashed(value) if name in _SECRETS else value for name, value in request.headers.items()}
        line = {
            "time": self._venue.now.isoformat(timespec="milliseconds"),
            "provider": provider,
            "method": request.method,
            "path": request.path,
            "headers": headers,
        }
        self._venue.requests.append(line)
        return line

    async def _answer(self, call: _Call) -> Response | None:
        try:
            route = call.vendor.route(call.request.method, call.path)
            if route is None:
                raise Problem(Kind.NO_ROUTE, f"{call.request.method} {call.path}")
            self._admit(call)
            if route.task in (Task.MODELS, Task.MODEL):
                return _json(200, self._described(call.vendor, route))
            return await self._generate(call, route)
        except Problem as problem:
            return _written(call.vendor.refuse(problem, call.number))

    def _admit(self, call: _Call) -> None:
        key = call.vendor.key(call.request)
        if not key:
            raise Problem(Kind.NO_KEY)
        known = self._venue.keys[call.vendor.name]
        if not any(hmac.compare_digest(key.encode(), one.encode()) for one in known):
            raise Problem(Kind.BAD_KEY, key)
        call.key = key

    def _described(self, vendor: Vendor, route: Route) -> Json:
        if route.task is Task.MODELS:
            return vendor.models(self._venue.catalogue.served(vendor.name))
        return vendor.model(self._model(vendor.name, route.model))

    def _model(self, provider: str, name: str) -> Model:
        model = self._venue.catalogue.find(provider, name)
        if model is None:
            raise Problem(Kind.UNKNOWN_MODEL, name)
        if model.retired:
            raise Problem(Kind.RETIRED_MODEL, name)
        return model

    async def _generate(self, call: _Call, route: Route) -> Response | None:
        ask, model = self._asked(call, route)
        call.line |= _shown(ask)
        now = self._venue.clock.now_ms()
        taken = self._venue.faults.take(Occasion(call.vendor.name, ask.model, ask.said, now))
        call.line["faults"] = taken.names
        problem = refusal(taken, ask.model, call.key)
        if problem is not None:
            if not await pause(call.request, taken.param("slow", "seconds", 0)):
                self._abandoned(call)
                return None
            return _forced(taken) or _written(call.vendor.refuse(problem, call.number))
        answer = self._thought(call, ask, model, taken)
        wait = None if "hang" in taken else answer.seconds + taken.param("slow", "seconds", 0)
        if not await pause(call.request, wait):
            self._abandoned(call)
            return None
        return _written(call.vendor.reply(route, ask, answer, call.number), cut="cut" in taken)

    def _asked(self, call: _Call, route: Route) -> tuple[Ask, Model]:
        body = _object(call.request.body)
        with _typed():
            ask = call.vendor.ask(route, body, call.request)
            model = self._model(call.vendor.name, ask.model)
            call.vendor.check(ask, body, model)
            _check_limit(ask)
        return ask, model

    def _thought(self, call: _Call, ask: Ask, model: Model, taken: Taken) -> Answer:
        opinion = self._venue.engine.opinion(ask, model)
        with _typed():
            answer = self._venue.engine.answer(ask, model, opinion)
        answer = spoiled(answer, taken, model)
        paid = bool(taken.param("hang", "paid", True))
        # booked before it is sent: a vendor bills what it wrote, also when nobody reads it
        cost = self._venue.ledger.book(answer.tokens, model) if paid else 0
        forecast = {"probability": opinion.forecast.probability, "drawn_from": opinion.forecast.sources}
        call.line |= {"question": opinion.asked.text, "forecast": forecast, "paid": paid, "cost_usd": f"{cost:f}"}
        call.line |= {"tokens_in": answer.tokens.prompt, "tokens_out": answer.tokens.out}
        return answer

    def _abandoned(self, call: _Call) -> None:
        self._venue.ledger.providers[call.vendor.name].abandoned += 1


def _check_limit(ask: Ask) -> None:
    limit: Any = ask.maximum_tokens
    if limit is not None and (not isinstance(limit, int) or limit < 1):
        raise Problem(Kind.INVALID, f"the longest answer must be a whole number of tokens from 1; found {limit!r}")


@contextmanager
def _typed() -> Iterator[None]:
    """Turn what a field of a wrong type (a list for a schema, a number for a message) breaks into a refusal."""
    try:
        yield
    except (AttributeError, KeyError, TypeError, IndexError, ValueError, RecursionError) as exc:
        raise Problem(Kind.INVALID, f"the request has a field of a wrong type: {exc}") from exc


def _object(body: bytes) -> Json:
    try:
        found: Any = json.loads(body or b"{}")
    except ValueError as exc:
        raise Problem(Kind.INVALID, f"The request body is not valid JSON: {exc}") from exc
    if not isinstance(found, dict):
        raise Problem(Kind.INVALID, "The request body must be a JSON object")
    return found


def _shown(ask: Ask) -> Json:
    form = "tool" if ask.tool else "schema" if ask.schema is not None else "json" if ask.is_json else "text"
    return {
        "model": ask.model,
        "system": ask.system[:_PROMPT_SHOWN],
        "prompt": ask.prompt[:_PROMPT_SHOWN],
        "form": form,
        "maximum_tokens": ask.maximum_tokens,
    }


def _forced(taken: Taken) -> Response | None:
    """Return the body a ``status`` fault spells out; a 502 is a proxy's page of HTML unless it does."""
    if "status" not in taken:
        return None
    status, body = taken.param("status", "status"), taken.param("status", "body")
    if body is None and status != 502:
        return None
    text = _HTML_502 if body is None else str(body)
    kind = "text/html" if text.lstrip().startswith("<") else "application/json"
    headers = {"content-type": str(taken.param("status", "content_type", kind)), "x-simulated": LABEL}
    if (seconds := taken.param("status", "retry_after")) is not None:
        headers["retry-after"] = f"{seconds:g}"
    return Response(status, text.encode(), headers)


def _written(reply: Reply, cut: bool = False) -> Response:
    return _json(reply.status, reply.body, reply.headers, cut=cut)


def _json(status: int, body: Json, headers: dict[str, str] | None = None, *, cut: bool = False) -> Response:
    named = {"content-type": "application/json", "x-simulated": LABEL, **(headers or {})}
    return Response(status, encode(body), named, cut)


def _hashed(secret: str) -> str:
    return f"sha256:{hashlib.sha256(secret.encode()).hexdigest()[:12]}"
