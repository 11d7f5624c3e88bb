"""What stands behind a decision, in lines for a person: the nearest miss, who believed what, how it settles."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from audit.report import has_degree
from audit.words import rounded
from domain.decision import Verdict
from journal import decode
from risk.chain import nearest_miss

Record = Mapping[str, Any]
_CENT = Decimal("0.01")
# A step below any that a source reports in stands for a comparison without rounding.
_FINE = Decimal("1E-6")


def decided(record: Record) -> list[str]:
    """Return what a decision's own line leaves out; strangers wrote parts of it, so make it printable."""
    lines = _miss(record)
    if is_of_event(record):
        lines += [*_belief(record["estimate"]), *_votes(record["estimate"]), *_reading(record["candidate"])]
        lines += [f"fact: {name} = {value}" for name, value in record["estimate"].get("facts", ())]
    return lines


def is_of_event(record: Record) -> bool:
    """Tell whether a decision is about an event contract: its text was read, or could not be."""
    candidate = record["candidate"]
    return bool(candidate.get("rule") or candidate.get("unread"))


def _miss(record: Record) -> list[str]:
    """Say which refusal was the nearest to passing; a plain no is near to nothing."""
    verdicts = [decode(verdict, Verdict) for verdict in record["verdicts"]]
    near = nearest_miss([verdict for verdict in verdicts if has_degree(verdict.unit, verdict.limit)])
    if near is None:
        return []
    numbers = f"{rounded(str(near.value))} against {rounded(str(near.limit))} {near.unit}".strip()
    note = f", {near.note}" if near.note else ""
    share = f", {near.margin:.1%} of the limit away" if near.limit else ""
    return [f"nearest miss: {near.code} at gate {near.gate} ({numbers}{note}){share}"]


def _belief(estimate: Record) -> list[str]:
    """Say what was believed before the price was known, what the price said, and what both came to."""
    market = estimate.get("market_probability")
    if market is None:
        return ["no estimate was made"]
    model = estimate["model_probability"]
    believed = "nobody gave an opinion" if model is None else f"believed {_chance(model)}"
    method = f" ({estimate['method']})" if estimate["method"] else ""
    chance = f"{believed}, the market said {_chance(market)}, decided on {_chance(estimate['probability'])}{method}"
    edge = f"edge {_bp(estimate['edge_bp'])} after {_bp(estimate['cost_bp'])} of spread and fees"
    sure = f"confidence {rounded(estimate['confidence'])}, disagreement {rounded(estimate['disagreement'])}"
    return [chance, f"{edge}, {sure}"]


def _votes(estimate: Record) -> list[str]:
    lines = [_vote(vote) for vote in estimate.get("votes", ())]
    for absent in estimate.get("missing", ()):
        cost = f", {rounded(absent['cost_usd'])} USD all the same" if Decimal(absent["cost_usd"]) else ""
        lines.append(f"no vote: {absent['model']} ({absent['reason']}){cost}")
    if len(lines) > 1:
        lines.append(f"all calls together: {rounded(estimate['cost_usd'])} USD")
    return lines


def _vote(vote: Record) -> str:
    if vote["is_cached"]:
        price = "from the cache"
    else:
        tokens = f"{vote['tokens_in']} tokens in and {vote['tokens_out']} out"
        tries = f" in {vote['attempts']} attempts" if vote["attempts"] > 1 else ""
        price = f"{tokens}{tries}, {rounded(vote['cost_usd'])} USD"
    version = f" ({vote['version']})" if vote["version"] not in ("", vote["model"]) else ""
    return f"vote: {vote['model']}{version} {_chance(vote['probability'])}, weight {rounded(vote['weight'])}, {price}"


def _reading(candidate: Record) -> list[str]:
    """Say how the contract's own text was understood, or why it was not."""
    rule = candidate.get("rule")
    if not rule:
        return [f"the contract's text was not understood: {candidate['unread']}"]
    station = f", station {rule['station']}" if rule["station"] else ""
    named = {name: rule[name] for name in ("rounding", "revision", "void")}
    return [
        f"settles: {rule['subject'] or rule['kind']}, {_bounds(rule)}",
        f"source: {rule['source']}{station}",
        f"observed: {_observed(rule)}",
        *(f"{name}: {text}" for name, text in named.items() if text),
    ]


def _bounds(rule: Record) -> str:
    low, high, unit = rule["low"], rule["high"], rule["unit"]
    if low is None and high is None:
        return "YES if the source says so"
    if low is None:
        strict = _strike(rule, high, -1)
        return f"YES {f'below {strict}' if strict else f'up to {high}'} {unit}".rstrip()
    if high is None:
        strict = _strike(rule, low, 1)
        return f"YES {f'above {strict} {unit}'.rstrip() if strict else f'from {low} {unit} up'}".rstrip()
    return f"YES from {low} to {high} {unit}".rstrip()


def _strike(rule: Record, bound: str, away: int) -> str:
    """Return the strike behind the bound of an unrounded comparison that the strike itself does not meet.

    Where nothing is rounded, "above 4674.99" is kept as "from 4674.99000001": the first value that counts.
    """
    step = Decimal(rule["resolution"] or 1)
    strike = Decimal(bound) - away * step
    if step > _FINE or len(strike.normalize().as_tuple().digits) >= len(Decimal(bound).as_tuple().digits):
        return ""
    return f"{strike.quantize(_CENT) if strike == strike.quantize(_CENT) else strike.normalize():f}"


def _observed(rule: Record) -> str:
    ends = _minute(rule["ends_at"])
    if rule["begins_at"] is None:
        return f"until {ends}"
    if rule["begins_at"] == rule["ends_at"]:
        return f"at {ends}"
    day = f"on {rule['observed_on']}, " if rule["observed_on"] else ""
    return f"{day}from {_minute(rule['begins_at'])} to {ends}"


def _minute(moment: str) -> str:
    return f"{moment[:16].replace('T', ' ')} UTC"


def _chance(probability: str) -> str:
    return f"{Decimal(probability):.1%}"


def _bp(amount: str) -> str:
    return f"{Decimal(amount):+.0f} bp"
