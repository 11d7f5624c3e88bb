"""Where things stand on disk, and the settings every process shares."""

from dataclasses import dataclass
from pathlib import Path

from domain.vocabulary import Surface


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Shared settings, read with prefix ``TBOT_``.

    ``home`` holds ``env/``, ``logs/``, ``run/`` and ``state/``; ``clock`` follows the grammar of ``domain.clock``.
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

    def log(self, owner: str, stream: str) -> Path:
        """Return the directory of one journal, e.g. ``logs/fx/signals``."""
        return self.logs / owner / stream

    def stop_files(self, surface: Surface) -> tuple[Path, Path]:
        """Return the global STOP file and the surface's own."""
        return self.logs / "STOP", self.logs / surface / "STOP"

    def heartbeat(self, program: str) -> Path:
        return self.run / f"{program}.beat"

    @property
    def subscribers(self) -> Path:
        return self.state / "subscribers.json"
