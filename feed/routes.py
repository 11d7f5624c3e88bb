"""The routes beside the poll: snapshot, heads, aggregate, health; and the description of those served raw."""

from fastapi import APIRouter, Depends
from fastapi.security import HTTPBearer
from starlette.requests import Request
from starlette.responses import Response

from domain.vocabulary import Stage
from feed import aggregates, proofs, query, schema, shapes, snapshot
from feed.answers import as_json
from feed.problems import not_ready, too_fast
from feed.service import Service
from feed.tokens import Scope, Subscriber

_bearer = HTTPBearer(auto_error=False, description="a token made by `tbot subscribers add`")


def router(service: Service) -> APIRouter:
    """Return the routes; each is described here and done by the functions below."""
    everything = APIRouter(default_response_class=Response)
    api = APIRouter(dependencies=[Depends(_bearer)], default_response_class=Response)
    _add_reading(api, service)
    _add_proofs(api, service)
    for stage in Stage:
        _add_report(api, stage)
    _add_operator(api, service)
    everything.include_router(api)
    _add_health(everything, service)
    return everything


def _add_reading(api: APIRouter, service: Service) -> None:
    @api.get(
        schema.POLL_PATH,
        operation_id="poll",
        responses=schema.responses(200, 400, 410, *schema.READ, shape=shapes.PAGE, links=shapes.AFTER_PAGE),
        openapi_extra={"parameters": schema.poll_parameters(service.config)},
    )
    async def poll() -> Response:
        """Wait for signals. Described here, served by `feed.poll` before FastAPI sees the request."""
        raise not_ready("feed")

    @api.get(
        schema.STREAM_PATH,
        responses=schema.stream_responses(),
        openapi_extra={"parameters": schema.stream_parameters(service.config)},
    )
    async def stream() -> Response:
        """Stream signals; the answer does not end. Described here, served by `feed.stream`."""
        raise not_ready("feed")

    @api.get(
        "/api/signals/open",
        responses=schema.responses(200, 304, 400, *schema.READ, shape=shapes.SNAPSHOT, links=shapes.AFTER_SNAPSHOT),
        openapi_extra={"parameters": schema.surface_parameter(service.config)},
    )
    async def open_signals(request: Request) -> Response:
        """Return all signals open now, and the cursor that continues after them."""
        subscriber = admit(service, request, Scope.FEED_READ)
        return snapshot.answer(service, request, frozenset(subscriber.surfaces))

    @api.get("/api/head", responses=schema.responses(200, 400, *schema.READ, shape=shapes.HEAD))
    async def head(request: Request) -> Response:
        """Return the committed head of every log the token may see."""
        subscriber = admit(service, request, Scope.FEED_READ)
        query.nothing(request.scope["query_string"])
        heads = service.pages.heads(frozenset(subscriber.surfaces), with_ts=True)
        return as_json(200, {"logs": heads, "server_time": service.pages.server_time()}).as_response()


def _add_proofs(api: APIRouter, service: Service) -> None:
    @api.get("/api/keys", responses=schema.responses(200, 304, 400, 401, 429, 503, shape=shapes.KEYS))
    async def keys(request: Request) -> Response:
        """Return the public keys that sign the lines of the surfaces the token sees."""
        subscriber = admit(service, request, None)
        return proofs.keys(service, request, frozenset(subscriber.surfaces))

    @api.get(
        "/api/checkpoint",
        responses=schema.responses(200, 304, 400, 404, *schema.READ, shape=shapes.CHECKPOINT),
        openapi_extra={"parameters": [schema.LOG]},
    )
    async def checkpoint(request: Request) -> Response:
        """Return the newest checkpoint of one log, as its writer signed it."""
        subscriber = admit(service, request, Scope.FEED_READ)
        return proofs.checkpoint(service, request, frozenset(subscriber.surfaces))


def _add_report(api: APIRouter, stage: Stage) -> None:
    @api.post(
        f"/api/signals/{{signal_id}}/{stage}",
        operation_id=f"report_{stage}",
        responses=schema.responses(*schema.REPORT, shape=shapes.STORED),
        openapi_extra={
            **schema.body(stage),
            "parameters": [schema.SIGNAL_ID],
        },
    )
    async def report() -> Response:
        """Store a report about a signal."""  # and served by `feed.reporting` before FastAPI sees the request
        raise not_ready("feed")


def _add_operator(api: APIRouter, service: Service) -> None:
    @api.get("/api/aggregate", responses=schema.responses(200, *schema.READ, shape=shapes.AGGREGATE))
    async def aggregate(request: Request) -> Response:
        """Return sums over all subscribers; needs the scope ``admin:read``."""
        admit(service, request, Scope.ADMIN_READ)
        found = aggregates.of_threads(
            service.inbox.threads,
            service.logs.board.signal,
            cohort_min=service.config.cohort_min,
            now=service.clock.now(),
            past=service.inbox.past,
        )
        return as_json(200, found).as_response()


def _add_health(api: APIRouter, service: Service) -> None:
    @api.get("/healthz", responses=schema.health_responses())
    async def healthz() -> Response:
        """Tell whether everything works, without details."""
        problems = service.problems
        if problems:
            return as_json(503, {"status": "degraded", "problems": problems}).as_response()
        return as_json(200, {"status": "ok"}).as_response()


def admit(service: Service, request: Request, scope: Scope | None) -> Subscriber:
    """Return whose request this is.

    Raises:
        Problem: 401, 403, 429 or 503.
    """
    subscriber = service.door.admit(request.scope, scope, "reads")
    wait = service.reading.wait(subscriber.id)
    if wait:
        raise too_fast(wait)
    return subscriber
