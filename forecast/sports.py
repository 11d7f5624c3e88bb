"""The chance of a game's winner from bookmakers' odds, with their margin taken out.

Where odds come from is left open: a source is anything that has ``odds``; the one here reads a JSON file that somebody
else keeps up to date. Without a source no game is estimated.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from math import sqrt
from pathlib import Path
from typing import Any, Protocol

from domain.clock import parse_iso
from domain.contract import RuleKind, SettlementRule
from domain.errors import Misconfigured, Refuse, Retry

METHOD = "odds"
OLDEST = timedelta(hours=6)
_PLACES = Decimal("0.0001")
_ROUNDS = 80
# A book whose implied chances sum to more than this is no book.
_MOST_MARGIN = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class GameOdds:
    """One bookmaker's decimal odds on a game: side -> what one dollar pays back, stake included."""

    game: str
    book: str
    sides: tuple[tuple[str, float], ...]
    at: datetime


class OddsSource(Protocol):
    """Where odds come from."""

    def odds(self, game: str) -> Sequence[GameOdds]:
        """Return what each bookmaker offers on a game, none where it is not known. Raises Retry when it cannot tell."""


class JsonOdds:
    """Odds in a file: ``{"games": [{"game", "book", "at", "format": "decimal"|"american", "sides": {name: odds}}]}``.

    ``game`` is the venue's event ticker. The file is read anew at each question, so it may be replaced at any time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def check(self) -> None:
        """Look at the file once, for whoever starts with it.

        Raises:
            Misconfigured: it is missing, or holds no list of games.
        """
        try:
            self._entries()
        except Retry as error:
            todo = "put the file there, or correct the setting that names it"
            raise Misconfigured(error.expected, error.found, todo) from error

    def odds(self, game: str) -> Sequence[GameOdds]:
        return tuple(_read(one) for one in self._entries() if isinstance(one, dict) and one.get("game") == game)

    def _entries(self) -> list[Any]:
        try:
            found = json.loads(self._path.read_bytes())
        except FileNotFoundError as error:
            raise self._unusable("no such file") from error
        except OSError as error:
            raise self._unusable(error.strerror or "a file that cannot be read") from error
        except (ValueError, RecursionError) as error:
            raise self._unusable("no JSON") from error
        games = found.get("games") if isinstance(found, dict) else None
        if not isinstance(games, list):
            raise self._unusable('JSON without a list under "games"')
        return games

    def _unusable(self, found: str) -> Retry:
        where = self._path.absolute()
        return Retry(f'a JSON file {{"games": [...]}} of odds at {where}', found, "correct the odds file")


def _read(entry: Mapping[str, Any]) -> GameOdds:
    try:
        decimal = DECIMALS[entry.get("format", "decimal")]
        sides = tuple((str(name), decimal(float(odds))) for name, odds in entry["sides"].items())
        return GameOdds(game=entry["game"], book=str(entry["book"]), sides=sides, at=parse_iso(entry["at"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Refuse("game, book, at, format and sides of a game", repr(entry), "correct the odds file") from error


def from_american(odds: float) -> float:
    """Return decimal odds of American ones: +150 pays 1.50 a dollar, -150 pays 1 for 1.50."""
    if abs(odds) < 100:
        raise ValueError(f"expected American odds of at least 100 either way, found {odds}")
    return 1.0 + (odds / 100.0 if odds > 0 else 100.0 / -odds)


def from_decimal(odds: float) -> float:
    """Return decimal odds once they can be ones."""
    if not 1.0 < odds < 10_000.0:
        raise ValueError(f"expected decimal odds between 1 and 10000, found {odds}")
    return odds


DECIMALS: Mapping[str, Callable[[float], float]] = {"decimal": from_decimal, "american": from_american}


Devig = Callable[[Sequence[float]], list[float]]


def multiplicative(odds: Sequence[float]) -> list[float]:
    """Return chances with the margin taken in proportion."""
    implied = [1.0 / one for one in odds]
    return [one / sum(implied) for one in implied]


def power(odds: Sequence[float]) -> list[float]:
    """Return chances ``implied ** k`` with the k that makes them sum to 1: the margin falls more on outsiders."""
    implied = [1.0 / one for one in odds]
    k = _root(lambda exponent: sum(one**exponent for one in implied) - 1.0, 0.05, 20.0)
    return _normal([one**k for one in implied])


def shin(odds: Sequence[float]) -> list[float]:
    """Return chances under Shin's model, where the margin guards against a share z of bettors who know the result."""
    implied = [1.0 / one for one in odds]
    total = sum(implied)
    if total <= 1.0:
        return multiplicative(odds)

    def chances(z: float) -> list[float]:
        return [(sqrt(z * z + 4 * (1 - z) * one * one / total) - z) / (2 * (1 - z)) for one in implied]

    return _normal(chances(_root(lambda z: sum(chances(z)) - 1.0, 0.0, 0.9)))


def _normal(chances: Sequence[float]) -> list[float]:
    return [one / sum(chances) for one in chances]


def _root(falling: Callable[[float], float], low: float, high: float) -> float:
    """Return where a falling function is 0, by halving."""
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class GameEstimate:
    """The chance of YES, how far to trust it, and the numbers behind it."""

    probability: Decimal
    certainty: Decimal
    facts: tuple[tuple[str, str], ...]
    method: str = METHOD


def estimate_game(
    rule: SettlementRule,
    event: str,
    source: OddsSource,
    now: datetime,
    *,
    devig: Callable[[Sequence[float]], list[float]] = shin,
) -> GameEstimate:
    """Return the chance that the side a game's rule names wins: the mean over bookmakers, each without its margin.

    Args:
        event: the venue's event ticker, by which the source knows the game.

    Raises:
        ValueError: the rule is of another kind.
        Retry: the source has no odds that are fresh.
        Refuse: the odds are not on the two sides of the rule, or are no odds.
    """
    if rule.kind is not RuleKind.GAME:
        raise ValueError(f"expected a rule about a game, found {rule.kind}")
    side = rule.subject.removesuffix(" wins")
    fresh = [one for one in source.odds(event) if timedelta(0) <= now - one.at <= OLDEST]
    if not fresh:
        raise Retry(f"odds on {event} no older than {OLDEST}", "none", "update the source of odds")
    chances = [_chance(one, side, devig) for one in fresh]
    mean = sum(chances) / len(chances)
    return GameEstimate(
        probability=Decimal(str(mean)).quantize(_PLACES),
        certainty=Decimal(len(fresh)) / (len(fresh) + 1),
        facts=(
            ("books", ", ".join(one.book for one in fresh)),
            ("range", f"{min(chances):.3f} to {max(chances):.3f}"),
            ("oldest", min(one.at for one in fresh).isoformat()),
        ),
    )


def _chance(game: GameOdds, side: str, devig: Devig) -> float:
    names = [name for name, _ in game.sides]
    if side not in names or len(set(names)) != len(names) or len(names) < 2:
        raise Refuse(f"odds of {game.book} on {side!r} and its opponent", f"{names}", "correct the source of odds")
    margin = sum(1.0 / odds for _, odds in game.sides)
    if not 0.9 < margin < _MOST_MARGIN:
        raise Refuse(
            "implied chances that sum to about 1", f"{margin:.3f} at {game.book}", "correct the source of odds"
        )
    return devig([odds for _, odds in game.sides])[names.index(side)]
