"""Orders sent, changed and taken back: nothing twice, and nothing said to have happened that was not confirmed."""

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import datetime
from decimal import Decimal
from typing import Any

import structlog

from brokers.answers import answer_to_id
from brokers.grace import Grace
from brokers.ibkr import codes, references
from brokers.ibkr.fills import FillReader
from brokers.ibkr.trades import Held
from brokers.ibkr.tws import outcome
from brokers.ibkr.tws.contracts import Contracts
from brokers.ibkr.tws.keeper import Keeper
from brokers.ibkr.tws.lookup import Lookup, is_own
from brokers.ibkr.tws.orderbook import GONE, INACTIVE, TAKEN, Known
from brokers.ibkr.tws.session import Session
from brokers.ibkr.tws.tickets import Group, Tickets, has_level, own_group
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
        self._lookup = Lookup(keeper, grace, fills, held)
        self._sent: set[str] = set()

    async def find(self, reference: str, since: datetime) -> list[OrderEvent]:
        """Return what became of an order, or one ABSENT event. Raises Retry while neither can be proven."""
        events = await self._lookup.find(reference, since)
        if events[-1].state is OrderState.ABSENT:
            self._sent.discard(reference)
        return events

    # ----------------------------------------------------------------------------------------- sending

    async def submit(self, intent: OrderIntent) -> list[OrderEvent]:
        """Send an order and what protects it, once. Raises Retry (nothing was ever sent), Ask or Refuse."""
        reference = intent.client_order_id
        try:
            return await self._submit(intent)
        except Retry as error:
            if reference in self._sent or self._lookup.is_known(reference):
                raise Ask(f"the outcome of {reference}", error.found, "look it up by its client order id") from error
            raise

    async def _submit(self, intent: OrderIntent) -> list[OrderEvent]:
        keeper, reference = self._keeper, intent.client_order_id
        session = await keeper.ready()
        keeper.state.require_up(f"order {reference}")
        if reference in self._sent:
            await keeper.orders_since(keeper.clock.monotonic_ns())
        if self._lookup.is_known(reference):
            return await self._lookup.confirmed(reference)
        if reference in self._sent:
            raise Ask(f"news of {reference}", "nothing yet, though it was sent", "look it up by its client order id")
        instrument = await self._instrument(session, intent.market)
        if intent.leg is not Leg.ENTRY and not has_level(intent):
            await keeper.orders_within(keeper.config.poll_interval_s)
        refusal = self._exit_refusal(intent)
        if refusal:
            answer = answer_to_id(reference, keeper.currency(), keeper.clock.now())
            return [answer.event(OrderState.REJECTED, reason=refusal)]
        group = self._group(intent)
        tickets = Tickets(session.sdk, keeper.config)
        events = await self._send(session, intent, tickets.of_intent(intent, instrument, group=group))
        if group is not None and self._is_refused_by_group(reference) and not self._exit_refusal(intent):
            log.warning("ibkr_group_refused", order=reference, reason=events[-1].reason)
            events = await self._send(session, intent, tickets.of_intent(intent, instrument, group=None))
        return events

    def _group(self, intent: OrderIntent) -> Group | None:
        """Return the group in which what sells at once takes the stop back: where IBKR has put it, else our own.

        A stop that was sent with its entry is in the group of its parent, whatever name we gave it.
        """
        is_whole = intent.leg is Leg.EXIT and self._position(intent) == intent.quantity
        if not is_whole and (intent.leg is not Leg.STOP or has_level(intent)):
            return None
        mine = [
            one.terms
            for one in self._keeper.orders.live()
            if one.terms is not None
            and references.leg_of(one.reference) is Leg.STOP
            and references.signal_id_of(one.reference) == intent.signal_id
        ]
        return next(((one.oca_group, one.oca_type) for one in mine if one.oca_group), own_group(intent))

    def _is_refused_by_group(self, reference: str) -> bool:
        """Tell of an order whether it was not taken for its group alone: it may go without."""
        known = self._keeper.orders.get(reference)
        if known is None or known.refusal is None or self._lookup.has_filled(known):
            return False
        return any(code in codes.GROUP_REFUSED for code, _ in known.remarks)

    async def _send(self, session: Session, intent: OrderIntent, orders: list[Any]) -> list[OrderEvent]:
        keeper, reference = self._keeper, intent.client_order_id
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
        await keeper.until(lambda: all(map(self._has_word, knowns)), keeper.config.order_timeout_s)
        if not self._has_word(main):
            raise Ask(f"a status of {reference}", "none in time", "look it up by its client order id")
        if child is not None and not self._has_word(child):
            await self._miss(session, child)
        if intent.trigger is None:
            await keeper.until(lambda: not self._may_fill(main), min(FILL_WAIT_S, keeper.config.order_timeout_s))
        await self._settle_doubts(session, main, child)
        return await self._lookup.confirmed(reference)

    async def _look_again(self, session: Session, moment_ns: int) -> None:
        """Read orders after a moment, over the connection they were sent by: another one may list them late."""
        await self._keeper.orders_since(moment_ns)
        if self._keeper.session is not session:
            raise Retry("the connection an order was sent by", "another one", "look the order up")

    def _has_word(self, known: Known) -> bool:
        """Tell whether IBKR has said anything of an order that counts: an id alone does not."""
        has_status = bool(known.perm_id) and known.status in (*TAKEN, *GONE, INACTIVE)
        return has_status or known.refusal is not None or known.doubts or self._lookup.has_filled(known)

    def _may_fill(self, known: Known) -> bool:
        executions = self._keeper.executions.of_order(known.reference or "")
        wanted = outcome.wanted_of(known)
        is_whole = wanted is not None and outcome.filled_of(executions) >= wanted
        return not is_whole and known.refusal is None and known.status not in (*GONE, INACTIVE)

    async def _settle_doubts(self, session: Session, main: Known, child: Known | None) -> None:
        """Look again at what was questioned, and never leave an entry whose stop was refused."""
        keeper = self._keeper
        if any(code == DUPLICATE_NUMBER for code, _ in main.remarks) and not self._lookup.has_filled(main):
            await self._withdraw_duplicate(session, main, child)
        for known in (main, child):
            if known is not None and (known.doubts or known.status == INACTIVE):
                if known.status == INACTIVE and known.terms is not None:
                    self._take_back(known)  # it must not wake up later
                await self._look_again(session, known.touched_ns)
                self._lookup.conclude(known)
        if child is not None and child.refusal is not None and main.is_live and main.terms is not None:
            log.error("ibkr_stop_refused", order=main.reference, reason=child.refusal[1])
            self._take_back(main)
            await keeper.until(lambda: not main.is_live, keeper.config.order_timeout_s)
            main.remarks.append((child.refusal[0], f"its protective order was refused: {child.refusal[1]}"))

    async def _miss(self, session: Session, child: Known) -> None:
        """Look for a protective order nobody acknowledged: without the last of a pair TWS transmits neither."""
        await self._look_again(session, self._keeper.clock.monotonic_ns())
        if not self._has_word(child):
            child.refusal = NEVER_HEARD_OF, "never acknowledged by IBKR"

    async def _withdraw_duplicate(self, session: Session, main: Known, child: Known | None) -> None:
        """Take back a child whose parent's number was used before, and number from far higher on."""
        await self._look_again(session, main.touched_ns)
        if main.perm_id:
            return
        highest = self._keeper.orders.highest_number
        if child is not None and child.terms is not None:
            self._take_back(child)
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
        await keeper.ready()
        await keeper.orders_within(keeper.config.poll_interval_s)
        known = keeper.orders.get(reference)
        if known is None or not known.is_live or known.terms is None:
            return await self.find(reference, since)
        if keeper.state.state()[0] is Link.DOWN:
            raise Retry(f"a link for cancelling {reference}", keeper.state.state()[1], "try again once it is back")
        known.doubts, told = False, len(known.remarks)
        self._take_back(known)

        def is_answered() -> bool:
            refused = any(code in codes.CANCEL_REFUSED for code, _ in known.remarks[told:])
            return not known.is_live or known.doubts or refused

        try:
            await keeper.until(is_answered, keeper.config.order_timeout_s)
            return await self._lookup.confirmed(reference)
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
        done = outcome.done_of(known, keeper.executions.of_order(reference))
        if terms.quantity == done + quantity:
            return self._lookup.events(reference)
        parent = keeper.orders.of_number(terms.parent_id)
        changed = Tickets(session.sdk, keeper.config).resized(
            terms, done + quantity, parent_is_done=parent is None or not parent.is_live
        )
        known.remarks.clear()
        self._send_change(session, known, changed)
        return await self._await_change(known, reference, done + quantity)

    def _take_back(self, known: Known) -> None:
        """Ask over the connection of the moment for the end of an order. Raises Retry: the question did not leave."""
        assert known.terms is not None
        session = self._keeper.open_session()
        self._require_own(known, session)
        try:
            session.client.cancelOrder(known.terms.order_id)
        except ConnectionError as error:
            raise Retry(f"a connection for cancelling {known.reference}", str(error), "try again") from error

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
            if not known.is_live:
                return await self._lookup.confirmed(reference)
        except Retry as error:
            raise Ask(f"a change of {reference}", error.found, "read resting() once the link is back") from error
        if is_changed():
            return self._lookup.events(reference)
        if known.remarks:
            raise Refuse(f"a change of {reference}", known.said, "read resting() again")
        raise Ask(f"a change of {reference}", "no word of it in time", "read resting() again")

    def _require_own(self, known: Known, session: Session) -> None:
        if not is_own(known, session):
            client = known.terms.client_id if known.terms else "?"
            raise Retry(
                f"an order of client {session.client_id}", f"{known.reference} of client {client}", "let its owner act"
            )
