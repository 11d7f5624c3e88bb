"""Reports over the part of the journals that lies at or after a moment, found by bisection."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from audit.report import Record, SurfaceReport
from domain.errors import Refuse, did_you_mean
from domain.vocabulary import Surface
from journal import scan, scan_since

STREAMS = ("decisions", "resolutions")


def surface_reports(logs: Path, moment: datetime | None, surfaces: Sequence[str] | None = None) -> list[SurfaceReport]:
    """Return a report for each surface that has journals, over records at or after ``moment`` (None: all).

    Raises:
        Refuse: a surface asked for does not exist.
    """
    for name in surfaces or ():
        if name not in [*Surface]:
            raise Refuse("a surface", repr(name), did_you_mean(name, Surface) or f"known: {', '.join(Surface)}")
    wanted = surfaces or [surface for surface in Surface if (logs / surface / "decisions").is_dir()]
    return [_report(logs / name, name, moment) for name in wanted]


def _report(directory: Path, surface: str, moment: datetime | None) -> SurfaceReport:
    report = SurfaceReport(surface)
    for stream in STREAMS:
        if (directory / stream).is_dir():
            report.add(_records(directory / stream, moment))
    return report


def _records(directory: Path, moment: datetime | None) -> Iterator[Record]:
    return scan(directory, dict) if moment is None else scan_since(directory, moment, dict)
