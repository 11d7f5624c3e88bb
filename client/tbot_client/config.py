"""The settings of one home: what `config.toml` may say, and how each word of it is checked.

An unknown key is an error, because a misspelt limit is no limit. Secrets are kept out of every printed form.
"""

import tomllib
import types
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

from tbot_client.clock import parse_clock
from tbot_client.errors import Misconfigured, did_you_mean
from tbot_client.keys import is_key_id

# What to do when the feed is silent while positions are held; "signal" does what each signal asks for.
DEAD_MAN = ("hold", "flatten", "tighten", "signal")
# Hosts for practice: real money is a choice of its own.
PRACTICE = {
    "oanda": "https://api-fxpractice.oanda.com",
    "kalshi": "https://demo-api.kalshi.co/trade-api/v2",
    # IBKR's gateway runs on the subscriber's machine; whether it trades for practice its login decides.
    "ibkr": "https://localhost:5000/v1/api",
}
KINDS = ("oanda", "kalshi", "ibkr", "paper")
# IBKR's rare pages may be asked once in five seconds; its questions about an order that are always answered with yes.
PORTAL_PATH, PORTAL_PAUSE_S = "/v1/api", 5.25
PORTAL_CONFIRM = ("o163", "o354", "o382", "o383", "o403", "o451", "o10151", "o10331", "p12")
# Kalshi signs the path, so the address must have all of it.
KALSHI_PATH = "/trade-api/v2"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
Section = TypeVar("Section")


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Where signals come from; ``surfaces`` empty means all the token may see.

    ``publisher_keys`` are ``<surface>:<key id>``; without any for a surface the first key seen is remembered.
    """

    url: str
    token: str = field(default="", repr=False)
    token_file: str = ""
    surfaces: tuple[str, ...] = ()
    publisher_keys: tuple[str, ...] = ()
    require_signatures: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """Where trades go; ``balance`` and ``currency`` belong to kind ``paper`` alone.

    Of kind ``kalshi``, ``account_id`` is the id of an API key and ``key_file`` names its private half, whose text is
    the ``token`` once it was read. Without ``api_url`` the host for practice is meant.

    Of kind ``ibkr``: ``insecure`` leaves the certificate of a gateway on this machine unchecked; ``page_pause_s`` are
    seconds between two looks at its rare pages, ``penalty_s`` those after a 429 that names no time; ``compete`` takes
    the session back when its owner signs in elsewhere.
    """

    kind: str
    account_id: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    token_file: str = ""
    key_file: str = ""
    api_url: str = ""
    stream_url: str = "https://stream-fxpractice.oanda.com"
    balance: Decimal = Decimal(10_000)
    currency: str = "USD"
    insecure: bool = False
    page_pause_s: float = PORTAL_PAUSE_S
    penalty_s: float = 900.0
    compete: bool = True
    confirm: tuple[str, ...] = PORTAL_CONFIRM


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large an entry is: ``units`` for rule ``fixed``, ``fraction`` of equity for ``fraction`` and ``risk``."""

    rule: str
    units: Decimal | None = None
    fraction: Decimal | None = None
    max_units: Decimal
    max_open: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which signals are wanted; an empty list means any."""

    instruments: tuple[str, ...] = ()
    sides: tuple[str, ...] = ()
    sub_strategies: tuple[str, ...] = ()
    min_confidence: Decimal | None = None
    min_edge_bp: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When not to enter, and what to do with positions when the feed falls silent.

    ``daily_loss`` is in the account's currency, per UTC day; ``dead_man_s`` are real seconds. Without ``max_drift_bp``
    what is usual for the instrument holds (see `decide.drift_bp`).
    """

    max_drift_bp: Decimal | None = None
    max_age_s: int = 600
    daily_loss: Decimal | None = None
    dead_man: str = "hold"
    dead_man_s: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSpec:
    spec: str = "real"


@dataclass(frozen=True, slots=True, kw_only=True)
class Poll:
    """Schedules, all in real seconds."""

    wait_s: int = 25
    limit: int = 100
    broker_s: float = 5.0
    retry_s: float = 1.0
    retry_max_s: float = 60.0
    settle_s: float = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    home: Path
    feed: Feed
    broker: Broker
    size: Size
    filters: Filters = Filters()
    limits: Limits = Limits()
    clock: ClockSpec = ClockSpec()
    poll: Poll = Poll()


_SECTIONS: dict[str, type[Any]] = {
    "feed": Feed,
    "broker": Broker,
    "size": Size,
    "filters": Filters,
    "limits": Limits,
    "clock": ClockSpec,
    "poll": Poll,
}


def parse(text: str, home: Path) -> Config:
    """Read and check the text of a config file.

    Raises:
        Misconfigured: not TOML, or a key or value that is unknown, missing or wrong.
    """
    try:
        tables = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise Misconfigured("a TOML file", str(error), "correct config.toml at that place") from error
    _known(tables, _SECTIONS, "a section")
    parts = {name: _section(kind, tables.get(name, {}), name) for name, kind in _SECTIONS.items()}
    broker = parts["broker"]
    parts["broker"] = replace(broker, api_url=broker.api_url or PRACTICE.get(broker.kind, ""))
    config = Config(home=home, **parts)
    _check(config)
    return config


def _section(kind: type[Section], table: object, where: str) -> Section:
    if not isinstance(table, dict):
        raise _wrong(f"[{where}] as a section", table)
    hints = get_type_hints(kind)
    _known(table, hints, f"a key of [{where}]")
    missing = [f.name for f in fields(kind) if f.name not in table and _required(f)]  # type: ignore[arg-type]
    if missing:
        raise Misconfigured(f"{missing[0]!r} in [{where}]", "nothing", "add it to config.toml")
    return kind(**{name: _value(hints[name], value, f"[{where}] {name}") for name, value in table.items()})


