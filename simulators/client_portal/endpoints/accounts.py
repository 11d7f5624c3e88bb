"""Pages of the accounts: which there are, which is selected, what they hold and are worth."""

from decimal import Decimal
from typing import Any

from simulators.client_portal.call import Call
from simulators.client_portal.wire import Json, Refusal, cents, unix_ms, whole
from simulators.ibkr.accounts import Position

PAGE = 100
_OPENED_MS = 1678852800000
_SUMMARY = (
    "TotalCashValue", "SettledCash", "NetLiquidation", "EquityWithLoanValue", "AvailableFunds", "BuyingPower",
    "GrossPositionValue", "InitMarginReq", "MaintMarginReq", "ExcessLiquidity", "AccruedCash",
)  # fmt: skip
_EXCHANGES = "AMEX,NYSE,CBOE,CHX,ARCA,ISLAND,NASDAQ,BEX,BATS,PSX,BYX,IEX,EDGX,MEMX,PEARL"


def brokerage_accounts(call: Call) -> Json:
    """Answer ``/iserver/accounts``, which has to come before prices and changes of orders."""
    call.brokerage.accounts_read = True
    names = list(call.venue.specs)
    return {
        "accounts": names,
        "acctProps": {
            name: {
                "hasChildAccounts": False,
                "supportsCashQty": False,
                "noFXConv": True,
                "isProp": False,
                "supportsFractions": call.venue.specs[name].fractional,
                "allowCustomerTime": False,
            }
            for name in names
        },
        "aliases": {name: name for name in names},
        "allowFeatures": {
            "showGFIS": True,
            "allowFXConv": False,
            "allowedAssetTypes": "STK",
            "snapshotRefreshTimeout": 30,
        },
        "chartPeriods": {"STK": ["*"]},
        "groups": [],
        "profiles": [],
        "selectedAccount": call.gateway.selected,
        "serverInfo": {"serverName": "JifSimulated", "serverVersion": "Build 10.25.0m, simulated"},
        "sessionId": call.gateway.session.key,
        "isFT": False,
        "isPaper": True,
    }


def select(call: Call) -> Json:
    """Answer ``POST /iserver/account``: switch to an account."""
    wanted = call.fields().get("acctId")
    if not isinstance(wanted, str) or wanted not in call.venue.specs:
        raise Refusal(500, f"unknown account: {wanted}")
    if wanted == call.gateway.selected:
        return {"success": "Account already set"}
    call.gateway.selected = wanted
    return {"set": True, "acctId": wanted}


def portfolio_accounts(call: Call) -> list[Json]:
    """Answer ``/portfolio/accounts``, which has to come before the other portfolio pages."""
    call.gateway.session.portfolio_read = True
    return [_account(call, name) for name in call.venue.specs]


def _account(call: Call, name: str) -> Json:
    return {
        "PrepaidCrypto-P": False,
        "PrepaidCrypto-Z": False,
        "accountAlias": None,
        "accountId": name,
        "accountStatus": _OPENED_MS,
        "accountTitle": "Simulated",
        "accountVan": name,
        "brokerageAccess": True,
        "businessType": "INDEPENDENT",
        "clearingStatus": "O",
        "covestor": False,
        "currency": call.venue.specs[name].currency,
        "desc": name,
        "displayName": "Simulated",
        "faclient": False,
        "ibEntity": "IBLLC-US",
        "id": name,
        "noClientTrading": False,
        "parent": {"accountId": "", "isMChild": False, "isMParent": False, "isMultiplex": False, "mmc": []},
        "trackVirtualFXPortfolio": False,
        "tradingType": "STKCASH" if call.venue.specs[name].kind == "CASH" else "STKMRGN",
        "type": "DEMO",
    }


def meta(call: Call) -> Json:
    """Answer ``/portfolio/{account}/meta``."""
    return _account(call, call.account)


def summary(call: Call) -> Json:
    """Answer ``/portfolio/{account}/summary``."""
    values = call.venue.account_values(call.account)
    found: Json = {"accountcode": _text(call, call.account), "accounttype": _text(call, "INDIVIDUAL")}
    for tag in _SUMMARY:
        found[tag.lower()] = _amount(call, values.get(tag, Decimal(0)))
        found[f"{tag.lower()}-s"] = _amount(call, values.get(tag, Decimal(0)))
    return found


def _amount(call: Call, value: Decimal) -> Json:
    return {
        "amount": cents(value),
        "currency": call.venue.specs[call.account].currency,
        "isNull": False,
        "timestamp": unix_ms(call.now),
        "value": None,
        "severity": 0,
    }


def _text(call: Call, value: str) -> Json:
    found = {"amount": 0.0, "currency": None, "isNull": False, "timestamp": unix_ms(call.now), "value": value}
    return {**found, "severity": 0}


def ledger(call: Call) -> Json:
    """Answer ``/portfolio/{account}/ledger``; all money is dollars, so both entries say the same."""
    currency = call.venue.specs[call.account].currency
    entry = _ledger(call)
    return {
        currency: {**entry, "currency": currency, "secondkey": currency, "endofbundle": 1},
        "BASE": {**entry, "currency": "BASE", "secondkey": "BASE"},
    }


