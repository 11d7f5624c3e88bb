"""Pages of contracts: search, numbers by symbol, details and order rules."""

from decimal import Decimal
from typing import Any

from simulators.client_portal.call import Call
from simulators.client_portal.wire import Json, Refusal
from simulators.ibkr.contracts import LISTED, Contract

# symbol -> number and exchange of listings in other countries, which nobody can trade here
ABROAD = {"AAPL": ((38708077, "MEXI"), (273982664, "EBS"))}
_ORDER_TYPES = ["limit", "market", "stop", "stop_limit", "trailing_stop", "trailing_stop_limit"]


def search(call: Call) -> list[Json]:
    """Answer ``/iserver/secdef/search``, by symbol or by words of the company's name."""
    asked: Json = {**(call.fields() if call.request.method == "POST" else {}), **call.query}
    symbol = str(asked.get("symbol", "")).strip()
    if not symbol:
        raise Refusal(400, "Symbol is required")
    if str(asked.get("secType", "STK")) != "STK":
        return []
    by_name = str(asked.get("name", "false")).lower() == "true"
    found = [contract for contract in LISTED if _is_meant(contract, symbol, by_name)]
    if not found:
        raise Refusal(200, "No symbol found")
    return [_found(contract) for contract in found]


def _is_meant(contract: Contract, text: str, by_name: bool) -> bool:
    return text.upper() in contract.name if by_name else contract.symbol == text.upper()


def _found(contract: Contract) -> Json:
    return {
        "conid": str(contract.conid),
        "companyHeader": f"{contract.name} - {contract.primary}",
        "companyName": contract.name,
        "symbol": contract.symbol,
        "description": contract.primary,
        "restricted": None,
        "fop": None,
        "opt": None,
        "war": None,
        "sections": [{"secType": "STK"}],
    }


def stocks(call: Call) -> Json:
    """Answer ``/trsrv/stocks``: symbol -> companies, abroad too; what is unknown is left out."""
    symbols = [text.strip().upper() for text in call.query.get("symbols", "").split(",") if text.strip()]
    if not symbols:
        raise Refusal(400, "symbols: expected names of stocks, separated by commas")
    found = {symbol: call.venue.find(symbol) for symbol in symbols}
    return {symbol: [_company(contract)] for symbol, contract in found.items() if contract is not None}


def _company(contract: Contract) -> Json:
    return {
        "name": contract.name,
        "chineseName": None,
        "assetClass": "STK",
        "contracts": [
            *(
                {"conid": conid, "exchange": exchange, "isUS": False}
                for conid, exchange in ABROAD.get(contract.symbol, ())
            ),
            {"conid": contract.conid, "exchange": contract.primary, "isUS": True},
        ],
    }


def definitions(call: Call) -> Json:
    """Answer ``/trsrv/secdef``: details of several contracts."""
    numbers = [text for text in call.query.get("conids", "").split(",") if text]
    return {"secdef": [_definition(call.contract(text)) for text in numbers]}


def _definition(contract: Contract) -> Json:
    return {
        "conid": contract.conid,
        "currency": contract.currency,
        "time": 1,
        "chineseName": None,
        "allExchanges": contract.valid_exchanges,
        "listingExchange": contract.primary,
        "countryCode": "US",
        "name": contract.name,
        "assetClass": "STK",
        "expiry": None,
        "lastTradingDay": None,
        "group": contract.category or None,
        "putOrCall": None,
        "sector": contract.industry or None,
        "sectorGroup": None,
        "strike": "0",
        "ticker": contract.symbol,
        "undConid": 0,
        "multiplier": 0.0,
        "type": contract.stock_type,
        "hasOptions": True,
        "fullName": contract.symbol,
        "isUS": True,
        "incrementRules": [{"lowerEdge": 0.0, "increment": float(contract.min_tick)}],
        "displayRule": {
            "magnification": 0,
            "displayRuleStep": [{"decimalDigits": 2, "lowerEdge": 0.0, "wholeDigits": 4}],
        },
        "isEventContract": False,
        "pageSize": 100,
    }


