"""The stocks the venue lists."""

from dataclasses import dataclass
from decimal import Decimal

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """A listed stock; ``exchange`` is where orders go, ``primary`` where it is listed."""

    conid: int
    symbol: str
    primary: str
    name: str
    exchange: str = "SMART"
    currency: str = "USD"
    kind: str = "STK"
    stock_type: str = "COMMON"
    industry: str = ""
    category: str = ""
    min_tick: Decimal = CENT
    fractional: bool = True

    @property
    def trading_class(self) -> str:
        return "NMS" if self.primary == "NASDAQ" else self.symbol

    @property
    def valid_exchanges(self) -> str:
        return "SMART,AMEX,NYSE,ARCA,BATS,NASDAQ,IEX"


# conids of SPY, AAPL, IBM are those the broker uses; prices of AMZN are not recorded: listed without a quote
LISTED: tuple[Contract, ...] = (
    Contract(conid=756733, symbol="SPY", primary="ARCA", name="SPDR S&P 500 ETF TRUST", stock_type="ETF"),
    Contract(
        conid=265598, symbol="AAPL", primary="NASDAQ", name="APPLE INC", industry="Technology", category="Computers"
    ),
    Contract(
        conid=8314,
        symbol="IBM",
        primary="NYSE",
        name="INTL BUSINESS MACHINES CORP",
        industry="Technology",
        category="Computers",
    ),
    Contract(
        conid=61319701,
        symbol="AIG",
        primary="NYSE",
        name="AMERICAN INTERNATIONAL GROUP",
        industry="Financial",
        category="Insurance",
    ),
    Contract(
        conid=58666491,
        symbol="TWX",
        primary="NYSE",
        name="TIME WARNER INC",
        industry="Communications",
        category="Media",
    ),
    Contract(
        conid=3691937,
        symbol="AMZN",
        primary="NASDAQ",
        name="AMAZON.COM INC",
        industry="Communications",
        category="Internet",
    ),
)
BY_CONID: dict[int, Contract] = {contract.conid: contract for contract in LISTED}
BY_SYMBOL: dict[str, Contract] = {contract.symbol: contract for contract in LISTED}
