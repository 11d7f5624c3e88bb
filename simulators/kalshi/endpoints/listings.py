"""Series, events and markets."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from simulators.kalshi.call import Call
from simulators.kalshi.contract import Contract
from simulators.kalshi.market_views import event_view, market_view, series_view
from simulators.kalshi.paging import page
from simulators.kalshi.wire import ApiError, Json, refusal

_PLAIN = {"unopened": ("initialized",), "open": ("active",), "paused": ("inactive",), "settled": ("finalized",)}
# a filter word -> the statuses it matches; ``closed`` is everything past its close that is not settled
FILTERS = {**_PLAIN, "closed": ("closed", "determined", "disputed", "amended")}
NEVER = datetime.max.replace(tzinfo=UTC)
# later than any contract closes
_FAR = timedelta(days=36_500)
# filter -> the moment it looks at
_MOMENTS: dict[str, Callable[[Contract], datetime]] = {
    "created_ts": lambda contract: contract.life.created,
    "close_ts": lambda contract: contract.life.closes,
    # a settlement to come is nobody's to know
    "settled_ts": lambda contract: contract.life.settled if contract.status == "finalized" else NEVER,
}


def list_series(call: Call) -> tuple[int, Json]:
    """List the series, of one category if asked for."""
    category = call.query.get("category")
    found = [series for series in call.venue.series.values() if category in (None, "", series.category)]
    return 200, {"series": [series_view(call.venue, series) for series in found]}


def read_series(call: Call) -> tuple[int, Json]:
    """Return one series."""
    found = call.venue.series.get(call.params["series"])
    if found is None:
        raise refusal(404, "not_found", "series not found")
    return 200, {"series": series_view(call.venue, found)}


def fee_changes(call: Call) -> tuple[int, Json]:
    """Return the changes of fees: there are none."""
    return 200, {"series_fee_change_arr": []}


def list_events(call: Call) -> tuple[int, Json]:
    """List events, newest opening last."""
    statuses = _statuses(call)
    series, least = call.query.get("series_ticker"), call.moment("min_close_ts")
    found = dict.fromkeys(
        contract.listing.event_ticker
        for contract in call.venue.shown(call.now)
        if series in (None, "", contract.listing.series_ticker)
        and (not statuses or call.venue.status(contract, call.now) in statuses)
        and (least is None or contract.life.closes >= least)
    )
    nested = call.flag("with_nested_markets")
    body = page(
        call, "events", list(found), lambda name: event_view(call.venue, name, call.now, nested=nested), (200, 200)
    )
    return 200, {**body, "milestones": []}


def read_event(call: Call) -> tuple[int, Json]:
    """Return one event and its markets."""
    name = call.params["event"]
    contracts = [c for c in call.venue.events.get(name, []) if c.life.created <= call.now]
    if not contracts:
        raise refusal(404, "not_found", "event not found")
    event = event_view(call.venue, name, call.now, nested=call.flag("with_nested_markets"))
    return 200, {"event": event, "markets": [market_view(call.venue, contract, call.now) for contract in contracts]}


def list_markets(call: Call) -> tuple[int, Json]:
    """List markets that pass every filter given."""
    wanted, statuses = set(call.names("tickers")), _statuses(call)
    series, event = call.query.get("series_ticker"), call.query.get("event_ticker")
    spans = _spans(call)
    found = [
        contract
        for contract in call.venue.shown(call.now)
        if (not wanted or contract.ticker in wanted)
        and series in (None, "", contract.listing.series_ticker)
        and event in (None, "", contract.listing.event_ticker)
        and (not statuses or call.venue.status(contract, call.now) in statuses)
        and all(low <= moment(contract) <= high for moment, low, high in spans)
    ]
    return 200, page(call, "markets", found, lambda found: market_view(call.venue, found, call.now), (100, 1000))


def read_market(call: Call) -> tuple[int, Json]:
    """Return one market."""
    return 200, {"market": market_view(call.venue, _kept(call, old=False), call.now)}


def read_old_market(call: Call) -> tuple[int, Json]:
    """Return one market that was put away."""
    return 200, {"market": market_view(call.venue, _kept(call, old=True), call.now)}


def _kept(call: Call, *, old: bool) -> Contract:
    contract, cutoff = call.contract(), call.venue.cutoff(call.now)
    if (cutoff is not None and contract.life.settled < cutoff) is not old:
        raise refusal(404, "not_found", "market not found")
    return contract


def _statuses(call: Call) -> set[str]:
    words = call.names("status")
    unknown = [word for word in words if word not in FILTERS]
    if unknown:
        raise _invalid(f"status should be one of {', '.join(FILTERS)}")
    return {status for word in words for status in FILTERS[word]}


def _spans(call: Call) -> list[tuple[Callable[[Contract], datetime], datetime, datetime]]:
    spans = []
    for name, moment in _MOMENTS.items():
        low, high = call.moment(f"min_{name}"), call.moment(f"max_{name}")
        if low is not None or high is not None:
            spans.append((moment, low or datetime.min.replace(tzinfo=UTC), high or call.now + _FAR))
    if len(spans) > 1:
        raise _invalid("created, close and settled filters exclude each other")
    return spans


def _invalid(details: str) -> ApiError:
    return refusal(400, "invalid_parameters", details=details)
