"""OANDA v20 through its SDK oandapyV20 0.7.2.

The SDK has no timeout of its own, logs addresses with the account number, and formats prices with five digits for every
instrument; all three are dealt with here. A fill is believed from transactions only.
"""

import contextlib
import json
import logging
from collections.abc import Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import oandapyV20.oandapyV20 as core
import requests
from oandapyV20.endpoints import accounts, orders, pricing, trades, transactions
from oandapyV20.exceptions import V20Error

from tbot_client.brokers import oanda_parse as parse
from tbot_client.brokers.oanda_parse import Json
from tbot_client.brokers.port import Account, Event, Instrument, Levels, Order, Position, Quote
from tbot_client.config import Broker as Settings
from tbot_client.errors import Ask, Refused, Retry, Unreachable

TIMEOUT_S = (3.0, 12.0)
logging.getLogger("oandapyV20").setLevel(logging.CRITICAL)


class OandaBroker:
    """One account; one keep-alive session, used by one thread."""

    def __init__(self, settings: Settings) -> None:
        core.TRADING_ENVIRONMENTS["tbot-client"] = {"api": settings.api_url.rstrip("/"), "stream": settings.stream_url}
        self._api = core.API(
            settings.token, environment="tbot-client", request_params={"timeout": TIMEOUT_S, "allow_redirects": False}
        )
        self._account = settings.account_id
        self._currency = ""
        self._instruments: dict[str, Instrument | None] = {}
        self._is_behind = False

    def shut(self) -> None:
        self._api.close()

    def account(self) -> Account:
        summary = self._read(accounts.AccountSummary(self._account))
        details = summary["account"]
        self._currency = details["currency"]
        return Account(
            currency=details["currency"], equity=Decimal(details["NAV"]), last_id=str(summary["lastTransactionID"])
        )

    def instrument(self, name: str) -> Instrument | None:
        if name not in self._instruments:
            self._instruments[name] = self._instrument(name)
        return self._instruments[name]

    def _instrument(self, name: str) -> Instrument | None:
        try:
            answer = self._read(accounts.AccountInstruments(self._account, params={"instruments": name}))
        except Refused:
            return None
        return next((parse.instrument(entry) for entry in answer["instruments"] if entry["name"] == name), None)

    def quote(self, instrument: str, reference: Decimal) -> Quote | None:
        params = {"instruments": instrument, "includeHomeConversions": "true"}
        answer = self._read(pricing.PricingInfo(self._account, params=params))
        return parse.quote(answer, instrument, self._home())

    def place(self, order: Order) -> list[Event]:
        details = self.instrument(order.instrument)
        if details is None:
            raise Refused("INSTRUMENT_NOT_TRADEABLE", "a known instrument", order.instrument, "not sent")
        request = orders.OrderCreate(self._account, data={"order": _market_order(order, details.price_digits)})
        return self._written(request)

    def find(self, client_id: str) -> list[Event]:
        try:
            order = self._read(orders.OrderDetails(self._account, orderID=f"@{client_id}"))["order"]
        except Refused:
            return []
        ending = order.get("fillingTransactionID") or order.get("cancellingTransactionID")
        if not ending:
            raise Ask("the order to be finished", order.get("state", "no state"), "asking again")
        answer = self._read(transactions.TransactionDetails(self._account, transactionID=ending))
        return parse.events([answer["transaction"]], self._home())

    def is_taken(self, client_id: str) -> bool:
        return False  # its transactions are one list without gaps

    def protect(self, trade_id: str, instrument: str, levels: Levels) -> None:
        details = self.instrument(instrument)
        data = _protection(levels, details.price_digits if details else 5)
        self._write(trades.TradeCRCDO(self._account, tradeID=trade_id, data=data))

    def close(self, trade_id: str, reference: Decimal | None) -> list[Event]:
        return self._written(trades.TradeClose(self._account, tradeID=trade_id, data={"units": "ALL"}))

    def since(self, last_id: str) -> tuple[list[Event], str]:
        """Page through ``sinceid``: OANDA answers with at most a thousand transactions at a time.

        ``lastTransactionID`` may run ahead of the list, so only what was listed counts as read.
        """
        found: list[Event] = []
        while True:
            request = transactions.TransactionsSinceID(self._account, params={"id": last_id})
            answer = self._read(request)
            page = [entry for entry in answer["transactions"] if int(entry["id"]) > int(last_id)]
            listed = max([int(last_id), *(int(entry["id"]) for entry in page)])
            self._is_behind = listed < int(answer["lastTransactionID"])
            if not page:
                return found, last_id
            found += parse.events(page, self._home())
            last_id = str(listed)
            if int(last_id) >= int(answer["lastTransactionID"]):
                return found, last_id

    def is_behind(self) -> bool:
        return self._is_behind

    def positions(self) -> list[Position]:
        answer = self._read(trades.OpenTrades(self._account))
        return [found for trade in answer["trades"] if (found := parse.position(trade)) is not None]

    def _home(self) -> str:
        if not self._currency:
            self.account()
        return self._currency

    def _read(self, request: Any) -> Json:
        with _translated(is_write=False):
            answer: Json = self._api.request(request)
            return answer

    def _write(self, request: Any) -> Json:
        with _translated(is_write=True):
            answer: Json = self._api.request(request)
            return answer

    def _written(self, request: Any) -> list[Event]:
        """Send an order and read the transactions in the answer; a 201 may still mean it was not filled."""
        currency = self._home()
        answer = self._write(request)
        return parse.events([value for key, value in answer.items() if key.endswith("Transaction")], currency)