def secdef_info(call: Call) -> list[Json]:
    """Answer ``/iserver/secdef/info``."""
    contract = call.contract(call.query.get("conid", ""))
    return [
        {
            "conid": contract.conid,
            "symbol": contract.symbol,
            "secType": "STK",
            "exchange": contract.exchange,
            "listingExchange": contract.primary,
            "right": "?",
            "strike": 0.0,
            "currency": contract.currency,
            "cusip": None,
            "coupon": "No Coupon",
            "desc1": contract.symbol,
            "desc2": None,
            "maturityDate": None,
            "multiplier": "1",
            "tradingClass": contract.trading_class,
            "validExchanges": contract.valid_exchanges,
        }
    ]


def info(call: Call) -> Json:
    """Answer ``/iserver/contract/{conid}/info``."""
    return _info(call.contract())


def _info(contract: Contract) -> Json:
    return {
        "cfi_code": "",
        "symbol": contract.symbol,
        "cusip": None,
        "expiry_full": None,
        "con_id": contract.conid,
        "maturity_date": None,
        "industry": contract.category or None,
        "instrument_type": "STK",
        "trading_class": contract.trading_class,
        "valid_exchanges": contract.valid_exchanges,
        "allow_sell_long": False,
        "is_zero_commission_security": False,
        "local_symbol": contract.symbol,
        "contract_clarification_type": None,
        "classifier": None,
        "currency": contract.currency,
        "text": None,
        "underlying_con_id": 0,
        "r_t_h": True,
        "multiplier": None,
        "underlying_issuer": None,
        "contract_month": None,
        "company_name": contract.name,
        "smart_available": True,
        "exchange": contract.exchange,
        "category": contract.category or None,
    }


def rules(call: Call) -> Json:
    """Answer ``/iserver/contract/rules``."""
    fields = call.fields()
    contract = call.contract(str(fields.get("conid", "")))
    return _rules(call, contract, is_buy=fields.get("isBuy", True) is not False)


def info_and_rules(call: Call) -> Json:
    """Answer ``/iserver/contract/{conid}/info-and-rules``."""
    contract = call.contract()
    is_buy = call.flag("isBuy", default=True)
    return {**_info(contract), "rules": _rules(call, contract, is_buy=is_buy)}


def _rules(call: Call, contract: Contract, *, is_buy: bool) -> Json:
    fractions = call.venue.specs[call.gateway.selected].fractional and contract.fractional
    quote = call.venue.quote(contract.conid)
    side = None if quote is None else quote.ask if is_buy else quote.bid
    tick = float(contract.min_tick)
    return {
        "algoEligible": False,
        "overnightEligible": False,
        "costReport": False,
        "canTradeAcctIds": list(call.venue.specs),
        "error": None,
        "orderTypes": _ORDER_TYPES,
        "ibAlgoTypes": [],
        "fraqTypes": ["limit", "market"] if fractions else [],
        "forceOrderPreview": False,
        "cqtTypes": [],
        "orderDefaults": {"LMT": {"LP": str(side or "")}},
        "orderTypesOutside": ["limit", "stop_limit", "trailing_stop_limit"],
        "defaultSize": 100,
        "cashSize": 0.0,
        "sizeIncrement": 1,
        "tifTypes": ["DAY/o,a", "GTC/o,a"],
        "tifDefaults": {"TIF": "DAY", "SIZE": "100.00"},
        "limitPrice": _number(side),
        "stopprice": _number(side),
        "orderOrigination": None,
        "preview": True,
        "displaySize": None,
        "fraqInt": 4 if fractions else 0,
        "cashCcy": contract.currency,
        "cashQtyIncr": 500,
        "priceMagnifier": None,
        "negativeCapable": False,
        "incrementType": 1,
        "incrementRules": [{"lowerEdge": 0.0, "increment": tick}],
        "hasSecondary": True,
        "increment": tick,
        "incrementDigits": 2,
    }


def _number(value: Decimal | None) -> Any:
    return "" if value is None else float(value)