def _ledger(call: Call) -> Json:
    values = call.venue.account_values(call.account)
    empty = (
        "cashbalancefxsegment", "commoditymarketvalue", "corporatebondsmarketvalue", "cryptocurrencyvalue", "dividends",
        "funds", "futuremarketvalue", "futureoptionmarketvalue", "futuresonlypnl", "issueroptionsmarketvalue",
        "moneyfunds", "stockoptionmarketvalue", "tbillsmarketvalue", "tbondsmarketvalue", "warrantsmarketvalue",
    )  # fmt: skip
    figures = {
        "cashbalance": "TotalCashValue",
        "settledcash": "SettledCash",
        "netliquidationvalue": "NetLiquidation",
        "stockmarketvalue": "StockMarketValue",
        "realizedpnl": "RealizedPnL",
        "unrealizedpnl": "UnrealizedPnL",
        "interest": "AccruedCash",
    }
    return {
        "acctcode": call.account,
        **dict.fromkeys(empty, 0.0),
        **{name: cents(values.get(tag, Decimal(0))) for name, tag in figures.items()},
        "exchangerate": 1,
        "key": "LedgerList",
        "sessionid": 1,
        "severity": 0,
        "timestamp": round(call.now.timestamp()),
    }


def positions(call: Call) -> list[Json]:
    """Answer ``/portfolio/{account}/positions/{page}``, out of a cache."""
    text = call.params.get("page", "0")
    number = whole(text)
    if number is None:
        raise Refusal(400, f"Invalid page: {text}")
    first = number * PAGE
    is_stale = call.fault("stale_positions") is not None
    held = call.gateway.holdings.read(call.account, is_stale=is_stale)
    return [*_foreign(call, number), *(_position(call, one) for one in held[first : first + PAGE])]


def _foreign(call: Call, page: int) -> list[Json]:
    """Return a holding of a stock listed in Mexico under the symbol of one listed here, where a fault asks for it."""
    found = None if page else call.fault("foreign_holding")
    if found is None:
        return []
    names = dict.fromkeys(("ticker", "contractDesc", "fullName"), "AAPL")
    amounts = {"position": found["quantity"], "avgCost": 3200.0, "avgPrice": 3200.0, "mktPrice": 3250.0}
    where = {"conid": 38708077, "currency": "MXN", "countryCode": "MX", "listingExchange": "MEXI", "isUS": False}
    return [{"acctId": call.account, "assetClass": "STK", "pageSize": PAGE, **names, **amounts, **where}]


def invalidate(call: Call) -> Json:
    """Answer ``/portfolio/{account}/positions/invalidate``: empty the cache."""
    call.gateway.holdings.forget(call.account)
    return {"message": "success"}


def position(call: Call) -> list[Json]:
    """Answer ``/portfolio/{account}/position/{conid}``."""
    wanted = call.contract().conid
    return [_position(call, held) for held in call.gateway.holdings.read(call.account) if held.conid == wanted]


def positions_everywhere(call: Call) -> Json:
    """Answer ``/portfolio/positions/{conid}``: account -> positions."""
    wanted = call.contract().conid
    every = {name: call.gateway.holdings.read(name) for name in call.venue.specs}
    return {n: [_position(call, held) for held in found if held.conid == wanted] for n, found in every.items()}


def _position(call: Call, held: Position) -> Json:
    contract = call.venue.contract(held.conid)
    name, primary = (held.symbol, "") if contract is None else (contract.name, contract.primary)
    sector = None if contract is None else contract.industry or None
    return {
        "acctId": held.account,
        "allExchanges": _EXCHANGES,
        "assetClass": "STK",
        "avgCost": float(held.average_cost),
        "avgPrice": float(held.average_cost),
        "chineseName": None,
        "conExchMap": [],
        "conid": held.conid,
        "contractDesc": held.symbol,
        "countryCode": "US",
        "currency": "USD",
        "displayRule": {
            "displayRuleStep": [{"decimalDigits": 2, "lowerEdge": 0.0, "wholeDigits": 4}],
            "magnification": 0,
        },
        "exchs": None,
        "exerciseStyle": None,
        "expiry": None,
        "fullName": held.symbol,
        "group": sector,
        "hasOptions": True,
        "incrementRules": [{"increment": 0.01, "lowerEdge": 0.0}],
        "isEventContract": False,
        "isUS": True,
        "lastTradingDay": None,
        "listingExchange": primary,
        "mktPrice": float(held.market_price or 0),
        "mktValue": float(held.market_value),
        "model": "",
        "multiplier": 0.0,
        "name": name,
        "pageSize": PAGE,
        "position": float(held.quantity),
        "putOrCall": None,
        "realizedPnl": float(held.realised),
        "sector": sector,
        "sectorGroup": None,
        "strike": "0",
        "ticker": held.symbol,
        "time": 30,
        "type": "ETF" if contract is not None and contract.stock_type == "ETF" else "COMMON",
        "undConid": 0,
        "unrealizedPnl": float(held.unrealised),
    }


def partitioned_profit(call: Call) -> Any:
    """Answer ``/iserver/account/pnl/partitioned``."""
    return {"upnl": profits(call)}


def profits(call: Call) -> Json:
    """Return profit by account, as the page and the WebSocket tell it."""
    found: Json = {}
    for name in call.venue.specs:
        values = call.venue.account_values(name)
        open_profit, booked = values.get("UnrealizedPnL", Decimal(0)), values.get("RealizedPnL", Decimal(0))
        found[f"{name}.Core"] = {
            "rowType": 1,
            "dpl": cents(open_profit + booked),
            "nl": cents(values.get("NetLiquidation", Decimal(0))),
            "upl": cents(open_profit),
            "uel": cents(values.get("ExcessLiquidity", Decimal(0))),
            "el": cents(values.get("ExcessLiquidity", Decimal(0))),
            "mv": cents(values.get("StockMarketValue", Decimal(0))),
        }
    return found
