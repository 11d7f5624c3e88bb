"""The language models' simulator as a process, for every test that needs somebody to ask."""

import time

import httpx
from simulator import Simulator

PROVIDERS = ("anthropic", "openai", "gemini", "deepseek")
# simulated-time argument that never comes near a change of day within a test
CLOCK = "sim:2014-05-06T07:00:00Z@1"


class ModelsSim(Simulator):
    """``python -m simulators.models``; ``urls`` and ``keys`` are by provider, ready for the vendors' SDKs."""

    def __init__(self, *arguments, clock=CLOCK, latency_scale=0, env=None):
        super().__init__("simulators.models", clock, ("--latency-scale", latency_scale, *arguments), env)
        self.urls = {
            "anthropic": f"{self.url}/anthropic",
            "openai": f"{self.url}/openai/v1",
            "gemini": f"{self.url}/gemini",
            "deepseek": f"{self.url}/deepseek",
        }
        self.keys = {provider: f"simulated-{provider}-key" for provider in PROVIDERS}
        self.client = httpx.Client(base_url=self.url, timeout=10)

    def requests(self, provider=None):
        """Return the last 500 requests, oldest first, with what was asked and what was answered."""
        return super().requests(**({} if provider is None else {"provider": provider}))

    def until(self, condition, seconds=30.0):
        """Wait until ``condition(state)`` holds and return that state."""
        deadline = time.monotonic() + seconds
        while not condition(state := self.state()):
            assert time.monotonic() < deadline, f"not within {seconds} s; the simulator says {state}"
            time.sleep(0.01)
        return state

    def stop(self):
        """End the process; return its exit code."""
        self.client.close()
        return super().stop()