def _required(entry: Any) -> bool:
    return type(entry.default).__name__ == "_MISSING_TYPE"


def _known(table: dict[str, Any], known: dict[str, Any], what: str) -> None:
    for name in table:
        if name not in known:
            hint = did_you_mean(name, known) or f"use one of {', '.join(known)}"
            raise Misconfigured(what, repr(name), hint)


def _value(hint: Any, value: Any, where: str) -> Any:
    if get_origin(hint) in (Union, types.UnionType):
        hint = next(kind for kind in get_args(hint) if kind is not type(None))
    reader = _READERS["list" if get_origin(hint) is tuple else hint.__name__]
    try:
        return reader(value)
    except (ValueError, TypeError, InvalidOperation) as error:
        raise _wrong(f"{where} as {getattr(hint, '__name__', 'list')}", value) from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(_text(each) for each in value)


def decimal_of(value: object) -> Decimal:
    """Read a number that is neither negative nor endless; ValueError, TypeError or InvalidOperation otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        raise TypeError
    number = Decimal(value)
    if not number.is_finite() or number < 0:
        raise ValueError
    return number


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError
    return value


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _seconds(value: object) -> float:
    return float(decimal_of(value))


_READERS: dict[str, Callable[[Any], Any]] = {
    "str": _text,
    "list": _texts,
    "Decimal": decimal_of,
    "int": _integer,
    "bool": _truth,
    "float": _seconds,
}


def _check(config: Config) -> None:
    _one_of("[broker] kind", config.broker.kind, KINDS)
    _one_of("[size] rule", config.size.rule, ("fixed", "fraction", "risk"))
    for side in config.filters.sides:
        _one_of("[filters] sides", side, ("buy", "sell"))
    _one_of("[limits] dead_man", config.limits.dead_man, DEAD_MAN)
    if config.limits.dead_man_s < 5:
        raise _wrong("[limits] dead_man_s of at least 5", config.limits.dead_man_s)
    for pin in config.feed.publisher_keys:
        surface, _, key = pin.partition(":")
        if not surface or not is_key_id(key):
            raise _wrong("[feed] publisher_keys as <surface>:<16 hex digits>", pin)
    _check_size(config.size)
    if not 0 <= config.poll.wait_s <= 55 or not 1 <= config.poll.limit <= 500:
        raise _wrong("[poll] wait_s within 0..55 and limit within 1..500", (config.poll.wait_s, config.poll.limit))
    if min(config.poll.broker_s, config.poll.retry_s) < 0.05:
        raise _wrong("[poll] broker_s and retry_s of at least 0.05", (config.poll.broker_s, config.poll.retry_s))
    _check_broker(config.broker)
    safe_url("[feed] url", config.feed.url)
    parse_clock(config.clock.spec)


def _check_broker(broker: Broker) -> None:
    if broker.kind == "oanda" and not broker.account_id:
        raise Misconfigured("account_id in [broker]", "nothing", "add the account number your broker shows")
    if broker.kind == "kalshi" and not broker.account_id:
        raise Misconfigured("account_id in [broker]", "nothing", "add the id Kalshi shows for your API key")
    if broker.kind == "kalshi" and not broker.key_file:
        raise Misconfigured("key_file in [broker]", "nothing", "name the file with the API key's private half (PEM)")
    if broker.kind == "ibkr" and not broker.account_id:
        raise Misconfigured("account_id in [broker]", "nothing", "add your account at IBKR, such as U1234567")
    if broker.api_url:
        safe_url("[broker] api_url", broker.api_url)
    if broker.kind == "ibkr":
        _check_portal(broker)
    if broker.kind == "kalshi" and not broker.api_url.rstrip("/").endswith(KALSHI_PATH):
        raise _wrong(f"[broker] api_url ending in {KALSHI_PATH}", broker.api_url)


def _check_portal(broker: Broker) -> None:
    parts = urlsplit(broker.api_url)
    is_here = parts.hostname in LOOPBACK
    if not parts.path.rstrip("/").endswith(PORTAL_PATH):
        raise _wrong(f"[broker] api_url ending in {PORTAL_PATH}", broker.api_url)
    if broker.insecure and not is_here:
        raise _wrong("[broker] insecure for a gateway on this machine only", broker.api_url)
    if broker.page_pause_s < 5 and not (is_here and parts.scheme == "http"):
        raise _wrong(
            "[broker] page_pause_s of at least 5, but for a simulator at http://127.0.0.1", broker.page_pause_s
        )


def _check_size(size: Size) -> None:
    wanted = "units" if size.rule == "fixed" else "fraction"
    value = size.units if size.rule == "fixed" else size.fraction
    if not value:
        raise Misconfigured(f"{wanted!r} above 0 in [size] for rule {size.rule!r}", str(value), "add it to config.toml")
    if size.rule == "risk" and value >= 1:
        raise _wrong("[size] fraction below 1: the part of equity lost at the stop", value)
    if size.max_units <= 0:
        raise _wrong("[size] max_units above 0", size.max_units)


def safe_url(name: str, url: str) -> None:
    """Refuse an address that would send a token in clear over a network."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise _wrong(f"{name} as https://host[:port]", url) from error
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise _wrong(f"{name} as https://host[:port]", url)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise Misconfigured(f"{name} with https", url, "only 127.0.0.1 may be plain http: a token would be readable")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        hint = did_you_mean(value, allowed) or "correct config.toml"
        raise Misconfigured(f"{name} as one of {', '.join(allowed)}", repr(value), hint)


def _wrong(expected: str, found: object) -> Misconfigured:
    return Misconfigured(expected, repr(found), "correct config.toml")
