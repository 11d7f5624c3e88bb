"""All logs of the feed together, and the board folded from them."""

from collections.abc import Mapping
from datetime import timedelta

from domain.clock import Clock
from domain.house import House
from domain.vocabulary import Surface
from feed.board import Board
from feed.config import FeedConfig
from feed.keepsake import Keepsake, KeptLog
from feed.lines import Line
from feed.source import Source
from journal import Entry

STREAMS = ("signals", "resolutions")


class Logs:
    """The sources by name; ``generation`` changes whenever any of them grew."""

    def __init__(self, config: FeedConfig, house: House, clock: Clock) -> None:
        self.board = Board()
        self.generation = 0
        self.retention = timedelta(days=config.retention_days)
        self.sources: Mapping[str, Source] = {
            f"{surface}/{stream}": Source(
                f"{surface}/{stream}", surface, house.log(surface, stream), ring_lines=config.ring_lines, clock=clock
            )
            for surface in config.surfaces
            for stream in STREAMS
        }

    def open(self, kept: Keepsake | None = None) -> None:
        """Read everything, from the beginning or from where it was ``kept``; also the way back after a log changed."""
        self.board = Board() if kept is None else Board.restored(kept.board)
        # Ends first: then a signal that is over is never taken for open, and its line is not kept meanwhile.
        for source in sorted(self.sources.values(), key=lambda one: not one.name.endswith("/resolutions")):
            source.open(self._fold, None if kept is None else kept.logs[source.name])
        self.generation += 1

    def keep(self) -> dict[str, KeptLog]:
        return {name: source.keep() for name, source in self.sources.items()}

    def refresh(self, source: Source) -> bool:
        """Take in what a log has gained; tell whether there is a public line among it."""
        before = source.head
        news = source.refresh(self._fold)
        if source.head is not before:
            self.generation += 1
        return news

    def names(self, surfaces: frozenset[Surface]) -> tuple[str, ...]:
        """Return the logs of these surfaces, sorted."""
        return tuple(sorted(name for name, source in self.sources.items() if source.surface in surfaces))

    def is_broken(self) -> bool:
        return any(source.problem is not None for source in self.sources.values())

    def was_replaced(self) -> bool:
        """Tell whether a log on disk is no longer the one that was read."""
        return any(source.was_replaced() for source in self.sources.values())

    def close(self) -> None:
        for source in self.sources.values():
            source.close()

    def _fold(self, entry: Entry, line: Line | None) -> None:
        if line is not None:
            self.board.take(line, entry.ts)
