"""The Kalshi simulator as a process of its own, with markets and accounts made for tests, steered over HTTP.

Its clock runs 60 times as fast: every half second of ours a market closes, to be settled a little later. Each test has
an account of its own, and markets nobody else trades.
"""

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tbot_client.brokers.kalshi_sign import Signer

ROOT = Path(__file__).resolve().parents[3]
START = datetime(2014, 5, 6, 7, tzinfo=UTC)
SPEED = 60
MOST = 80
ORDERS = "/trade-api/v2/portfolio/events/orders"


def text_of(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def market(ticker, closes, result, **more):
    times = {"open_time": text_of(START - timedelta(hours=1)), "close_time": text_of(closes)}
    later = {
        "determined_at": text_of(closes + timedelta(seconds=6)),
        "settled_at": text_of(closes + timedelta(seconds=15)),
    }
    return {"ticker": ticker, "result": result, "fair": 0.40, "half_spread": 0.01, "depth": 100} | times | later | more


def catalogue():
    tomorrow = START + timedelta(days=1)
    kept = [market(f"KXKEEP-{n:03d}", tomorrow, "yes") for n in range(MOST)]
    thin = [market(f"KXTHIN-{n:03d}", tomorrow, "yes", fair=0.001, half_spread=0.02) for n in range(5)]
    ends = [
        market(f"KX{result.upper()}-{n:03d}", START + timedelta(seconds=SPEED * n / 2), result)
        for n in range(1, 400)
        for result in ("yes", "no")
    ]
    return {"markets": kept + thin + ends}


class KalshiVenue:
    """One simulator; faults are those of its control API."""

    def __init__(self, folder):
        key = rsa.generate_private_key(65537, 2048)
        self.pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        names = [(f"key-{n:03d}", "1000.00", "prime") for n in range(MOST)]
        names += [("key-poor", "3.00", "prime"), ("key-small", "1000.00", "basic")]
        accounts = [{"key_id": n, "public_key_pem": public, "balance": b, "tier": t} for n, b, t in names]
        (folder / "accounts.json").write_text(json.dumps(accounts))
        (folder / "markets.json").write_text(json.dumps(catalogue()))
        self.anchor = time.time()
        self.spec = f"sim:{text_of(START)}@{SPEED},anchor={self.anchor:.3f}"
        files = ("--account-file", str(folder / "accounts.json"), "--catalogue", str(folder / "markets.json"))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "simulators.kalshi", *files], cwd=ROOT, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"TBOT_CLOCK": self.spec},
        )  # fmt: skip
        self.url = self.process.stdout.readline().split("listening on ")[1].strip()
        self.api_url = f"{self.url}/trade-api/v2"
        self.http = httpx.Client(base_url=self.url, trust_env=False)
        self.used = 0
        self.faults_made = 0
        self.key_id = ""

    def next_account(self):
        """Return the id of an account that nobody used yet."""
        self.used += 1
        self.key_id = f"key-{self.used:03d}"
        return self.key_id

    @property
    def kept(self):
        """Return the test's own market that stays open."""
        return f"KXKEEP-{self.used:03d}"

    def closing(self, result, seconds=2.0):
        """Return a market that closes in ``seconds`` of ours, or up to half of one more."""
        number = int((time.time() - self.anchor + seconds) * 2) + 1
        return f"KX{result.upper()}-{number:03d}"

    def fault(self, action, **fields):
        """Add a fault that happens once, or one that holds for a market."""
        self.faults_made += 1
        fault = {"name": f"f{self.faults_made}-{action}", "action": action} | fields
        answer = self.http.post("/_sim/faults", content=json.dumps([fault]))
        assert answer.status_code == 201, answer.text
        return fault["name"]

    def fired(self, name):
        return self.state()["faults"][name]

    def state(self):
        return self.http.get("/_sim/state").json()

    def account(self):
        return self.state()["accounts"][self.key_id]

    def created(self):
        """Return how often an order was created under each id, over all tests."""
        return self.state()["created"]

    def by_hand(self, ticker, side, count, price):
        """Trade as the account's owner would, without one of our ids."""
        body = {"ticker": ticker, "side": side, "count": str(count), "price": price}
        body |= {"time_in_force": "immediate_or_cancel", "self_trade_prevention_type": "taker_at_cross"}
        headers = Signer(self.key_id, self.pem, lambda: datetime.now(UTC)).headers("POST", ORDERS)
        answer = self.http.post(ORDERS, content=json.dumps(body), headers=headers)
        assert answer.status_code == 201, answer.text

    def until(self, holds, seconds=40):
        deadline = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < deadline, "it never came to hold"
            time.sleep(0.02)

    def reset(self):
        self.http.delete("/_sim/faults")

    def close(self):
        self.http.close()
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()
