"""Errors in the form Coinbase Exchange gives them."""

from simulators.oanda.transport import Response
from simulators.rest.service import json_response


def refusal(status: int, message: str) -> Response:
    """Return an error."""
    return json_response({"message": message}, status)
