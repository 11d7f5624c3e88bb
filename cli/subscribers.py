"""The subscriber commands' arguments turned into calls of the feed's token store."""

import os
from datetime import datetime
from pathlib import Path
from typing import Any

from audit.period import parse_moment
from domain.clock import parse_clock
from domain.errors import Refuse, did_you_mean
from domain.house import House
from domain.vocabulary import Surface
from feed.token_store import TokenStore
from feed.tokens import Scope, Subscriber


def add(home: Path, label: str, surfaces: list[str], scopes: list[str], expires: str) -> tuple[str, Subscriber]:
    """Make a token; see ``TokenStore.add``."""
    now = _now()
    end = parse_moment(expires, now) if expires else None
    if end is not None and end <= now:
        # A span such as 30d names a moment in the past, as it does everywhere else on the command line.
        raise Refuse("a last moment that is still to come", f"{expires!r} ({end.isoformat()})", "give a later date")
    return _store(home).add(
        label=label,
        surfaces=tuple(known_surface(name) for name in surfaces),
        scopes=tuple(Scope(_known(name, [*Scope], "a scope")) for name in scopes),
        now=now,
        expires_at=end,
    )


def known_surface(name: str) -> Surface:
    """Return the surface called ``name``; raises Refuse with the nearest name otherwise."""
    return Surface(_known(name, [*Surface], "a surface"))


def rows(home: Path) -> list[dict[str, Any]]:
    """Return one row a token, without its hash."""
    now = _now()
    return [
        {
            "id": one.id,
            "label": one.label,
            "state": _state(one, now),
            "surfaces": list(one.surfaces),
            "scopes": list(one.scopes),
            "created_at": one.created_at.isoformat(),
            "expires_at": one.expires_at.isoformat() if one.expires_at else None,
        }
        for one in _store(home).list()
    ]


def revoke(home: Path, token_id: str) -> None:
    _store(home).revoke(token_id, now=_now())


def _store(home: Path) -> TokenStore:
    return TokenStore(House(home=home).subscribers)


def _now() -> datetime:
    return parse_clock(os.environ.get("TBOT_CLOCK", "real")).now()


def _state(one: Subscriber, now: datetime) -> str:
    if one.revoked_at is not None:
        return "revoked"
    return "valid" if one.is_valid(now) else "expired"


def _known(name: str, known: list[Any], what: str) -> str:
    if name not in known:
        hint = did_you_mean(name, known) or f"known: {', '.join(known)}"
        raise Refuse(what, repr(name), hint)
    return name
