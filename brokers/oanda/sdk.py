"""The vendor's SDK, wired to our hosts, timeouts and headers; no other module imports oandapyV20."""

import logging
from typing import Any

from oandapyV20 import oandapyV20 as core
from oandapyV20.endpoints import (
    accounts,
    instruments,
    orders,
    pricing,
    trades,
    transactions,
)
from oandapyV20.exceptions import V20Error

from brokers.oanda.config import OandaConfig

__all__ = ["V20Error", "accounts", "instruments", "open_api", "orders", "pricing", "trades", "transactions"]

# The SDK logs whole reply bodies at ERROR, even of a 404 that is an answer to us; every failure is raised translated.
logging.getLogger("oandapyV20").setLevel(logging.CRITICAL)


def open_api(config: OandaConfig, *, read_timeout_s: float, streaming: bool = False) -> Any:
    """Return an SDK client with its own session.

    The environments live in the SDK's inner module; the package itself does not have them (0.7.2). Timeouts can only
    be given through ``request_params``, and without them the SDK waits for ever.
    """
    name = f"{config.rest_url} {config.streaming_url}"
    core.TRADING_ENVIRONMENTS[name] = {"api": config.rest_url, "stream": config.streaming_url}
    api = core.API(
        access_token=config.token.reveal(),
        environment=name,
        headers=_headers(streaming=streaming),
        request_params={"timeout": (config.connect_timeout_s, read_timeout_s), "allow_redirects": False},
    )
    api.client.trust_env = False  # a ~/.netrc entry would replace the Authorization header
    return api


def _headers(*, streaming: bool) -> dict[str, str]:
    headers = {"Accept-Datetime-Format": "RFC3339"}
    # A compressed stream is handed over a block at a time, which delays prices.
    return headers | {"Accept-Encoding": "identity"} if streaming else headers
