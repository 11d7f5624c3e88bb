"""Request signatures: RSA-PSS over time, method and path, as Kalshi wants them."""

import base64
import os
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from brokers.kalshi.config import KalshiConfig
from domain.errors import Misconfigured
from domain.settings import Secret

# Source: docs.kalshi.com, "API Keys": PSS with SHA-256, MGF1 of the same, salt as long as the digest.
_PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)


class Signer:
    """Signs for one API key. The key itself is held by ``cryptography`` and never leaves it."""

    def __init__(self, key_id: str, key: RSAPrivateKey) -> None:
        self._key_id = key_id
        self._key = key

    def headers(self, method: str, path: str, at_ms: int) -> dict[str, str]:
        """Return the three headers of one request.

        Args:
            path: the whole path with ``/trade-api/v2`` and without the query.
            at_ms: Unix milliseconds as the venue counts them.
        """
        signature = self._key.sign(f"{at_ms}{method}{path}".encode(), _PSS, hashes.SHA256())
        return {
            "KALSHI-ACCESS-KEY": self._key_id,
            "KALSHI-ACCESS-TIMESTAMP": str(at_ms),
            "KALSHI-ACCESS-SIGNATURE": base64.b64encode(signature).decode(),
        }


def signer_of(config: KalshiConfig) -> Signer:
    """Read the private key of the settings.

    Raises:
        Misconfigured: it is missing, open to others, or no RSA key without a passphrase.
    """
    pem = config.private_key or _file(config.private_key_file or Path())
    # In an env file a PEM stands on one line, its line ends written as \n.
    text = pem.reveal().replace("\\n", "\n").strip() + "\n"
    source = str(config.private_key_file or "KALSHI_PRIVATE_KEY")
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError) as error:
        raise Misconfigured(
            f"a PEM private key without a passphrase in {source}",
            type(error).__name__,
            "download the key again, or convert it with openssl pkey",
        ) from None  # the cause may quote the text
    if not isinstance(key, RSAPrivateKey):
        raise Misconfigured(f"an RSA key in {source}", type(key).__name__, "use the key that Kalshi made")
    return Signer(config.key_id, key)


def _file(path: Path) -> Secret:
    """Read a key file, which nobody but its owner may be able to open."""
    try:
        mode = os.stat(path).st_mode & 0o777
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(
            f"a readable PEM file at {path}", type(error).__name__, "set KALSHI_PRIVATE_KEY_FILE to it"
        ) from error
    if mode & 0o077:
        raise Misconfigured(f"{path} readable by its owner alone", f"mode {mode:o}", f"run chmod 600 {path}")
    return Secret(text)
