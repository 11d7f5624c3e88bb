"""The long-term resolver: only the venue's own word counts."""

import threading
from collections.abc import Mapping

from domain.event_settings import LtSettings
from domain.vocabulary import Surface
from resolver.kalshi.wire import load, resolve


def run(environ: Mapping[str, str], stop: threading.Event) -> None:
    """Resolve until ``stop`` is set. Raises Misconfigured and Halt as `resolver.kalshi.wire` says."""
    resolve(load(environ, Surface.LT, LtSettings), stop, lambda clock: ())
