"""A budget that remembers what it was asked, a panel with four seats, and a bench where it asks simulated vendors."""

import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count

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
EVERY = list(FOUR.values())
NUMBERS = count(1)
KEYS = {provider: f"sesame-{provider}-7f3a9c" for provider in FOUR}


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


def voters(answer):
    return [vote.model for vote in answer.votes]


class Bench:
    """A simulator, and panels that ask it a question of this test's own."""

    def __init__(self, sim):
        self.sim = sim
        self.text = f"Will ferry number {next(NUMBERS)} run by June?"
        self.faults = []
        self.panels = []
        self.before = self.sim.state()["providers"]

    @property
    def question(self):
        return question(self.text)

    def fault(self, provider, action, **fields):
        match = {"provider": provider, "contains": self.text}
        name = self.sim.fault(action, match=match, **fields)
        self.faults.append(name)
        return name

    def panel(self, purse=None, **changes):
        clock = changes.pop("clock", None)
        file = changes.pop("cache_file", None)
        fast = {"deadline_s": 20, "call_timeout_s": 20} | changes
        keys = {f"{provider}_key": key for provider, key in self.sim.keys.items()}
        made = panel(self.sim.urls, purse, clock=clock, cache_file=file, **(keys | fast))
        self.panels.append(made)
        return made

    def paid(self, provider=None):
        """Count the calls the vendors billed since this test began."""
        now = self.sim.state()["providers"]
        names = FOUR if provider is None else [provider]
        return sum(now[name]["paid_calls"] - self.before[name]["paid_calls"] for name in names)

    def requests(self, provider):
        now = self.sim.state()["providers"]
        return now[provider]["requests"] - self.before[provider]["requests"]

    def close(self):
        for name in self.faults:
            assert self.sim.fired(name) > 0, f"{name} never fired"
            self.sim.clear(name)
        for panel in self.panels:
            panel.close()
