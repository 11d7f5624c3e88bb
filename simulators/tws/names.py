"""Numbers of requests and their names; fault scripts and the request log use the names."""

from enum import IntEnum


class Ask(IntEnum):
    """What a client sends. The name with a small first letter is the one the protocol's documents use."""

    ReqMktData = 1
    CancelMktData = 2
    PlaceOrder = 3
    CancelOrder = 4
    ReqOpenOrders = 5
    ReqAccountUpdates = 6
    ReqExecutions = 7
    ReqIds = 8
    ReqContractDetails = 9
    SetServerLogLevel = 14
    ReqAutoOpenOrders = 15
    ReqAllOpenOrders = 16
    ReqManagedAccts = 17
    ReqHistoricalData = 20
    CancelHistoricalData = 25
    ReqCurrentTime = 49
    ReqRealTimeBars = 50
    CancelRealTimeBars = 51
    ReqGlobalCancel = 58
    ReqMarketDataType = 59
    ReqPositions = 61
    ReqAccountSummary = 62
    CancelAccountSummary = 63
    CancelPositions = 64
    StartApi = 71
    ReqPositionsMulti = 74
    CancelPositionsMulti = 75
    ReqAccountUpdatesMulti = 76
    CancelAccountUpdatesMulti = 77
    ReqSmartComponents = 83
    ReqMatchingSymbols = 81
    ReqHeadTimeStamp = 87
    CancelHeadTimeStamp = 90
    ReqMarketRule = 91
    ReqPnL = 92
    CancelPnL = 93
    ReqPnLSingle = 94
    CancelPnLSingle = 95
    ReqTickByTickData = 97
    CancelTickByTickData = 98
    ReqCompletedOrders = 99

    @property
    def word(self) -> str:
        return self.name[0].lower() + self.name[1:]


NAMES: dict[int, str] = {int(ask): ask.word for ask in Ask}


def name_of(number: int) -> str:
    """Return a request's name, or its number as text for one this gateway does not know."""
    return NAMES.get(number, str(number))
