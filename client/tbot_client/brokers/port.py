"""What a broker must be able to do for this client, and the values it speaks in.

Quantities are unsigned units of the instrument; ``side`` says which way. Errors are `Retry` (nothing happened), `Ask`
(unknown), `Refused` (no, with the broker's word) and `Unreachable` (token not accepted).
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol, TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """``last_id`` is the newest transaction at the moment the rest was true.

    ``cash`` is what can be spent, at a broker where what is bought is paid for in full; None at others.
    """

    currency: str
    equity: Decimal
    last_id: str
    cash: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """``price_digits`` and ``unit_digits`` are decimal places (negative: whole tens, hundreds …).

    ``payout`` is what one event contract pays if it comes true, None for anything else. Such a contract is paid for in
    full and settles by itself: a buyer of YES pays the price, a seller pays what it lacks to the payout (that buys NO),
    nobody can lose more, and basis points are of the payout: one cent of a contract that pays 1 is 100.

    ``is_as_signalled`` says that the broker knows no markets: the signal tells whether it is a contract.
    ``takes_worst`` says that an entry is told the last price it may be filled at; a contract always is.
    """

    name: str
    price_digits: int
    unit_digits: int
    minimum: Decimal
    maximum: Decimal
    payout: Decimal | None = None
    is_as_signalled: bool = False
    takes_worst: bool = False

    def cost(self, side: str, price: Decimal) -> Decimal:
        """Return what one unit costs to enter, in quote currency."""
        return price if self.payout is None or side == "buy" else self.payout - price


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A price one could trade at now; ``home_rate`` turns quote currency into account currency, if known."""

    bid: Decimal
    ask: Decimal
    tradeable: bool
    home_rate: Decimal | None

    def entry(self, side: str) -> Decimal:
        return self.ask if side == "buy" else self.bid

    def exit(self, side: str) -> Decimal:
        return self.bid if side == "buy" else self.ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """Where a position is protected; all of them rest at the broker.

    ``target`` is None where only the stop ends it. ``trailing`` is a distance, ``trailing_percent`` one in percent of
    the best price. An event contract has 0 and 1 here, where it settles: nothing rests for it.
    """

    stop: Decimal
    target: Decimal | None
    trailing: Decimal | None = None
    trailing_percent: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """``reference`` is the publisher's price: all a broker without a market of its own has to go by.

    ``worst`` is the last price an entry may be filled at; None leaves it to the market.
    """

    client_id: str
    instrument: str
    side: str
    units: Decimal
    levels: Levels
    reference: Decimal
    worst: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """An order of ours was filled and opened a position; ``id`` is the broker's transaction."""

    id: str
    client_id: str
    trade_id: str
    units: Decimal
    price: Decimal
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reduced:
    """A position became smaller or ended; ``realised`` is after financing and commission."""

    id: str
    trade_id: str
    units: Decimal
    price: Decimal
    realised: Decimal
    currency: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NotFilled:
    """An order of ours ended without a position."""

    id: str
    client_id: str
    reason: str


Event: TypeAlias = Opened | Reduced | NotFilled


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """An open trade that carries one of our ids."""

    client_id: str
    trade_id: str
    instrument: str
    side: str
    units: Decimal
    price: Decimal
    levels: tuple[Decimal | None, Decimal | None, Decimal | None]
    trailing_percent: Decimal | None = None


class Broker(Protocol):
    """An account at a broker."""

    def account(self) -> Account:
        """Return equity and the newest transaction id."""

    def instrument(self, name: str) -> Instrument | None:
        """Return what may be ordered, or None if this account can't trade it."""

    def quote(self, instrument: str, reference: Decimal) -> Quote | None:
        """Return the price now, or None if there is none."""

    def place(self, order: Order) -> list[Event]:
        """Send a market order with its protective orders; an empty list means ask later."""

    def find(self, client_id: str) -> list[Event]:
        """Return what became of an order by our id; an empty list means the broker never had it.

        Raises:
            Ask: it is there and not finished.
        """

    def is_taken(self, client_id: str) -> bool:
        """Tell whether the broker took an order in and may yet tell what became of it, though no list shows it now."""

    def protect(self, trade_id: str, instrument: str, levels: Levels) -> None:
        """Replace a position's protective orders."""

    def close(self, trade_id: str, reference: Decimal | None) -> list[Event]:
        """Close a position at market."""

    def since(self, last_id: str) -> tuple[list[Event], str]:
        """Return what happened after transaction ``last_id``, and the newest id."""

    def is_behind(self) -> bool:
        """Tell whether the last answer of `since` lacked transactions that the broker has made already."""

    def positions(self) -> list[Position]:
        """Return the open positions that carry one of our ids."""

    def shut(self) -> None:
        """Let go of sockets and files."""
