"""The settlement of a position from the broker's executions."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from audit.fold import lot_of
from brokers.port import Fill, MarketData
from domain.errors import Retry
from domain.ids import client_order_id
from domain.ledger.position import Position, vwap
from domain.order import OrderEvent, OrderIntent
from domain.quotes import Bar
from domain.resolution import Resolution
from domain.signal import SignalClose
from domain.vocabulary import ExitReason, Kind, Leg, OrderState, Surface
from resolver.books import ResolverBooks, Row
from resolver.overdue import Crossed
from strategies.exits import excursions

# The finest bars that cover a trade within one request of 5,000 (OANDA's limit).
PERIODS_S = (5, 60, 900, 14_400)
MAX_BARS = 4_900
HOUR = Decimal(3600)
# Attempt 0 of the exit leg stands for the protective orders resting at the broker.
RESTING = 0
# Finer than any venue's tick.
FINEST, FINEST_PLACES = Decimal("1E-8"), -8


def settle(books: ResolverBooks, data: MarketData, position: Position, fill: Fill) -> tuple[Row, ...]:
    """Return the records of one exit execution: its order event and, when nothing is left open, the trade's end."""
    corrected = position.exit(fill.transaction_id)
    position = position.without(corrected)
    intent = _intent_behind(books, position, fill)
    reason = (intent.reason if intent else None) or _told(books, position, fill) or ExitReason.BROKER
    event = _event(books, position, fill, intent, reason)
    if corrected is not None:
        event = replace(event, client_order_id=_corrected_order(books, position, fill) or event.client_order_id)
    after = position.with_exit(lot_of(event))
    rows: tuple[Row, ...] = ((Kind.ORDER_EVENT, None, event),)
    if after.quantity > 0 or is_buying(books, position.signal_id):
        return rows
    return rows + finish(books, data, after, reason, fill.currency)


def is_buying(books: ResolverBooks, signal_id: str) -> bool:
    """Tell whether a trade may still grow: a stock's entry that rests is no sooner over than its broker says.

    Were the trade resolved meanwhile, what fills afterwards would be nobody's.
    """
    if books.surface is not Surface.STK:
        return False
    return any(intent.signal_id == signal_id for intent in books.fold.unfinished(Leg.ENTRY))


def last_reason(books: ResolverBooks, signal_id: str) -> ExitReason:
    """Return why the last of a closed trade's exits was made, as it was written down."""
    reasons = [event.reason for event in books.fold.exit_events(signal_id)]
    return ExitReason(reasons[-1]) if reasons and reasons[-1] in tuple(ExitReason) else ExitReason.BROKER


def assumed(books: ResolverBooks, data: MarketData, position: Position, crossed: Crossed) -> tuple[Row, ...]:
    """Return the end of a position that is gone and whose sale nobody tells any more: at the level the market met.

    What it really brought is in the broker's statement alone, so the resolution is marked as disputed.
    """
    event = OrderEvent(
        client_order_id=client_order_id(books.surface, position.signal_id, Leg.EXIT, RESTING),
        signal_id=position.signal_id,
        leg=Leg.EXIT,
        state=OrderState.FILLED,
        happened_at=crossed.at,
        learned_at=books.clock.now(),
        quantity=position.quantity,
        price=crossed.price,
        realised=_profit(position, crossed.price, position.quantity),
        currency=books.fold.bankroll.currency,
        broker_trade_id=position.broker_trade_id,
        transaction_id=f"assumed-{position.signal_id}",
        reason=crossed.reason,
    )
    after = position.with_exit(lot_of(event))
    rows = finish(books, data, after, crossed.reason, event.currency, disputed=True)
    return ((Kind.ORDER_EVENT, None, event), *rows)


def finish(
    books: ResolverBooks,
    data: MarketData,
    position: Position,
    reason: ExitReason,
    currency: str,
    *,
    disputed: bool = False,
) -> tuple[Row, ...]:
    """Return the close (if an open was published) and the resolution of a position that is closed in full."""
    rows: list[Row] = []
    if position.signal_id in books.fold.published and position.signal_id not in books.fold.closed:
        close = _close(books, position, reason)
        rows.append((Kind.SIGNAL, close.id, close))
    resolution = _resolution(books, data, position, reason, currency)
    resolution = replace(resolution, disputed=resolution.disputed or disputed)
    rows.append((Kind.RESOLUTION, resolution.id, resolution))
    return tuple(rows)


