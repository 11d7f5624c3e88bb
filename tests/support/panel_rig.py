"""A budget that remembers what it was asked, and a panel with four seats."""

import threading
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from domain.clock import FakeClock
from forecast import config
from forecast.budget import BudgetSpent
from forecast.panel import Panel
from forecast.question import Question

NOW = datetime(2014, 5, 6, 7, 30, tzinfo=UTC)
FOUR = {
    "anthropic": "claude-sonnet-4-6",
    "openai": "gpt-5.4-mini",
    "gemini": "gemini-3.5-flash",
    "deepseek": "deepseek-v4-flash",
}
KEYS = {provider: f"sesame-{provider}-7f3a9c" for provider in FOUR}


def until(condition, what, seconds=10.0):
    """Return the first true answer of ``condition``."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.01)
    return answer


def question(text="Will the ferry run by June?", **more):
    return Question(
        id="FERRY-JUN", text=text, rules="As the operator's page says.", closes_at=NOW + timedelta(days=3), **more
    )


class Purse:
    """A budget in memory: ``room`` dollars, or as many ``calls``; with neither it never refuses."""

    def __init__(self, room=None, calls=None):
        self.room, self.calls = room, calls
        self.reserved, self.settled, self.refused = {}, {}, []
        self.lock = threading.Lock()

    def reserve(self, call):
        with self.lock:
            is_full = self.room is not None and self.spent + call.worst_usd > self.room
            if is_full or (self.calls is not None and len(self.reserved) >= self.calls):
                self.refused.append(call)
                raise BudgetSpent("room", f"{self.spent} spent", "wait")
            name = f"cst_{len(self.reserved) + 1}"
            self.reserved[name] = call
            return name

    def settle(self, reservation_id, usage, cost_usd, outcome):
        with self.lock:
            assert reservation_id in self.reserved
            assert reservation_id not in self.settled
            self.settled[reservation_id] = (usage, cost_usd, outcome)

    @property
    def spent(self):
        """What is settled, and what is reserved and not."""
        open_calls = [call.worst_usd for name, call in self.reserved.items() if name not in self.settled]
        return sum((cost for _, cost, _ in self.settled.values()), Decimal(0)) + sum(open_calls, Decimal(0))

    @property
    def open(self):
        return self.reserved.keys() - self.settled.keys()

    def outcomes(self, model):
        return [self.settled[name][2] for name, call in self.reserved.items() if call.model == model]


def settings(urls, **changes):
    """Return the settings of a panel; ``urls`` maps provider -> address."""
    environ = {"MODELS_PANEL": ",".join(f"{provider}:{model}" for provider, model in FOUR.items())}
    environ |= {f"MODELS_{provider.upper()}_KEY": key for provider, key in KEYS.items()}
    environ |= {f"MODELS_{provider.upper()}_URL": url for provider, url in urls.items()}
    return config.load(environ | {f"MODELS_{name.upper()}": str(v) for name, v in changes.items()}, source="a test")


def panel(urls, purse=None, *, clock=None, cache_file=None, **changes):
    return Panel(
        settings(urls, **changes), budget=purse or Purse(), clock=clock or FakeClock(NOW), cache_file=cache_file
    )


def reasons(answer):
    return {missing.model: missing.reason for missing in answer.missing}