def _market_order(order: Order, digits: int) -> Json:
    sign = "" if order.side == "buy" else "-"
    # The trade carries the id too: as long as it is open the broker refuses a second trade with the same one.
    ours = {"id": order.client_id, "tag": "tbot-client"}
    body: Json = {
        "type": "MARKET",
        "timeInForce": "FOK",
        "instrument": order.instrument,
        "units": f"{sign}{order.units:f}",
        "positionFill": "OPEN_ONLY",
        "clientExtensions": ours,
        "tradeClientExtensions": ours,
        "stopLossOnFill": {"timeInForce": "GTC", "price": _price(order.levels.stop, digits)},
    }
    if order.levels.target is not None:
        body["takeProfitOnFill"] = {"timeInForce": "GTC", "price": _price(order.levels.target, digits)}
    if (distance := _distance(order.levels)) is not None:
        body["trailingStopLossOnFill"] = {"timeInForce": "GTC", "distance": _price(distance, digits)}
    return body


def _distance(levels: Levels) -> Decimal | None:
    """Return how far a trailing stop stays behind; OANDA knows no percent, so that of the stop's price is taken."""
    if levels.trailing is not None or levels.trailing_percent is None:
        return levels.trailing
    return levels.stop * levels.trailing_percent / 100


def _protection(levels: Levels, digits: int) -> Json:
    trailing, target = _distance(levels), levels.target
    return {
        "stopLoss": {"timeInForce": "GTC", "price": _price(levels.stop, digits)},
        "takeProfit": None if target is None else {"timeInForce": "GTC", "price": _price(target, digits)},
        "trailingStopLoss": None if trailing is None else {"timeInForce": "GTC", "distance": _price(trailing, digits)},
    }


def _price(price: Decimal, digits: int) -> str:
    return f"{price.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN):f}"


@contextlib.contextmanager
def _translated(*, is_write: bool) -> Iterator[None]:
    """Turn the SDK's exceptions into the port's: a write without a clear answer has an unknown outcome."""
    unclear = Ask if is_write else Retry
    try:
        yield
    except V20Error as error:
        raise _answered(error, is_write) from error
    except requests.exceptions.ConnectTimeout as error:
        raise Retry("the broker to answer", "no connection") from error
    except requests.RequestException as error:
        raise unclear("the broker to answer", type(error).__name__, "asking what happened") from error
    except (ValueError, KeyError, TypeError) as error:
        # Also the SDK's own complaint about an unexpected success status, raised after the broker has acted.
        raise unclear("an answer of the documented form", type(error).__name__, "asking what happened") from error


def _answered(error: V20Error, is_write: bool) -> Exception:
    reason, found = _reason(error), f"{error.code}"
    if error.code in (401, 403):
        todo = "check token, account_id and api_url in [broker]"
        return Unreachable("the broker to accept the token", f"{found} {reason}", todo)
    if error.code == 429:
        return Retry("the broker to be ready", found)
    if error.code >= 500:
        return (Ask if is_write else Retry)("the broker to be ready", found, "asking what happened")
    return Refused(reason, "the broker to accept the request", f"{found} {reason}", "not done")


def _reason(error: V20Error) -> str:
    try:
        body = json.loads(error.msg)
        rejected = [value for key, value in body.items() if key.endswith("RejectTransaction")]
        named = [entry["rejectReason"] for entry in rejected if entry.get("rejectReason")]
        return str((named or [body.get("errorCode")])[0] or error.code)[:60]
    except (ValueError, AttributeError, TypeError):
        return str(error.code)
