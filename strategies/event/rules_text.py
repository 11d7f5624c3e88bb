"""The words of rule texts: dates, numbers, comparisons, and what is to happen when there is nothing to report."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from domain.contract import Contract

VOID_IN_TERMS = "not in the text; the exchange's contract terms decide"
REVISION_UNSTATED = "not in the text; the report that stands when the venue determines the result"
# Longer texts are not rules; patterns also stay cheap.
_LONGEST = 8_000
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
NUMBER = r"[-−]?\$?\d(?:[\d,]*\d)?(?:\.\d+)?"
DATE = rf"{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+\d{{4}}|\d{{1,2}}\s+{_MONTH},?\s+\d{{4}}|\d{{4}}-\d{{2}}-\d{{2}}"
_SPOKEN = re.compile(rf"(?P<month>{_MONTH})\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<year>\d{{4}})", re.I)
_DAY_FIRST = re.compile(rf"(?P<day>\d{{1,2}})\s+(?P<month>{_MONTH}),?\s+(?P<year>\d{{4}})", re.I)
_ISO = re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})(?!\d)")
_TICKER_DATE = re.compile(r"-(\d{2})([A-Z]{3})(\d{2})(\d{2})?(?:-|$)")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"“(\[])")
_UNIT = r"(?:\s*(?:°|º|deg(?:rees?)?)\s*(?:f(?:ahrenheit)?\b)?|\s*fahrenheit\b|\s*(?:us )?dollars?\b|\s*usd\b)?"
# Each with the venue's word for it; {n} stands for the number.
_ONE_SIDED = (
    ("(?:less|lower|colder) than or equal to {n}", "less_or_equal"),
    ("(?:greater|higher|more|warmer) than or equal to {n}", "greater_or_equal"),
    ("(?:less|lower|colder) than {n}", "less"),
    ("(?:strictly )?(?:below|under) {n}", "less"),
    ("(?:greater|higher|more|warmer) than {n}", "greater"),
    ("(?:strictly )?(?:above|over) {n}", "greater"),
    ("at least {n}", "greater_or_equal"),
    ("at most {n}", "less_or_equal"),
    (f"{{n}}{_UNIT} or (?:above|higher|more|greater)", "greater_or_equal"),
    (f"{{n}}{_UNIT} or (?:below|lower|less)", "less_or_equal"),
)
_BETWEEN = rf"between {{n}}{_UNIT}\s*(?:-|to|and)\s*{{n}}"
_ANY = "|".join((*(pattern for pattern, _ in _ONE_SIDED), _BETWEEN)).replace("{n}", NUMBER)
COMPARISON = rf"(?:{_ANY}){_UNIT}(?:,? inclusive|,? \(inclusive\)|,? exclusive)?"
# A sentence about the case in which there is nothing to report, and what is then done.
_NOTHING = re.compile(
    r"\b(?:no (?:\w+ )?(?:report|data|value|price|reading|observation|source|result|announcement)\b"
    r"|not (?:been )?(?:published|available|issued|released|reported|played|completed|held)|unavailable|missing"
    r"|nothing for that|cannot be determined|annulled|cancel|postpone|suspended|discontinued"
    r"|never (?:published|reported)|ceases)",
    re.I,
)
_REMEDY = re.compile(
    r"\b(?:void(?:ed)?|refund(?:ed)?|resolves? (?:to|as) (?:no|yes)|(?:last|final) (?:traded |fair )?(?:market )?price"
    r"|fair (?:market )?(?:price|value)|returned|remains? open|scalar)",
    re.I,
)
_REVISION = re.compile(
    r"\b(?:later changes|revis\w*|amend\w*|corrected|correction|latest version|final version|first published)", re.I
)
# Words that change what a rule means: a sentence that has one and is not understood leaves the rule unread.
_WEIGHTY = re.compile(
    r"\b(?:void\w*|refund\w*|resolv\w*|settle(?:[sd]|ment)?|unless|except\w*|instead|notwithstanding|provided that"
    r"|if|round(?:ed|ing)|midnight)\b",
    re.I,
)


class Unclear(Exception):
    """A text that leaves something open; its words say what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What is compared: the venue's word for the way, and the one or two numbers."""

    way: str
    floor: Decimal | None
    cap: Decimal | None

    @property
    def shown(self) -> str:
        ends = " to ".join(str(end) for end in (self.floor, self.cap) if end is not None)
        return f"{self.way or 'no comparison'} {ends or 'without a number'}"


