"""Signatures: who is calling, checked with the account's public key."""

import base64
import binascii
from functools import cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from simulators.kalshi.account import Account
from simulators.kalshi.wire import ApiError, refusal

# clients sign with the wall clock; the venue was seen to refuse between 5 and 30 seconds of age
STALE_MS = 15_000
AHEAD_MS = 60_000
_PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)


def authenticate(
    accounts: dict[str, Account], headers: dict[str, str], method: str, path: str, civil: float
) -> Account:
    """Return the account that signed a request.

    Args:
        accounts: key id -> account.
        headers: lower-case names.
        method: the HTTP method.
        path: with its root, without its query.
        civil: unix seconds by the venue's clock.

    Raises:
        ApiError: 401, saying what is wrong the way the venue does.
    """
    key_id, stamp = headers.get("kalshi-access-key"), headers.get("kalshi-access-timestamp")
    signature = headers.get("kalshi-access-signature")
    if not key_id or not stamp or not signature:
        raise _unsigned("MISSING_HEADERS")
    account = accounts.get(key_id)
    if account is None:
        raise _unsigned("NOT_FOUND")
    if not stamp.isascii() or not stamp.isdigit():
        raise _unsigned("INVALID_TIMESTAMP")
    age = civil * 1000 - int(stamp)
    if not -AHEAD_MS <= age <= STALE_MS:
        raise refusal(401, "header_timestamp_expired", "header timestamp expired")
    if not _fits(account, signature, f"{stamp}{method}{path}"):
        raise _unsigned("INCORRECT_API_KEY_SIGNATURE")
    return account


def _unsigned(details: str) -> ApiError:
    return refusal(401, "authentication_error", "authentication error", details)


@cache
def public_key(pem: str) -> RSAPublicKey:
    """Read a public key.

    Raises:
        ValueError: it is not an RSA public key in PEM form.
    """
    key = load_pem_public_key(pem.encode())
    if not isinstance(key, RSAPublicKey):
        raise ValueError("expected an RSA public key")
    return key


def _fits(account: Account, signature: str, message: str) -> bool:
    try:
        public_key(account.public_key_pem).verify(
            base64.b64decode(signature, validate=True), message.encode(), _PSS, hashes.SHA256()
        )
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True
