"""Orders sent, found, changed and taken back: nothing twice, and nothing believed that was not confirmed."""

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime
from decimal import Decimal
from typing import Any

import structlog

from brokers.answers import answer_to_id
from brokers.grace import Grace
from brokers.ibkr import codes
from brokers.ibkr.fills import FillReader
from brokers.ibkr.trades import Held
from brokers.ibkr.tws import outcome
from brokers.ibkr.tws.contracts import Contracts
from brokers.ibkr.tws.keeper import Keeper
from brokers.ibkr.tws.orderbook import FILLED, GONE, INACTIVE, TAKEN, Known
from brokers.ibkr.tws.session import Session
from brokers.ibkr.tws.tickets import Tickets, has_level
from domain.errors import Ask, Refuse, Retry
from domain.order import OrderEvent, OrderIntent
from domain.quotes import Instrument
from domain.vocabulary import Leg, Link, OrderState

log = structlog.get_logger()
DUPLICATE_NUMBER = 103
# IBKR has no code for an order that it never got.
NEVER_HEARD_OF = 0
# How long a market order that was taken may still fill before it is told as resting.
FILL_WAIT_S = 2.0
NUMBERS_AHEAD = 1_000


class OrderDesk:
    """Sends to the session of the moment and judges by what the keeper has read."""

    def __init__(self, keeper: Keeper, contracts: Contracts, grace: Grace, fills: FillReader, held: Held) -> None:
        self._keeper = keeper
        self._contracts = contracts
        self._grace = grace
        self._fills = fills
        self._held = held
        self._sent: set[str] = set()

    # ------------------------------------------------------------------------------------------ asking

    async def find(self, reference: str, since: datetime) -> list[OrderEvent]:
        """Return what became of an order, or one ABSENT event. Raises Retry while neither can be proven."""
        keeper = self._keeper
        session = await keeper.ready()
        if not self._is_streamed(reference, session):
            await keeper.orders_within(keeper.config.poll_interval_s)
        if self._is_known(reference):
            return await self._confirmed(reference)
        self._grace.require(reference, since)
        keeper.state.require_up(f"proof that {reference} is absent")
        await keeper.orders_since(keeper.clock.monotonic_ns())
        await session.completed_orders()
        keeper.state.require_up(f"proof that {reference} is absent")
        if self._is_known(reference):
            return await self._confirmed(reference)
        self._sent.discard(reference)
        answer = answer_to_id(reference, keeper.currency(), keeper.clock.now())
        return [answer.event(OrderState.ABSENT, reason="neither open, nor executed, nor completed today")]

    def _is_streamed(self, reference: str, session: Session) -> bool:
        """Tell whether TWS pushes this order's news by itself: it does for live orders of the same client."""
        known = self._keeper.orders.get(reference)
        return known is not None and known.is_live and _is_own(known, session) and known.status in TAKEN

    def _is_known(self, reference: str) -> bool:
        known = self._keeper.orders.get(reference)
        is_told = known is not None and bool(known.status or known.refusal or known.perm_id)
        return is_told or bool(self._keeper.executions.of_order(reference))

    async def _confirmed(self, reference: str) -> list[OrderEvent]:
        """Return an order's events; that it is over is only said once open orders and executions agree."""
        keeper, known = self._keeper, self._keeper.orders.get(reference)
        if known is not None and (known.status not in TAKEN or known.doubts or known.refusal):
            await keeper.orders_since(known.touched_ns)
            self._conclude(known)
        if known is not None and not outcome.is_settled(known, keeper.executions.ever_filled(reference)):
            await keeper.orders_since(keeper.clock.monotonic_ns())
            if not outcome.is_settled(known, keeper.executions.ever_filled(reference)):
                return self._of_old(reference)
        await self._fees(reference)
        return self._events(reference)

    async def _fees(self, reference: str) -> None:
        """Wait until what its executions cost is known, each for ``commission_wait_s`` after it was heard of."""
        keeper = self._keeper
        while (left_s := self._fills.wait_s(keeper.executions.of_order(reference))) > 0:
            keeper.open_session()
            await keeper.news(left_s)

    def _conclude(self, known: Known) -> None:
        """Settle doubts after a fresh reading: an order that was questioned and is not open was never taken."""
        has_filled = known.reference is not None and bool(self._keeper.executions.of_order(known.reference))
        if known.doubts and not known.is_live and known.status not in (*GONE, FILLED) and not has_filled:
            known.refusal = known.remarks[-1]
        known.doubts = False

    def _of_old(self, reference: str) -> list[OrderEvent]:
        """Answer for an order that filled on a day whose executions TWS no longer tells: our journals have them.

        So the answer is that it filled, and no fill: as one of another id it would count for a second purchase.
        """
        answer = answer_to_id(reference, self._keeper.currency(), self._keeper.clock.now())
        if any(trade.client_order_id == reference for trade in self._held()):
            return [answer.event(OrderState.FILLED, reason="filled on an earlier day")]
        raise Retry(f"the executions of {reference}", "an order that filled and none of them", "ask again")

    def _events(self, reference: str) -> list[OrderEvent]:
        keeper = self._keeper
        answer = answer_to_id(reference, keeper.currency(), keeper.clock.now())
        executions = keeper.executions.of_order(reference)
        return outcome.events(answer, keeper.orders.get(reference), executions, self._fills.fill)

    # ----------------------------------------------------------------------------------------- sending

    async def submit(self, intent: OrderIntent) -> list[OrderEvent]:
        """Send an order and what protects it, once. Raises Retry (nothing was sent), Ask or Refuse."""
        keeper, reference = self._keeper, intent.client_order_id
        session = await keeper.ready()
        keeper.state.require_up(f"order {reference}")
        if reference in self._sent:
            await keeper.orders_since(keeper.clock.monotonic_ns())
        if self._is_known(reference):
            return await self._confirmed(reference)
        if reference in self._sent:
            raise Ask(f"news of {reference}", "nothing yet, though it was sent", "look it up by its client order id")
        instrument = await self._instrument(session, intent.market)
        refusal = self._exit_refusal(intent)
        if refusal:
            answer = answer_to_id(reference, keeper.currency(), keeper.clock.now())
            return [answer.event(OrderState.REJECTED, reason=refusal)]
        orders = Tickets(session.sdk, keeper.config).of_intent(intent, instrument, whole=self._is_whole(intent))
        if len(orders) > 1:
            await session.room_for_pair()
        keeper.state.require_up(f"order {reference}")
        with self._grace.sending(reference):
            self._sent.add(reference)
            try:
                with session.together() if len(orders) > 1 else nullcontext():
                    knowns = self._write(session, intent.market, orders)
            except Retry:
                self._sent.discard(reference)
                raise
            return await self._await_outcome(session, intent, knowns)

    async def _instrument(self, session: Session, market: str) -> Instrument:
        await self._contracts.learn(session, [market])
        instrument = self._contracts.instrument(market)
        if instrument is None:
            raise Refuse("a stock that IBKR lists", market, "correct the watchlist")
        return instrument

    def _exit_refusal(self, intent: OrderIntent) -> str:
        """Return why what sells at once cannot be sent: it must never open the opposite position."""
        if intent.leg is Leg.ENTRY or has_level(intent):
            return ""
        if intent.broker_trade_id is None:
            raise Refuse("an exit that names its trade", "none", "set broker_trade_id")
        held = self._position(intent)
        if held == 0:
            return "TRADE_DOESNT_EXIST"
        return "CLOSE_TRADE_UNITS_EXCEED_TRADE_SIZE" if held < intent.quantity else ""

    def _position(self, intent: OrderIntent) -> Decimal:
        """Return how much of its market an exit could close."""
        held = [one for one in self._keeper.holdings() if one.market == intent.market]
        return sum((abs(one.quantity) for one in held if one.side is intent.side.opposite), Decimal(0))

    def _is_whole(self, intent: OrderIntent) -> bool:
        return intent.leg is Leg.EXIT and self._position(intent) == intent.quantity

    def _write(self, session: Session, market: str, orders: Sequence[Any]) -> list[Known]:
        """Write an order and its child in one piece: no other message comes between, none is repeated."""
        contract, now_ns = self._contracts.contract(market), self._keeper.clock.monotonic_ns()
        numbers = [session.next_number() for _ in orders]
        knowns: list[Known] = []
        for number, order in zip(numbers, orders, strict=True):
            order.clientId = session.client_id
            if number != numbers[0]:
                order.parentId = numbers[0]
            knowns.append(self._keeper.orders.sent(order.orderRef, number, now_ns))
            try:
                session.client.placeOrder(number, contract, order)
            except ConnectionError as error:
                self._keeper.orders.forget(order.orderRef)
                if number != numbers[0]:
                    raise Ask(
                        "the order and its stop to be sent", "a connection lost in between", "look it up"
                    ) from error
                raise Retry("a connection for the order", str(error), "send it again once it is back") from error
        return knowns

    async def _await_outcome(self, session: Session, intent: OrderIntent, knowns: list[Known]) -> list[OrderEvent]:
        keeper, reference = self._keeper, intent.client_order_id
        main, child = knowns[0], knowns[1] if len(knowns) > 1 else None
        try:
            await keeper.until(lambda: all(map(self._has_word, knowns)), keeper.config.order_timeout_s)
            if not self._has_word(main):
                raise Ask(f"a status of {reference}", "none in time", "look it up by its client order id")
            if child is not None and not self._has_word(child):
                await self._miss(child)
            if intent.trigger is None:
                await keeper.until(lambda: not self._may_fill(main), min(FILL_WAIT_S, keeper.config.order_timeout_s))
            await self._settle_doubts(session, main, child)
            return await self._confirmed(reference)
        except Retry as error:
            raise Ask(f"the outcome of {reference}", error.found, "look it up by its client order id") from error

    def _has_word(self, known: Known) -> bool:
        """Tell whether IBKR has said anything of an order that counts: an id alone does not."""
        has_status = bool(known.perm_id) and known.status in (*TAKEN, *GONE, INACTIVE)
        return has_status or known.refusal is not None or known.doubts or self._has_filled(known)

    def _has_filled(self, known: Known) -> bool:
        return bool(known.reference and self._keeper.executions.of_order(known.reference))

    def _may_fill(self, known: Known) -> bool:
        executions = self._keeper.executions.of_order(known.reference or "")
        wanted = outcome.wanted_of(known)
        is_whole = wanted is not None and outcome.filled_of(executions) >= wanted
        return not is_whole and known.refusal is None and known.status not in (*GONE, INACTIVE)

    async def _settle_doubts(self, session: Session, main: Known, child: Known | None) -> None:
        """Look again at what was questioned, and never leave an entry whose stop was refused."""
        keeper = self._keeper
        if any(code == DUPLICATE_NUMBER for code, _ in main.remarks) and not self._has_filled(main):
            await self._withdraw_duplicate(session, main, child)
        for known in (main, child):
            if known is not None and (known.doubts or known.status == INACTIVE):
                if known.status == INACTIVE and known.terms is not None:
                    session.client.cancelOrder(known.terms.order_id)  # it must not wake up later
                await keeper.orders_since(known.touched_ns)
                self._conclude(known)
        if child is not None and child.refusal is not None and main.is_live and main.terms is not None:
            log.error("ibkr_stop_refused", order=main.reference, reason=child.refusal[1])
            session.client.cancelOrder(main.terms.order_id)
            await keeper.until(lambda: not main.is_live, keeper.config.order_timeout_s)
            main.remarks.append((child.refusal[0], f"its protective order was refused: {child.refusal[1]}"))

    async def _miss(self, child: Known) -> None:
        """Look for a protective order nobody acknowledged: without the last of a pair TWS transmits neither."""
        await self._keeper.orders_since(self._keeper.clock.monotonic_ns())
        if not self._has_word(child):
            child.refusal = NEVER_HEARD_OF, "never acknowledged by IBKR"

    async def _withdraw_duplicate(self, session: Session, main: Known, child: Known | None) -> None:
        """Take back a child whose parent's number was used before, and number from far higher on."""
        await self._keeper.orders_since(main.touched_ns)
        if main.perm_id:
            return
        highest = self._keeper.orders.highest_number
        if child is not None and child.terms is not None:
            session.client.cancelOrder(child.terms.order_id)
        session.client.updateReqId(highest + NUMBERS_AHEAD)
        for known in (main, child):
            if known is not None and known.reference is not None:
                self._keeper.orders.forget(known.reference)
        self._sent.discard(main.reference or "")
        raise Ask("an order number of our own", f"{DUPLICATE_NUMBER} duplicate order id", "look the order up")

    # ---------------------------------------------------------------------------------------- changing

    async def cancel(self, reference: str, since: datetime) -> list[OrderEvent]:
        """Take an order back, and return what became of it; one that is done is no error."""
        keeper = self._keeper
        session = await keeper.ready()
        await keeper.orders_within(keeper.config.poll_interval_s)
        known = keeper.orders.get(reference)
        if known is None or not known.is_live or known.terms is None:
            return await self.find(reference, since)
        if keeper.state.state()[0] is Link.DOWN:
            raise Retry(f"a link for cancelling {reference}", keeper.state.state()[1], "try again once it is back")
        self._require_own(known, session)
        known.doubts, told = False, len(known.remarks)
        session.client.cancelOrder(known.terms.order_id)

        def is_answered() -> bool:
            refused = any(code in codes.CANCEL_REFUSED for code, _ in known.remarks[told:])
            return not known.is_live or known.doubts or refused

        try:
            await keeper.until(is_answered, keeper.config.order_timeout_s)
            return await self._confirmed(reference)
        except Retry as error:
            raise Ask(f"the end of {reference}", error.found, "look it up by its client order id") from error

    async def amend(self, reference: str, quantity: Decimal) -> list[OrderEvent]:
        """Give a resting order of ours another quantity; ``quantity`` is what may still fill."""
        keeper = self._keeper
        session = await keeper.ready()
        keeper.state.require_up(f"a change of {reference}")
        await keeper.orders_within(keeper.config.poll_interval_s)
        if (known := keeper.orders.get(reference)) is None:
            await keeper.orders_since(keeper.clock.monotonic_ns())
            known = keeper.orders.get(reference)
        if known is None or not known.is_live or known.terms is None:
            raise Refuse("a resting order of ours", f"{reference}, which does not rest", "read resting() again")
        self._require_own(known, session)
        terms = known.terms
        done = outcome.filled_of(keeper.executions.of_order(reference))
        if terms.quantity == done + quantity:
            return self._events(reference)
        parent = keeper.orders.of_number(terms.parent_id)
        changed = Tickets(session.sdk, keeper.config).resized(
            terms, done + quantity, parent_is_done=parent is None or not parent.is_live
        )
        known.remarks.clear()
        self._send_change(session, known, changed)
        return await self._await_change(known, reference, done + quantity)

    def _send_change(self, session: Session, known: Known, order: Any) -> None:
        assert known.terms is not None
        try:
            session.client.placeOrder(known.terms.order_id, known.terms.sdk_contract, order)
        except ConnectionError as error:
            raise Retry("a connection for the change", str(error), "try again once it is back") from error

    async def _await_change(self, known: Known, reference: str, total: Decimal) -> list[OrderEvent]:
        def is_changed() -> bool:
            return known.terms is not None and known.terms.quantity == total

        try:
            await self._keeper.until(
                lambda: is_changed() or bool(known.remarks) or not known.is_live, self._keeper.config.order_timeout_s
            )
            if not is_changed():
                await self._keeper.orders_since(self._keeper.clock.monotonic_ns())
        except Retry as error:
            raise Ask(f"a change of {reference}", error.found, "read resting() once the link is back") from error
        if is_changed() or not known.is_live:
            return await self._confirmed(reference)
        if known.remarks:
            raise Refuse(f"a change of {reference}", known.said, "read resting() again")
        raise Ask(f"a change of {reference}", "no word of it in time", "read resting() again")

    def _require_own(self, known: Known, session: Session) -> None:
        if not _is_own(known, session):
            client = known.terms.client_id if known.terms else "?"
            raise Retry(
                f"an order of client {session.client_id}", f"{known.reference} of client {client}", "let its owner act"
            )


def _is_own(known: Known, session: Session) -> bool:
    return known.terms is not None and known.terms.client_id == session.client_id
