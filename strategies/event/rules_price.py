"""The rules of prices at a moment: which index, averaged how, against which strike.

Seen at the venue (KXBTCD-26AUG1317-T73249.99): "If the simple average of the sixty seconds of CF Benchmarks' Bitcoin
Real-Time Index (BRTI) before 5 PM EDT is above 73249.99 at 5 PM EDT on Aug 13, 2026, then the market resolves to Yes."
"""

import re
from datetime import date, datetime, timedelta
from decimal import Decimal

from domain.contract import Contract, RuleKind, SettlementRule
from strategies.event.rules_text import (
    COMPARISON,
    DATE,
    Unclear,
    agreed,
    bounds,
    moment,
    plain,
    require_known,
    require_listed,
    require_same_label,
    require_same_ticker,
    revision_rule,
    sentences,
    the_date,
    void_rule,
)

_AT_ONCE = timedelta(minutes=1)
# Zone words -> hours from UTC; "ET" and its like leave summer time open, which the end of trading then decides.
_ZONES = {
    "UTC": (0,), "GMT": (0,), "EST": (-5,), "EDT": (-4,), "CST": (-6,), "CDT": (-5,), "MST": (-7,), "MDT": (-6,),
    "PST": (-8,), "PDT": (-7,), "ET": (-5, -4), "CT": (-6, -5), "MT": (-7, -6), "PT": (-8, -7),
}  # fmt: skip
_TIME = rf"\d{{1,2}}(?::\d{{2}})?\s*(?:[ap]\.?m\.?)?\s*\(?(?:{'|'.join(_ZONES)})\b\)?"
_CLOCK = re.compile(rf"(\d{{1,2}})(?::(\d{{2}}))?\s*([ap]\.?m\.?)?\s*\(?({'|'.join(_ZONES)})\b", re.I)
_WHEN = rf"(?:(?:{DATE}),? at {_TIME}|{_TIME}(?:,? on (?:{DATE}))?)"
_PRIMARY = re.compile(
    r"^If the (?P<measure>simple average of the (?:sixty|60) seconds of|mean price of|price of)"
    r" (?P<index>\w[\w' ./()-]*?)"
    rf"(?P<minute> over the minute)?(?: (?P<way>before|at) (?P<first>{_WHEN}))?,? is (?P<comparison>{COMPARISON})"
    rf"(?: (?:at|on) (?P<second>{_WHEN}|{DATE}))?(?:,? (?:according to|as reported by) (?P<cited>[^,.]+))?,?"
    r" then (?:the|this) market resolves to Yes\.",
    re.I,
)
# What an index is called in the text -> the currency pair it prices. A pair not here has no series we can forecast.
_PAIRS = tuple(
    (re.compile(rf"(?:CF Benchmarks' )?(?:{names})", re.I), pair)
    for pair, names in (
        ("BTC-USD", r"Bitcoin Real[- ]Time Index(?: \(BRTI\))?|BRTI|bitcoin(?: in (?:US )?dollars)?"),
        (
            "ETH-USD",
            r"Ether(?:eum)? Real[- ]Time Index(?: \(ETHUSD_RTI\))?|ETHUSD_RTI|ether(?:eum)?(?: in (?:US )?dollars)?",
        ),
        ("LTC-USD", r"Litecoin Real[- ]Time Index(?: \(LTCUSD_RTI\))?|LTCUSD_RTI|litecoin(?: in (?:US )?dollars)?"),
    )
)
_SERIES_PAIR = {"KXBTC": "BTC-USD", "KXETH": "ETH-USD", "KXLTC": "LTC-USD"}
_SOURCES = (
    (re.compile(r"\bCF Benchmarks\b", re.I), "CF Benchmarks"),
    (re.compile(r"\bCoinbase\b", re.I), "Coinbase"),
)
_DECIMALS = re.compile(
    r"rounded to (?:the nearest )?(?:(?P<n>\d|two|zero|four) decimal places?|(?P<cent>cent)"
    r"|(?P<dollar>(?:whole )?dollar))",
    re.I,
)
_UNROUNDED = re.compile(r"\bcompared unrounded\b", re.I)
# No index is published with as many places: an unrounded value is never nearer to a strike than this.
_CENT = Decimal("0.01")
_FINEST = Decimal("1E-8")
_PLACES = {"two": "2", "zero": "0", "four": "4"}
_DISCLAIMER = re.compile(r"^While checking a source like ", re.I)
_KNOWN = (
    _DISCLAIMER,
    re.compile(r"^Not all cryptocurrency price data is the same\.", re.I),
    re.compile(r"^The official and final value is the average of these prices, rounded to", re.I),
    re.compile(r"^It is compared unrounded with the strike; a mean equal to the strike resolves to No\.$", re.I),
    re.compile(r"the price used to determine this market is based on CF Benchmarks' corresponding Real[- ]Time", re.I),
)


def is_price(contract: Contract) -> bool:
    """Tell whether a contract is about a price at a moment."""
    text = plain(contract.rules_primary)
    return bool(re.match(r"If the (?:simple average of|mean price of|price of)", text, re.I))


