"""What desks ask of the gateway they work for."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from simulators.ibkr.contracts import Contract
from simulators.ibkr.venue import Venue
from simulators.rest.faults import Json
from simulators.tws.faults import Fault
from simulators.tws.framing import Fields
from simulators.tws.order_numbers import OrderNumbers
from simulators.tws.session import Session
from simulators.tws.wanted import WantedContract

Handler = Callable[[Session, Fields], None]


class Behind(Protocol):
    """The gateway as its desks see it."""

    @property
    def venue(self) -> Venue:
        """Return the venue."""

    @property
    def listed(self) -> Sequence[Contract]:
        """Return the stocks this gateway knows."""

    @property
    def numbers(self) -> OrderNumbers:
        """Return the clients' order numbers."""

    @property
    def uncharged(self) -> set[str]:
        """Return the executions whose commission nobody is told yet."""

    @property
    def sessions(self) -> list[Session]:
        """Return the clients that are here."""

    def now(self) -> datetime:
        """Return the simulated time."""

    def later(self, seconds: float, do: Callable[[], object]) -> None:
        """Do something after so many seconds of the wall clock."""

    def take(
        self,
        action: str,
        session: Session | None,
        message: str,
        symbol: str = "",
        fits: Callable[[Json], bool] | None = None,
    ) -> Fault | None:
        """Count an occasion for an action; return the fault that fires on it, if any."""

    def holding(self, action: str, session: Session | None = None, symbol: str = "") -> Fault | None:
        """Return the fault of a span that holds now, if any."""

    def of_client(self, client: int) -> Session | None:
        """Return the session of a client, if it is here."""

    def broken(self, farm: str) -> Fault | None:
        """Return the fault that broke a farm, if one is broken."""

    def resolve(self, wanted: WantedContract, request: int) -> Contract:
        """Return the contract a client describes."""
