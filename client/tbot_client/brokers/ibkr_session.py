"""The brokerage session inside the gateway: kept alive, opened again, or a person asked for."""

import time
from typing import Any

from tbot_client.book import say
from tbot_client.brokers.ibkr_wire import ACCOUNTS, TICKLE, IbkrWire, NoSession
from tbot_client.errors import Unreachable

# Without a word for five minutes the session ends.
TICKLE_S = 55.0
LOOKS, LOOK_S = 5, 0.3


class Session:
    """Looks after the session whenever the broker is asked for anything.

    ``is_cash`` tells whether the account must pay in full, None before it is known; ``currency`` is the account's.
    """

    def __init__(self, wire: IbkrWire, account: str, *, compete: bool) -> None:
        self._wire = wire
        self._account = account
        self._compete = compete
        self._due = 0.0
        self.is_cash: bool | None = None
        self.currency = ""
        self.opened = 0

    def ensure(self) -> None:
        """Return with a session that can be used.

        Raises:
            NoSession: a person has to log in.
            Retry: none now.
            Unreachable: the account is not one of this login.
        """
        if not self._wire.is_lost and time.monotonic() < self._due:
            return
        status = self._status()
        if not _is_up(status):
            self._open(status)
        if self._wire.is_lost:
            self._prepare()
        self._wire.is_lost = False
        self._due = time.monotonic() + TICKLE_S

    def _status(self) -> dict[str, Any]:
        answer = self._wire.ask(TICKLE)
        status = (answer.get("iserver") or {}).get("authStatus") if isinstance(answer, dict) else None
        return status if isinstance(status, dict) else _dict(self._wire.ask("/iserver/auth/status"))

    def _open(self, status: dict[str, Any]) -> None:
        """Ask for the brokerage session again; nothing but a person can begin the login around it."""
        self._wire.is_lost = True
        if status.get("competing"):
            if not self._compete:
                raise NoSession("you are signed in elsewhere", "sign out there, or set compete = true in [broker]")
            say("broker: you are signed in to IBKR elsewhere; taking the session back")
        self.opened += 1
        self._wire.ask("/iserver/auth/ssodh/init", {"publish": True, "compete": self._compete})
        for _ in range(LOOKS):
            if _is_up(_dict(self._wire.ask("/iserver/auth/status"))):
                return
            time.sleep(LOOK_S)
        raise NoSession("a brokerage session that does not open")

    def _prepare(self) -> None:
        """Ask what has to be asked first in each session."""
        answer = _dict(self._wire.get("/iserver/accounts"))
        if self._account not in (answer.get("accounts") or []):
            todo = "correct account_id in [broker], or log in to the gateway as the user who has that account"
            raise Unreachable("your account at this gateway", "other accounts", todo)
        if answer.get("selectedAccount") != self._account:
            self._wire.ask("/iserver/account", {"acctId": self._account})
        rows = self._wire.get(ACCOUNTS)
        mine = [row for row in rows if isinstance(row, dict) and row.get("accountId", row.get("id")) == self._account]
        if mine:
            self.is_cash = "CASH" in str(mine[0].get("tradingType", "")).upper()
            self.currency = str(mine[0].get("currency") or "")


def _is_up(status: dict[str, Any]) -> bool:
    return bool(status.get("authenticated") and status.get("connected", True) and not status.get("competing"))


def _dict(answer: Any) -> dict[str, Any]:
    return answer if isinstance(answer, dict) else {}
