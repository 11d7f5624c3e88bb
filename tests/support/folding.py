"""Folds of records, and everything that is asked of them."""

from decimal import Decimal

from audit.fold import SurfaceFold
from domain.vocabulary import Leg

D = Decimal


def fold_of(records):
    fold = SurfaceFold(D(1000), "USD")
    for record in records:
        fold.apply(record)
    return fold


def beliefs(fold):
    """Return everything that surface, resolver and gates ask a fold."""
    return {
        "positions": fold.positions(),
        "unresolved": fold.unresolved(),
        "unclosed": fold.unclosed(),
        "unfinished": {leg: fold.unfinished(leg) for leg in Leg},
        "unpublished": fold.unpublished(),
        "balance": fold.bankroll.balance,
        "high_water_mark": fold.bankroll.high_water_mark,
        "state": fold.state,
        "wishes": fold.wishes,
        "day": fold.day,
        "told": fold.told,
        "recent": fold.recent,
        "cooldowns": fold.cooldowns,
        "cooled": fold.cooled_signals,
        "suspensions": fold.suspensions,
        "published": fold.published,
        "closed": fold.closed,
        "resolutions": fold.resolutions,
        "orders": {key: fold.order_state(key) for key in fold.intents},
        "attempts": {(i.signal_id, leg): fold.attempts(i.signal_id, leg) for i in fold.intents.values() for leg in Leg},
    }
