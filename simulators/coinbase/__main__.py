"""Entry point: ``python -m simulators.coinbase``."""

from simulators.coinbase.api import KIND
from simulators.rest.run import run

if __name__ == "__main__":
    raise SystemExit(run(KIND, "Coinbase Exchange's public prices of BTC-USD on loopback, replaying recorded minutes."))
