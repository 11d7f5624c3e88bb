"""Replies and errors in the form api.weather.gov gives them."""

import json
import uuid
from http import HTTPStatus
from typing import Any

from simulators.rest.service import Refused
from simulators.rest.transport import Response

GEO_JSON, LINKED_DATA = "application/geo+json", "application/ld+json"
_ONTOLOGY = "https://api.weather.gov/ontology#"
CONTEXT: list[Any] = [
    "https://geojson.org/geojson-ld/geojson-context.jsonld",
    {"@version": "1.1", "wx": _ONTOLOGY, "@vocab": _ONTOLOGY},
]


def reply(body: Any, content_type: str = GEO_JSON) -> Response:
    """Return a reply with a body."""
    return Response(200, json.dumps(body).encode(), {"Content-Type": content_type})


def problem(status: int, detail: str, kind: str = "") -> Response:
    """Return an error as RFC 7807 has it."""
    try:
        title = HTTPStatus(status).phrase
    except ValueError:
        title = "Unexpected Problem"
    correlation = uuid.uuid4().hex[:8]
    body = {
        "correlationId": correlation,
        "title": title,
        "type": f"https://api.weather.gov/problems/{kind or title.replace(' ', '')}",
        "status": status,
        "detail": detail,
        "instance": f"https://api.weather.gov/requests/{correlation}",
    }
    return Response(status, json.dumps(body).encode(), {"Content-Type": "application/problem+json"})


def failed(status: int, detail: str) -> Response:
    """Return the body of a scripted failure."""
    return problem(status, detail, "UnexpectedProblem")


def missing(what: str) -> Refused:
    """Return the error for something that does not exist."""
    return Refused(problem(404, f"{what} is not available.", "NotFound"))


def invalid(name: str, detail: str) -> Refused:
    """Return the error for a parameter that cannot be used."""
    return Refused(problem(400, f"Bad Request: parameter {name}: {detail}", "BadRequest"))


def moved(location: str) -> Response:
    """Return a redirect."""
    response = problem(301, f"Moved to {location}", "AdjustPointPrecision")
    return Response(301, response.body, response.headers | {"Location": location})
