"""The rules of long-term questions: what must happen, by when, and whose word decides.

No number is compared here; the panel is asked about the sentence itself. So the linter's part is to make sure that
there is one sentence, one deadline that fits the venue's own dates, and a named source.
"""

import re
from datetime import UTC, date, datetime, timedelta

from domain.contract import Contract, RuleKind, SettlementRule
from strategies.event.rules_text import (
    DATE,
    Unclear,
    dates,
    plain,
    require_known,
    revision_rule,
    sentences,
    ticker_date,
    void_rule,
)

_PRIMARY = re.compile(r"^If (?P<subject>.+?),? then (?:the|this) market resolves to Yes\.", re.I)
_QUESTION = re.compile(r"^(?:The|This) market resolves to Yes if (?P<subject>.+?)\.(?=\s|$)", re.I)
# A question asked elsewhere, whose own dates are those of the day it was asked; the rest says when it is decided.
_ASKED = re.compile(
    r'^If the answer to the question "(?P<subject>.+)" is yes, then the market resolves to Yes\.$', re.I
)
_DECIDED = re.compile(rf"\bis decided (?P<word>on) (?P<date>{DATE})", re.I)
_DEADLINE = re.compile(
    rf"\b(?P<word>before|prior to|by|on or before|until|through|on|in the period ending)"
    rf"(?: the end of| \d{{1,2}}(?::\d{{2}})?\s*[ap]\.?m\.?(?: \(?\w+\)?)?(?: on)?)?\s+(?P<date>{DATE})",
    re.I,
)
_CITED = re.compile(
    r"\b(?:according to|as reported by|as announced by|as published by|as determined by|verified (?:from|by)|"
    r"source(?: is|:)|sources? of (?:truth|resolution) (?:is|are)|reporting (?:by|from)|data from"
    r"|its answer is that of)"
    r" (?P<source>[^.;]+?)(?=[,.;]| before | by | on | after |$)",
    re.I,
)
_OTHERWISE = re.compile(r"^(?:Otherwise|If not|In all other cases),? (?:the|this|it)\b[^.]*resolves to No\.?$", re.I)
_FORBIDDEN = re.compile(r"\bsole discretion\b|\bmay be (?:changed|modified)\b|\bto be determined\b|\bTBD\b", re.I)
_PATIENCE = timedelta(days=2)


def read_statement(contract: Contract, *, void_in_terms: bool) -> SettlementRule:
    """Return the reading of a long-term question.

    Raises:
        Unclear: it has no one sentence, deadline, source or void rule, or its dates contradict the venue's.
    """
    primary, secondary = plain(contract.rules_primary), plain(contract.rules_secondary)
    asked = _ASKED.match(primary)
    match = asked or _PRIMARY.match(primary) or _QUESTION.match(primary)
    if match is None or (asked is None and primary.startswith("If the answer to the question")):
        raise Unclear(f"the first rule does not say what makes it resolve to Yes: {primary[:200]!r}")
    if asked and not asked["subject"].endswith("?"):
        raise Unclear(f"the question has no question mark at its end, so it may be cut off: {asked['subject'][:200]!r}")
    if _FORBIDDEN.search(f"{primary} {secondary}"):
        raise Unclear("the text leaves the outcome to be decided otherwise than by what happens")
    if contract.floor_strike is not None or contract.cap_strike is not None:
        raise Unclear(f"the contract has a strike ({contract.strike_type}), and its text is of no kind that has one")
    rest = (*sentences(primary[match.end() :].strip()), *sentences(secondary))
    ends = _deadline(contract, *((_DECIDED, secondary) if asked else (_DEADLINE, match["subject"])))
    source = _source(contract, match["subject"], rest)
    void, revision = void_rule(rest, may_be_silent=void_in_terms), revision_rule(rest)
    require_known(rest, (void,), (_OTHERWISE, _CITED))
    return SettlementRule(
        kind=RuleKind.STATEMENT,
        source=source,
        station="",
        location="",
        subject=match["subject"],
        low=None,
        high=None,
        unit="",
        resolution=None,
        observed_on=None,
        begins_at=None,
        ends_at=ends,
        rounding="",
        revision=revision,
        void=void,
    )


def _deadline(contract: Contract, pattern: re.Pattern[str], text: str) -> datetime:
    """Return when time is up: the date of the sentence, which must fit the venue's own dates."""
    found = {(match["word"].lower(), *dates(match["date"])) for match in pattern.finditer(text)}
    if len(found) != 1:
        raise Unclear(f"the text names {len(found) or 'no'} deadlines, expected one: {text[:200]!r}")
    word, day = found.pop()
    assert isinstance(day, date)
    whole_day = timedelta(days=0 if word in ("before", "prior to") else 1)
    ends = datetime(day.year, day.month, day.day, tzinfo=UTC) + whole_day
    # Deadlines are in the venue's time, which is up to half a day behind UTC: the day is exact, the hour is not.
    if not contract.open_at < ends <= contract.latest_expiration_at + _PATIENCE:
        raise Unclear(
            f"the sentence's deadline {ends:%Y-%m-%d} does not lie between the opening {contract.open_at:%Y-%m-%d} and "
            f"the latest expiration {contract.latest_expiration_at:%Y-%m-%d}"
        )
    if contract.close_at > ends + _PATIENCE:
        raise Unclear(f"trading ends {contract.close_at:%Y-%m-%d}, after the deadline {ends:%Y-%m-%d}")
    told = ticker_date(contract.event)
    if told is not None and abs(told[0] - day) > _PATIENCE:
        raise Unclear(f"the sentence names {day}, the ticker {contract.event} {told[0]}")
    return ends


def _source(contract: Contract, subject: str, rest: tuple[str, ...]) -> str:
    """Return the source the text names, else the ones the venue lists for the contract."""
    named = [match["source"].strip() for text in (subject, *rest) for match in _CITED.finditer(text)]
    listed = ", ".join(contract.settlement_sources)
    if not named and not listed:
        raise Unclear("neither the text nor the venue names a source")
    return "; ".join(dict.fromkeys(named)) or listed
