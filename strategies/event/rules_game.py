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

# Bounded on purpose: strangers write these texts, and an unbounded pattern can be made to run for minutes.
_PRIMARY = re.compile(
    r"^If (?P<team>.{1,60}?) wins the (?P<match>.{1,160}?) game (?:originally )?scheduled (?:for|on) "
    rf"(?P<date>{DATE}),? then (?:the|this) market resolves to Yes\.",
    re.I,
)
_AGAINST = re.compile(r" (at|vs\.?|versus) ", re.I)
_SPORT = re.compile(r" (?:professional|college|men's|women's)\b.*$", re.I)
_LONGEST_GAME = timedelta(days=21)


def is_game(contract: Contract) -> bool:
    """Tell whether a contract is about who wins a game."""
    return bool(re.match(r"If .{1,60}? wins the .{1,160}? game\b", plain(contract.rules_primary), re.I))


def read_game(contract: Contract, *, void_in_terms: bool) -> SettlementRule:
    """Return the reading of a game.

    Raises:
        Unclear: anything is missing, contradicts the venue's own fields, or is not understood.
    """
    primary, secondary = plain(contract.rules_primary), plain(contract.rules_secondary)
    match = _PRIMARY.match(primary)
    if match is None:
        raise Unclear(f"the first rule has no known form: {primary[:200]!r}")
    team, (first, how, second) = match["team"], _sides(match["match"])
    if team not in (first, second) or first == second:
        raise Unclear(f"{team!r} is not one of the two sides {first!r} and {second!r}")
    if not contract.settlement_sources:
        raise Unclear("the venue names no source for the result")
    rest = (*sentences(primary[match.end() :].strip()), *sentences(secondary))
    day, _ = the_date(contract, f"{primary} {plain(contract.title)}")
    begins = moment(day, 0, -5)
    if not begins <= contract.close_at <= begins + _LONGEST_GAME:
        raise Unclear(f"trading ends {contract.close_at:%Y-%m-%d}, the game is on {day}")
    void, revision = void_rule(rest, may_be_silent=void_in_terms), revision_rule(rest)
    require_known(rest, (void,), ())
    return SettlementRule(
        kind=RuleKind.GAME,
        source=", ".join(contract.settlement_sources),
        station="",
        location=f"{first} {how} {second}",
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


def _sides(words: str) -> tuple[str, str, str]:
    """Return the two sides of a game and the word between them, without the sport behind the second."""
    parts = _AGAINST.split(words)
    if len(parts) != 3:
        raise Unclear(f"{words!r} does not name two sides")
    return parts[0], parts[1], _SPORT.sub("", parts[2])
