"""Stocks as IBKR defines them: asked for once, remembered for the life of the process."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import structlog

from brokers.ibkr import codes
from brokers.ibkr.config import IbkrConfig
from brokers.ibkr.tws import parse
from brokers.ibkr.tws.session import Failed, Session
from domain.quotes import Instrument

log = structlog.get_logger()
# IBKR tells the finest step of any price band; a stock above one dollar moves in cents, and cents are valid below too.
FINEST_TICK = Decimal("0.01")
LARGEST_QUANTITY = Decimal(1_000_000)


class Contracts:
    """Symbol -> instrument, and the SDK's contract to ask and order with."""

    def __init__(self, config: IbkrConfig) -> None:
        self._config = config
        self._instruments: dict[str, Instrument] = {}
        self._contracts: dict[str, Any] = {}

    async def learn(self, session: Session, names: Iterable[str]) -> None:
        """Ask for the definitions of stocks not known yet; those IBKR does not list stay unknown. Raises Retry."""
        for name in names:
            if name not in self._instruments:
                await self._learn(session, name)

    def instrument(self, name: str) -> Instrument | None:
        return self._instruments.get(name)

    def contract(self, name: str) -> Any:
        """Return the SDK's contract of a stock that is known."""
        return self._contracts[name]

    async def _learn(self, session: Session, name: str) -> None:
        wanted = session.sdk.Contract(
            secType="STK", symbol=name, exchange=self._config.exchange, currency=self._config.currency
        )
        try:
            found = await session.contract_details(wanted)
        except Failed as error:
            if error.code != codes.NO_CONTRACT:
                raise error.as_retry(f"the definition of {name}") from error
            found = []
        by_id = {int(one.contract.conId): one for one in found}
        if len(by_id) != 1:
            log.warning("ibkr_no_such_stock", market=name, found=len(by_id))
            return
        ((conid, details),) = by_id.items()
        self._instruments[name] = self._instrument(name, details)
        self._contracts[name] = session.sdk.Contract(
            secType="STK",
            conId=conid,
            symbol=name,
            exchange=self._config.exchange,
            currency=self._config.currency,
            primaryExchange=details.contract.primaryExchange,
        )

    def _instrument(self, name: str, details: Any) -> Instrument:
        tick = max(parse.price(details.minTick) or FINEST_TICK, FINEST_TICK)
        step = self._config.quantity_step
        return Instrument(
            name=name,
            base=name,
            quote_currency=str(details.contract.currency),
            tick=tick,
            pip=tick,
            quantity_step=step,
            quantity_min=step,
            quantity_max=LARGEST_QUANTITY,
            margin_rate=self._config.margin_rate,
        )
