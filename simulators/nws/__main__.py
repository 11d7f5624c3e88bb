"""Entry point: ``python -m simulators.nws``."""

from simulators.nws.api import KIND
from simulators.rest.run import run

if __name__ == "__main__":
    raise SystemExit(run(KIND, "The National Weather Service's API on loopback, for Central Park."))
