"""The account as it stands: figures, positions as trades, resting orders, and the one stop each position must have."""

from collections.abc import Sequence
from decimal import Decimal

from brokers.ibkr import references
from brokers.ibkr.trades import Entries, open_trades, stops_of
from brokers.ibkr.tws.desk import OrderDesk
from brokers.ibkr.tws.keeper import Keeper
from brokers.ibkr.tws.orderbook import Known
from brokers.ibkr.tws.outcome import done_of
from brokers.port import Account, BrokerTrade, RestingOrder
from domain.errors import Ask, Refuse, Retry
from domain.ids import signal_of_order
from domain.order import OrderIntent
from domain.vocabulary import ExitReason, Leg, Mode, OrderState, TimeInForce

_TIF = {"DAY": TimeInForce.DAY, "GTC": TimeInForce.GTC}


class Holdings:
    """Reads what the keeper knows; ``protect`` is the one thing here that sends orders."""

    def __init__(self, keeper: Keeper, entries: Entries, desk: OrderDesk) -> None:
        self._keeper = keeper
        self._entries = entries
        self._desk = desk

    async def account(self, cursor: str) -> Account:
        """Return the account's figures; balance is equity without what open positions have gained."""
        keeper = self._keeper
        await keeper.ready()
        await keeper.account_within(keeper.config.poll_interval_s)
        equity, available = self._figure("NetLiquidation"), self._figure("AvailableFunds")
        return Account(
            account_id=keeper.config.account,
            currency=keeper.currency(),
            balance=equity - (keeper.value("UnrealizedPnL") or Decimal(0)),
            equity=equity,
            margin_used=self._figure("InitMarginReq"),
            margin_available=max(available, Decimal(0)),
            cursor=cursor,
        )

    def _figure(self, tag: str) -> Decimal:
        found = self._keeper.value(tag)
        if found is None:
            raise Retry(f"{tag} of the account", "none told", "ask again")
        return found

    async def resting(self) -> list[RestingOrder]:
        """Return every live order of the account, of whichever client."""
        await self._keeper.ready()
        await self._keeper.orders_within(self._keeper.config.poll_interval_s)
        return self._listed()

    def _listed(self) -> list[RestingOrder]:
        return [one for one in map(self._resting, self._keeper.orders.live()) if one.quantity > 0]

    def _resting(self, known: Known) -> RestingOrder:
        terms = known.terms
        assert terms is not None
        executions = self._keeper.executions.of_order(terms.reference or "")
        return RestingOrder(
            client_order_id=terms.reference if signal_of_order(terms.reference or "") else None,
            broker_order_id=str(terms.perm_id),
            market=terms.market,
            side=terms.side,
            quantity=terms.quantity - done_of(known, executions),
            trigger=terms.trigger,
            limit=terms.limit,
            trailing_percent=terms.trailing_percent,
            trailing_distance=terms.trailing_distance,
            tif=_TIF.get(terms.tif),
            triggered=terms.trigger is not None and known.status == "Submitted",
        )

    async def open_trades(self) -> list[BrokerTrade]:
        """Return every position, with nothing awaited between what is read of positions, executions and orders."""
        keeper = self._keeper
        await keeper.ready()
        await keeper.orders_within(keeper.config.poll_interval_s)
        await keeper.orders_behind_positions()
        return open_trades(keeper.holdings(), self._entries, self._listed(), keeper.clock.now())

    def stop_reason(self, reference: str) -> ExitReason:
        """Return why a protective order of ours fills."""
        known = self._keeper.orders.get(reference)
        is_trailing = known is not None and known.terms is not None and known.terms.kind.startswith("TRAIL")
        return ExitReason.TRAILING_STOP if is_trailing else ExitReason.STOP_LOSS

    async def protect(
        self, trade_id: str, stop_loss: Decimal, take_profit: Decimal | None, trailing_distance: Decimal | None
    ) -> None:
        """Make exactly one stop rest for a trade: the new one is there before the old ones go."""
        if take_profit is not None:
            raise Refuse("protection by a stop alone", "a take_profit", "let the resolver take profits")
        trades = [one for one in await self.open_trades() if one.trade_id == trade_id]
        if not trades:
            raise Refuse("a trade of this account", f"trade {trade_id}", "read open_trades again")
        trade = trades[0]
        stops = stops_of(await self.resting(), trade.market, trade.side)
        fitting = [one for one in stops if _fits(one, trade, stop_loss, trailing_distance)]
        if not fitting:
            await self._place(trade, stop_loss, trailing_distance)
        for surplus in [one for one in stops if one not in fitting[:1]]:
            await self._desk.cancel(str(surplus.client_order_id), trade.opened_at)

    async def _place(self, trade: BrokerTrade, stop_loss: Decimal, trailing_distance: Decimal | None) -> None:
        parsed = signal_of_order(trade.client_order_id or "")
        if parsed is None:
            raise Refuse("a trade that we opened", f"{trade.trade_id}, opened by somebody else", "leave it to them")
        reference = references.stop_of(str(trade.client_order_id), self._next_attempt(str(trade.client_order_id)))
        intent = OrderIntent(
            client_order_id=str(reference),
            signal_id=parsed[1],
            surface=parsed[0],
            mode=Mode.LIVE if self._keeper.config.environment == "live" else Mode.PAPER,
            market=trade.market,
            leg=Leg.STOP,
            attempt=references.attempt_of(str(reference)),
            side=trade.side.opposite,
            quantity=trade.quantity,
            trigger=stop_loss,
            trailing_distance=trailing_distance,
            tif=TimeInForce.GTC,
        )
        events = await self._desk.submit(intent)
        if events[-1].state in (OrderState.REJECTED, OrderState.CANCELLED):
            raise Ask(f"a stop for {trade.trade_id}", events[-1].reason, "read open_trades again")

    def _next_attempt(self, entry_id: str) -> int:
        """Return the attempt after every stop of this signal that IBKR or this process knows of."""
        signal_id = references.signal_id_of(entry_id)
        known: Sequence[str | None] = [
            *(one.reference for one in self._keeper.orders.all()),
            *(one.reference for one in self._keeper.executions.all()),
        ]
        mine = [
            references.attempt_of(str(one))
            for one in known
            if references.leg_of(one) is Leg.STOP and references.signal_id_of(one) == signal_id
        ]
        return max(mine, default=0) + 1


def _fits(order: RestingOrder, trade: BrokerTrade, stop_loss: Decimal, trailing_distance: Decimal | None) -> bool:
    if order.quantity != trade.quantity or order.trailing_percent is not None:
        return False
    if trailing_distance is not None:
        return order.trailing_distance == trailing_distance
    return order.trailing_distance is None and order.trigger == stop_loss
