"""Translation of everything the SDK can raise into the error tree of ``domain.errors``."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import requests.exceptions as http
from urllib3.exceptions import NewConnectionError

from brokers.oanda.sdk import V20Error
from domain.errors import Ask, Misconfigured, Refuse, Retry, TBotError
from domain.settings import Secret

LONGEST_PENALTY_S = 60.0
_MALFORMED = (ValueError, KeyError, IndexError, TypeError, AttributeError, ArithmeticError)


class Rejected(Refuse):
    """OANDA's own refusal: HTTP ``status``, its ``code`` word and the JSON ``body`` it sent."""

    def __init__(self, what: str, status: int, code: str, body: Mapping[str, Any]) -> None:
        super().__init__(f"{what} to be accepted", f"{status} {code}", "do not repeat it unchanged")
        self.status = status
        self.code = code
        self.body = body


@contextmanager
def translated(what: str, *, repeatable: bool, token: Secret) -> Iterator[None]:
    """Raise what the SDK raises, and what reading a strange reply raises, as errors of ours.

    A lost or strange reply to a ``repeatable`` request is Retry; to any other it is Ask, because OANDA may have acted.
    """
    try:
        yield
    except TBotError:
        raise
    except V20Error as error:
        _scrub(error, token)
        raise _of_status(what, error, repeatable) from error
    except http.ConnectTimeout as error:
        raise Retry(f"a connection for {what}", "no answer to connecting", "try again") from error
    except http.Timeout as error:
        raise _unanswered(what, "no reply in time", repeatable) from error
    except http.ConnectionError as error:
        if _never_sent(error):
            raise Retry(f"a connection for {what}", "connection refused", "try again") from error
        raise _unanswered(what, "a dropped connection", repeatable) from error
    except (http.RequestException, OSError) as error:
        raise _unanswered(what, type(error).__name__, repeatable) from error
    except _MALFORMED as error:
        raise _unanswered(what, f"a reply that cannot be read ({type(error).__name__})", repeatable) from error


def _unanswered(what: str, found: str, repeatable: bool, after_s: float | None = None) -> TBotError:
    if repeatable:
        return Retry(f"an answer to {what}", found, "try again", after_s=after_s)
    return Ask(f"an answer to {what}", found, "look the order up by its client id")


def _never_sent(error: http.ConnectionError) -> bool:
    """Tell whether the connection was never made: urllib3 says so with NewConnectionError inside MaxRetryError."""
    return bool(error.args) and isinstance(getattr(error.args[0], "reason", None), NewConnectionError)


def _of_status(what: str, error: Any, repeatable: bool) -> TBotError:
    status, body = int(error.code), _body(error.msg)
    code = reject_reason(body) or str(body.get("errorCode") or body.get("errorMessage") or "")[:120]
    if status == 401:
        return Misconfigured("a valid OANDA_TOKEN for OANDA_ACCOUNT_ID", f"401 to {what}", "issue a new token")
    if status == 403:
        return Refuse(f"the right to {what}", f"403 {code}", "check that the account is not locked")
    if status == 429:
        after_s = _seconds(getattr(error, "retry_after", None))
        return Retry(f"room for {what} under the rate limit", "429", f"wait {after_s:g} s", after_s=after_s)
    if status == 408 or status >= 500 or not body:
        return _unanswered(what, f"status {status}", repeatable)
    return Rejected(what, status, code, body)


def reject_reason(body: Mapping[str, Any]) -> str:
    """Return the ``rejectReason`` of whichever reject transaction the reply carries, or an empty string."""
    for key, value in body.items():
        if key.endswith("RejectTransaction") and isinstance(value, dict):
            return str(value.get("rejectReason", ""))
    return ""


def _body(text: str) -> Mapping[str, Any]:
    try:
        body = json.loads(text)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _seconds(header: str | None) -> float:
    """Read Retry-After; its rarer form, a date, counts as one second."""
    try:
        return min(max(float(header or 1), 0.1), LONGEST_PENALTY_S)
    except ValueError:
        return 1.0


def _scrub(error: Any, token: Secret) -> None:
    """Take the token out of a body that quotes it, since this error stays visible as the cause of ours."""
    error.msg = error.msg.replace(token.reveal(), "***")
    error.args = (error.msg,)
