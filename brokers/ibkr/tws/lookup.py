"""Orders looked up: nothing believed that was not confirmed, and nothing called absent that might still turn up."""

from datetime import date, datetime
from decimal import Decimal

from brokers.answers import answer_to_id
from brokers.grace import Grace
from brokers.ibkr import references
from brokers.ibkr.fills import FillReader
from brokers.ibkr.trades import Held
from brokers.ibkr.tws import outcome
from brokers.ibkr.tws.keeper import Keeper
from brokers.ibkr.tws.orderbook import FILLED, GONE, TAKEN, Known
from brokers.ibkr.tws.session import Session
from brokers.ibkr.windows import NEW_YORK
from brokers.port import BrokerTrade
from domain.errors import Retry
from domain.order import OrderEvent
from domain.vocabulary import OrderState


class Lookup:
    """Judges by what the keeper has read, and has it read anew where that proves nothing."""

    def __init__(self, keeper: Keeper, grace: Grace, fills: FillReader, held: Held) -> None:
        self._keeper = keeper
        self._grace = grace
        self._fills = fills
        self._held = held

    async def find(self, reference: str, since: datetime) -> list[OrderEvent]:
        """Return what became of an order, or one ABSENT event. Raises Retry while neither can be proven."""
        keeper = self._keeper
        session = await keeper.ready()
        if not self._is_streamed(reference, session):
            await keeper.orders_within(keeper.config.poll_interval_s)
        if self.is_known(reference):
            return await self.confirmed(reference, since)
        self._grace.require(reference, since)
        keeper.require_loaded(f"proof that {reference} is absent")
        keeper.state.require_up(f"proof that {reference} is absent")
        await keeper.orders_since(keeper.clock.monotonic_ns())
        await session.completed_orders()
        keeper.state.require_up(f"proof that {reference} is absent")
        if self.is_known(reference):
            return await self.confirmed(reference, since)
        answer = answer_to_id(reference, keeper.currency(), keeper.clock.now())
        if _day(since) < _day(keeper.clock.now()) and (trade := self._left_by(reference, since)) is not None:
            return [answer.restored(trade)]
        return [answer.event(OrderState.ABSENT, reason="neither open, nor executed, nor completed today")]

    def _left_by(self, reference: str, since: datetime) -> BrokerTrade | None:
        """Return the trade of an entry of an earlier day, told by what it left: its stop, which rests, and its shares.

        TWS tells neither its executions nor its end any more. An entry that bought nothing took its stop with it.
        """
        keeper = self._keeper
        stop = keeper.orders.get(references.stop_of(reference) or "")
        if references.entry_of(reference) != reference or stop is None or not stop.is_live or stop.terms is None:
            return None
        market, side = stop.terms.market, stop.terms.side.opposite
        held = [one for one in keeper.holdings() if (one.market, one.side) == (market, side)]
        if not held or any(trade.market == market for trade in self._held()):
            return None
        executions = keeper.executions.of_order(str(stop.reference))
        return BrokerTrade(
            trade_id=reference,
            client_order_id=reference,
            market=market,
            side=side,
            quantity=min(abs(held[0].quantity), stop.terms.quantity - outcome.done_of(stop, executions)),
            price=held[0].average_cost,
            opened_at=since,
            stop_loss=stop.terms.trigger,
            take_profit=None,
            trailing_distance=stop.terms.trailing_distance,
            trailing_percent=stop.terms.trailing_percent,
        )

    def _is_streamed(self, reference: str, session: Session) -> bool:
        """Tell whether TWS pushes this order's news by itself: it does for live orders of the same client."""
        known = self._keeper.orders.get(reference)
        return known is not None and known.is_live and is_own(known, session) and known.status in TAKEN

    def is_known(self, reference: str) -> bool:
        known = self._keeper.orders.get(reference)
        is_told = known is not None and bool(known.status or known.refusal or known.perm_id)
        return is_told or bool(self._keeper.executions.of_order(reference))

    async def confirmed(self, reference: str, since: datetime | None = None) -> list[OrderEvent]:
        """Return an order's events; that it is over is only said once open orders and executions agree.

        ``since`` is when it was sent, where that is known.
        """
        keeper, known = self._keeper, self._keeper.orders.get(reference)
        if known is not None and (known.status not in TAKEN or known.doubts or known.refusal):
            await keeper.orders_since(known.touched_ns)
            if self._is_refused(known):
                keeper.require_loaded(f"proof that {reference} was never taken")
            self.conclude(known)
        if known is not None and not outcome.is_settled(known, keeper.executions.ever_filled(reference)):
            await keeper.orders_since(keeper.clock.monotonic_ns())
            if not outcome.is_settled(known, keeper.executions.ever_filled(reference)):
                return self._short(reference, known, since)
            known.short_ns = None
        await self._fees(reference)
        return self.events(reference)

    async def _fees(self, reference: str) -> None:
        """Wait until what its executions cost is known, each for ``commission_wait_s`` after it was heard of."""
        keeper = self._keeper
        while (left_s := self._fills.wait_s(keeper.executions.of_order(reference))) > 0:
            keeper.open_session()
            await keeper.news(left_s)

    def _is_refused(self, known: Known) -> bool:
        """Tell whether an order that was questioned proves by a fresh reading never to have been taken."""
        return known.doubts and not known.is_live and known.status not in (*GONE, FILLED) and not self.has_filled(known)

    def conclude(self, known: Known) -> None:
        if self._is_refused(known):
            known.refusal = known.remarks[-1]
        known.doubts = False

    def _short(self, reference: str, known: Known, since: datetime | None) -> list[OrderEvent]:
        """Answer for an order of which executions are missing: on their way, or of a day TWS no longer tells of.

        Those of other days our journals have. So the answer is how the order stands, without their fills: as ones of
        another id they would count for a second purchase.
        """
        keeper = self._keeper
        now, now_ns = keeper.clock.now(), keeper.clock.monotonic_ns()
        if not known.is_live and any(trade.client_order_id == reference for trade in self._held()):
            answer = answer_to_id(reference, keeper.currency(), now)
            return [answer.event(OrderState.FILLED, reason="filled on an earlier day")]
        if known.short_ns is None:
            known.short_ns = now_ns
        is_sure = (now_ns - known.short_ns) / 1e9 >= keeper.config.fresh_order_grace_s
        if since is None or not is_sure or _day(since) >= _day(now):
            raise Retry(f"the executions of {reference}", "an order that filled and not all of them", "ask again")
        told = max(known.told_filled, known.terms.quantity if known.terms and known.status == FILLED else Decimal(0))
        return self.events(reference, told - keeper.executions.ever_filled(reference))

    def events(self, reference: str, earlier: Decimal = Decimal(0)) -> list[OrderEvent]:
        keeper = self._keeper
        answer = answer_to_id(reference, keeper.currency(), keeper.clock.now())
        executions = keeper.executions.of_order(reference)
        return outcome.events(answer, keeper.orders.get(reference), executions, self._fills.fill, earlier)

    def has_filled(self, known: Known) -> bool:
        return bool(known.reference and self._keeper.executions.of_order(known.reference))


def _day(moment: datetime) -> date:
    """Return the day of a moment as IBKR counts: its executions are told until midnight in New York."""
    return moment.astimezone(NEW_YORK).date()


def is_own(known: Known, session: Session) -> bool:
    return known.terms is not None and known.terms.client_id == session.client_id
