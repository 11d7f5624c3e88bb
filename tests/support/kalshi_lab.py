"""A simulated Kalshi in this process, with a clock that stands still until a test moves it."""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count

import kalshi_sim
from hand_clock import HandClock

from simulators.kalshi.account import Account
from simulators.kalshi.api import Api
from simulators.kalshi.catalogue_file import FileCatalogue, load_catalogue
from simulators.kalshi.desk import Desk
from simulators.kalshi.faults import Occasion
from simulators.kalshi.orders import Side, Ticket
from simulators.kalshi.venue import Venue
from simulators.kalshi.wire import ApiError
from simulators.rest.transport import Request

TICKER = kalshi_sim.TICKER


@dataclass
class Lab:
    """The venue without a socket: requests are handed straight to the API, orders to a desk."""

    venue: Venue
    clock: HandClock
    numbers: object = field(default_factory=lambda: count(1))

    def __post_init__(self):
        self.api = Api(self.venue)

    def at(self, text):
        """Move the clock to a time."""
        self.clock.ms = int(datetime.fromisoformat(text).timestamp() * 1000)
        return self.venue.advance()

    def later(self, **span):
        """Move the clock ahead."""
        self.clock.ms += int(timedelta(**span).total_seconds() * 1000)
        return self.venue.advance()

    def fault(self, action, **fields):
        """Add a fault and return it."""
        self.venue.faults.add(
            {"name": f"{action}-{next(self.numbers)}", "action": action, **fields}, self.venue.position
        )
        self.venue.advance()
        return self.venue.faults.faults[-1]

    def send(self, method, path, body=None, who=0, **query):
        """Send a signed request; return status and body."""
        chosen = kalshi_sim.member(who)
        full = f"/trade-api/v2{path}"
        signed = kalshi_sim.signed_headers(chosen.key_id, chosen.private_pem, method, full)
        headers = {name.lower(): value for name, value in signed.items()}
        raw = b"" if body is None else json.dumps(body).encode()
        repeated = {name: [str(value)] for name, value in query.items()}
        request = Request(method, full, {n: v[-1] for n, v in repeated.items()}, headers, raw, repeated)
        response = asyncio.run(self.api.handle(request))
        return response.status, json.loads(response.body)

    def get(self, path, who=0, **query):
        return self.send("GET", path, None, who, **query)[1]

    def desk(self, who=0):
        now = self.venue.advance()
        account = self.venue.accounts[f"key-{who}"]
        occasion = Occasion(self.venue.faults, "POST", "/trade-api/v2/portfolio/events/orders", (), account.key_id, now)
        return Desk(self.venue, account, now, occasion)

    def order(self, side="bid", price="0.60", number=1, who=0, ticker=TICKER, **terms):
        """Create an order; return it.

        Raises:
            ApiError: it is refused.
        """
        ticket = Ticket(ticker=ticker, side=Side(side), price=Decimal(price), count=number, **terms)
        return self.desk(who).create(ticket)

    def refused(self, *args, **terms):
        """Return status and code of the refusal of an order."""
        try:
            self.order(*args, **terms)
        except ApiError as exc:
            error = exc.body["error"]
            return exc.status, error["code"], error.get("details", "")
        raise AssertionError("the order was taken")

    def account(self, who=0):
        return self.venue.accounts[f"key-{who}"]

    def market(self, ticker=TICKER):
        return self.get(f"/markets/{ticker}")["market"]


def catalogue(folder, markets=None, series=()):
    """Return a catalogue of markets as ``kalshi_sim.market`` writes them; one at 50 cents unless given."""
    path = folder / "catalogue.json"
    listed = [kalshi_sim.market()] if markets is None else list(markets)
    path.write_text(json.dumps({"series": list(series), "markets": listed}))
    return load_catalogue(path)


def lab(found: FileCatalogue, balances=("1000", "1000", "1000"), store=None, wire="both", start=kalshi_sim.START):
    """Return a venue with an account for each balance, whose keys are those of ``kalshi_sim.member``."""
    clock = HandClock(int(datetime.fromisoformat(start).timestamp() * 1000))
    accounts = [
        Account(f"key-{i}", kalshi_sim.key_pair(i)[1], Decimal(balance), "prime") for i, balance in enumerate(balances)
    ]
    return Lab(Venue(clock, found, accounts, store, wire), clock)
