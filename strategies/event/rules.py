"""The settlement-rule linter: a contract's own text, understood or refused.

The text decides what pays; the venue's structured fields, its ticker and our table of stations must agree with every
word of it. Whatever is missing, contradicts or is not understood leaves the contract unread, with the reason, and an
unread contract is not traded. This module is the single authority for what a contract settles on.
"""

from domain.contract import Contract, SettlementRule, Unread
from strategies.event.rules_game import is_game, read_game
from strategies.event.rules_price import is_price, read_price
from strategies.event.rules_statement import read_statement
from strategies.event.rules_text import Unclear
from strategies.event.rules_weather import is_daily_high, read_daily_high

# First that recognises its subject reads it; a statement is what is left.
_READERS = ((is_daily_high, read_daily_high), (is_price, read_price), (is_game, read_game))


def read_rule(contract: Contract, *, void_in_terms: bool = False) -> SettlementRule | Unread:
    """Return what a contract's text says, or why it was not understood.

    Args:
        void_in_terms: accept a text that is silent about what happens when there is nothing to report; the venue's
            contract terms decide then, which this linter has not seen. The real venue's daily highs are such texts.
    """
    try:
        for recognises, read in _READERS:
            if recognises(contract):
                return read(contract, void_in_terms=void_in_terms)
        return read_statement(contract, void_in_terms=void_in_terms)
    except Unclear as unclear:
        return Unread(reason=str(unclear))
