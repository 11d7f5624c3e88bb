"""The journals a resolver reads, and the one it writes."""

from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from audit.fold import SurfaceFold
from domain.clock import Clock
from domain.house import House
from domain.ids import new_id
from domain.vocabulary import Kind, Mode, ResolutionSource, Surface
from journal import Journal, NewRecord, Tail, decode, encode_fields, read

if TYPE_CHECKING:
    from journal.keys import Signer

Row = tuple[Kind, str | None, Any]


class ResolverBooks:
    """Follows ``decisions``, ``orders`` and ``signals`` of one surface and writes its ``resolutions``.

    With a ``signer`` it signs every line and the checkpoints. ``source`` names where this surface's outcomes are read.
    """

    def __init__(
        self,
        house: House,
        surface: Surface,
        mode: Mode,
        clock: Clock,
        fold: SurfaceFold,
        signer: "Signer | None" = None,
        source: ResolutionSource = ResolutionSource.OANDA_CANDLES,
    ) -> None:
        self.surface = surface
        self.mode = mode
        self.clock = clock
        self.fold = fold
        self.source = ResolutionSource.SIM if mode is Mode.DRY_RUN else source
        directory = house.log(surface, "resolutions")
        self._journal = Journal.open(directory, clock=clock, signer=signer, sign_lines=True)
        for entry in read(directory):
            fold.apply(entry.record)
        # Decisions first: an order or a signal is only understood once its decision is known.
        self._tails = [Tail(house.log(surface, stream), None) for stream in ("decisions", "orders", "signals")]
        self.follow()

    def __enter__(self) -> "ResolverBooks":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._journal.close()
        for tail in self._tails:
            tail.close()

    def follow(self) -> None:
        """Take in what the surface wrote since the last call."""
        for tail in self._tails:
            while batch := tail.poll():
                for entry in batch:
                    self.fold.apply(entry.record)

    def write(self, rows: Sequence[Row]) -> None:
        """Append records in one durable write and fold them from the bytes written."""
        records = [
            NewRecord(kind=kind, surface=self.surface, mode=self.mode, id=record_id, fields=_fields(value))
            for kind, record_id, value in rows
        ]
        for receipt in self._journal.append_many(records):
            self.fold.apply(decode(receipt.raw, dict))

    def new_id(self, prefix: str) -> str:
        return new_id(prefix, self.clock.now())


def _fields(value: Any) -> dict[str, Any]:
    # The envelope carries these three for every record; writing them twice would make two truths.
    return {key: field for key, field in encode_fields(value).items() if key not in ("id", "surface", "mode")}
