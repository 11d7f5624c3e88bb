"""The home a command works in: one that writes there must not make it out of a mistyped name."""

from pathlib import Path

from domain.errors import Refuse


def existing_home(home: Path) -> Path:
    """Return the absolute path of a home that is there.

    Raises:
        Refuse: there is no such folder.
    """
    found = home.resolve()
    if not found.is_dir():
        raise Refuse("a home that exists", f"no folder {found}", "correct --home or TBOT_HOME, or make the folder")
    return found
