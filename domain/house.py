"""Where things stand on disk, and the settings every process shares."""

from dataclasses import dataclass
from pathlib import Path

from domain.vocabulary import Surface


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Shared settings, read with prefix ``TBOT_``.

    ``home`` holds ``env/``, ``keys/``, ``logs/``, ``run/`` and ``state/``; ``clock`` follows the grammar of
    ``domain.clock``.
    """

    home: Path = Path()
    clock: str = "real"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def run(self) -> Path:
        """Locks, heartbeats, sockets and process ids: everything that may be lost."""
        return self.home / "run"

    @property
    def state(self) -> Path:
        """What must survive and is no journal: hashed subscriber tokens, crash history."""
        return self.home / "state"

    @property
    def keys(self) -> Path:
        """The keys that sign the journals, and ``public.json``, which says whose they are."""
        return self.home / "keys"

    def log(self, owner: str, stream: str) -> Path:
        """Return the directory of one journal, e.g. ``logs/fx/signals``."""
        return self.logs / owner / stream

    def stop_files(self, surface: Surface) -> tuple[Path, Path]:
        """Return the global STOP file and the surface's own."""
        return self.logs / "STOP", self.logs / surface / "STOP"

    def arm_file(self, surface: Surface) -> Path:
        """Return the file that must name the account before real money is traded."""
        return self.state / f"{surface}.armed"

    def heartbeat(self, program: str) -> Path:
        return self.run / f"{program}.beat"

    @property
    def feed_memory(self) -> Path:
        """What the feed need not read again after a restart; may be lost."""
        return self.state / "feed-memory.json"

    @property
    def last_use(self) -> Path:
        """When each token was last used; may be lost."""
        return self.state / "last-use.json"

    @property
    def subscribers(self) -> Path:
        return self.state / "subscribers.json"
