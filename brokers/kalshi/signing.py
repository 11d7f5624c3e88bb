"""Request signatures: RSA-PSS over time, method and path, as Kalshi wants them."""

import base64
import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
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
    source = str(config.private_key_file.absolute()) if config.private_key_file else "KALSHI_PRIVATE_KEY"
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        locked = isinstance(error, TypeError)  # what the library raises when only the passphrase is missing
        raise Misconfigured(
            f"an RSA private key in PEM form without a passphrase in {source}",
            "a key locked with a passphrase" if locked else "no RSA private key",
            "download the key again, or convert it with openssl pkey",
        ) from None  # the cause may quote the text
    if not isinstance(key, RSAPrivateKey):
        raise Misconfigured(
            f"an RSA private key in {source}",
            "no RSA private key but one of another kind",
            "use the key that Kalshi made",
        )
    return Signer(config.key_id, key)


def _file(path: Path) -> Secret:
    """Read a key file, which nobody but its owner may be able to open."""
    whole = path.absolute()
    try:
        mode = os.stat(path).st_mode & 0o777
        text = path.read_text(encoding="ascii")
    except OSError as error:
        raise Misconfigured(f"a readable PEM file at {whole}", _unreadable(error), _todo(path)) from error
    except UnicodeDecodeError:
        # Without its cause, which quotes what was read.
        raise Misconfigured(f"an RSA private key in {whole}", "no RSA private key", _todo(path)) from None
    if mode & 0o077:
        found = f"a file others may read (mode {mode:o})"
        raise Misconfigured(f"{whole} readable by its owner alone", found, f"run chmod 600 {whole}")
    return Secret(text)


def _unreadable(error: OSError) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "no such file"
    if isinstance(error, IsADirectoryError):
        return "a folder"
    if isinstance(error, PermissionError):
        return "a file this user may not read"
    return error.strerror or "a file that cannot be read"


def _todo(path: Path) -> str:
    counted = "" if path.is_absolute() else f"; a relative path counts from {Path.cwd()}, where the process was started"
    return f"set KALSHI_PRIVATE_KEY_FILE to it{counted}"
