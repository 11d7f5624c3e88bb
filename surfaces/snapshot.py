"""The immutable picture of a surface that the gates judge a candidate by."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from audit.costs import NOTHING_SPENT, Spent
from domain.decision import Decision
from domain.ledger.position import Position
from domain.order import OrderIntent
from domain.quotes import Instrument, Quote
from domain.vocabulary import Leg, OrderState
from risk.state import Exposure, RiskState, Status
from surfaces.books import Books


class AccountRules(NamedTuple):
    """What the rules of the account say now; ``unsettled`` is money in it that may not be spent yet."""

    day_trades: int = 0
    day_trade_limit: int | None = None
    unsettled: Decimal = Decimal(0)


NO_RULES = AccountRules()


class Valuation:
    """Marks open positions, remembering the last known mark of each.

    A position never seen priced (a restart over a weekend) has no mark. The gates count it with its loss at the stop,
    so that silence lets nothing in. The breaker counts it without any: it ends a whole day, which takes a price to say,
    and a day that began too low would have room for more.

    The last mark also stands once an event contract's trading has ended, and while nobody stands on either side of its
    book: the bid of nothing that shows then is no price, and would count all that awaits its result as lost.
    """

    def __init__(self) -> None:
        self._last: dict[str, Decimal] = {}

    def equity(self, books: Books, quotes: Mapping[str, Quote], *, unpriced_at_stop: bool) -> Decimal:
        """Return bankroll plus everything realised and marked, in home currency."""
        open_profit = Decimal(0)
        for position in books.fold.positions():
            never_priced = -position.decision.size.risk if unpriced_at_stop else Decimal(0)
            open_profit += position.realised + self._marked(position, quotes.get(position.market), never_priced)
        return books.fold.bankroll.balance + open_profit

    def _marked(self, position: Position, quote: Quote | None, never_priced: Decimal) -> Decimal:
        value = None if _is_empty(position, quote) else position.marked(quote)
        if value is None:
            return self._last.get(position.signal_id, never_priced)
        self._last[position.signal_id] = value
        return value


def unmarked(books: Books, quotes: Mapping[str, Quote]) -> int:
    """Return how many open positions have no price now."""
    held = [(position, quotes.get(position.market)) for position in books.fold.positions()]
    return sum(_is_empty(position, quote) or position.marked(quote) is None for position, quote in held)


def _is_empty(position: Position, quote: Quote | None) -> bool:
    """Tell of an event contract whether its quote is that of an empty or a closed book."""
    if quote is None or not _is_event(position.decision):
        return False
    return not quote.tradeable or (quote.bid <= 0 and quote.ask >= 1)


def _is_event(decision: Decision) -> bool:
    return decision.candidate.is_event


def risk_state(
    books: Books,
    *,
    market: str,
    equity: Decimal,
    quotes: Mapping[str, Quote],
    instrument: Instrument | None,
    market_open: bool,
    stop_reasons: Sequence[str],
    spent: Spent = NOTHING_SPENT,
    next_usd: Decimal = Decimal(0),
    account: AccountRules = NO_RULES,
) -> RiskState:
    """Put together what the gates need to know at this moment about ``market``."""
    fold, now = books.fold, books.now()
    return RiskState(
        now=now,
        state=fold.state.state,
        stop_files=tuple(stop_reasons),
        equity=equity,
        day_start_equity=fold.day.start_equity if fold.day else fold.bankroll.balance,
        breaker_tripped=fold.day is not None and fold.day.tripped,
        exposures=exposures(books),
        cooldowns={name: cooldown.until for name, cooldown in fold.cooldowns.items()},
        recent=fold.recent,
        suspended={s.name: s.reason for s in fold.suspensions.values() if s.until is None or s.until > now},
        market_open=market_open,
        quote=quotes.get(market),
        instrument=instrument,
        spent_day_usd=spent.day,
        spent_month_usd=spent.month,
        fleet_day_usd=spent.fleet_day,
        fleet_month_usd=spent.fleet_month,
        next_usd=next_usd,
        day_trades=account.day_trades,
        day_trade_limit=account.day_trade_limit,
        unsettled=account.unsettled,
    )


def exposures(books: Books) -> tuple[Exposure, ...]:
    """Return what is open and what may become open: a sent order counts in full until the broker says otherwise."""
    fold = books.fold
    held = [_exposure(p.decision, _share_held(p), "open") for p in fold.positions()]
    awaited = [
        _exposure(
            fold.decisions[intent.signal_id],
            _share_to_come(books, intent),
            _status(fold.order_state(intent.client_order_id)),
        )
        for intent in fold.unfinished(Leg.ENTRY)
        if intent.signal_id in fold.decisions
    ]
    return tuple(held + awaited)


def _share_held(position: Position) -> Decimal:
    """Return which share of what was decided is open; a contract that cost more than was decided counts for more.

    A cent of slippage is a third of a contract decided at 3 cents.
    """
    decision = position.decision
    share = position.quantity / decision.size.quantity
    if not _is_event(decision):
        return share
    candidate = decision.candidate
    decided = abs(candidate.decision_price - candidate.stop_loss)
    paid = abs(position.entry_price - candidate.stop_loss)
    return share * paid / decided if paid > decided > 0 else share


def _share_to_come(books: Books, intent: OrderIntent) -> Decimal:
    """Return which share of an order may still fill: all of it, less what has."""
    position = books.fold.position(intent.signal_id)
    return max(1 - position.quantity_in / intent.quantity, Decimal(0)) if position else Decimal(1)


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
