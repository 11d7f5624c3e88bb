"""What became of a request that got no usable answer, in words for a person: never a URL, whose query may tell much."""

import httpx

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