def _intent_behind(books: ResolverBooks, position: Position, fill: Fill) -> OrderIntent | None:
    """Return our own exit order behind a fill, None when a protective order or somebody else closed the trade.

    OANDA's log does not name an order that closed a trade by the trade's number. Such a fill is ours when an exit of
    this position is still on its way.
    """
    if fill.client_order_id in books.fold.intents:
        return books.fold.intents[fill.client_order_id]
    if fill.reason not in (None, ExitReason.BROKER):
        return None
    on_their_way = [i for i in books.fold.unfinished(Leg.EXIT) if i.signal_id == position.signal_id]
    return on_their_way[-1] if on_their_way else None


def _told(books: ResolverBooks, position: Position, fill: Fill) -> ExitReason | None:
    """Return the broker's reason; one of stocks does not always remember which kind the stop was that filled."""
    candidate = position.decision.candidate
    is_trailing = candidate.trailing_percent is not None or candidate.trailing_distance is not None
    if books.surface is Surface.STK and fill.reason is ExitReason.STOP_LOSS and is_trailing:
        return ExitReason.TRAILING_STOP
    return fill.reason


def _corrected_order(books: ResolverBooks, position: Position, fill: Fill) -> str | None:
    """Return the order under which an execution was written that the broker now corrects."""
    found = (event for events in books.fold.events.values() for event in events)
    return next(
        (
            event.client_order_id
            for event in found
            if event.transaction_id == fill.transaction_id and event.signal_id == position.signal_id
        ),
        None,
    )


def _event(
    books: ResolverBooks, position: Position, fill: Fill, intent: OrderIntent | None, reason: ExitReason
) -> OrderEvent:
    resting = client_order_id(books.surface, position.signal_id, Leg.EXIT, RESTING)
    quantity = min(fill.quantity, position.quantity)
    return OrderEvent(
        client_order_id=intent.client_order_id if intent else resting,
        signal_id=position.signal_id,
        leg=Leg.EXIT,
        state=_state(books, position, fill, intent),
        happened_at=fill.happened_at,
        learned_at=books.clock.now(),
        quantity=quantity,
        price=fill.price,
        realised=_realised(books, position, fill, quantity),
        fee=fill.fee,
        currency=fill.currency,
        broker_trade_id=fill.trade_id,
        transaction_id=fill.transaction_id,
        reason=reason,
        revision=fill.revision,
    )


def _state(books: ResolverBooks, position: Position, fill: Fill, intent: OrderIntent | None) -> OrderState:
    """Return the state of the order behind an exit: filled when nothing is left of the position, or of the order."""
    if fill.quantity >= position.quantity:
        return OrderState.FILLED
    if intent is None:
        return OrderState.PARTIAL
    known = books.fold.events.get(intent.client_order_id, ())
    before = sum((one.quantity for one in known if one.transaction_id != fill.transaction_id), Decimal(0))
    # While a position still grows an exit may be done and leave something.
    return OrderState.FILLED if before + fill.quantity >= intent.quantity else OrderState.PARTIAL


def _realised(books: ResolverBooks, position: Position, fill: Fill, quantity: Decimal) -> Decimal:
    """Return the profit of an exit: the broker's own figure, but for stocks the one that our entries give.

    A broker of stocks knows no trades, and executions of before a split are of another price than those after it.
    """
    return _profit(position, fill.price, quantity) if books.surface is Surface.STK else fill.realised


def _profit(position: Position, price: Decimal, quantity: Decimal) -> Decimal:
    """Return what an exit adds to a position's profit, reckoned on the average of all its entries.

    An entry may fill, or be corrected, after a part was sold: what was booked for that part on the average of then is
    made up for here, so that the profit of the whole is what was paid and what was got.
    """
    entry, sign = position.entry_price, position.side.sign
    made = sum(((lot.price - entry) * lot.quantity for lot in position.exits), (price - entry) * quantity)
    return tidy(made * sign - sum((lot.realised for lot in position.exits), Decimal(0)))


