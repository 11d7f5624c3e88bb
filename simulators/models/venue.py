"""All the state of the simulator: clock, keys, models, faults, books, requests seen."""

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime

from simulators.models.catalogue import Catalogue
from simulators.models.engine import Engine
from simulators.models.faults import FaultBook
from simulators.models.ledger import Ledger
from simulators.models.question import Anchors
from simulators.models.wire import Json
from simulators.oanda.clock import Clock

_REMEMBERED = 500


@dataclass(slots=True)
class Venue:
    """What a front door and its control pages work with; ``keys`` are provider -> keys."""

    clock: Clock
    keys: dict[str, frozenset[str]]
    catalogue: Catalogue
    anchors: Anchors
    latency_scale: float
    faults: FaultBook = field(default_factory=FaultBook)
    ledger: Ledger = field(default_factory=Ledger)
    requests: deque[Json] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    engine: Engine = field(init=False)

    def __post_init__(self) -> None:
        self.engine = Engine(self.anchors, lambda: self.now.date().isoformat(), self.latency_scale)

    @property
    def now(self) -> datetime:
        """Return the simulated time."""
        return datetime.fromtimestamp(self.clock.now_ms() / 1000, UTC)
