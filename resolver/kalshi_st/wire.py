"""The short-term resolver: the venue's word counts, and the weather service may see it coming."""

import threading
from collections.abc import Mapping

from brokers.nws.client import NwsClient
from brokers.nws.config import NwsConfig
from domain import settings
from domain.event_settings import StSettings
from domain.vocabulary import Surface
from resolver.kalshi.thermometer import Thermometer
from resolver.kalshi.wire import load, resolve


def run(environ: Mapping[str, str], stop: threading.Event) -> None:
    """Resolve until ``stop`` is set. Raises Misconfigured and Halt as `resolver.kalshi.wire` says."""
    told = load(environ, Surface.ST, StSettings)
    nws = settings.load(NwsConfig, environ, prefix="NWS_", source="env/st.env")
    resolve(told, stop, lambda clock: [Thermometer(NwsClient(nws, clock), clock)])
