"""What each answer of `init` may be, in words for the person asked and as a test of the text given."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from tbot_client.brokers.kalshi_sign import private_key
from tbot_client.clock import GRAMMAR, parse_clock
from tbot_client.config import KALSHI_PATH, PORTAL_PATH, decimal_of, safe_url
from tbot_client.errors import Misconfigured
from tbot_client.home import is_token, private_text


@dataclass(frozen=True, slots=True)
class Allowed:
    """``words`` completes "must be …"; ``test`` returns False or raises for a text that is not allowed."""

    words: str
    test: Callable[[str], object]

    def fits(self, text: str) -> bool:
        try:
            return self.test(text) is not False
        except (Misconfigured, ValueError, TypeError, InvalidOperation):
            return False


def one_of(*names: str) -> Allowed:
    return Allowed(f"one of {', '.join(names)}", lambda text: text in names)


def number(words: str, test: Callable[[Decimal], bool]) -> Allowed:
    return Allowed(words, lambda text: test(decimal_of(text)))


ACCOUNT = Allowed("the number your broker shows", bool)
KEY_ID = Allowed("the id Kalshi shows for your API key", is_token)
ADDRESS = Allowed("https://host[:port]; plain http only on 127.0.0.1", lambda text: safe_url("it", text))
TOKEN = Allowed("a token: one word of plain letters, digits and signs", is_token)
TOKEN_FILE = Allowed(
    "a file with a token that only you can read (chmod 600)",
    lambda text: is_token(private_text(Path(text).expanduser(), "").strip()),
)
KEY_FILE = Allowed(
    "a file with the API key's private half (RSA, PEM) that only you can read (chmod 600)",
    lambda text: private_key(private_text(Path(text).expanduser(), "")),
)
KALSHI_ADDRESS = Allowed(f"https://host{KALSHI_PATH}", lambda text: text.rstrip("/").endswith(KALSHI_PATH))
PORTAL_ADDRESS = Allowed(
    f"https://localhost:5000{PORTAL_PATH}, or where your gateway is",
    lambda text: text.rstrip("/").endswith(PORTAL_PATH),
)
CLOCK = Allowed(GRAMMAR, parse_clock)
NUMBER = number("a number, not negative", lambda value: value >= 0)
ABOVE_ZERO = number("a number above 0", lambda value: value > 0)
PART = number("a number above 0 and below 1: the part of equity lost at the stop", lambda value: 0 < value < 1)
POLL_WAIT = number("a number of seconds from 0 to 55", lambda value: 0 <= value <= 55)
SILENCE = number("a number of seconds, at least 5", lambda value: value >= 5)
BROKER_WAIT = number("a number of seconds, at least 0.05", lambda value: value >= Decimal("0.05"))
