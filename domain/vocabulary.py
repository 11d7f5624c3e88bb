"""The closed vocabularies of the system: every word that may stand in a journal, on the wire or in a page.

This module is the single authority for these words. It imports nothing of ours.
"""

from enum import StrEnum


class Surface(StrEnum):
    """A market reached through one broker, run by its own process with its own bankroll."""

    ST = "st"
    LT = "lt"
    FX = "fx"
    STK = "stk"


class Side(StrEnum):
    BUY = "buy"
    SELL = "sell"

    @property
    def opposite(self) -> "Side":
        return Side.SELL if self is Side.BUY else Side.BUY

    @property
    def sign(self) -> int:
        return 1 if self is Side.BUY else -1


class Mode(StrEnum):
    """How orders leave the process: not at all, to a practice account, or with real money."""

    DRY_RUN = "dry_run"
    PAPER = "paper"
    LIVE = "live"


class DeadMan(StrEnum):
    """What a subscriber who no longer hears the feed is advised to do with a signal's position."""

    HOLD = "hold"
    FLATTEN = "flatten"
    TIGHTEN = "tighten"


class State(StrEnum):
    """Operating state of a surface: trade, exits only, or nothing but cancels."""

    RUN = "RUN"
    REDUCE = "REDUCE"
    HALT = "HALT"


class Cause(StrEnum):
    """Who or what tightened a surface's state; each loosens only what it tightened itself."""

    OPERATOR = "operator"
    BREAKER = "breaker"
    RECONCILIATION = "reconciliation"


class Gate(StrEnum):
    """The ten gates, in the order in which they are asked."""

    STOP_FILE = "stop_file"
    DEDUP = "dedup"
    MARKET_CAP = "market_cap"
    DIRECTION = "direction"
    CATEGORY = "category"
    RISK = "risk"
    SLIPPAGE = "slippage"
    EDGE = "edge"
    CONFIDENCE = "confidence"
    COST = "cost"


class Code(StrEnum):
    """Why a gate refused a candidate."""

    STOPPED = "STOPPED"
    DUPLICATE = "DUPLICATE"
    COOLDOWN = "COOLDOWN"
    MARKET_CAP = "MARKET_CAP"
    DIRECTION = "DIRECTION"
    MARKET_CLOSED = "MARKET_CLOSED"
    RULE_UNPARSED = "RULE_UNPARSED"
    SUSPENDED = "SUSPENDED"
    RISK_SIZE = "RISK_SIZE"
    RISK_BANKROLL = "RISK_BANKROLL"
    RISK_POSITIONS = "RISK_POSITIONS"
    RISK_DAILY_LOSS = "RISK_DAILY_LOSS"
    RISK_CONCENTRATION = "RISK_CONCENTRATION"
    RISK_LEVERAGE = "RISK_LEVERAGE"
    RISK_EXPOSURE = "RISK_EXPOSURE"
    RISK_CASH = "RISK_CASH"
    RISK_DAY_TRADE = "RISK_DAY_TRADE"
    STALE = "STALE"
    SLIPPAGE = "SLIPPAGE"
    EDGE = "EDGE"
    CONFIDENCE = "CONFIDENCE"
    COST = "COST"


class Leg(StrEnum):
    """Which part of a trade an order belongs to; part of every client order id.

    ``STOP`` is a protective order that rests at the broker; its fills are the trade's exits.
    """

    ENTRY = "entry"
    EXIT = "exit"
    STOP = "stop"


class TimeInForce(StrEnum):
    """How long an order rests: until its session closes, or until somebody cancels it."""

    DAY = "day"
    GTC = "gtc"


class Link(StrEnum):
    """Whether a broker can be traded with: fully, for looking only, or not at all."""

    UP = "UP"
    DEGRADED = "DEGRADED"
    DOWN = "DOWN"


class OrderState(StrEnum):
    INTENDED = "intended"
    SENT = "sent"
    ACCEPTED = "accepted"
    PARTIAL = "partial"
    FILLED = "filled"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    ABSENT = "absent"


class Action(StrEnum):
    """What a signal asks of a subscriber."""

    OPEN = "open"
    AMEND = "amend"
    CLOSE = "close"


class ExitReason(StrEnum):
    """What ended a trade."""

    STOP_LOSS = "stop_loss"
    TAKE_PROFIT = "take_profit"
    TRAILING_STOP = "trailing_stop"
    TIME = "time"
    BREAKEVEN = "breakeven"
    SESSION_END = "session_end"
    STALE = "stale"
    FLATTEN = "flatten"
    SETTLED = "settled"
    BROKER = "broker"


class ResolutionSource(StrEnum):
    """Where the outcome of a trade was read; real and synthetic sources never mix in a total."""

    KALSHI_RESOLUTION = "kalshi_resolution"
    NWS_OBSERVATION = "nws_observation"
    OANDA_CANDLES = "oanda_candles"
    IBKR_POSITION = "ibkr_position"
    POLYMARKET_RESOLUTION = "polymarket_resolution"
    SIM = "sim"

    @property
    def is_synthetic(self) -> bool:
        return self is ResolutionSource.SIM


class Stage(StrEnum):
    """What a subscriber reports about a signal."""

    ACK = "ack"
    EXECUTED = "executed"
    RESOLVED = "resolved"


class Kind(StrEnum):
    """The ``kind`` of a journal record."""

    OPERATOR_ACTION = "operator_action"
    DECISION = "decision"
    STATE = "state"
    DAY = "day"
    COOLDOWN = "cooldown"
    SUSPENSION = "suspension"
    RECONCILIATION = "reconciliation"
    ORDER_INTENT = "order_intent"
    ORDER_EVENT = "order_event"
    SIGNAL = "signal"
    RESOLUTION = "resolution"
    OUTCOME = "outcome"
    CORPORATE_ACTION = "corporate_action"
    PERFORMANCE = "performance"
    COST_RESERVED = "cost_reserved"
    COST_SETTLED = "cost_settled"
    CALLBACK = "callback"
    CALLBACK_CONFLICT = "callback_conflict"
    CALLBACK_PARKED_OVERDUE = "callback_parked_overdue"
    FEED_START = "feed_start"
    FEED_STOP = "feed_stop"
    ACCESS_DENIED = "access_denied"
    ACCESS_ADDRESS = "access_address"
    ACCESS_COUNT = "access_count"
    ACCESS_DROPPED = "access_dropped"
    SEGMENT_START = "segment_start"
    SEGMENT_END = "segment_end"
    RECOVERY = "recovery"
