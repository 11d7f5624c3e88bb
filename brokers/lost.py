"""What became of a request that got no usable answer, in words for a person: never a URL, whose query may tell much."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from domain.errors import Ask, Retry, TBotError

# Raised before a byte of the request left: nothing can have happened.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_MALFORMED = (ValueError, KeyError, IndexError, TypeError, AttributeError, ArithmeticError)
# first match wins, so the narrower kinds stand before those they belong to
_WORDS = (
    (httpx.ConnectTimeout, "no connection in time to {host}"),
    (httpx.PoolTimeout, "no connection free to {host}"),
    (httpx.TimeoutException, "no answer in time from {host}"),
    (httpx.ConnectError, "no connection to {host}"),
    (httpx.NetworkError, "a dropped connection to {host}"),
    (httpx.RemoteProtocolError, "a dropped connection to {host}"),
    (httpx.DecodingError, "an answer that cannot be unpacked from {host}"),
)


@contextmanager
def translated(what: str, *, repeatable: bool, unreached: str = "try again") -> Iterator[None]:
    """Raise what the HTTP client raises, and what reading a strange reply raises, as errors of ours.

    A lost or strange reply to a ``repeatable`` request is Retry; to any other it is Ask, because the venue may have
    acted. ``unreached`` is what to do where no connection came about.
    """
    try:
        yield
    except TBotError:
        raise
    except _NEVER_SENT as error:
        raise Retry(f"a connection for {what}", said(error), unreached) from error
    except httpx.HTTPError as error:
        raise unanswered(what, said(error), repeatable) from error
    except _MALFORMED as error:
        found = f"a reply that cannot be read ({unreadable(error)})"
        raise unanswered(what, found[:200], repeatable) from error


def unanswered(what: str, found: str, repeatable: bool) -> TBotError:
    """Return the error of a request to which no usable answer came."""
    if repeatable:
        return Retry(f"an answer to {what}", found, "try again")
    return Ask(f"an answer to {what}", found, "look the order up by its client id")


def said(error: httpx.HTTPError) -> str:
    """Say what an error of the HTTP client means, and which host it was about."""
    host = _host(error)
    for kind, words in _WORDS:
        if isinstance(error, kind):
            return words.format(host=host)
    return f"a failed exchange with {host}"


def unreadable(error: Exception) -> str:
    """Say why an answer could not be read."""
    if isinstance(error, KeyError):
        return f"no field {error}"
    return str(error) or "nothing that fits"


def _host(error: httpx.HTTPError) -> str:
    try:
        url = error.request.url
    except RuntimeError:  # the client had no request yet
        return "the service"
    return f"{url.host}:{url.port}" if url.port else url.host
