"""Answers about contracts: details, search by name, price steps, exchanges behind SMART."""

from collections.abc import Mapping
from datetime import timedelta

from simulators.ibkr.clock import NEW_YORK
from simulators.ibkr.contracts import CENT, Contract
from simulators.tws.behind import Behind, Handler
from simulators.tws.framing import Fields
from simulators.tws.hours import trading_hours
from simulators.tws.names import Ask
from simulators.tws.refusal import Refused, unknown_contract
from simulators.tws.session import Session
from simulators.tws.wanted import read_contract

_ORDER_TYPES = "ACTIVETIM,AD,ADJUST,DAY,GTC,LMT,MKT,OCA,STP,STPLMT,TRAIL,TRAILLMT,WHATIF"
_RULE = 26
_EXCHANGES = ("AMEX", "NYSE", "ARCA", "BATS", "NASDAQ", "IEX")


class ContractDesk:
    """Answers requests for what is known of contracts."""

    def __init__(self, gateway: Behind) -> None:
        self._gateway = gateway

    def handlers(self) -> Mapping[int, Handler]:
        """Return request -> what answers it."""
        return {
            Ask.ReqContractDetails: self._details,
            Ask.ReqMatchingSymbols: self._matching,
            Ask.ReqMarketRule: self._rule,
            Ask.ReqSmartComponents: self._components,
        }

    def _details(self, session: Session, fields: Fields) -> None:
        fields.skip()
        request, wanted = fields.whole(), read_contract(fields)
        if (broken := self._gateway.broken("contracts")) is not None:
            broken.fired += 1
            return
        if not wanted.kind and not wanted.conid:
            raise Refused(request, 321, "Error validating request.-'bO' : cause - Please enter a valid security type")
        contract = self._gateway.resolve(wanted, request)
        session.send(10, request, *self._fields(contract))
        session.send(52, 1, request)

    def _fields(self, contract: Contract) -> tuple[object, ...]:
        today = self._gateway.now().astimezone(NEW_YORK).date()
        days = [today + timedelta(days=number) for number in range(6)]
        step = "0.0001" if contract.fractional else "1"
        return (
            contract.symbol, contract.kind, "", 0, "", contract.exchange, contract.currency, contract.symbol,
            contract.trading_class, contract.trading_class, contract.conid, contract.min_tick, "", _ORDER_TYPES,
            contract.valid_exchanges, 1, 0, contract.name, contract.primary, "", contract.industry, contract.category,
            contract.category, "US/Eastern", trading_hours(days, liquid=False), trading_hours(days, liquid=True),
            "", 0, 1, "ISIN", f"US{contract.conid:010d}", 1, "", "",
            ",".join([str(_RULE)] * len(contract.valid_exchanges.split(","))), "", contract.stock_type,
            step, step, "100",
        )  # fmt: skip

    def _matching(self, session: Session, fields: Fields) -> None:
        request, pattern = fields.whole(), fields.text().strip().upper()
        found = [
            one for one in self._gateway.listed if pattern and (one.symbol.startswith(pattern) or pattern in one.name)
        ]
        rows: list[object] = []
        for one in found:
            rows += [one.conid, one.symbol, one.kind, one.primary, one.currency, 1, "OPT", one.name, ""]
        session.send(79, request, len(found), *rows)

    def _rule(self, session: Session, fields: Fields) -> None:
        number = fields.whole()
        if number != _RULE:
            raise Refused(number, 10186, "Invalid market rule id")
        session.send(93, number, 1, 0, CENT)

    def _components(self, session: Session, fields: Fields) -> None:
        request, name = fields.whole(), fields.text()
        if name != "a60001":
            raise unknown_contract(request)
        rows = [part for bit, exchange in enumerate(_EXCHANGES) for part in (bit, exchange, exchange[0])]
        session.send(82, request, len(_EXCHANGES), *rows)
