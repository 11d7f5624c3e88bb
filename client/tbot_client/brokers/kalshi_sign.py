"""Kalshi's request signature: RSA-PSS over time, method and path, by a key that stays on this machine."""

from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tbot_client.errors import Misconfigured

# An HTTP date has whole seconds, and an answer takes its time.
SAME_TIME = timedelta(seconds=3)
_PADDING = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)


class Signer:
    """Signs for one API key; nothing of the private half is ever printed or sent.

    The venue refuses a signature that is some seconds old by its own clock, and this machine's may be wrong: then what
    the venue's answers say of the time counts.
    """

    def __init__(self, key_id: str, pem: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._key_id = key_id
        self._key = private_key(pem)
        self._now = now
        self._lead = timedelta(0)

    def heed(self, date: str) -> bool:
        """Take over the time of an HTTP ``Date``; return whether it is another than was signed with."""
        try:
            lead = parsedate_to_datetime(date) - self._now()
        except (ValueError, TypeError):
            return False
        is_other = abs(lead - self._lead) > SAME_TIME
        self._lead = lead if is_other else self._lead
        return is_other

    def headers(self, method: str, path: str) -> dict[str, str]:
        """Return what a request must carry; ``path`` begins with ``/trade-api/v2`` and has no query."""
        stamp = str(int((self._now() + self._lead).timestamp() * 1000))
        signature = self._key.sign(f"{stamp}{method}{path}".encode(), _PADDING, hashes.SHA256())
        return {
            "KALSHI-ACCESS-KEY": self._key_id,
            "KALSHI-ACCESS-TIMESTAMP": stamp,
            "KALSHI-ACCESS-SIGNATURE": b64encode(signature).decode(),
        }


def private_key(pem: str) -> RSAPrivateKey:
    """Read a private key as Kalshi hands it out.

    Raises:
        Misconfigured: it is not one; the text itself is never repeated.
    """
    todo = "name the file Kalshi let you download with your API key"
    try:
        key = load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        found = "one with a password" if isinstance(error, TypeError) else "something else"
        raise Misconfigured("an RSA private key (PEM, no password) in key_file", found, todo) from error
    if not isinstance(key, RSAPrivateKey):
        raise Misconfigured("an RSA private key in key_file", "a key of another kind", todo)
    return key
