"""Trading hours in the words of contract details, and of remarks on orders that come outside them."""

from collections.abc import Sequence
from datetime import date

from simulators.ibkr.clock import NEW_YORK, local_date, moment
from simulators.ibkr.orders import Order
from simulators.ibkr.sessions import next_session, session_at, session_of


def trading_hours(days: Sequence[date], *, liquid: bool) -> str:
    """Return the hours of some days; ``liquid`` are the regular ones, else those before and after count too."""
    return ";".join(_hours(day, liquid) for day in days)


def waits_until(order: Order, now_ms: int) -> str | None:
    """Return when an order that came outside its hours goes to the exchange; None where it need not wait."""
    terms = order.terms
    if order.is_done or not order.transmitted:
        return None
    today = session_at(now_ms)
    opens = None if today is None else today.pre_open if terms.outside_rth else today.open
    closes = None if today is None else today.post_close if terms.outside_rth else today.close
    if opens is not None and closes is not None and now_ms < closes:
        return None if opens <= now_ms else _moment(opens)
    following = next_session(local_date(now_ms))
    return _moment(following.pre_open if terms.outside_rth else following.open)


def _moment(ms: int) -> str:
    return f"{moment(ms).astimezone(NEW_YORK):%Y-%m-%d %H:%M:%S} US/Eastern"


def _hours(day: date, liquid: bool) -> str:
    session = session_of(day)
    if session is None:
        return f"{day:%Y%m%d}:CLOSED"
    first, last = (session.open, session.close) if liquid else (session.pre_open, session.post_close)
    return f"{_text(first)}-{_text(last)}"


def _text(ms: int) -> str:
    return f"{moment(ms).astimezone(NEW_YORK):%Y%m%d:%H%M}"
