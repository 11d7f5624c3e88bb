"""Errors in the form Coinbase Exchange gives them."""

from simulators.rest.service import json_response
from simulators.rest.transport import Response


def refusal(status: int, message: str) -> Response:
    """Return an error."""
    return json_response({"message": message}, status)
