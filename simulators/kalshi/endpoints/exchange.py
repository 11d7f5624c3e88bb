"""The exchange itself: status, hours, limits of an account."""

from datetime import UTC, datetime

from simulators.kalshi.call import Call
from simulators.kalshi.limits import CALL_COST, TIERS
from simulators.kalshi.wire import Json, iso

_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def status(call: Call) -> tuple[int, Json]:
    """Tell whether the exchange takes orders."""
    pause = call.venue.exchange_pause(call.now)
    if pause is not None:
        pause.bend("")
    trading = pause is None
    index = {
        "exchange_index": 0,
        "description": "simulated exchange",
        "exchange_active": True,
        "trading_active": trading,
        "intra_exchange_transfers_active": False,
    }
    body: Json = {"exchange_active": True, "trading_active": trading}
    if call.wire != "older":
        body |= {"intra_exchange_transfers_active": False, "exchange_index_statuses": [index]}
    return 200, body


def cutoff(call: Call) -> tuple[int, Json]:
    """Return the moments before which things are on the historical pages only."""
    moment = call.venue.cutoff(call.now)
    text = iso(datetime.fromtimestamp(0, UTC) if moment is None else moment)
    return 200, {"market_settled_ts": text, "trades_created_ts": text, "orders_updated_ts": text}


def schedule(call: Call) -> tuple[int, Json]:
    """Return trading hours: the simulated exchange never closes."""
    hours = [{"open_time": "00:00", "close_time": "00:00"}]
    week = {"start_time": "2014-01-01T00:00:00Z", "end_time": "2099-01-01T00:00:00Z", **dict.fromkeys(_DAYS, hours)}
    return 200, {"schedule": {"standard_hours": [week], "maintenance_windows": []}}


def limits(call: Call) -> tuple[int, Json]:
    """Return the account's token buckets."""
    tier = call.account.tier
    read, write = TIERS[tier]
    return 200, {
        "usage_tier": tier,
        "read": {"refill_rate": read, "bucket_capacity": read},
        "write": {"refill_rate": write, "bucket_capacity": write},
        "grants": [],
    }


def endpoint_costs(call: Call) -> tuple[int, Json]:
    """Return what a call costs: the same everywhere, and once for each item of a batch."""
    return 200, {"default_cost": CALL_COST, "endpoint_costs": []}
