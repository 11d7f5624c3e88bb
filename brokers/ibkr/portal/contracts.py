"""Stocks by symbol: the number IBKR gives each, and the steps its prices move in."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from brokers.ibkr.portal.errors import Rejected
from brokers.ibkr.portal.parse import optional
from brokers.ibkr.portal.wire import Wire
from domain.errors import Refuse
from domain.quotes import Instrument

CENT = Decimal("0.01")
MOST = Decimal(1_000_000)
# How many symbols one question may name.
AT_ONCE = 50
# Where IBKR keeps what is listed no more.
ENDED = frozenset({"VALUE", "CORPACT"})


class Contracts:
    """Looks symbols up once; a symbol nobody lists is asked for again."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._conids: dict[str, int] = {}
        self._instruments: dict[str, Instrument] = {}
        self._markets: dict[int, str] = {}
        self._lock = threading.Lock()

    def instruments(self, names: Sequence[str]) -> Mapping[str, Instrument]:
        """Return symbol -> instrument for those with a listing in the United States. Raises Retry."""
        conids = self.conids(names)
        return {name: self._instrument(name, conids[name]) for name in names if name in conids}

    def instrument(self, name: str) -> Instrument:
        """Return one instrument. Raises Retry, and Refuse when nobody lists it."""
        found = self.instruments([name]).get(name)
        if found is None:
            raise Refuse("a stock listed in the United States", name, "check the symbol")
        return found

    def conids(self, names: Iterable[str]) -> Mapping[str, int]:
        """Return symbol -> contract number; those not listed are absent. Raises Retry."""
        wanted = list(dict.fromkeys(names))
        missing = [name for name in wanted if name not in self._conids]
        for first in range(0, len(missing), AT_ONCE):
            symbols = ",".join(missing[first : first + AT_ONCE])
            self._wire.ask("contract numbers", "/trsrv/stocks", self._learn, symbols=symbols)
        return {name: self._conids[name] for name in wanted if name in self._conids}

    def markets(self, listings: Iterable[tuple[int, str]]) -> Mapping[int, str]:
        """Return contract number -> market of these listings: other countries have other stocks of the same symbol.

        A market is the symbol for the listing traded here, and a name nobody trades for any other. Raises Retry.
        """
        pairs = dict(listings)
        try:
            listed = self.conids({symbol for conid, symbol in pairs.items() if conid not in self._markets})
        except Rejected:
            # One of the symbols cannot even be asked about; nothing is remembered of the others either.
            return {conid: self._markets.get(conid, symbol) for conid, symbol in pairs.items()}
        for conid, symbol in pairs.items():
            self._markets.setdefault(conid, symbol if listed.get(symbol, conid) == conid else f"{symbol}@{conid}")
        return {conid: self._markets[conid] for conid in pairs}

    def market(self, conid: int) -> str | None:
        """Return the market of a listing that was asked about before."""
        return self._markets.get(conid)

    def _learn(self, body: Any) -> None:
        for name, companies in body.items():
            conid = self._chosen(_listings(companies))
            if conid is not None:
                with self._lock:
                    self._conids[str(name)] = conid

    def _chosen(self, found: Sequence[int]) -> int | None:
        """Return the one contract of several that is traded in the settings' currency; None where that is not one."""
        if len(found) < 2:
            return next(iter(found), None)
        rows: list[Any] = self._wire.ask(
            "the listings of a symbol",
            "/trsrv/secdef",
            lambda body: body["secdef"],
            conids=",".join(map(str, found)),
        )
        right = [int(row["conid"]) for row in rows if row.get("currency") == self._wire.config.currency]
        return right[0] if len(right) == 1 else None

    def _instrument(self, name: str, conid: int) -> Instrument:
        found = self._instruments.get(name)
        if found is None:
            tick = self._wire.ask(
                "the rules of a contract",
                "/iserver/contract/rules",
                _tick,
                method="POST",
                body={"conid": conid, "isBuy": True},
            )
            found = self._instruments[name] = self._built(name, tick)
        return found

    def _built(self, name: str, tick: Decimal) -> Instrument:
        config = self._wire.config
        return Instrument(
            name=name,
            base=name,
            quote_currency=config.currency,
            tick=tick,
            pip=CENT,
            quantity_step=config.quantity_step,
            quantity_min=config.quantity_step,
            quantity_max=MOST,
            margin_rate=config.margin_rate,
        )


def _listings(companies: Any) -> list[int]:
    """Return the contracts of a symbol in the United States: the symbol may be others' abroad."""
    return [
        int(contract["conid"])
        for company in (companies if isinstance(companies, list) else ())
        if company.get("assetClass") in (None, "STK")
        for contract in company.get("contracts") or ()
        if contract.get("isUS") is True and contract.get("exchange") not in ENDED
    ]


def _tick(rules: Any) -> Decimal:
    """Return the price step: the smallest where it depends on the price, a cent where the portal does not say."""
    rules = rules.get("rules", rules) if isinstance(rules, dict) else {}
    steps = [optional(rule.get("increment")) for rule in rules.get("incrementRules") or () if rule.get("lowerEdge")]
    step = optional(rules.get("increment")) or min((step for step in steps if step), default=None)
    return step if step is not None and step > 0 else CENT
