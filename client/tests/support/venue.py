"""The OANDA simulator as a process of its own, started by command line and steered over HTTP."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[3]
ACCOUNT, TOKEN = "101-001-7654321-001", "canary-broker-token"
START = "2014-05-02T12:20:00Z"


class Venue:
    """One simulator with one account; `faults` are those of its control API."""

    def __init__(self, speed=1, start=START):
        import time

        self.spec = f"sim:{start}@{speed},anchor={time.time():.3f}"
        command = [sys.executable, "-m", "simulators.oanda", "--account", f"{ACCOUNT}:{TOKEN}:USD:100000"]
        environment = os.environ | {"TBOT_CLOCK": self.spec}
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.url = line.split("listening on ")[1].strip()
        self.http = httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False)

    def fault(self, action, path=None, **fields):
        match = {} if path is None else {"match": {"path": path}}
        fault = {"name": f"f{len(fields)}-{action}", "action": action, "times": 1} | match | fields
        self.http.post("/_sim/faults", content=json.dumps([fault])).raise_for_status()

    def transactions(self, kind):
        answer = self.http.get(f"/v3/accounts/{ACCOUNT}/transactions/sinceid", params={"id": "1"}).json()
        return [entry for entry in answer["transactions"] if entry["type"] == kind]

    def trades(self):
        return self.http.get(f"/v3/accounts/{ACCOUNT}/openTrades").json()["trades"]

    def price(self):
        return self.http.get("/_sim/state").json()["quotes"]["EUR_USD"]

    def reset(self):
        """Close what a test left open and clear its faults."""
        self.http.delete("/_sim/faults")
        for trade in self.trades():
            self.http.put(f"/v3/accounts/{ACCOUNT}/trades/{trade['id']}/close", json={"units": "ALL"})

    def close(self):
        self.http.close()
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()
