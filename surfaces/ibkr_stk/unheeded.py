"""Cancels and changes that the broker does not carry out: told to the operator, who can."""

from datetime import datetime

from brokers.port import RestingOrder
from strategies.stop_entry.arming import elapsed
from surfaces.ibkr_stk.picture import Asked, Picture

# How often something is asked for before it is told that nothing comes of it.
PATIENCE = 4
# How often it may be missed out, and still be asked for.
PAUSES = 3


class Unheeded:
    """Remembers since when orders are asked for something that does not happen.

    An order belongs to the connection that sent it: another client id can't take it back.

    Attributes:
        told: order id -> in words what is asked of it in vain.
    """

    def __init__(self, asked: Asked, retry_s: float) -> None:
        self._asked = asked
        self._retry_s = retry_s
        self._since: dict[str, datetime] = {}
        self.told: dict[str, str] = {}

    def look(self, picture: Picture, now: datetime) -> None:
        """Compare what rests with what was asked for and is asked for still."""
        if not picture.is_known:
            return
        mine = {order.client_order_id or "": order for order in picture.resting}
        waiting = {key: order for key, order in mine.items() if self._is_asked(order, now)}
        self._since = {key: self._since.get(key, now) for key in waiting}
        late = {key: at for key, at in self._since.items() if elapsed(at, now, PATIENCE * self._retry_s)}
        self.told = {key: _words(waiting[key], at) for key, at in late.items()}

    def _is_asked(self, order: RestingOrder, now: datetime) -> bool:
        """Tell whether a cancel or another quantity was asked for lately: what is wanted is asked for again."""
        key = order.client_order_id or ""
        wanted, sized_at = self._asked.sizes.get(key, (None, None))
        last = [at for at in (self._asked.cancels.get(key), None if wanted == order.quantity else sized_at) if at]
        return any(not elapsed(at, now, PAUSES * self._retry_s) for at in last)


def _words(order: RestingOrder, since: datetime) -> str:
    return (
        f"{order.market}: expected an end or a change of {order.client_order_id}, asked for since "
        f"{since:%H:%M:%S} UTC; found it resting as it was; end it by hand, or start with the IBKR_CLIENT_ID and "
        f"IBKR_TRANSPORT that sent it"
    )
