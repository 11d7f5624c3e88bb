"""What the account holds: its figures, its instruments and its open trades."""

import threading
from collections.abc import Mapping, Sequence

from brokers.oanda import parse, sdk
from brokers.oanda.errors import Rejected
from brokers.oanda.wire import Body, Wire
from brokers.port import Account, BrokerTrade
from domain.quotes import Instrument

INSTRUMENTS_KEPT_S = 3600
ASK_AGAIN_S = 60


class AccountReader:
    """Reads the account; remembers what does not change from one minute to the next."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._account_id = wire.config.account_id
        self._instruments: dict[str, Instrument] = {}
        self._read_ns: int | None = None
        self._currency: str | None = None
        self._lock = threading.Lock()

    def summary(self) -> Account:
        account = self._wire.read(
            "account summary", lambda: sdk.accounts.AccountSummary(self._account_id), parse.account
        )
        self._currency = account.currency
        return account

    def currency(self) -> str:
        """Return the home currency, which an account keeps for life."""
        return self._currency or self.summary().currency

    def instruments(self, names: Sequence[str]) -> Mapping[str, Instrument]:
        """Return name -> instrument for those OANDA lists.

        All are read at once and kept for an hour; a name that is missing is asked for again after a minute.
        """
        with self._lock:
            missing = any(name not in self._instruments for name in names)
            if self._age_s() >= (ASK_AGAIN_S if missing else INSTRUMENTS_KEPT_S):
                self._refresh()
            return {name: self._instruments[name] for name in names if name in self._instruments}

    def open_trades(self) -> Sequence[BrokerTrade]:
        return self._wire.read("open trades", lambda: sdk.trades.OpenTrades(self._account_id), _trades)

    def trade(self, spec: str) -> Body | None:
        """Return one trade, open or closed, by OANDA's id or ``@`` and ours; None when OANDA has no such trade."""
        try:
            return self._wire.read(f"trade {spec}", lambda: sdk.trades.TradeDetails(self._account_id, spec), _nested)
        except Rejected as error:
            if error.status == 404:
                return None
            raise

    def _age_s(self) -> float:
        if self._read_ns is None:
            return float("inf")
        return (self._wire.clock.monotonic_ns() - self._read_ns) / 1e9

    def _refresh(self) -> None:
        self._instruments = self._wire.read(
            "instruments", lambda: sdk.accounts.AccountInstruments(self._account_id), _by_name
        )
        self._read_ns = self._wire.clock.monotonic_ns()


def _by_name(body: Body) -> dict[str, Instrument]:
    return {row["name"]: parse.instrument(row) for row in body["instruments"]}


def _trades(body: Body) -> list[BrokerTrade]:
    return [parse.trade(row) for row in body["trades"]]


def _nested(body: Body) -> Body:
    trade: Body = body["trade"]
    return trade