def close_late(books: ResolverBooks, resolution: Resolution) -> tuple[Row, ...]:
    """Return the close of a signal whose open was published when its resolution had been written already."""
    close = SignalClose(
        id=books.new_id("cls"),
        signal_id=resolution.signal_id,
        surface=books.surface,
        mode=books.mode,
        market=resolution.market,
        side=resolution.side,
        exit_price=resolution.exit_price,
        reason=resolution.reason,
        closed_at=resolution.resolved_at,
        published_at=books.clock.now(),
    )
    return ((Kind.SIGNAL, close.id, close),)


def _close(books: ResolverBooks, position: Position, reason: ExitReason) -> SignalClose:
    return SignalClose(
        id=books.new_id("cls"),
        signal_id=position.signal_id,
        surface=books.surface,
        mode=books.mode,
        market=position.market,
        side=position.side,
        exit_price=vwap(position.exits),
        reason=reason,
        closed_at=position.exits[-1].at,
        published_at=books.clock.now(),
    )


def _resolution(
    books: ResolverBooks, data: MarketData, position: Position, reason: ExitReason, currency: str
) -> Resolution:
    candidate, estimate = position.decision.candidate, position.decision.estimate
    closed_at = position.exits[-1].at
    held_s = Decimal(str((closed_at - position.opened_at).total_seconds()))
    actual = (held_s / HOUR).quantize(Decimal("0.000001"))
    mae, mfe = _excursions(data, position)
    return Resolution(
        id=books.new_id("res"),
        signal_id=position.signal_id,
        surface=books.surface,
        mode=books.mode,
        market=position.market,
        side=position.side,
        strategy=candidate.strategy,
        sub_strategy=candidate.sub_strategy,
        quantity=position.quantity_out,
        entry_price=tidy(position.entry_price),
        exit_price=tidy(vwap(position.exits)),
        reason=reason,
        resolution_source=books.source,
        realised=position.realised,
        fees=sum((lot.fee for lot in position.entries + position.exits), Decimal(0)),
        currency=currency,
        mae=mae,
        mfe=mfe,
        opened_at=position.opened_at,
        resolved_at=closed_at,
        eta_hours=estimate.eta_hours,
        actual_hours=actual,
        late=actual > estimate.eta_hours,
        disputed=_is_disputed(books, position, reason),
        outcome=outcome_of(vwap(position.exits)) if reason is ExitReason.SETTLED else "",
    )


def tidy(price: Decimal) -> Decimal:
    """Return a number without the endless digits that an average of several executions leaves behind."""
    exponent = price.as_tuple().exponent
    return price.quantize(FINEST) if isinstance(exponent, int) and exponent < FINEST_PLACES else price


def outcome_of(value: Decimal) -> str:
    """Return in a word what a contract paid per YES."""
    return {Decimal(1): "yes", Decimal(0): "no"}.get(value, str(value))


def _is_disputed(books: ResolverBooks, position: Position, reason: ExitReason) -> bool:
    """Tell whether what was seen before the venue's final word differs from it, or the venue's own was contested."""
    if reason is not ExitReason.SETTLED:
        return False
    final = vwap(position.exits)
    earlier = books.fold.provisional.get(position.signal_id, ())
    return any(seen.disputed or seen.exit_price != final for seen in earlier)


def _excursions(data: MarketData, position: Position) -> tuple[Decimal, Decimal]:
    """Return worst and best excursion from the closed bars of the trade's life, never less than its own exit shows."""
    entry, sign = position.entry_price, position.side.sign
    final = (vwap(position.exits) - entry) * sign
    mae, mfe = max(-final, Decimal(0)), max(final, Decimal(0))
    bars = _life(data, position)
    if bars:
        worst, best = excursions(position.side, entry, bars)
        mae, mfe = max(mae, worst), max(mfe, best)
    return mae, mfe


def _life(data: MarketData, position: Position) -> Sequence[Bar]:
    """Return the finest closed bars that lie wholly inside the trade's life; none when the venue can't say now."""
    start, end = position.opened_at, position.exits[-1].at
    span_s = (end - start).total_seconds()
    period = next((p for p in PERIODS_S if span_s / p <= MAX_BARS), PERIODS_S[-1])
    try:
        bars = data.bars(position.market, period, start=start, end=end)
    except Retry:
        return ()
    return [bar for bar in bars if bar.start >= start and bar.start + timedelta(seconds=period) <= end]
