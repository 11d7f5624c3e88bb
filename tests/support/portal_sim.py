"""The simulated Client Portal gateway for tests, started as the process it is."""

import json
import time

import httpx
from simulator import Simulator, clock_of

MODULE = "simulators.client_portal"
# Tuesday, half an hour after the open, on the recorded Tuesday 8 October 2013
START = "2014-05-06T14:00:00Z"
ACCOUNT = "DU1"
SPY, AAPL, IBM, AIG, AMZN = 756733, 265598, 8314, 61319701, 3691937


class PortalSim(Simulator):
    """The gateway's process, a client of it, and its control pages."""

    def __init__(self, *words, **more):
        super().__init__(MODULE, *words, **more)
        # the gateway signs its own certificate, as the real one does
        self.http = httpx.Client(base_url=self.base_url, timeout=10, verify=False)  # noqa: S501  loopback

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
        named = {"cOID": f"test-{next(self.numbers)}", **fields}
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

    def trades(self, **query):
        """Return the list of executions; the first of a session is empty."""
        return self.get("/iserver/account/trades", **query) or self.get("/iserver/account/trades", **query)

    def status(self, order_id):
        """Return what the page of one order says."""
        return self.get(f"/iserver/account/order/status/{order_id}")

    def snapshot(self, *conids, fields="31,84,86,6509"):
        """Return the rows of a snapshot after its preflight, by contract."""
        asked = {"conids": ",".join(map(str, conids)), "fields": fields}
        self.get("/iserver/accounts")
        self.get("/iserver/marketdata/snapshot", **asked)
        return {row["conid"]: row for row in self.get("/iserver/marketdata/snapshot", **asked)}

    def login(self):
        """Sign in as a person does, which begins both sessions anew."""
        return self.pages.post("/_sim/login").json()

    def release(self):
        """Open the penalty box."""
        self.pages.post("/_sim/release")

    def trade_by_hand(self, conid, quantity, account=ACCOUNT):
        """Trade signed shares outside any client."""
        reply = self.pages.post("/_sim/trade", json={"account": account, "conid": conid, "quantity": str(quantity)})
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

    def until(self, look, seconds=30):
        """Wait until ``look`` gives something true; return it."""
        deadline = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.02)
        return found

    def stop(self):
        """End the process and return its exit code."""
        self.http.close()
        return super().stop()


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
    return PortalSim(clock_of(begin, speed, anchor), ("--accounts", accounts, *arguments), env)


def written(path, script):
    """Write a fault script and return its path as text."""
    path.write_text(json.dumps(script))
    return str(path)
