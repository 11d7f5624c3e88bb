"""The public halves of the keys that sign: one file that anybody may read, and the feed serves.

This module does no cryptography, so that a process which only passes the keys on does not load any (7 MiB).
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from domain.errors import Misconfigured

FILE = "public.json"


class PublicKey(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of ``keys/public.json``.

    Attributes:
        key: the key id: the first 16 hex digits of SHA-256 over the 32 raw bytes.
        public: the 32 raw bytes in base64.
        from_, until: the first and last ``ts`` the key may have signed, ISO-8601; it is in use while ``until`` is None.
        by, endorsement: id of the older key that vouches for this one, and its signature (base64).
    """

    key: str
    surface: str
    public: str
    from_: str = msgspec.field(name="from")
    until: str | None
    by: str | None
    endorsement: str | None


class _File(msgspec.Struct):
    keys: list[PublicKey]


def read_public_keys(folder: Path) -> list[PublicKey]:
    """Return the entries of ``public.json`` in ``folder``, oldest first; none if nobody made a key yet.

    Raises:
        Misconfigured: the file is not what `write_public_keys` writes.
    """
    path = folder / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=_File).keys
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError) as error:
        raise Misconfigured(f"public keys in {path}", str(error), "restore the file from a copy") from error


def encode_public_keys(keys: Sequence[PublicKey]) -> bytes:
    """Write entries as `read_public_keys` reads them, one a line."""
    lines = b",\n".join(msgspec.json.encode(key) for key in keys)
    return b'{"keys":[\n%b\n]}\n' % lines


def current_key(keys: Sequence[PublicKey], surface: str) -> PublicKey | None:
    """Return the entry of the key that signs for ``surface`` now, or None."""
    return next((key for key in reversed(keys) if key.surface == surface and key.until is None), None)
