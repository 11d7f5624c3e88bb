"""One request on its way to an endpoint."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from simulators.client_portal.gateway import Gateway
from simulators.client_portal.session import Brokerage
from simulators.client_portal.wire import Json, Refusal, whole
from simulators.ibkr.contracts import Contract
from simulators.ibkr.venue import Venue
from simulators.rest.transport import Request


@dataclass(slots=True)
class Call:
    """What an endpoint works with; ``params`` are the names in its path."""

    gateway: Gateway
    request: Request
    now: datetime
    params: dict[str, str]

    @property
    def venue(self) -> Venue:
        return self.gateway.venue

    @property
    def query(self) -> dict[str, str]:
        return self.request.query

    @property
    def brokerage(self) -> Brokerage:
        """Return the brokerage session.

        Raises:
            Refusal: 401 when there is none.
        """
        found = self.gateway.session.brokerage
        if found is None:
            raise Refusal(401, "not authenticated")
        return found

    @property
    def account(self) -> str:
        """Return the account named in the path.

        Raises:
            Refusal: the user has none by that name.
        """
        name = self.params["account"]
        if name not in self.venue.specs:
            raise Refusal(400, f"Invalid account id: {name}")
        return name

    def fault(self, action: str) -> Json | None:
        """Count this request for an action; return the parameters of the fault that fires, if any."""
        return self.gateway.faults.take(action, self.request.method, self.request.path, self.now)

    def body(self) -> Any:
        """Return the JSON sent, an empty object where nothing was.

        Raises:
            Refusal: 500, as the gateway answers what it cannot read.
        """
        try:
            return json.loads(self.request.body or b"{}")
        except ValueError as exc:
            raise Refusal(500, f"cannot read the body: {exc}") from exc

    def fields(self) -> Json:
        """Return the JSON object sent.

        Raises:
            Refusal: it is no object.
        """
        found = self.body()
        if not isinstance(found, dict):
            raise Refusal(500, "expected a JSON object")
        return found

    def flag(self, name: str, default: bool = False) -> bool:
        """Read a boolean from the query; Python clients send it capitalised."""
        return self.query.get(name, str(default)).lower() == "true"

    def contract(self, text: str | None = None) -> Contract:
        """Return the contract with a number, that of the path unless given.

        Raises:
            Refusal: there is none.
        """
        spelled = self.params["conid"] if text is None else text
        number = whole(spelled)
        found = None if number is None else self.venue.contract(number)
        if found is None:
            raise Refusal(400, f"Invalid conid: {spelled}")
        return found
