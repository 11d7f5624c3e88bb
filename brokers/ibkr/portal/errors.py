"""Translation of everything a request to the Client Portal can end in into the error tree of ``domain.errors``."""

from typing import Any

from brokers.lost import unanswered
from domain.errors import Refuse, Retry, TBotError

LOGIN = "log in to the gateway in a browser (user name, password, second factor)"
_NO_SESSION = ("no session", "no bridge", "not authenticated", "not logged in", "unauthorized", "session expired")


class NoSession(Retry):
    """The gateway has no brokerage session: nothing was done, and nothing will be until somebody logs in."""

    def __init__(self, what: str, found: str) -> None:
        super().__init__(f"a session for {what}", found, LOGIN)


class NoTurn(Retry):
    """The page may not be asked for yet; nothing was sent."""

    def __init__(self, what: str, away_s: float) -> None:
        super().__init__(f"a turn for {what}", f"the next in {away_s:.1f} s", "ask again", after_s=away_s)


class Penalised(Retry):
    """The gateway shut us out for asking too often; every request makes it longer."""

    def __init__(self, what: str, left_s: float) -> None:
        super().__init__(
            f"room for {what} under the rate limit",
            f"429: shut out for another {left_s:.0f} s",
            "nothing is sent until then",
            after_s=left_s,
        )


class Rejected(Refuse):
    """The portal's own refusal: HTTP ``status`` and what it said."""

    def __init__(self, what: str, status: int, message: str) -> None:
        super().__init__(f"{what} to be accepted", f"{status} {message}".rstrip(), "do not repeat it unchanged")
        self.status = status
        self.message = message


def of_status(what: str, status: int, message: str, *, repeatable: bool) -> TBotError:
    """Return the error that a status above 299 stands for; 429 is the wire's own."""
    if status == 401 or is_no_session(message):
        return NoSession(what, f"{status} {message}".rstrip())
    if status == 408 or status >= 500 or status < 400:
        return unanswered(what, f"status {status} {message}".rstrip(), repeatable)
    return Rejected(what, status, message)


def is_no_session(message: str) -> bool:
    """Tell whether a refusal means that nobody is logged in."""
    return any(words in message.lower() for words in _NO_SESSION)


def message_of(body: Any) -> str:
    """Return what an error body says, cut to a line; an empty string when it is none.

    Refusals come with status 200 too, as ``{"error": …}``.
    """
    if not isinstance(body, dict):
        return ""
    found = body.get("error")
    if isinstance(found, dict):
        found = found.get("message") or found
    return "" if found is None or found == "" else str(found).strip().replace("\n", " ")[:300]
