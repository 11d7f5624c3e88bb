"""Restart back-off: how long a program that keeps dying waits, and when it is given up."""

import json
import random
from dataclasses import dataclass
from pathlib import Path

from domain.errors import Misconfigured

FIRST_S = 1.0
LONGEST_S = 60.0
JITTER = 0.2
STABLE_S = 300.0
LOOP_STARTS = 5
LOOP_WINDOW_S = 600.0


@dataclass(frozen=True, slots=True)
class History:
    """Unix times of the starts that followed a crash, oldest first, and of the latest start."""

    crashes: tuple[float, ...] = ()
    last_start: float | None = None


def after_start(history: History, now: float, *, clean: bool) -> History:
    """Return the history with a start at ``now``; ``clean`` says the last run ended on purpose."""
    if history.last_start is None or clean or now - history.last_start >= STABLE_S:
        return History(() if clean else _within(history, now, LOOP_WINDOW_S), now)
    return History((*_within(history, now, LOOP_WINDOW_S), now), now)


def delay_s(history: History, now: float) -> float:
    """Return the seconds to wait before this start, without jitter."""
    recent = _within(history, now, STABLE_S)
    return min(FIRST_S * 2 ** (len(recent) - 1), LONGEST_S) if recent else 0.0


def is_looping(history: History) -> bool:
    """Tell whether the program crashed so often within ten minutes that it must stay down until a person looks."""
    return len(history.crashes) >= LOOP_STARTS


def with_jitter(seconds: float) -> float:
    """Return ``seconds`` changed by up to a fifth, so that programs that died together don't return together."""
    return seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  spreading load, not keeping a secret


def load(path: Path) -> History:
    """Read a history; a missing or broken file is an empty one (it only costs a shorter wait)."""
    try:
        raw = json.loads(path.read_text())
        return History(tuple(float(t) for t in raw["crashes"]), float(raw["last_start"]))
    except (OSError, ValueError, KeyError, TypeError):
        return History()


def save(path: Path, history: History) -> None:
    """Write a history at once or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".new")
    scratch.write_text(json.dumps({"crashes": history.crashes, "last_start": history.last_start}))
    scratch.replace(path)


def refuse_loop(name: str, path: Path) -> Misconfigured:
    """Return the error of a program that is given up."""
    return Misconfigured(
        f"{name} to stay up",
        f"{LOOP_STARTS} crashes within {LOOP_WINDOW_S:.0f} s",
        f"read its log, mend the cause, remove {path} and start it again",
    )


def _within(history: History, now: float, span_s: float) -> tuple[float, ...]:
    """Return the crashes of the last ``span_s`` seconds, without what a wrong clock noted in the future."""
    return tuple(t for t in history.crashes if 0 <= now - t < span_s)
