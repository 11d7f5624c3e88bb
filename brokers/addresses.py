"""Where an adapter may be pointed: over https, or at this machine."""

from urllib.parse import urlsplit

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def require_address(key: str, url: str) -> None:
    """Refuse what is no plain address of a service, and plain http to anywhere but this machine.

    Whoever sits between could answer in the service's place, and trades are decided on those answers.
    """
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query or parts.fragment or not parts.hostname:
        raise ValueError(f"{key} must be a plain https://host[:port], found {url!r}")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ValueError(f"{key} must be an https address, or a loopback one over http; found {url!r}")
