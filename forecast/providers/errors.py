"""Translation of whatever an SDK raises, and of what a vendor's error says, into ``CallFailed``.

Vendors bill no request that they answer with an error; an answer that did not come may have been billed.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import httpx2

from domain.settings import Secret
from forecast.answers import CallFailed, Reason, Reply

LONGEST_TOLD, LONGEST_DETAIL = 4_000, 200
# google.rpc.RetryInfo, as Google's SDK prints it: 'retryDelay': '7s'
_RETRY_DELAY = re.compile(r"'retryDelay': '([0-9.]+)s'")
# status -> reason, is it worth another attempt
_STATUS: Mapping[int, tuple[Reason, bool]] = {
    401: (Reason.UNAUTHORIZED, False),
    402: (Reason.UNPAID, False),
    403: (Reason.UNAUTHORIZED, False),
    404: (Reason.RETIRED, False),
    410: (Reason.RETIRED, False),
    429: (Reason.RATE_LIMITED, True),
    500: (Reason.SERVER_ERROR, True),
    502: (Reason.SERVER_ERROR, True),
    503: (Reason.OVERLOADED, True),
    529: (Reason.OVERLOADED, True),
}
# A gateway gave up waiting for the model, which may have finished and been billed.
_GAVE_UP = frozenset({408, 504})
# Words of an error's body that say more than its status.
# OpenAI: 429 insufficient_quota; DeepSeek: 400 "Model Not Exist"; Gemini: 400 API_KEY_INVALID and 429 "Your prepayment
# credits are depleted"; Anthropic: 400 "Your credit balance is too low".
_WORDS = (
    (
        re.compile(r"insufficient[ _](quota|balance)|credit balance is too low|credits are depleted", re.IGNORECASE),
        Reason.UNPAID,
    ),
    (re.compile(r"api_key_invalid|api key not valid", re.IGNORECASE), Reason.UNAUTHORIZED),
    (re.compile(r"model[ _]not[ _](exist|found)|model_retired", re.IGNORECASE), Reason.RETIRED),
)


def translated(sdk: Any, key: Secret, call: Callable[[], Reply]) -> Reply:
    """Return what ``call`` returns, and raise what it raises as CallFailed.

    The vendor's error is not kept as cause or context: it holds the request, and with it the key.
    """
    try:
        return call()
    except CallFailed:
        raise
    except Exception as error:  # noqa: BLE001 - an SDK fails on a strange answer with whatever its parser ran into
        failure = _of(sdk, error, key)
    raise failure


def _of(sdk: Any, error: Exception, key: Secret) -> CallFailed:
    status = _status(error)
    if status is not None:
        return of_status(status, _told(error, key), _retry_after(error))
    # The two SDKs of one make wrap what the HTTP client raised, the third lets it through.
    wrapped = isinstance(error, getattr(sdk, "APIConnectionError", ()))
    cause = error.__cause__ if wrapped else error
    if isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout):
        return CallFailed(Reason.UNREACHABLE, is_repeatable=isinstance(cause, httpx2.ConnectError))
    if isinstance(cause, httpx2.TimeoutException):
        return CallFailed(Reason.TIMEOUT, is_billed=True)
    if isinstance(cause, httpx2.DecodingError):
        return CallFailed(Reason.MALFORMED, is_billed=True)
    if wrapped or isinstance(cause, httpx2.HTTPError):
        return CallFailed(Reason.DROPPED, is_billed=True, is_repeatable=True)
    return CallFailed(Reason.MALFORMED, is_billed=True, detail=type(error).__name__)


def of_status(status: int, told: str, after_s: float | None) -> CallFailed:
    """Return what an error answer means; ``told`` is its text, cleaned of the key."""
    detail = told[:LONGEST_DETAIL]
    if status in _GAVE_UP:
        return CallFailed(Reason.TIMEOUT, is_billed=True, detail=detail)
    for words, reason in _WORDS:
        if words.search(told):
            return CallFailed(reason, detail=detail)
    fallback = (Reason.SERVER_ERROR, True) if status >= 500 else (Reason.REJECTED, False)
    reason, is_repeatable = _STATUS.get(status, fallback)
    return CallFailed(reason, is_repeatable=is_repeatable, after_s=after_s if is_repeatable else None, detail=detail)


def _told(error: Exception, key: Secret) -> str:
    """Return the vendor's sentence and, where the SDK keeps it apart, its machine-readable word; without the key."""
    code = getattr(error, "code", None)
    text = f"{error} ({code})" if isinstance(code, str) else str(error)
    return "".join(c if c.isprintable() else " " for c in text.replace(key.reveal(), "***")[:LONGEST_TOLD])


def _status(error: Exception) -> int | None:
    """Return the HTTP status an error stands for: ``status_code`` of two SDKs, ``code`` of the third."""
    for name in ("status_code", "code"):
        value = getattr(error, name, None)
        # A status of 2xx is an answer that could not be read, no error of the vendor's.
        if isinstance(value, int) and not isinstance(value, bool) and not 200 <= value < 300:
            return value
    return None


def _retry_after(error: Exception) -> float | None:
    """Read how long the vendor asks to wait: a header, in seconds; with Gemini a field of the error.

    A header that is a date, its rarer form, is left to our own waiting time.
    """
    headers = getattr(getattr(error, "response", None), "headers", {})
    asked = _RETRY_DELAY.search(str(error))
    text = headers.get("retry-after", "") or (asked[1] if asked else "")
    try:
        after_s = float(text)
    except ValueError:
        return None
    return after_s if after_s >= 0 else None


def tokens(usage: Any, *names: str) -> int | None:
    """Return the sum of counts an SDK's usage object holds, those it leaves out as zero; None if one makes no sense."""
    total = 0
    for name in names:
        value = getattr(usage, name, None)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            return None
        total += value
    return total
