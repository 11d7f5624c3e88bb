"""The rules of games: who must win, against whom, on which day.

Seen at the venue: "If Oklahoma City wins the Oklahoma City at Indiana professional basketball game originally
scheduled for Jun 19, 2025, then the market resolves to Yes."
"""

import re
from datetime import timedelta

from domain.contract import Contract, RuleKind, SettlementRule
from strategies.event.rules_text import (
    DATE,
    Unclear,
    moment,
    plain,
    require_known,
    revision_rule,
    sentences,
    the_date,
    void_rule,
)

_PRIMARY = re.compile(
    r"^If (?P<team>.+?) wins the (?P<first>.+?) (?P<how>at|vs\.?|versus) (?P<second>.+?)"
    r"(?: (?P<sport>(?:professional|college|men's|women's)\b[\w' ]*?|[\w']+))? game"
    rf" (?:originally )?scheduled (?:for|on) (?P<date>{DATE}),? then (?:the|this) market resolves to Yes\.",
    re.I,
)
_LONGEST_GAME = timedelta(days=21)


def is_game(contract: Contract) -> bool:
    """Tell whether a contract is about who wins a game."""
    return bool(re.match(r"If .+? wins the .+? (?:at|vs\.?|versus) .+? game\b", plain(contract.rules_primary), re.I))


def read_game(contract: Contract, *, void_in_terms: bool) -> SettlementRule:
    """Return the reading of a game.

    Raises:
        Unclear: anything is missing, contradicts the venue's own fields, or is not understood.
    """
    primary, secondary = plain(contract.rules_primary), plain(contract.rules_secondary)
    match = _PRIMARY.match(primary)
    if match is None:
        raise Unclear(f"the first rule has no known form: {primary[:200]!r}")
    team, sides = match["team"], (match["first"], match["second"])
    if team not in sides or sides[0] == sides[1]:
        raise Unclear(f"{team!r} is not one of the two sides {sides[0]!r} and {sides[1]!r}")
    if not contract.settlement_sources:
        raise Unclear("the venue names no source for the result")
    rest = (*sentences(primary[match.end() :].strip()), *sentences(secondary))
    day, _ = the_date(contract, f"{primary} {plain(contract.title)}")
    begins = moment(day, 0, -5)
    if not begins <= contract.close_at <= begins + _LONGEST_GAME:
        raise Unclear(f"trading ends {contract.close_at:%Y-%m-%d}, the game is on {day}")
    void, revision = void_rule(rest, may_be_silent=void_in_terms), revision_rule(rest)
    require_known(rest, (void, revision), ())
    return SettlementRule(
        kind=RuleKind.GAME,
        source=", ".join(contract.settlement_sources),
        station="",
        location=f"{sides[0]} {match['how']} {sides[1]}",
        subject=f"{team} wins",
        low=None,
        high=None,
        unit="",
        resolution=None,
        observed_on=day,
        begins_at=None,
        ends_at=contract.close_at,
        rounding="",
        revision=revision,
        void=void,
    )
