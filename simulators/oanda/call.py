"""One authorised request on its way to an endpoint."""

import json
from dataclasses import dataclass, field
from typing import Any

from simulators.oanda.account import Account
from simulators.oanda.desk import Desk
from simulators.oanda.faults import Occasion
from simulators.oanda.instruments import INSTRUMENTS, Instrument
from simulators.oanda.valuation import Valuation, valuate
from simulators.oanda.venue import Venue
from simulators.oanda.wire import ApiError, Json, invalid_value, parse_time
from simulators.rest.transport import Request


@dataclass(slots=True)
class Call:
    """What an endpoint works with; ``accounts`` are those the token opens."""

    venue: Venue
    request: Request
    accounts: list[Account]
    occasion: Occasion
    now: int
    request_id: str
    params: dict[str, str]
    reply_headers: dict[str, str] = field(default_factory=dict)

    @property
    def account(self) -> Account:
        """Return the account named in the path.

        Raises:
            ApiError: the token does not open it.
        """
        for account in self.accounts:
            if account.id == self.params.get("account"):
                return account
        raise ApiError(403, "Insufficient authorization to perform request.")

    @property
    def query(self) -> dict[str, str]:
        return self.request.query

    @property
    def unix(self) -> bool:
        """Tell whether the client asked for UNIX times."""
        return self.request.headers.get("accept-datetime-format", "").upper() == "UNIX"

    def desk(self) -> Desk:
        """Return the order desk for this request."""
        return Desk(self.account, self.venue.market, self.now, self.request_id, self.occasion)

    def value(self) -> Valuation:
        """Return the account's numbers now."""
        return valuate(self.account, self.venue.market, self.now)

    def body(self) -> Json:
        """Return the JSON object sent.

        Raises:
            ApiError: the body is not a JSON object.
        """
        try:
            decoded: Any = json.loads(self.request.body or b"{}")
        except ValueError as exc:
            raise ApiError(400, f"Invalid JSON, {exc}") from exc
        if not isinstance(decoded, dict):
            raise ApiError(400, "Invalid JSON, expected an object")
        return decoded

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """Read a whole number from the query."""
        text = self.query.get(name)
        if text is None:
            return default
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise invalid_value(name, f"Expected a whole number from {low} to {high}")
        return int(text)

    def moment(self, name: str) -> int | None:
        """Read a time from the query."""
        text = self.query.get(name)
        if text is None:
            return None
        try:
            return parse_time(text)
        except ValueError as exc:
            raise invalid_value(name) from exc

    def flag(self, name: str, default: bool) -> bool:
        """Read a boolean from the query; Python clients send it capitalised."""
        text = self.query.get(name, str(default)).lower()
        if text not in ("true", "false", "1", "0"):
            raise invalid_value(name)
        return text in ("true", "1")

    def instruments(self, required: bool = True) -> list[Instrument]:
        """Read the comma-separated instruments of the query; without one, every listed instrument."""
        text = self.query.get("instruments")
        if text is None:
            if required:
                raise invalid_value("instruments")
            return list(INSTRUMENTS.values())
        unknown = [name for name in text.split(",") if name not in INSTRUMENTS]
        if unknown:
            raise invalid_value("instruments", f"Unknown: {', '.join(unknown)}")
        return [INSTRUMENTS[name] for name in dict.fromkeys(text.split(","))]
