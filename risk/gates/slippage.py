"""Gate 7: the quote is fresh and narrow, and the market has not moved away from the decision."""

from decimal import Decimal

from domain.candidate import Candidate, Estimate
from domain.decision import Size, Verdict
from domain.quotes import Quote
from domain.vocabulary import Code, Gate
from risk.check import Check, at_least, at_most, number, seconds, verdict
from risk.limits import Limits
from risk.state import RiskState

_BP = Decimal(10000)
_NONE, _ONE = number(0), number(1)


def slippage(candidate: Candidate, estimate: Estimate, size: Size, state: RiskState, limits: Limits) -> Verdict:
    """Refuse an old quote, a wide one, and a price that has become worse than the one decided on."""
    quote = state.quote_of(candidate.market)
    if quote is None:
        return verdict(Gate.SLIPPAGE, [at_least(Code.STALE, _NONE, _ONE, "quotes", f"no quote of {candidate.market}")])
    # A quote from the future is as unusable as an old one: one of the two clocks is wrong.
    received, venue = abs(seconds(state.now - quote.received_at)), abs(seconds(state.now - quote.at))
    return verdict(
        Gate.SLIPPAGE,
        [
            at_most(Code.STALE, received, limits.max_quote_age_s, "s", "since received"),
            at_most(Code.STALE, venue, limits.max_quote_age_s, "s", "since the venue's time"),
            at_most(Code.SLIPPAGE, quote.spread / quote.mid * _BP, limits.max_spread_bp, "bp", "spread"),
            _moved(candidate, quote, limits),
        ],
    )


def _moved(candidate: Candidate, quote: Quote, limits: Limits) -> Check:
    decided = candidate.decision_price
    if decided <= 0:
        return False, Code.SLIPPAGE, decided, _NONE, "price", "decision price"
    adverse = (quote.entry_price(candidate.side) - decided) * candidate.side.sign
    return at_most(Code.SLIPPAGE, adverse / decided * _BP, limits.max_slippage_bp, "bp", "adverse move")
