"""Gate 7: the quote is fresh and narrow, and the market has not moved away from the decision."""

from decimal import Decimal

from domain.candidate import Candidate, Estimate
from domain.decision import Size, Verdict
from domain.quotes import Quote
from domain.vocabulary import Code, Gate, Side
from risk.check import Check, number, seconds, verdict
from risk.limits import Limits
from risk.state import RiskState

_GATE, _STALE, _SLIPPAGE, _BUY = Gate.SLIPPAGE, Code.STALE, Code.SLIPPAGE, Side.BUY
_BP = Decimal(10000)
_NONE, _ONE = number(0), number(1)


def slippage(candidate: Candidate, estimate: Estimate, size: Size, state: RiskState, limits: Limits) -> Verdict:
    """Refuse an old quote, a wide one, and a price that has become worse than the one decided on."""
    quote = state.quote_of(candidate.market)
    if quote is None:
        return verdict(_GATE, ((False, _STALE, _NONE, _ONE, "quotes", f"no quote of {candidate.market}"),))
    # A quote from the future is as unusable as an old one: one of the two clocks is wrong.
    received, venue = seconds(abs(state.now - quote.received_at)), seconds(abs(state.now - quote.at))
    payout = state.instrument.payout if state.instrument is not None else None
    oldest, widest = limits.max_quote_age_s, limits.max_spread_bp
    spread = quote.spread / (quote.mid if payout is None else payout) * _BP
    return verdict(
        _GATE,
        (
            (received <= oldest, _STALE, received, oldest, "s", "since received"),
            (venue <= oldest, _STALE, venue, oldest, "s", "since the venue's time"),
            (spread <= widest, _SLIPPAGE, spread, widest, "bp", "spread"),
            _moved(candidate, quote, limits, payout),
        ),
    )


def _moved(candidate: Candidate, quote: Quote, limits: Limits, payout: Decimal | None) -> Check:
    decided = candidate.decision_price
    if decided <= 0:
        return False, _SLIPPAGE, decided, _NONE, "price", "decision price"
    worse = quote.ask - decided if candidate.side is _BUY else decided - quote.bid
    moved, most = worse / (decided if payout is None else payout) * _BP, limits.max_slippage_bp
    return moved <= most, _SLIPPAGE, moved, most, "bp", "adverse move"
