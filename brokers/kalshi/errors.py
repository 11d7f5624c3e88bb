"""Translation of everything a request to Kalshi can end in into the error tree of ``domain.errors``."""

from collections.abc import Mapping
from typing import Any

from brokers.kalshi.buckets import penalty_s
from brokers.lost import unanswered
from domain.errors import Misconfigured, Refuse, Retry, TBotError

PAUSE_S = 5.0


class Rejected(Refuse):
    """Kalshi's own refusal: HTTP ``status``, its ``code`` and what it said about it."""

    def __init__(self, what: str, status: int, code: str, message: str) -> None:
        said = f" ({message})" if message and message != code else ""
        super().__init__(f"{what} to be accepted", f"{status} {code}{said}", "do not repeat it unchanged")
        self.status = status
        self.code = code


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
