"""A canary for a secret: processes as they are run, a broker that repeats the token, and no trace of it on disk."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from journal_rig import ROOT, until

from domain.clock import parse_iso
from feed.token_store import TokenStore
from feed.tokens import Scope
from fleet.demo_oanda import DEMO_FX
from journal import read
from journal.key_files import create_key

START, SPEED, ACCOUNT = "2014-05-06T12:00:00Z", 300, "101-001-1-001"
OANDA_LIKE = "0badc0de0badc0de0badc0de0badc0de-5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e"
# One that only its value gives away, and one that its form does too.
CANARIES = ["canary~that+nobody/may=see~7f3a9c", OANDA_LIKE]
LIVELY = DEMO_FX | {
    "FX_MARKETS": "EUR_USD,NZD_USD", "FX_LOOP_S": "15", "FX_SIGNAL_TTL_S": "100000", "FX_MAX_HOLDING_HOURS": "0.2",
    "RISK_MIN_EDGE_BP": "0", "RISK_MAX_QUOTE_AGE_S": "600", "RISK_MAX_SPREAD_BP": "10", "RISK_MAX_SLIPPAGE_BP": "10",
    "RISK_COOLDOWN_S": "1", "RISK_DEDUP_WINDOW_S": "60", "RISK_STORM_STOP_OUTS": "1000", "STRATEGY_STOP_ATR": "5",
    "STRATEGY_TARGET_ATR": "6", "STRATEGY_MAX_TILT": "0.25", "OANDA_READ_TIMEOUT_S": "2",
    "OANDA_FRESH_ORDER_GRACE_S": "2.5", "OANDA_QUOTE_SILENCE_S": "1", "OANDA_POLL_INTERVAL_S": "0.2",
}  # fmt: skip


def forms(secret: str) -> set[bytes]:
    """Return what a leak would look like: plain, escaped, in a URL, in the base64 of a header."""
    encoded = {base64.b64encode(lead + secret.encode())[4:40] for lead in (b"u:", b"us:", b"usr:")}
    return {secret.encode(), json.dumps(secret)[1:-1].encode(), quote(secret, safe="").encode()} | encoded


def traces(home: Path, secret: str) -> list[str]:
    """Return the files under ``home`` that hold a form of the secret."""
    files = [path for path in home.rglob("*") if path.is_file() and "keys" not in path.parts[len(home.parts) :]]
    assert len(files) > 5
    return [str(path) for path in files if any(form in path.read_bytes() for form in forms(secret))]


class Venue:
    """A simulated broker that knows one account with the canary as its token, and repeats it in what it refuses."""

    def __init__(self, token: str) -> None:
        self.clock = f"sim:{START}@{SPEED},anchor={time.time():.3f}"
        command = [sys.executable, "-m", "simulators.oanda", "--port", "0", "--clock", self.clock]
        command += ["--account", f"{ACCOUNT}:{token}:USD:100000"]
        self._process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.url = self._process.stdout.readline().split()[-1]
        # The adapter itself cuts the plain token out of what it reads; a header in base64 is left to the journal.
        header = base64.b64encode(f"u:{token}".encode()).decode()
        self.said = json.dumps({"errorMessage": f"no right for Bearer {token}", "errorCode": header, token: [token]})

    def fault(self, name: str, status: int, **match: str) -> None:
        fault = {"name": name, "action": "status", "status": status, "body": self.said, "times": 2, "match": match}
        reply = httpx.post(f"{self.url}/_sim/faults", json=fault)
        assert reply.status_code == 201, reply.text

    def fired(self) -> dict[str, int]:
        return {fault["name"]: fault["fired"] for fault in httpx.get(f"{self.url}/_sim/faults").json()["faults"]}

    def close(self) -> None:
        self._process.terminate()
        self._process.communicate(timeout=20)


@pytest.fixture
def venue(request: pytest.FixtureRequest) -> Iterator[tuple[Venue, str]]:
    made = Venue(request.param)
    yield made, request.param
    made.close()


def start(home: Path, module: str, environ: dict[str, str]) -> subprocess.Popen[bytes]:
    with (home / f"{module}.log").open("wb") as log:
        words = [sys.executable, "-m", module, *([] if module == "feed" else ["fx"])]
        return subprocess.Popen(words, cwd=ROOT, env=environ, stdout=log, stderr=log)


@pytest.mark.proves("J13", "row 35")
@pytest.mark.parametrize("venue", CANARIES[:1], indirect=True, ids=["by value"])
def test_a_broker_that_repeats_the_token_leaves_no_trace_of_it_in_any_file(venue, tbot_home: Path) -> None:
    broker, token = venue
    create_key(tbot_home / "keys", "fx", parse_iso("2014-01-01T00:00:00Z"))
    environ = LIVELY | {
        "TBOT_HOME": str(tbot_home), "TBOT_CLOCK": broker.clock, "OANDA_ACCOUNT_ID": ACCOUNT, "OANDA_TOKEN": token,
        "OANDA_API_URL": broker.url,
    }  # fmt: skip
    running = [start(tbot_home, module, environ) for module in ("surfaces", "resolver")]
    try:
        directory = tbot_home / "logs/fx/orders"
        until(lambda: list(read(directory)), "a surface at work")
        orders = {"method": "POST", "path": "/v3/accounts/*/orders"}
        broker.fault("orders", 400, **orders)
        broker.fault("prices", 403, path="/v3/accounts/*/pricing")
        broker.fault("candles", 500, path="/v3/instruments/*")
        broker.fault("changes", 400, path="/v3/accounts/*/transactions/*")
        until(lambda: broker.fired()["orders"] == 2, "two refused orders")
        refused = until(lambda: reasons(directory), "a refusal in the journal", 15)
    finally:
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            process.wait(timeout=30)

    assert any("[redacted]" in reason for reason in refused), refused
    assert traces(tbot_home, token) == []


def reasons(directory: Path) -> list[str]:
    return [e.raw.decode() for e in read(directory) if e.kind == "order_event" and "[redacted]" in e.raw.decode()]


@pytest.mark.proves("J13", "row 35")
@pytest.mark.parametrize("venue", CANARIES[1:], indirect=True, ids=["by form"])
def test_a_token_that_the_broker_does_not_know_is_named_by_no_message(venue, tbot_home: Path) -> None:
    broker, token = venue
    create_key(tbot_home / "keys", "fx", parse_iso("2014-01-01T00:00:00Z"))
    wrong = token[:-2] + "aa"
    environ = LIVELY | {
        "TBOT_HOME": str(tbot_home), "TBOT_CLOCK": broker.clock, "OANDA_ACCOUNT_ID": ACCOUNT, "OANDA_TOKEN": wrong,
        "OANDA_API_URL": broker.url,
    }  # fmt: skip
    broker.fault("all", 401, path="/v3/*")
    process = start(tbot_home, "surfaces", environ)
    until(lambda: process.poll() is not None, "an end")

    said = (tbot_home / "surfaces.log").read_text()
    assert (process.returncode, "OANDA_TOKEN" in said) == (78, True), said
    assert traces(tbot_home, wrong) == []


@pytest.mark.proves("J13", "row 35")
def test_no_answer_of_the_feed_and_no_file_of_it_holds_a_secret(tbot_home: Path) -> None:
    secret = "canary~of+the/feed=7f3a9c~0123456789"
    (tbot_home / "logs/fx/signals").mkdir(parents=True)
    store = TokenStore(tbot_home / "state/subscribers.json")
    token, _ = store.add(
        label="t", scopes=tuple(Scope), surfaces=("fx",), now=parse_iso("2014-01-01T00:00:00Z")
    )  # fmt: skip
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ = {"PATH": os.environ["PATH"], "HOME": str(tbot_home), "TBOT_HOME": str(tbot_home), "FEED_SURFACES": "fx"}
    process = start(tbot_home, "feed", environ | {"FEED_CURSOR_SECRET": secret, "FEED_PORT": str(port)})
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20)
    try:
        until(lambda: is_up(client, process), "a feed that answers")
        answers = [ask(client, words, token, secret) for words in REQUESTS]
        broken = token[:-1] + "~"
        answers += [ask(client, words, broken, secret) for words in REQUESTS]
    finally:
        process.terminate()
        process.wait(timeout=30)
        client.close()

    assert {answer.status_code for answer in answers} >= {400, 401, 404}
    assert all(answer.status_code < 500 for answer in answers)
    for answer in answers:
        content = answer.content + str(answer.headers).encode()
        assert not any(form in content for form in forms(token) | forms(broken)), answer.request.url
        assert secret.encode() not in content
    assert traces(tbot_home, secret) + traces(tbot_home, token) + traces(tbot_home, broken) == []


FEED = "/api/signals/feed"
REQUESTS = [
    ("GET", f"{FEED}?start=oldest&wait=0", None), ("GET", f"{FEED}?cursor=nonsense", None), ("GET", "/api/no", None),
    ("GET", f"{FEED}?token={{token}}", None), ("POST", FEED, None), ("GET", f"{FEED}?wait={{token}}", None),
    ("POST", "/api/signals/sig_{{token}}/ack", {"reason": "{token}", "{token}": "{secret}"}),
    ("POST", "/api/signals/sig_01HQ3V5X7Y9Z1A2B3C4D5E6F7G/ack", {"decision": "{secret}", "reason": "Bearer {token}"}),
    ("POST", "/api/signals/sig_01HQ3V5X7Y9Z1A2B3C4D5E6F7G/executed", {"quantity": "{token}"}),
]  # fmt: skip


def ask(client: httpx.Client, words: tuple[str, str, object], token: str, secret: str) -> httpx.Response:
    method, path, body = words
    text = json.dumps(body).replace("{token}", token).replace("{secret}", "sesame") if body else None
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    return client.request(method, path.replace("{token}", token), content=text, headers=headers)


def is_up(client: httpx.Client, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None
    try:
        return client.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False
