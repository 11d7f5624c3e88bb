"""The language models' simulator as a process, for every test that needs somebody to ask."""

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
PROVIDERS = ("anthropic", "openai", "gemini", "deepseek")
# simulated-time argument that never comes near a change of day within a test
CLOCK = "sim:2014-05-06T07:00:00Z@1"


class ModelsSim:
    """``python -m simulators.models``; ``urls`` and ``keys`` are by provider, ready for the vendors' SDKs."""

    ROOT = ROOT

    def __init__(self, *arguments, clock=CLOCK, latency_scale=0, env=None):
        command = [sys.executable, "-m", "simulators.models", "--clock", clock]
        command += ["--latency-scale", str(latency_scale), *map(str, arguments)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}
        )
        printed = self.process.stdout.readline()
        assert printed.startswith("simulators.models listening on http://127.0.0.1:"), printed
        self.url = printed.split()[-1]
        self.urls = {
            "anthropic": f"{self.url}/anthropic",
            "openai": f"{self.url}/openai/v1",
            "gemini": f"{self.url}/gemini",
            "deepseek": f"{self.url}/deepseek",
        }
        self.keys = {provider: f"simulated-{provider}-key" for provider in PROVIDERS}
        self.client = httpx.Client(base_url=self.url, timeout=10)
        self._faults = 0

    def state(self):
        """Return the counters: paid calls, tokens and cost by provider and model, requests in flight, faults."""
        return self.client.get("/_sim/state").json()

    def requests(self, provider=None):
        """Return the last 500 requests, oldest first, with what was asked and what was answered."""
        query = {} if provider is None else {"provider": provider}
        return self.client.get("/_sim/requests", params=query).json()["requests"]

    def fault(self, action, *, name=None, match=None, **fields):
        """Add a fault and return its name; ``match`` takes provider, model and contains."""
        self._faults += 1
        name = name or f"{action}-{self._faults}"
        fault = {"name": name, "action": action, "match": match or {}, **fields}
        reply = self.client.post("/_sim/faults", json=fault)
        assert reply.status_code == 201, reply.text
        return name

    def fired(self, name):
        """Return how often a fault fired, by the simulator's own count."""
        return self.state()["faults"][name]

    def until(self, condition, seconds=5.0):
        """Wait until ``condition(state)`` holds and return that state."""
        deadline = time.monotonic() + seconds
        while not condition(state := self.state()):
            assert time.monotonic() < deadline, f"not within {seconds} s; the simulator says {state}"
            time.sleep(0.01)
        return state

    def clear(self, name=None):
        """Remove one fault, or all."""
        self.client.delete("/_sim/faults", params={} if name is None else {"name": name})

    def stop(self):
        """End the process; return its exit code."""
        self.client.close()
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(timeout=5)
        self.process.stdout.close()
        return code
