"""The control page about faults, which every simulator has."""

import json
from collections.abc import Callable
from typing import Any

from simulators.rest.faults import FaultError, Json, Script
from simulators.rest.transport import Request


def fault_page(
    book: Script[Any], request: Request, *now: Any, then: Callable[[], object] = lambda: None
) -> tuple[Json, int] | None:
    """Return the body and the status of the reply to a request about faults, None for one about something else.

    Args:
        now: the simulated time, where the book wants to know it.
        then: called after every change, before the reply tells of it: what holds from now on begins.
    """
    match request.method, request.path:
        case "GET", "/_sim/faults":
            return _listed(book), 200
        case "POST", "/_sim/faults":
            try:
                book.add(json.loads(request.body), *now)
            except FaultError as exc:
                return {"error": str(exc)}, 422
            except ValueError as exc:
                return {"error": f"faults: expected JSON; found {exc}"}, 422
            then()
            return _listed(book), 201
        case "DELETE", "/_sim/faults":
            removed = book.clear(request.query.get("name"))
            then()
            return {"removed": removed}, 200
    return None


def _listed(book: Script[Any]) -> Json:
    return {"faults": [fault.state() for fault in book.faults]}
