"""The subscriber commands' arguments turned into calls of the feed's token store."""

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from audit.period import parse_moment
from cli.homes import existing_home
from cli.spans import parse_span
from domain.clock import parse_clock
from domain.errors import Refuse, did_you_mean
from domain.house import House
from domain.vocabulary import Surface
from feed import last_use
from feed.token_store import TokenStore
from feed.tokens import Scope, Subscriber
from journal.public_keys import current_key, read_public_keys


def add(
    home: Path, label: str, surfaces: list[str], scopes: list[str], expires: str = "", not_before: str = ""
) -> tuple[str, Subscriber]:
    """Make a token; see ``TokenStore.add``.

    Raises:
        Refuse: the label says nothing, or the home or what the token is for does not exist.
    """
    if not label.strip():
        raise Refuse("a label to know the subscriber by", repr(label), "give one, such as 'Ann'")
    now = _now()
    return _store(home).add(
        label=label,
        surfaces=tuple(known_surface(name) for name in surfaces),
        scopes=tuple(Scope(_known(name, [*Scope], "a scope")) for name in scopes),
        now=now,
        not_before=parse_moment(not_before, now) if not_before else None,
        expires_at=_end(expires, now),
    )


def rotate(home: Path, token_id: str, overlap: str, expires: str) -> tuple[str, Subscriber]:
    """Make a second token for a subscriber; see ``TokenStore.rotate``."""
    now = _now()
    end = now + timedelta(seconds=parse_span(overlap))
    return _store(home).rotate(token_id, now=now, old_ends_at=end, expires_at=_end(expires, now))


def _end(expires: str, now: datetime) -> datetime | None:
    end = parse_moment(expires, now) if expires else None
    if end is not None and end <= now:
        # A span such as 30d names a moment in the past, as it does everywhere else on the command line.
        raise Refuse("a last moment that is still to come", f"{expires!r} ({end.isoformat()})", "give a later date")
    return end


def pins(home: Path, surfaces: list[str]) -> list[str]:
    """Return ``surface:key id`` for the key each of these surfaces signs with now, for the subscriber to pin."""
    known = read_public_keys(House(home=home).keys)
    current = [current_key(known, known_surface(name)) for name in surfaces]
    return [f"{key.surface}:{key.key}" for key in current if key is not None]


def known_surface(name: str) -> Surface:
    """Return the surface called ``name``; raises Refuse with the nearest name otherwise."""
    return Surface(_known(name, [*Surface], "a surface"))


def rows(home: Path) -> list[dict[str, Any]]:
    """Return one row a token, without its hash."""
    now, house = _now(), House(home=home)
    used = last_use.read(house.last_use)
    return [
        {
            "id": one.id,
            "subscriber": one.subscriber_id,
            "label": one.label,
            "state": one.state(now),
            "surfaces": list(one.surfaces),
            "scopes": list(one.scopes),
            "created_at": one.created_at.isoformat(),
            "not_before": one.not_before.isoformat() if one.not_before else None,
            "expires_at": one.expires_at.isoformat() if one.expires_at else None,
            "last_used_at": used.get(one.id),
        }
        for one in _store(home).list()
    ]


def revoke(home: Path, token_id: str) -> None:
    _store(home).revoke(token_id, now=_now())


def _store(home: Path) -> TokenStore:
    return TokenStore(House(home=existing_home(home)).subscribers)


def _now() -> datetime:
    return parse_clock(os.environ.get("TBOT_CLOCK", "real")).now()


def _known(name: str, known: list[Any], what: str) -> str:
    if name not in known:
        hint = did_you_mean(name, known) or f"known: {', '.join(known)}"
        raise Refuse(what, repr(name), hint)
    return name
