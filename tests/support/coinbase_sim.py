"""The simulated Coinbase Exchange for tests of other folders."""

from rest_sim import Process

MODULE = "simulators.coinbase"


def start_coinbase(clock, *arguments, env=None):
    """Start the service on a free port; ``url``, ``fault``, ``fired``, ``clear`` and ``stop`` are what a test needs."""
    return Process(MODULE, clock, arguments, env)
