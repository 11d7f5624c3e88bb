"""The rules of daily highs: which station's climate report, on which day, in which bracket.

The climate day runs from midnight to midnight in local *standard* time, so in summer from one in the morning to one
in the morning on the clock; the report gives whole degrees Fahrenheit and the venue rounds nothing.
"""

import re
from datetime import timedelta
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
from strategies.event.stations import Station, station_of

SOURCE = "NWS Climatological Report (Daily)"
_DEGREE = Decimal(1)
_LONGEST_AFTER = timedelta(days=1)
_REPORT = r"(?:the )?(?:National Weather Service(?:'s)?|NWS) (?:\(NWS\) )?Climatological Report \(Daily\)"
_CITED = rf",? (?:according to|as reported by|as reported in|in) {_REPORT},?"
_PRIMARY = re.compile(
    r"^If the (?:highest|maximum) temperature recorded (?:in|at) (?P<place>[^.]{1,80}?)(?: \(CLI[A-Z]{3}\))?,?"
    rf" (?:for|on) (?P<date>{DATE}),?"
    rf"(?P<before>{_CITED})? is (?P<comparison>{COMPARISON})(?P<after>{_CITED})?,?"
    r" then (?:the|this) market resolves to Yes\.",
    re.I,
)
_SUBJECT = re.compile(r"\b(?:high|highest|maximum)\b[^.]{0,40}\btemp", re.I)
_OTHER_SUBJECT = re.compile(r"\b(?:lowest|minimum|low) temp|\brain|\bsnow|\bwind\b|\baverage temp", re.I)
_OTHER_UNIT = re.compile(r"°\s*c\b|celsius|centigrade|kelvin", re.I)
_PRODUCT = re.compile(r"\bCLI([A-Z]{3})\b")
_STATION = re.compile(r"\bstation (?:is |id )?\(?(K[A-Z]{3})\b")
_CHOSEN = re.compile(r'choosing the location "(?P<place>[^"]+)"', re.I)
_KNOWN = (
    re.compile(r"^Not all weather data is the same\.", re.I),
    re.compile(
        rf"official and final value used to determine this market is the .*temperature as reported by .*{_REPORT[8:]}",
        re.I,
    ),
    re.compile(r"^Data for CLI[A-Z]{3} can be found", re.I),
    re.compile(r"^Preliminary NWS reporting", re.I),
    re.compile(r"whole degrees fahrenheit, and nothing is rounded", re.I),
    re.compile(r"^The day runs from midnight to midnight of local standard time, also in summer\.$", re.I),
)


def is_daily_high(contract: Contract) -> bool:
    """Tell whether a contract is about the highest temperature of a day."""
    return bool(_SUBJECT.search(contract.rules_primary)) or station_of(contract.series) is not None


def read_daily_high(contract: Contract, *, void_in_terms: bool) -> SettlementRule:
    """Return the reading of a daily high.

    Raises:
        Unclear: anything is missing, contradicts the venue's own fields, or is not understood.
    """
    primary, secondary = plain(contract.rules_primary), plain(contract.rules_secondary)
    whole = f"{primary} {secondary}"
    require_same_ticker(contract)
    require_listed(contract, r"National Weather Service|\bNWS\b|\bNOAA\b", "the National Weather Service")
    match = _primary(contract, primary, whole)
    station = _station(contract, match["place"], whole)
    day, hour = the_date(contract, f"{whole} {plain(contract.title)}")
    if hour is not None:
        raise Unclear(f"the ticker {contract.event} names an hour, a daily high has none")
    low, high = bounds(agreed(contract, match["comparison"]), _DEGREE)
    require_same_label(contract, low, high)
    rest = (*sentences(primary[match.end() :].strip()), *sentences(secondary))
    void, revision = void_rule(rest, may_be_silent=void_in_terms), revision_rule(rest)
    require_known(rest, (void,), _KNOWN)
    begins = moment(day, 0, station.standard_offset_hours)
    ends = begins + timedelta(days=1)
    if not begins < contract.close_at <= ends + _LONGEST_AFTER:
        raise Unclear(f"trading ends {contract.close_at:%Y-%m-%d %H:%MZ}, the day observed {ends:%Y-%m-%d %H:%MZ}")
    return SettlementRule(
        kind=RuleKind.DAILY_HIGH,
        source=f"{SOURCE}, {station.product}",
        station=station.station,
        location=station.location,
        subject="highest temperature",
        low=low,
        high=high,
        unit="degF",
        resolution=_DEGREE,
        observed_on=day,
        begins_at=begins,
        ends_at=ends,
        rounding="whole degrees, as reported",
        revision=revision,
        void=void,
    )


def _primary(contract: Contract, primary: str, whole: str) -> re.Match[str]:
    match = _PRIMARY.match(primary)
    if match is None:
        raise Unclear(f"the first rule has no known form: {primary[:200]!r}")
    if _OTHER_SUBJECT.search(f"{match[0]} {plain(contract.title)}") or _OTHER_UNIT.search(whole):
        raise Unclear("the text is not about a highest temperature in degrees Fahrenheit alone")
    if bool(match["before"]) == bool(match["after"]):
        raise Unclear(f"the text does not name its source as the {SOURCE}, once")
    if not re.search(r"°|º|deg|fahrenheit", match["comparison"], re.I):
        raise Unclear(f"{match['comparison']!r} names no degrees")
    return match


def _station(contract: Contract, place: str, whole: str) -> Station:
    """Return the series' station once every name in the text is one of its own."""
    station = station_of(contract.series)
    if station is None:
        raise Unclear(f"the station of series {contract.series} is not known")
    places = [place, *(match["place"] for match in _CHOSEN.finditer(whole))]
    for named in places:
        if named.lower() not in station.places:
            raise Unclear(f"the text names {named!r}, series {contract.series} settles on {station.location}")
    products = {f"CLI{name}" for name in _PRODUCT.findall(whole)} - {station.product}
    stations = set(_STATION.findall(whole)) - {station.station}
    if products or stations:
        others = ", ".join(sorted(products | stations))
        raise Unclear(f"the text names {others}, series {contract.series} settles on {station.product}")
    if station.product == "CLIHOU" and station.product not in whole:
        raise Unclear("the text says Houston without its report CLIHOU, which is Hobby and not Bush")
    return station
