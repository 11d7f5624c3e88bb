"""Translation of everything a request to Kalshi can end in into the error tree of ``domain.errors``."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from brokers.kalshi.buckets import penalty_s
from brokers.lost import said, unreadable
from domain.errors import Ask, Misconfigured, Refuse, Retry, TBotError

# Raised before a byte of the request left: nothing can have happened.
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_MALFORMED = (ValueError, KeyError, IndexError, TypeError, AttributeError, ArithmeticError)
PAUSE_S = 5.0


class Rejected(Refuse):
    """Kalshi's own refusal: HTTP ``status``, its ``code`` and what it said about it."""

    def __init__(self, what: str, status: int, code: str, message: str) -> None:
        said = f" ({message})" if message and message != code else ""
        super().__init__(f"{what} to be accepted", f"{status} {code}{said}", "do not repeat it unchanged")
        self.status = status
        self.code = code


@contextmanager
def translated(what: str, *, repeatable: bool) -> Iterator[None]:
    """Raise what the HTTP client raises, and what reading a strange reply raises, as errors of ours.

    A lost or strange reply to a ``repeatable`` request is Retry; to any other it is Ask, because Kalshi may have acted.
    """
    try:
        yield
    except TBotError:
        raise
    except _NEVER_SENT as error:
        raise Retry(f"a connection for {what}", said(error), "try again") from error
    except httpx.HTTPError as error:
        raise unanswered(what, said(error), repeatable) from error
    except _MALFORMED as error:
        found = f"a reply that cannot be read ({unreadable(error)})"
        raise unanswered(what, found[:200], repeatable) from error


def unanswered(what: str, found: str, repeatable: bool) -> TBotError:
    if repeatable:
        return Retry(f"an answer to {what}", found, "try again")
    return Ask(f"an answer to {what}", found, "look the order up by its client id")


def of_status(what: str, status: int, body: Mapping[str, Any], *, repeatable: bool) -> TBotError:
    """Return the error that a status above 299 stands for."""
    code, message = error_of(body)
    if status == 429:
        after_s = penalty_s()
        return Retry(f"room for {what} under the rate limit", "429", f"wait {after_s:.1f} s", after_s=after_s)
    if status == 401:
        return Misconfigured("a valid KALSHI_KEY_ID with its own private key", f"401 to {what}", "issue a new key")
    if status < 500 and status != 408 and "pause" in code:
        return Retry(f"trading to be open for {what}", f"{status} {code}", "wait", after_s=PAUSE_S)
    if status == 403:
        return Refuse(f"the right to {what}", f"403 {code}", "check what the key and the account may do")
    if status == 408 or status >= 500 or status < 400:
        return unanswered(what, f"status {status} {code}".rstrip(), repeatable)
    return Rejected(what, status, code, message)


def error_of(body: Mapping[str, Any]) -> tuple[str, str]:
    """Return code and message of an error body: nested, flat, or a bare text."""
    inner = body.get("error", body)
    if isinstance(inner, str):
        return inner[:80].replace(" ", "_"), inner[:200]
    if not isinstance(inner, Mapping):
        return "", ""
    details = str(inner.get("details") or "")
    message = str(inner.get("message") or "")
    return str(inner.get("code") or "")[:80], f"{message} {details}".strip()[:200]
