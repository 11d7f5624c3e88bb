"""Keys in an Authorization header."""

from simulators.rest.transport import Request


def bearer(request: Request) -> str | None:
    """Return the key of ``Authorization: Bearer``; None when there is none."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" and key.strip() else None


def masked(key: str) -> str:
    """Return a key as vendors repeat it: no more than its last four characters."""
    return "*" * max(4, len(key) - 4) + key[-4:] if len(key) > 8 else "****"