def plain(text: str) -> str:
    """Return ``text`` on one line, with plain dashes and quotes and without emphasis.

    Raises:
        Unclear: the text is longer than a rule can be.
    """
    if len(text) > _LONGEST:
        raise Unclear(f"the text has {len(text)} characters, a rule at most {_LONGEST}")
    for found, put in (("–", "-"), ("—", "-"), ("−", "-"), ("’", "'"), ("‘", "'"), ("“", '"'), ("”", '"'), ("**", "")):
        text = text.replace(found, put)
    return re.sub(r"\s+", " ", text).strip()


def sentences(text: str) -> tuple[str, ...]:
    """Return the sentences of a plain text."""
    return tuple(part for part in _SENTENCE_END.split(text) if part)


def number(text: str) -> Decimal:
    """Return the number a text writes with thousands commas or a dollar sign."""
    return Decimal(text.replace(",", "").replace("$", ""))


def dates(text: str) -> frozenset[date]:
    """Return every whole date a text names.

    Raises:
        Unclear: it names a day that no calendar has.
    """
    found = set()
    for pattern in (_SPOKEN, _DAY_FIRST, _ISO):
        for match in pattern.finditer(text):
            month = match["month"]
            month_number = int(month) if month.isdigit() else _MONTHS[month[:3].lower()]
            found.add(_day(int(match["year"]), month_number, int(match["day"]), match[0]))
    return frozenset(found)


def _day(year: int, month: int, day: int, words: str) -> date:
    try:
        return date(year, month, day)
    except ValueError as error:
        raise Unclear(f"{words!r} is no date") from error


def ticker_date(event: str) -> tuple[date, int | None] | None:
    """Return the date, and the hour if there is one, that an event's ticker carries; None if it carries none.

    Example: ``KXBTCD-26AUG1317`` is 13 August 2026 and 17.
    """
    match = _TICKER_DATE.search(event)
    if match is None or match[2].lower() not in _MONTHS:
        return None
    day = _day(2000 + int(match[1]), _MONTHS[match[2].lower()], int(match[3]), match[0])
    return day, None if match[4] is None else int(match[4])


def the_date(contract: Contract, text: str) -> tuple[date, int | None]:
    """Return the one date that the text and the ticker both name, and the ticker's hour.

    Raises:
        Unclear: either names none, or they name different ones.
    """
    told = ticker_date(contract.event)
    if told is None:
        raise Unclear(f"the event ticker {contract.event} carries no date")
    named = dates(text)
    if not named:
        raise Unclear("the text names no date")
    if named != {told[0]}:
        others = ", ".join(sorted(day.isoformat() for day in named))
        raise Unclear(f"the text names {others}, the ticker {contract.event} {told[0].isoformat()}")
    return told


def comparison(words: str) -> Comparison:
    """Return what the words of one comparison say.

    Raises:
        Unclear: they say nothing known, or that the ends do not count.
    """
    if re.search(r"\bexclusive\b", words, re.I):
        raise Unclear(f"{words!r} leaves open which end counts")
    between = re.search(_numbered(_BETWEEN), words, re.I)
    if between:
        floor, cap = number(between[1]), number(between[2])
        if floor > cap:
            raise Unclear(f"{words!r} has its ends the wrong way round")
        return Comparison(way="between", floor=floor, cap=cap)
    for pattern, way in _ONE_SIDED:
        match = re.search(_numbered(pattern), words, re.I)
        if match:
            value = number(match[1])
            is_floor = way.startswith("greater")
            return Comparison(way=way, floor=value if is_floor else None, cap=None if is_floor else value)
    raise Unclear(f"{words!r} is no comparison")


def _numbered(pattern: str) -> str:
    return pattern.replace("{n}", f"({NUMBER})")


def require_listed(contract: Contract, pattern: str, source: str) -> None:
    """Refuse a contract whose list of sources, where the venue gives one, does not hold the text's.

    Raises:
        Unclear: the list is about somebody else.
    """
    listed = contract.settlement_sources
    if listed and not any(re.search(pattern, name, re.I) for name in listed):
        raise Unclear(f"the text says {source}, the venue lists {', '.join(listed)} as sources")


def agreed(contract: Contract, words: str) -> Comparison:
    """Return the text's comparison once the venue's own fields say the same.

    Raises:
        Unclear: the two differ.
    """
    said = comparison(words)
    listed = Comparison(way=contract.strike_type, floor=contract.floor_strike, cap=contract.cap_strike)
    if said != listed:
        raise Unclear(f"the text says {said.shown} ({words!r}), the contract {listed.shown}")
    return said


def bounds(said: Comparison, step: Decimal) -> tuple[Decimal | None, Decimal | None]:
    """Return the least and the greatest value that settle YES, both included, of those ``step`` apart.

    Raises:
        Unclear: the numbers are not of that step, so that it is open what counts.
    """
    low, high = said.floor, said.cap
    for value in (low, high):
        if value is not None and value % step != 0:
            raise Unclear(f"{value} cannot be reported in steps of {step}")
    if said.way == "greater" and low is not None:
        low += step
    if said.way == "less" and high is not None:
        high -= step
    return low, high


