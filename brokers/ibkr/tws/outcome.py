"""What became of an order: events read from its executions, and from what IBKR says of it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal

from brokers.answers import Answer
from brokers.ibkr.executions import Execution
from brokers.ibkr.tws.orderbook import FILLED, GONE, INACTIVE, Known
from brokers.port import Fill
from domain.order import OrderEvent
from domain.vocabulary import OrderState

_ZERO = Decimal(0)


def filled_of(executions: Sequence[Execution]) -> Decimal:
    return sum((one.quantity for one in executions), Decimal(0))


def done_of(known: Known, executions: Sequence[Execution]) -> Decimal:
    """Return how much of an order has filled: as IBKR says where executions are missing, those of earlier days too."""
    return max(filled_of(executions), known.told_filled)


def wanted_of(known: Known | None) -> Decimal | None:
    """Return how much an order was for; None while only its executions are known."""
    return known.terms.quantity if known is not None and known.terms is not None else None


def is_settled(known: Known, ever_filled: Decimal) -> bool:
    """Tell whether executions account for all that IBKR says has filled: else some are on their way.

    Those that were busted since do account for it.
    """
    if known.status == FILLED and known.terms is not None:
        return ever_filled >= known.terms.quantity
    return ever_filled >= known.told_filled


def events(
    answer: Answer,
    known: Known | None,
    executions: Sequence[Execution],
    fill_of: Callable[[Execution], Fill],
    earlier: Decimal = _ZERO,
) -> list[OrderEvent]:
    """Return one event an execution, then how the order ended or that it rests.

    Executions of an order whose size nobody tells any more (a day later) count as the whole of it. ``earlier`` is what
    filled on days whose executions are no longer told.
    """
    wanted, done, found = wanted_of(known), earlier, []
    broker_id = str(known.perm_id) if known is not None and known.perm_id else None
    for one in executions:
        done += one.quantity
        is_whole = done >= wanted if wanted is not None else one is executions[-1]
        state = OrderState.FILLED if is_whole else OrderState.PARTIAL
        found.append(replace(answer.filled(fill_of(one), state, one.broker_order_id), revision=one.version))
    if known is None or (found and found[-1].state is OrderState.FILLED):
        return found
    if earlier and not found and (known.is_live or known.status == FILLED):
        state = OrderState.PARTIAL if known.is_live else OrderState.FILLED
        return [answer.event(state, broker_order_id=broker_id, reason="filled on an earlier day")]
    ended = _ended(answer, known, broker_id, any_filled=bool(executions or earlier))
    if ended is not None:
        found.append(ended)
    elif not found:
        found.append(_rests(answer, known, broker_id))
    return found


def _ended(answer: Answer, known: Known, broker_id: str | None, *, any_filled: bool) -> OrderEvent | None:
    refused = known.refusal is not None or known.status == INACTIVE
    if refused and not any_filled:
        code, text = known.refusal or (0, known.said or "IBKR holds it inactive")
        return answer.event(
            OrderState.REJECTED, broker_order_id=broker_id, reason=f"{code} {text}" if code else f"Inactive: {text}"
        )
    if known.status == FILLED:
        return answer.event(OrderState.CANCELLED, broker_order_id=broker_id, reason="executions of it were busted")
    if refused or known.status in GONE:
        return answer.event(OrderState.CANCELLED, broker_order_id=broker_id, reason=known.said or "cancelled")
    return None


def _rests(answer: Answer, known: Known, broker_id: str | None) -> OrderEvent:
    return answer.event(OrderState.ACCEPTED, broker_order_id=broker_id, reason=known.said)
