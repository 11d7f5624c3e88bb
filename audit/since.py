"""The part of the journals that lies at or after a moment, found by bisection, and reports over it."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from audit.report import SurfaceReport
from domain.errors import Refuse, did_you_mean
from domain.vocabulary import Surface
from journal import scan, scan_since

T = TypeVar("T")
STREAMS = ("decisions", "resolutions")


def chosen(logs: Path, surfaces: Sequence[str] | None, stream: str = "decisions") -> list[str]:
    """Return the surfaces asked for, or those that have a journal called ``stream``.

    Raises:
        Refuse: a surface asked for does not exist.
    """
    for name in surfaces or ():
        if name not in [*Surface]:
            raise Refuse("a surface", repr(name), did_you_mean(name, Surface) or f"known: {', '.join(Surface)}")
    return list(surfaces or (surface for surface in Surface if (logs / surface / stream).is_dir()))


def surface_reports(logs: Path, moment: datetime | None, surfaces: Sequence[str] | None = None) -> list[SurfaceReport]:
    """Return a report for each surface that has journals, over records at or after ``moment`` (None: all).

    Raises:
        Refuse: a surface asked for does not exist.
    """
    return [_report(logs / name, name, moment) for name in chosen(logs, surfaces)]


def records_since(directory: Path, moment: datetime | None, type_: type[T]) -> Iterator[T]:
    """Yield the records of a log at or after ``moment`` (None: all) as ``type_``; a log that is not there has none."""
    return scan(directory, type_) if moment is None else scan_since(directory, moment, type_)


def _report(directory: Path, surface: str, moment: datetime | None) -> SurfaceReport:
    report = SurfaceReport(surface)
    for stream in STREAMS:
        report.add(records_since(directory / stream, moment, dict))
    return report
