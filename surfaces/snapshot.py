"""The immutable picture of a surface that the gates judge a candidate by."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from domain.decision import Decision
from domain.ledger.position import Position
from domain.order import OrderIntent
from domain.quotes import Instrument, Quote
from domain.vocabulary import Cause, Leg, OrderState, State
from risk.state import Exposure, RiskState, Status
from surfaces.books import Books


class Valuation:
    """Marks open positions, remembering the last known mark of each.

    A position that was never seen priced counts with its loss at the stop: a breaker must not be loosened by silence.
    """

    def __init__(self) -> None:
        self._last: dict[str, Decimal] = {}

    def marked(self, position: Position, quote: Quote | None) -> Decimal:
        """Return the open profit in home currency, the last known or the worst planned one when there is no quote."""
        value = position.marked(quote)
        if value is None:
            return self._last.get(position.signal_id, -position.decision.size.risk)
        self._last[position.signal_id] = value
        return value

    def equity(self, books: Books, quotes: Mapping[str, Quote]) -> Decimal:
        """Return bankroll plus everything realised and marked, in home currency."""
        positions = books.fold.positions()
        open_profit = sum((p.realised + self.marked(p, quotes.get(p.market)) for p in positions), Decimal(0))
        return books.fold.bankroll.balance + open_profit


def risk_state(
    books: Books,
    *,
    market: str,
    equity: Decimal,
    quotes: Mapping[str, Quote],
    instrument: Instrument | None,
    market_open: bool,
    stop_reasons: Sequence[str],
) -> RiskState:
    """Put together what the gates need to know at this moment about ``market``."""
    fold, now = books.fold, books.now()
    return RiskState(
        now=now,
        state=fold.state.state,
        stop_files=tuple(stop_reasons),
        equity=equity,
        day_start_equity=fold.day.equity if fold.day else fold.bankroll.balance,
        breaker_tripped=fold.wish(Cause.BREAKER).state is not State.RUN,
        exposures=exposures(books),
        cooldowns={name: cooldown.until for name, cooldown in fold.cooldowns.items()},
        recent=fold.recent,
        suspended={s.name: s.reason for s in fold.suspensions.values() if s.until is None or s.until > now},
        market_open=market_open,
        quote=quotes.get(market),
        instrument=instrument,
        spent_day_usd=Decimal(0),
        spent_month_usd=Decimal(0),
    )


def exposures(books: Books) -> tuple[Exposure, ...]:
    """Return what is open and what may become open: a sent order counts in full until the broker says otherwise."""
    fold = books.fold
    held = [_exposure(p.decision, p.quantity / p.decision.size.quantity, "open") for p in fold.positions()]
    awaited = [
        _exposure(fold.decisions[intent.signal_id], Decimal(1), _status(fold.order_state(intent.client_order_id)))
        for intent in fold.unfinished(Leg.ENTRY)
        if intent.signal_id in fold.decisions and not _has_filled(books, intent)
    ]
    return tuple(held + awaited)


def _has_filled(books: Books, intent: OrderIntent) -> bool:
    return books.fold.position(intent.signal_id) is not None


def _status(state: OrderState) -> Status:
    return "unknown" if state in (OrderState.UNKNOWN, OrderState.INTENDED) else "pending"


def _exposure(decision: Decision, share: Decimal, status: Status) -> Exposure:
    candidate, size = decision.candidate, decision.size
    return Exposure(
        market=candidate.market,
        group=candidate.group,
        side=candidate.side,
        thesis=candidate.thesis,
        notional=size.notional * share,
        risk=size.risk * share,
        margin=size.margin * share,
        status=status,
    )