def void_rule(texts: tuple[str, ...], *, may_be_silent: bool) -> str:
    """Return the sentences that say what happens when there is nothing to report.

    Raises:
        Unclear: a sentence names the case and no remedy or the other way round, or none speaks of it at all and
            ``may_be_silent`` is not set.
    """
    found = []
    for sentence in texts:
        nothing, remedy = _NOTHING.search(sentence), _REMEDY.search(sentence)
        if nothing and remedy:
            found.append(sentence)
        elif nothing and not re.search(r"\bresolves? to (?:yes|no)\b", sentence, re.I) and _WEIGHTY.search(sentence):
            raise Unclear(f"the void rule is half said: {sentence!r}")
    if found:
        return " ".join(found)
    if may_be_silent:
        return VOID_IN_TERMS
    raise Unclear("the text does not say what happens when there is nothing to report (no void rule)")


def revision_rule(texts: tuple[str, ...]) -> str:
    """Return the sentences about revised reports, or that there are none."""
    return " ".join(sentence for sentence in texts if _REVISION.search(sentence)) or REVISION_UNSTATED


def require_known(texts: tuple[str, ...], known: tuple[str, ...], patterns: tuple[re.Pattern[str], ...]) -> None:
    """Refuse a sentence that could change the rule and was not understood.

    Args:
        known: sentences already understood, such as the void rule's.
        patterns: sentences of this kind of contract that change nothing.

    Raises:
        Unclear: there is such a sentence.
    """
    understood = " ".join(known)
    for sentence in texts:
        if sentence in understood or not _WEIGHTY.search(sentence):
            continue
        if not any(pattern.search(sentence) for pattern in patterns):
            raise Unclear(f"the text adds what is not understood: {sentence!r}")


_LABELS = (
    (re.compile(rf"^({NUMBER})(?:°F?)? (?:to|-) ({NUMBER})(?:°F?)?$"), "between"),
    (re.compile(rf"^({NUMBER})(?:°F?)? or (?:above|higher)$"), "low"),
    (re.compile(rf"^({NUMBER})(?:°F?)? or (?:below|lower)$"), "high"),
)
_SUFFIX = re.compile(r"-([TB])(-?\d+(?:\.\d+)?)$")
_HALF_STEP = Decimal("0.01")


def require_same_label(
    contract: Contract, low: Decimal | None, high: Decimal | None, *, within: Decimal = Decimal(0)
) -> None:
    """Compare what was read with the label the venue shows beside YES, where that has a known form.

    Args:
        within: by how much the two may differ, for a label that writes cents where the text rounds nothing.

    Raises:
        Unclear: they differ.
    """
    label = plain(contract.yes_sub_title)
    for pattern, way in _LABELS:
        match = pattern.match(label)
        if match is None:
            continue
        first, last = number(match[1]), number(match[match.lastindex or 1])
        shown = (None if way == "high" else first, None if way == "low" else last)
        if any(_differ(end, read, within) for end, read in zip(shown, (low, high), strict=True)):
            raise Unclear(f"the label says {label!r}, the text {low} to {high}")


def _differ(one: Decimal | None, other: Decimal | None, within: Decimal) -> bool:
    return (one is None) != (other is None) or (one is not None and other is not None and abs(one - other) > within)


def require_same_ticker(contract: Contract) -> None:
    """Compare the strike in the ticker (T a tail, B the middle of a bracket) with the contract's own fields.

    Raises:
        Unclear: the ticker carries none, another one, or is not of its event and series.
    """
    match = _SUFFIX.search(contract.ticker)
    if match is None or contract.ticker != f"{contract.event}{match[0]}":
        raise Unclear(f"the ticker {contract.ticker} does not carry a strike behind its event {contract.event}")
    if not contract.event.startswith(f"{contract.series}-"):
        raise Unclear(f"the event {contract.event} is not one of series {contract.series}")
    ends = [end for end in (contract.floor_strike, contract.cap_strike) if end is not None]
    if len(ends) != (2 if match[1] == "B" else 1):
        raise Unclear(f"the ticker {contract.ticker} is of another kind than a strike {contract.strike_type}")
    if abs(sum(ends, Decimal(0)) / len(ends) - Decimal(match[2])) > _HALF_STEP:
        raise Unclear(f"the ticker {contract.ticker} names {match[2]}, the contract {' to '.join(map(str, ends))}")


def moment(day: date, hour: int, offset_hours: int) -> datetime:
    """Return an hour of a day at a fixed offset, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=hour - offset_hours)
