"""A simulated Kalshi with markets and accounts of a test's own choosing, started as the process it is."""

import base64
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from simulator import Simulator, clock_of

START = "2014-05-06T07:00:00Z"
TICKER = "KXTEST-14MAY06-T70"
_PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)


@cache
def key_pair(number: int = 0) -> tuple[str, str]:
    """Return a private and a public key as PEM; the same number gives the same pair within a process."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return secret.decode(), public.decode()


@cache
def _loaded(pem: str) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def signed_headers(key_id: str, pem: str, method: str, path: str, at_ms: int | None = None) -> dict[str, str]:
    """Return the headers of a signed request; ``path`` has its root and no query."""
    stamp = str(int(time.time() * 1000) if at_ms is None else at_ms)
    signature = _loaded(pem).sign(f"{stamp}{method}{path}".encode(), _PSS, hashes.SHA256())
    return {
        "KALSHI-ACCESS-KEY": key_id,
        "KALSHI-ACCESS-TIMESTAMP": stamp,
        "KALSHI-ACCESS-SIGNATURE": base64.b64encode(signature).decode(),
    }


def market(ticker: str = TICKER, *, hours: float = 10, result: str = "yes", fair: Any = 0.50, **more: Any) -> Any:
    """Return a market of a catalogue file that opens six hours before ``START`` and closes ``hours`` after it."""
    start = datetime.fromisoformat(START)
    opens, closes = start - timedelta(hours=6), start + timedelta(hours=hours)
    times = {"open_time": opens.isoformat(), "close_time": closes.isoformat()}
    return {"ticker": ticker, **times, "result": result, "fair": fair, **more}


@dataclass(frozen=True)
class Member:
    """An account of the venue and the secret that signs for it."""

    key_id: str
    private_pem: str
    public_pem: str
    balance: str = "1000.00"
    tier: str = "prime"

    def row(self) -> dict[str, str]:
        return {
            "key_id": self.key_id,
            "public_key_pem": self.public_pem,
            "balance": self.balance,
            "tier": self.tier,
        }


def member(number: int = 0, balance: str = "1000.00", tier: str = "prime") -> Member:
    """Return an account; the tier is a generous one, so that only tests of the limits meet them."""
    private, public = key_pair(number)
    return Member(f"key-{number}", private, public, balance, tier)


class KalshiSim(Simulator):
    """The venue's process, its control page and a signing client for each account."""

    def __init__(self, members: tuple[Member, ...], *words: Any, **more: Any) -> None:
        super().__init__("simulators.kalshi", *words, **more)
        self.members = members

    @property
    def base_url(self) -> str:
        """The address SDKs and adapters are given; it ends in ``/trade-api/v2``."""
        return f"{self.url}/trade-api/v2"

    @property
    def ws_url(self) -> str:
        return f"{self.url.replace('http', 'ws')}/trade-api/ws/v2"

    @property
    def key_id(self) -> str:
        return self.members[0].key_id

    @property
    def private_pem(self) -> str:
        return self.members[0].private_pem

    def get(self, path: str, who: int | None = None, **query: Any) -> Any:
        """Return the JSON of a page, signed by an account if ``who`` is one."""
        return self.send("GET", path, who=who, params=query or None).json()

    def send(self, method: str, path: str, body: Any = None, who: int | None = 0, **options: Any) -> httpx.Response:
        """Send a request below ``/trade-api/v2``, signed by account ``who``."""
        headers = {}
        if who is not None:
            chosen = self.members[who]
            headers = signed_headers(chosen.key_id, chosen.private_pem, method, f"/trade-api/v2{path}")
        return httpx.request(method, self.base_url + path, json=body, headers=headers, timeout=10, **options)

    def order(
        self, side: str = "bid", price: str = "0.60", number: int = 1, who: int = 0, **fields: Any
    ) -> httpx.Response:
        """Send an order of the current wire: immediate-or-cancel on ``TICKER`` unless told otherwise."""
        body = {
            "ticker": TICKER,
            "side": side,
            "price": price,
            "count": f"{number}.00",
            "time_in_force": "immediate_or_cancel",
            "self_trade_prevention_type": "taker_at_cross",
            "client_order_id": f"test-{next(self.numbers)}",
            **fields,
        }
        return self.send("POST", "/portfolio/events/orders", body, who)

    def websocket_headers(self, who: int = 0) -> dict[str, str]:
        """Return the headers that open a WebSocket."""
        chosen = self.members[who]
        return signed_headers(chosen.key_id, chosen.private_pem, "GET", "/trade-api/ws/v2")


def start(
    folder: Path,
    markets: Iterable[Any] | None = None,
    *,
    series: Iterable[Any] = (),
    members: Iterable[Member] | None = None,
    speed: float = 1,
    begin: str = START,
    anchor: float | None = None,
    options: Iterable[str] = (),
    env: Mapping[str, str] | None = None,
) -> KalshiSim:
    """Start a venue.

    Args:
        folder: where the catalogue and account files are written.
        markets: those of ``market``; one open market at 50 cents unless given. None of the built-in ones are listed.
        series: rows of a catalogue file; those markets name are made up unless given.
        members: accounts; two of 1000 dollars unless given.
        speed: simulated seconds a second.
        begin: simulated time at the start.
        anchor: unix time at which it is ``begin``; now unless given.
        options: more of the command line, such as ``--state FILE``.
        env: more of the environment.
    """
    chosen = (member(0), member(1)) if members is None else tuple(members)
    listed = [market()] if markets is None else list(markets)
    folder.mkdir(parents=True, exist_ok=True)
    catalogue, accounts = folder / "kalshi-catalogue.json", folder / "kalshi-accounts.json"
    catalogue.write_text(json.dumps({"series": list(series), "markets": listed}))
    accounts.write_text(json.dumps([one.row() for one in chosen]))
    words = ("--account-file", accounts, "--catalogue", catalogue, *options)
    return KalshiSim(chosen, clock_of(begin, speed, anchor), words, env)