def read_price(contract: Contract, *, void_in_terms: bool) -> SettlementRule:
    """Return the reading of a price at a moment.

    Raises:
        Unclear: anything is missing, contradicts the venue's own fields, or is not understood.
    """
    primary, secondary = plain(contract.rules_primary), plain(contract.rules_secondary)
    require_same_ticker(contract)
    match = _PRIMARY.match(primary)
    if match is None:
        raise Unclear(f"the first rule has no known form: {primary[:200]!r}")
    rest = (*sentences(primary[match.end() :].strip()), *sentences(secondary))
    pair = _pair(contract, match["index"])
    source = _source(contract, match, rest)
    day, hour = the_date(contract, f"{primary} {secondary} {plain(contract.title)}")
    averaged = _is_average(match)
    at = _moment(contract, day, hour, match)
    step = _step(rest)
    low, high = bounds(agreed(contract, match["comparison"]), step)
    require_same_label(contract, low, high, within=_CENT if step == _FINEST else Decimal(0))
    void, revision = void_rule(rest, may_be_silent=void_in_terms), revision_rule(rest)
    require_known(rest, (void,), _KNOWN)
    return SettlementRule(
        kind=RuleKind.PRICE_AT,
        source=source,
        station=pair,
        location="",
        subject=f"{match['index'].strip()}, {'average of the last 60 seconds' if averaged else 'price at the moment'}",
        low=low,
        high=high,
        unit="USD",
        resolution=step,
        observed_on=day,
        begins_at=at - _AT_ONCE if averaged else at,
        ends_at=at,
        rounding="compared unrounded" if step == _FINEST else f"to {step} USD",
        revision=revision,
        void=void,
    )


def _pair(contract: Contract, index: str) -> str:
    named = {pair for pattern, pair in _PAIRS if pattern.fullmatch(index.strip())}
    if len(named) != 1:
        raise Unclear(f"{index!r} is no one index whose price can be forecast")
    told = {pair for prefix, pair in _SERIES_PAIR.items() if contract.series.startswith(prefix)}
    if told != named:
        raise Unclear(
            f"the text is about {min(named)}, series {contract.series} about {min(told, default='nothing known')}"
        )
    return named.pop()


def _is_average(match: re.Match[str]) -> bool:
    """Tell whether the price is that of the minute before the moment, not of the moment itself."""
    averaged, minute = not match["measure"].lower().startswith("price"), bool(match["minute"])
    if (match["measure"].lower().startswith("mean")) != minute or (
        averaged and (match["way"] or "").lower() != "before"
    ):
        raise Unclear(f"the text leaves open over which time the price is taken: {match[0][:200]!r}")
    return averaged


def _source(contract: Contract, match: re.Match[str], rest: tuple[str, ...]) -> str:
    """Return who publishes the price: whom the text names, else whom the venue lists.

    A sentence that only warns of other sources does not name them.
    """
    named = _publishers((match["index"], match["cited"] or "", *(_claim(one) for one in rest)))
    found = named or _publishers(contract.settlement_sources)
    if len(found) != 1:
        raise Unclear(f"the text names {' and '.join(sorted(found)) or 'no known source'} as the source of the price")
    source = found.pop()
    require_listed(contract, re.escape(source), source)
    return source


def _publishers(texts: tuple[str, ...]) -> set[str]:
    return {name for text in texts for pattern, name in _SOURCES if pattern.search(text)}


def _claim(sentence: str) -> str:
    """Return what a sentence claims, without the sources it only warns of."""
    return sentence.partition(",")[2] if _DISCLAIMER.search(sentence) else sentence


def _step(rest: tuple[str, ...]) -> Decimal:
    """Return how far apart two prices are that can be reported."""
    found = {Decimal(1).scaleb(-_decimals(match)) for one in rest for match in _DECIMALS.finditer(one)}
    found |= {_FINEST for one in rest if _UNROUNDED.search(one)}
    if len(found) != 1:
        raise Unclear("the text does not say to how many places the price is rounded, once")
    return found.pop()


def _decimals(match: re.Match[str]) -> int:
    if match["cent"]:
        return 2
    if match["dollar"]:
        return 0
    word = match["n"].lower()
    return int(_PLACES.get(word, word))


def _moment(contract: Contract, day: date, hour: int | None, match: re.Match[str]) -> datetime:
    """Return the moment every time in the text names, which is when trading ends and what the ticker says.

    "5 PM ET" is two moments, one in winter and one in summer: the one at which trading ends is meant.
    """
    clocks = [found for words in (match["first"], match["second"]) if words for found in _CLOCK.finditer(words)]
    if not clocks:
        raise Unclear("the text names no time of day")
    close = contract.close_at
    named = set.intersection(*({_at(day, clock, offset) for offset in _ZONES[clock[4].upper()]} for clock in clocks))
    at = min(named, key=lambda one: abs(one - close), default=None)
    if at is None:
        raise Unclear(f"the text names two times: {match['first']!r} and {match['second']!r}")
    if not timedelta(0) <= at - close < _AT_ONCE:
        raise Unclear(f"the text names {at:%Y-%m-%d %H:%MZ}, trading ends {close:%Y-%m-%d %H:%MZ}")
    offsets = (*_ZONES[clocks[0][4].upper()], *_ZONES["ET"])
    hours = {(at + timedelta(hours=offset)).hour for offset in offsets}
    if hour is not None and (at.minute != 0 or hour % 24 not in hours):
        raise Unclear(f"the text names {at:%H:%MZ}, the ticker {contract.event} hour {hour}")
    return at


def _at(day: date, clock: re.Match[str], offset: int) -> datetime:
    hour, half = int(clock[1]), (clock[3] or "").lower()[:1]
    if hour > (12 if half else 24) or (half and hour == 0):
        raise Unclear(f"{clock[0]!r} is no time of day")
    hour = hour % 12 + 12 * (half == "p") if half else hour
    return moment(day, hour, offset) + timedelta(minutes=int(clock[2] or 0))
