"""One request on its way to an endpoint."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from simulators.kalshi.account import Account
from simulators.kalshi.contract import Contract
from simulators.kalshi.desk import Desk
from simulators.kalshi.faults import Occasion
from simulators.kalshi.venue import Venue
from simulators.kalshi.wire import ApiError, Json, refusal, unreadable
from simulators.rest.transport import Request


@dataclass(slots=True)
class Call:
    """What an endpoint works with; ``signer`` is the account that signed, None on public pages."""

    venue: Venue
    request: Request
    signer: Account | None
    occasion: Occasion
    now: datetime
    params: dict[str, str]

    @property
    def account(self) -> Account:
        """Return the account that signed.

        Raises:
            ApiError: nobody signed.
        """
        if self.signer is None:
            raise refusal(401, "authentication_error", details="MISSING_HEADERS")
        return self.signer

    @property
    def wire(self) -> str:
        return self.venue.wire

    @property
    def query(self) -> dict[str, str]:
        return self.request.query

    def desk(self) -> Desk:
        """Return the signer's desk for this request."""
        return Desk(self.venue, self.account, self.now, self.occasion)

    def contract(self) -> Contract:
        """Return the market named in the path.

        Raises:
            ApiError: 404 when none is shown by that name.
        """
        return self.shown(self.params["ticker"])

    def shown(self, ticker: str) -> Contract:
        """Return a market by name.

        Raises:
            ApiError: 404 when none is shown by that name.
        """
        found = self.venue.contracts.get(ticker)
        if found is None or found.life.created > self.now:
            raise refusal(404, "not_found", "market not found")
        return found

    def body(self) -> Json:
        """Return the JSON object sent.

        Raises:
            ApiError: the body is not a JSON object.
        """
        try:
            decoded: Any = json.loads(self.request.body or b"{}")
        except ValueError as exc:
            raise unreadable(f"invalid JSON: {exc}") from exc
        if not isinstance(decoded, dict):
            raise unreadable("expected a JSON object")
        return decoded

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """Read a whole number from the query."""
        text = self.query.get(name)
        if text is None:
            return default
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise _invalid(name, f"a whole number from {low} to {high}")
        return int(text)

    def moment(self, name: str) -> datetime | None:
        """Read unix seconds from the query."""
        text = self.query.get(name)
        if text is None:
            return None
        try:
            return datetime.fromtimestamp(int(text), UTC)
        except (OverflowError, ValueError, OSError) as exc:
            raise _invalid(name, "unix seconds") from exc

    def flag(self, name: str) -> bool:
        """Read a boolean from the query; Python clients send it capitalised."""
        text = self.query.get(name, "false").lower()
        if text not in ("true", "false"):
            raise _invalid(name, "true or false")
        return text == "true"

    def names(self, name: str) -> list[str]:
        """Read comma-separated names, or the same key several times."""
        return [part for value in self.request.repeated.get(name, []) for part in value.split(",") if part]


def _invalid(name: str, expected: str) -> ApiError:
    return refusal(400, "invalid_parameters", details=f"{name} should be {expected}")
