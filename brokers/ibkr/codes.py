"""What IBKR's message codes mean to us: the single authority for how a code is taken.

The SDKs have their own idea, and it is wrong for several: they cancel an order locally that lives on at IBKR. Sources:
IBKR's "message codes", and the threads named in docs/brokers.md.
"""

from collections.abc import Mapping
from enum import StrEnum

from domain.vocabulary import Link


class Meaning(StrEnum):
    """INFO and WARN leave an order as it is, REJECT says it was never taken; after UNKNOWN its state is asked for."""

    INFO = "info"
    WARN = "warn"
    REJECT = "reject"
    UNKNOWN = "unknown"


# code -> what it says about the order whose id it carries
ORDER_CODES: Mapping[int, Meaning] = {
    103: Meaning.UNKNOWN,  # duplicate order id: another order of this client has it
    104: Meaning.WARN,  # a filled order cannot be modified
    105: Meaning.WARN,  # modification does not match the order
    106: Meaning.WARN,
    107: Meaning.WARN,
    109: Meaning.WARN,  # price out of the precautionary range: held until confirmed
    110: Meaning.REJECT,  # price not on the tick
    135: Meaning.WARN,  # no such order to modify
    136: Meaning.WARN,
    161: Meaning.WARN,  # not cancellable in its state
    200: Meaning.REJECT,  # no such contract
    201: Meaning.REJECT,
    202: Meaning.UNKNOWN,  # cancelled: true only once open orders and executions agree
    203: Meaning.REJECT,  # security not available to this account
    320: Meaning.REJECT,
    321: Meaning.UNKNOWN,  # validation error: of a new order, or of a question about one
    325: Meaning.REJECT,
    329: Meaning.WARN,  # modification failed, the order stays
    387: Meaning.REJECT,
    388: Meaning.REJECT,
    391: Meaning.REJECT,
    399: Meaning.INFO,  # held until the session opens, or another remark; the order lives
    404: Meaning.INFO,  # shares to sell short are being located; the order lives
    434: Meaning.REJECT,  # size of zero
    460: Meaning.REJECT,
    461: Meaning.REJECT,
    10147: Meaning.UNKNOWN,  # nothing to cancel: unknown id, or done
    10148: Meaning.UNKNOWN,  # cannot be cancelled: most often because it has filled
    10149: Meaning.REJECT,
    10289: Meaning.REJECT,  # fractional shares not allowed here
    10318: Meaning.REJECT,
    10349: Meaning.INFO,  # time in force set by a preset; the order lives
}
# These answer a cancel; the order is what it was.
CANCEL_REFUSED = frozenset({161, 10147, 10148})
# An order that is refused for its one-cancels-all group.
GROUP_REFUSED = frozenset({10224, 10324, 10325, 10326, 10327})
_WARNINGS = range(2100, 2200)

# Market data that will not come, or not live.
NO_DATA = frozenset({354, 10089, 10090, 10091, 10168, 10186, 10189})
DELAYED = frozenset({10167})
COMPETING = 10197
PACING = frozenset({100, 162, 420})
TOO_MANY_STREAMS = 101
CLIENT_ID_IN_USE = 326
NO_CONTRACT = 200
NO_HISTORY = 162

# code -> (trouble it begins, how bad, words) and code -> troubles it ends
BEGINS: Mapping[int, tuple[str, Link, str]] = {
    1100: ("server", Link.DOWN, "IBKR's servers are out of reach (1100)"),
    1300: ("server", Link.DOWN, "the gateway moved to another port (1300)"),
    2110: ("server", Link.DOWN, "the gateway has lost IBKR's servers (2110)"),
    2103: ("market data", Link.DEGRADED, "market data farm broken (2103)"),
    2105: ("history", Link.DEGRADED, "historical data farm broken (2105)"),
    2157: ("definitions", Link.DEGRADED, "security definition farm broken (2157)"),
    COMPETING: ("competing", Link.DEGRADED, "another session has the market data (10197)"),
}
ENDS: Mapping[int, tuple[str, ...]] = {
    1101: ("server",),
    1102: ("server",),
    2104: ("market data",),
    2106: ("history",),
    2107: ("history",),
    2108: ("market data",),
    2158: ("definitions",),
}
# These name their farm behind the last colon of their text.
FARMS = frozenset({2103, 2104, 2105, 2106, 2107, 2108, 2157, 2158})
DATA_LOST = 1101
DATA_KEPT = 1102


def meaning(code: int) -> Meaning:
    """Return what a code says about its order; one that is not in the table must be asked about."""
    if code in _WARNINGS:
        return Meaning.WARN
    return ORDER_CODES.get(code, Meaning.UNKNOWN)
