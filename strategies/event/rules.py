"""The settlement-rule linter: a contract's own text, understood or refused.

The text decides what pays; the venue's structured fields, its ticker and our table of stations must agree with every
word of it. Whatever is missing, contradicts or is not understood leaves the contract unread, with the reason, and an
unread contract is not traded. This module is the single authority for what a contract settles on.
"""

import unicodedata
from dataclasses import replace

from domain.contract import Contract, SettlementRule, Unread
from strategies.event.rules_game import is_game, read_game
from strategies.event.rules_price import is_price, read_price
from strategies.event.rules_statement import read_statement
from strategies.event.rules_text import Unclear
from strategies.event.rules_weather import is_daily_high, read_daily_high

# Each decision writes the reading down, and a line of the journal has room for 64 KiB: strangers' words are cut.
LONGEST = 1_000
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
                return _bounded(read(contract, void_in_terms=void_in_terms))
        return _bounded(read_statement(contract, void_in_terms=void_in_terms))
    except Unclear as unclear:
        return Unread(reason=_shown(str(unclear)))


def _bounded(rule: SettlementRule) -> SettlementRule:
    return replace(
        rule,
        source=_shown(rule.source),
        subject=_shown(rule.subject),
        revision=_shown(rule.revision),
        void=_shown(rule.void),
    )


def _shown(text: str) -> str:
    """Return what a person may be shown of a text: no characters that steer a terminal, and not all of a long one."""
    if not text.isprintable():
        text = "".join(letter for letter in text if not unicodedata.category(letter).startswith("C"))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} [cut here: {len(text) - LONGEST} more characters]"
