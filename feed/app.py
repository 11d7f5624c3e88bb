"""The HTTP surface: the poll, the stream and the reports as raw ASGI routes, everything else through FastAPI."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from feed import reporting, routes
from feed.answers import of_problem
from feed.asgi import App, Receive, Scope, Send
from feed.problems import Problem, unknown, wrong_method
from feed.schema import POLL_PATH, STREAM_PATH
from feed.service import Service


def build(service: Service) -> App:
    """Return the application around a service that is open."""
    rest = api(service)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == POLL_PATH:
            await service.poll(scope, receive, send)
        elif scope["type"] == "http" and scope["path"] == STREAM_PATH:
            await service.streams(scope, receive, send)
        elif (what := reporting.about(scope)) is not None:
            await reporting.serve(service, what, scope, receive, send)
        else:
            await rest(scope, receive, send)

    return app


def api(service: Service) -> FastAPI:
    """Return the FastAPI part; its schema describes all routes, the poll included."""
    docs = service.config.docs
    app = FastAPI(
        title="T BOT signal feed",
        version="1",
        docs_url="/docs" if docs else None,
        redoc_url=None,
        openapi_url="/openapi.json" if docs else None,
        redirect_slashes=False,
        exception_handlers={Problem: _noting(service), HTTPException: _on_http, Exception: _on_anything},
    )
    app.include_router(routes.router(service))
    return app


def _noting(service: Service) -> Callable[[Request, Any], Coroutine[Any, Any, Response]]:
    async def on_problem(request: Request, error: Problem) -> Response:
        service.door.refused(request.scope, error)
        return of_problem(error).as_response()

    return on_problem


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return of_problem(wrong_method((error.headers or {}).get("Allow", "GET"))).as_response()
    if error.status_code == 404:
        return of_problem(unknown()).as_response()
    return of_problem(Problem(error.status_code, "http", "the request cannot be answered")).as_response()


async def _on_anything(request: Request, error: Exception) -> Response:
    return of_problem(Problem(500, "feed", "this is ours to mend")).as_response()
