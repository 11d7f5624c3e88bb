"""The simulated Client Portal gateway for tests, started as the process it is."""

import json
import os
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
MODULE = "simulators.client_portal"
# Tuesday, half an hour after the open, on the recorded Tuesday 8 October 2013
START = "2014-05-06T14:00:00Z"
ACCOUNT = "DU1"
SPY, AAPL, IBM, AIG, AMZN = 756733, 265598, 8314, 61319701, 3691937


class PortalSim:
    """The gateway's process, a client of it, and its control pages."""

    def __init__(self, process, url, clock):
        self.process = process
        self.url = url
        self.clock = clock
        self._numbers = count(1)
        # the gateway signs its own certificate, as the real one does
        self.http = httpx.Client(base_url=f"{url}/v1/api", timeout=10, verify=False)  # noqa: S501  loopback
        self._control = httpx.Client(base_url=f"{url}/_sim", timeout=10, verify=False)  # noqa: S501  loopback

    @property
    def base_url(self):
        """The address clients are given; it ends in ``/v1/api``."""
        return f"{self.url}/v1/api"

    @property
    def ws_url(self):
        return f"{self.url.replace('http', 'ws', 1)}/v1/api/ws"

    def send(self, method, path, body=None, **query):
        """Send a request below ``/v1/api``; return the response."""
        return self.http.request(method, path, json=body, params=query or None)

    def get(self, path, **query):
        """Return the JSON of a page."""
        return self.send("GET", path, **query).json()

    def post(self, path, body=None):
        """Return the JSON a page answers to a body."""
        return self.send("POST", path, body).json()

    def order(self, side="BUY", quantity=10, kind="MKT", account=ACCOUNT, **fields):
        """Send one order for SPY unless told otherwise; return the JSON of the reply."""
        named = {"cOID": f"test-{next(self._numbers)}", **fields}
        return self.orders([ticket(side, quantity, kind, **named)], account)

    def orders(self, tickets, account=ACCOUNT):
        """Send orders together; return the JSON of the reply."""
        return self.post(f"/iserver/account/{account}/orders", {"orders": tickets})

    def confirm(self, answer, most=10):
        """Say yes to every question; return what became of the orders."""
        while isinstance(answer, list) and answer and "messageIds" in answer[0]:
            assert most > 0, answer
            most -= 1
            answer = self.post(f"/iserver/reply/{answer[0]['id']}", {"confirmed": True})
        return answer

    def entered(self, *args, **fields):
        """Send one order, say yes to everything, return its number."""
        answer = self.confirm(self.order(*args, **fields))
        assert isinstance(answer, list), answer
        return int(answer[0]["order_id"])

    def live(self, **query):
        """Return the list of the day's orders; the first request of a session only fills the cache."""
        found = self.get("/iserver/account/orders", **query)
        return (found if found["snapshot"] else self.get("/iserver/account/orders", **query))["orders"]

    def status(self, order_id):
        """Return what the page of one order says."""
        return self.get(f"/iserver/account/order/status/{order_id}")

    def snapshot(self, *conids, fields="31,84,86,6509"):
        """Return the rows of a snapshot after its preflight, by contract."""
        asked = {"conids": ",".join(map(str, conids)), "fields": fields}
        self.get("/iserver/accounts")
        self.get("/iserver/marketdata/snapshot", **asked)
        return {row["conid"]: row for row in self.get("/iserver/marketdata/snapshot", **asked)}

    def state(self):
        """Return the control page's account of everything."""
        return self._control.get("/state").json()

    def requests(self):
        """Return the last requests the gateway saw."""
        return self._control.get("/requests").json()["requests"]

    def fault(self, action, **fields):
        """Add a fault and return its name; parameters as in simulators/README.md."""
        name = fields.pop("name", None) or f"{action}-{next(self._numbers)}"
        reply = self._control.post("/faults", json={"name": name, "action": action, **fields})
        assert reply.status_code == 201, reply.text
        return name

    def fired(self, name):
        """Return how often a fault fired."""
        return self.state()["faults"][name]

    def clear(self, name=None):
        """Remove one fault, or all."""
        self._control.delete("/faults", params={} if name is None else {"name": name})

    def login(self):
        """Sign in as a person does, which begins both sessions anew."""
        return self._control.post("/login").json()

    def release(self):
        """Open the penalty box."""
        self._control.post("/release")

    def trade_by_hand(self, conid, quantity, account=ACCOUNT):
        """Trade signed shares outside any client."""
        reply = self._control.post("/trade", json={"account": account, "conid": conid, "quantity": str(quantity)})
        assert reply.status_code == 201, reply.text
        return reply.json()

    def tidy(self):
        """Lift every fault and state a test may have left, and cancel what rests."""
        self.clear()
        self.release()
        self.login()
        self.get("/iserver/accounts")
        for name in self.state()["accounts"]:
            self.send("DELETE", f"/iserver/account/{name}/order/-1")

    def until(self, look, seconds=8):
        """Wait until ``look`` gives something true; return it."""
        deadline = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.02)
        return found

    def stop(self):
        """End the process and return its exit code."""
        self.http.close()
        self._control.close()
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(timeout=10)
        self.process.stdout.close()
        return code


def ticket(side="BUY", quantity=10, kind="MKT", conid=SPY, tif="DAY", **fields):
    """Return an order as clients write it."""
    return {"conid": conid, "orderType": kind, "side": side, "quantity": quantity, "tif": tif, **fields}


def start_portal(*arguments, speed=1, begin=START, anchor=None, accounts=f"{ACCOUNT}:100000:margin", env=None):
    """Start a gateway on a free port.

    Args:
        arguments: more of the command line, such as ``--limits off``.
        speed: simulated seconds a second.
        begin: simulated time at the start.
        anchor: unix time at which it is ``begin``; now unless given.
        accounts: value of ``--accounts``.
        env: more of the environment.
    """
    clock = f"sim:{begin}@{speed:g},anchor={time.time() if anchor is None else anchor:.3f}"
    command = [sys.executable, "-m", MODULE, "--clock", clock, "--accounts", accounts, *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, **(env or {})})
    printed = process.stdout.readline()
    assert printed.startswith(f"{MODULE} listening on http"), printed
    return PortalSim(process, printed.split()[-1], clock)


def written(path, script):
    """Write a fault script and return its path as text."""
    path.write_text(json.dumps(script))
    return str(path)
