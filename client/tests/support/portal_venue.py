"""The Client Portal simulator as a process of its own, with a margin and a cash account, steered over HTTP.

Its clock runs 20 times as fast: what a stop waits for happens, and the exchange stays open. Each test begins flat.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[3]
START = "2014-05-06T14:00:00Z"
ACCOUNT, CASH = "DU1", "DU2"
CONIDS = {"AIG": 61319701, "IBM": 8314, "SPY": 756733, "AAPL": 265598, "TWX": 58666491}
WORKING = ("PreSubmitted", "Submitted")


class PortalVenue:
    """One simulator; faults are those of its control pages."""

    def __init__(self, *arguments, speed=20):
        self.spec = f"sim:{START}@{speed},anchor={time.time():.3f}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "simulators.client_portal", "--limits", "off", "--no-calendar",
             "--accounts", f"{ACCOUNT}:100000:margin,{CASH}:20000:cash", *arguments],
            cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ | {"TBOT_CLOCK": self.spec},
        )  # fmt: skip
        self.url = self.process.stdout.readline().split("listening on ")[1].strip()
        self.api_url = f"{self.url}/v1/api"
        self.http = httpx.Client(base_url=self.url, trust_env=False)
        self.faults_made = 0

    def fault(self, action, **fields):
        """Add a fault; return its name."""
        self.faults_made += 1
        name = f"f{self.faults_made}-{action}"
        answer = self.http.post("/_sim/faults", json={"name": name, "action": action} | fields)
        assert answer.status_code == 201, answer.text
        return name

    def fired(self, name):
        return self.state()["faults"][name]

    def state(self):
        return self.http.get("/_sim/state").json()

    def requests(self):
        return self.http.get("/_sim/requests").json()["requests"]

    def account(self, name=ACCOUNT):
        return self.state()["accounts"][name]

    def held(self, symbol="AIG", name=ACCOUNT):
        return float(self.account(name)["positions"].get(symbol, {"quantity": 0})["quantity"])

    def orders(self, stem, name=ACCOUNT):
        """Return the orders of a signal as the venue has them: our id -> row."""
        account = self.account(name)
        rows = account["live"] + account["done"]
        return {row["order_ref"]: row for row in rows if row.get("order_ref", "").startswith(stem)}

    def live(self, stem, name=ACCOUNT):
        return {ref: row for ref, row in self.orders(stem, name).items() if row["status"] in WORKING}

    def quote(self, symbol="AIG"):
        """Return bid and ask as the venue shows them."""
        self.http.get("/v1/api/iserver/accounts")
        query = {"conids": CONIDS[symbol], "fields": "84,86"}
        self.http.get("/v1/api/iserver/marketdata/snapshot", params=query)
        (row,) = self.http.get("/v1/api/iserver/marketdata/snapshot", params=query).json()
        return row["84"], row["86"]

    def by_hand(self, quantity, symbol="AIG", name=ACCOUNT):
        """Trade as the account's owner would, without one of our ids."""
        body = {"account": name, "conid": CONIDS[symbol], "quantity": str(quantity)}
        answer = self.http.post("/_sim/trade", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def login(self):
        self.http.post("/_sim/login")

    def until(self, holds, seconds=40):
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, "it never came to hold"
            time.sleep(0.02)

    def reset(self):
        """Lift faults, cancel what rests, and sell what is held."""
        self.http.delete("/_sim/faults")
        self.http.post("/_sim/release")
        self.login()
        self.http.get("/v1/api/iserver/accounts")
        for name, account in self.state()["accounts"].items():
            self.http.delete(f"/v1/api/iserver/account/{name}/order/-1")
            for symbol, row in account["positions"].items():
                if float(row["quantity"]):
                    self.by_hand(-float(row["quantity"]), symbol, name)

    def close(self):
        self.http.close()
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()
