"""The routes beside the poll: snapshot, heads, callbacks, aggregate, health."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from domain.ids import is_id
from domain.vocabulary import Stage, Surface
from feed import aggregates, body, query, reports, rules, schema, snapshot
from feed.answers import as_json
from feed.problems import invalid, not_ready, too_fast, unknown
from feed.query import LIMIT_DEFAULT, LIMIT_MAX
from feed.service import Service
from feed.tokens import Scope, Subscriber

_bearer = HTTPBearer(auto_error=False, description="a token made by `tbot subscribers add`")
SignalId = Annotated[str, Path(description="id of the signal", pattern=r"^sig_[0-7][0-9A-HJKMNP-TV-Z]{25}$")]


def router(service: Service) -> APIRouter:
    """Return the routes; each is described here and done by the functions below."""
    api = APIRouter(dependencies=[Depends(_bearer)], default_response_class=Response)
    _add_reading(api, service)
    for stage in Stage:
        _add_report(api, service, stage)
    _add_operator(api, service)
    return api


def _add_reading(api: APIRouter, service: Service) -> None:
    @api.get(schema.POLL_PATH, responses=schema.responses(200, 400, 410, *schema.READ))
    async def poll(
        cursor: str | None = None,
        start: str | None = None,
        wait: Annotated[float, Query(ge=0, le=55)] = 25,
        limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_DEFAULT,
        surface: Annotated[list[Surface] | None, Query()] = None,
    ) -> Response:
        """Wait for signals. Described here, served by `feed.poll` before FastAPI sees the request."""
        raise not_ready("feed")

    @api.get("/api/signals/open", responses=schema.responses(200, 304, 400, *schema.READ))
    async def open_signals(request: Request) -> Response:
        """Return all signals open now, and the cursor that continues after them."""
        subscriber = admit(service, request, Scope.FEED_READ)
        return snapshot.answer(service, request, frozenset(subscriber.surfaces))

    @api.get("/api/head", responses=schema.responses(200, 400, *schema.READ))
    async def head(request: Request) -> Response:
        """Return the committed head of every log the token may see."""
        subscriber = admit(service, request, Scope.FEED_READ)
        query.nothing(request.scope["query_string"])
        heads = service.pages.heads(frozenset(subscriber.surfaces), with_ts=True)
        return as_json(200, {"logs": heads, "server_time": service.pages.server_time()}).as_response()


def _add_report(api: APIRouter, service: Service, stage: Stage) -> None:
    @api.post(
        f"/api/signals/{{signal_id}}/{stage}",
        name=f"report_{stage}",
        responses=schema.responses(*schema.REPORT),
        openapi_extra={
            **schema.body(stage),
            "parameters": [schema.SIGNAL_ID],
        },
    )
    async def report(request: Request) -> Response:
        """Store a report about a signal."""
        subscriber = admit(service, request, Scope.CALLBACK_WRITE)
        return await _report(service, request, subscriber, stage)


def _add_operator(api: APIRouter, service: Service) -> None:
    @api.get("/api/aggregate", responses=schema.responses(200, *schema.READ))
    async def aggregate(request: Request) -> Response:
        """Return sums over all subscribers; needs the scope ``admin:read``."""
        admit(service, request, Scope.ADMIN_READ)
        threads, find = service.inbox.threads, service.logs.board.signal
        return as_json(200, aggregates.of_threads(threads, find, cohort_min=service.config.cohort_min)).as_response()

    @api.get("/healthz", dependencies=[], responses=schema.responses(200, 503))
    async def healthz() -> Response:
        """Tell whether everything works, without details."""
        problems = service.problems
        if problems:
            return as_json(503, {"status": "degraded", "problems": problems}).as_response()
        return as_json(200, {"status": "ok"}).as_response()


def admit(service: Service, request: Request, scope: Scope) -> Subscriber:
    """Return whose request this is.

    Raises:
        Problem: 401, 403, 429 or 503.
    """
    values = request.headers.getlist("authorization")
    subscriber = service.guard.admit(values[0] if len(values) == 1 else None, scope, service.clock.now())
    rate = service.reporting if scope is Scope.CALLBACK_WRITE else service.reading
    wait = rate.wait(subscriber.id)
    if wait:
        raise too_fast(wait)
    return subscriber


async def _report(service: Service, request: Request, subscriber: Subscriber, stage: Stage) -> Response:
    signal_id = request.path_params["signal_id"]
    if not is_id(signal_id, "sig"):
        raise invalid([{"field": "signal_id", "found": "this is no id of a signal"}])
    raw = await body.read(request, service.config.body_limit_bytes)
    board = service.logs.board
    signal = board.find(signal_id, frozenset(subscriber.surfaces))
    if signal is None:
        raise unknown()
    record, is_duplicate = await service.inbox.take(
        subscriber.id,
        signal,
        stage,
        reports.parse(stage, raw),
        hashlib.sha256(raw).hexdigest(),
        board.ended_at(signal_id),
    )
    status = 200 if is_duplicate else rules.status(record)
    return as_json(status, rules.answer(record, is_duplicate=is_duplicate)).as_response()
