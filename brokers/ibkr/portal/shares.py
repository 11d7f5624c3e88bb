"""What a trade of ours has left by its own orders and executions: the list of positions lags behind both.

The portal keeps positions for a while, and emptying what it keeps helps without being sure to: seconds after an entry
the list may still be without it, and seconds after a stop still with what that sold.
"""

from decimal import Decimal

from brokers.ibkr import references
from brokers.ibkr.portal.ledger import Ledger
from brokers.ibkr.portal.wire import Wire
from domain.errors import Retry
from domain.vocabulary import Leg, Side

# For how many pauses of the lists the page of positions may be wrong: a minute.
LAG_PAUSES = 12
ZERO = Decimal(0)


class Shares:
    """Counts the shares of each signal, and for how long the list of positions has not agreed."""

    def __init__(self, wire: Wire, ledger: Ledger) -> None:
        self._ledger = ledger
        self._lag_ns = int(LAG_PAUSES * wire.config.portal_page_pause_s * 1e9)
        self._doubted_ns: dict[str, int] = {}

    def bought(self, signal_id: str) -> Decimal:
        """Return how much the entry of a signal filled, 0 where neither orders nor executions tell of it any more."""
        return self._filled(signal_id, (Leg.ENTRY,))

    def left(self, signal_id: str) -> Decimal:
        """Return what is left of what was bought, splits not counted."""
        return self.bought(signal_id) - self._filled(signal_id, (Leg.STOP, Leg.EXIT))

    def _filled(self, signal_id: str, legs: tuple[Leg, ...]) -> Decimal:
        """Sum up what the orders of these legs filled, by their rows or their executions, whichever tells more."""
        rows: dict[str, Decimal] = {}
        executions: dict[str, Decimal] = {}
        for row in self._ledger.rows():
            if _is_of(row.reference, signal_id, legs):
                rows[str(row.reference)] = rows.get(str(row.reference), ZERO) + row.filled
        for one in self._ledger.book.all():
            if _is_of(one.reference, signal_id, legs):
                executions[str(one.reference)] = executions.get(str(one.reference), ZERO) + one.quantity
        return sum((max(rows.get(name, ZERO), executions.get(name, ZERO)) for name in rows | executions), ZERO)

    def require_shown(self, signal_id: str, market: str, leaving: Side, wanted: Decimal, shown: Decimal) -> None:
        """See that the list of positions shows at least what is wanted of a trade, or has not for longer than it lags.

        Raises:
            Retry: it shows less than executions explain, and may only be late.
        """
        now_ns = self._ledger.now_ns()
        if shown >= wanted - self._left_elsewhere(signal_id, market, leaving):
            self._doubted_ns.pop(signal_id, None)
        elif now_ns - self._doubted_ns.setdefault(signal_id, now_ns) < self._lag_ns:
            found = f"{shown} {market}, where {wanted} should be"
            raise Retry("positions that agree with the executions", found, "ask again", after_s=1.0)

    def require_unsold(self, signal_id: str) -> None:
        """See that no order of a trade has just sold all of it: the position shown may be what was there before.

        Raises:
            Retry: one has, and the list of positions may be late.
        """
        if self.bought(signal_id) <= 0 or self.left(signal_id) > 0:
            return
        over = [self._ledger.ended_ns(row) for row in self._ledger.rows() if _is_of(row.reference, signal_id, _ENDS)]
        last_ns = max((ns for ns in over if ns is not None), default=None)
        if last_ns is not None and self._ledger.now_ns() - last_ns < self._lag_ns:
            raise Retry(
                "a position to protect", "one that a stop has just sold", "read the positions again", after_s=1.0
            )

    def _left_elsewhere(self, signal_id: str, market: str, leaving: Side) -> Decimal:
        """Return what orders that are not the trade's own have taken off the position since it began."""
        seen = self._ledger.book.all()
        began = min((one.at for one in seen if _is_of(one.reference, signal_id, (Leg.ENTRY,))), default=None)
        others = [
            one.quantity
            for one in seen
            if one.market == market and one.side is leaving and references.signal_id_of(one.reference) != signal_id
            if began is None or one.at >= began
        ]
        return sum(others, ZERO)


_ENDS = (Leg.STOP, Leg.EXIT)


def _is_of(reference: str | None, signal_id: str, legs: tuple[Leg, ...]) -> bool:
    return references.signal_id_of(reference) == signal_id and references.leg_of(reference) in legs
