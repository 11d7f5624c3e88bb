"""The HTTP client all three SDKs are handed: bounded in time and size, following nobody elsewhere.

An SDK's own timeout starts anew with every byte, so a server that trickles would hold a thread for hours; and a
redirect would carry ``x-goog-api-key`` to wherever it points, because only ``Authorization`` is taken off on the way.
"""

import ssl
import time
from collections.abc import Iterator
from functools import cache

import httpx2

CONNECT_S = 10.0
LARGEST_BYTES = 2_000_000


@cache
def _certificates() -> ssl.SSLContext:
    """Return the one context for all vendors: reading the authorities takes 80 ms and a few MiB each time."""
    return httpx2.create_ssl_context(trust_env=False)


class _Bounded(httpx2.SyncByteStream):
    """A body that may not take longer than ``until`` nor be larger than any answer is."""

    def __init__(self, body: httpx2.SyncByteStream, until: float) -> None:
        self._body = body
        self._until = until

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for chunk in self._body:
            size += len(chunk)
            if size > LARGEST_BYTES:
                raise httpx2.ReadError(f"the answer is larger than {LARGEST_BYTES} bytes")
            if time.monotonic() > self._until:
                raise httpx2.ReadTimeout("the answer did not end in time")
            yield chunk

    def close(self) -> None:
        self._body.close()


class _Transport(httpx2.HTTPTransport):
    def __init__(self, timeout_s: float) -> None:
        # No connection is kept: calls are hours apart, and one that was closed meanwhile would look like a dropped
        # answer, which counts as paid.
        limits = httpx2.Limits(max_connections=100, max_keepalive_connections=0)
        super().__init__(verify=_certificates(), trust_env=False, limits=limits)
        self._timeout_s = timeout_s

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        until = time.monotonic() + self._timeout_s
        response = super().handle_request(request)
        assert isinstance(response.stream, httpx2.SyncByteStream)
        response.stream = _Bounded(response.stream, until)
        return response


def http_client(timeout_s: float) -> httpx2.Client:
    """Return a client for one vendor; ``timeout_s`` bounds the silence before the answer and the whole of its body."""
    return httpx2.Client(
        transport=_Transport(timeout_s),
        timeout=httpx2.Timeout(timeout_s, connect=min(CONNECT_S, timeout_s)),
        follow_redirects=False,
        trust_env=False,
    )
