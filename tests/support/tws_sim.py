"""The TWS/Gateway simulator as a process, its control pages, and clients that speak to it with the vendor's library."""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import IO, Any

from simulator import Simulator, clock_of

# a Tuesday, half an hour into the regular session
START = "2014-05-06T14:00:00Z"
ACCOUNT = "DU1000001"


class TwsSim(Simulator):
    """``python -m simulators.tws``: ``port`` is the API's, ``url`` the control pages'."""

    host = "127.0.0.1"

    def __init__(self, *words: Any, **more: Any) -> None:
        super().__init__("simulators.tws", *words, **more)
        self.port = int(self.printed.partition(", control on ")[0].rpartition(":")[2])

    def requests(self, message: str | None = None) -> Any:
        """Return the last messages of clients, or those of one name."""
        return [one for one in super().requests() if message in (None, one["message"])]

    def trade(self, symbol: str, quantity: object, account: str = ACCOUNT) -> Any:
        """Trade signed shares by hand, outside any client."""
        body = {"account": account, "symbol": symbol, "quantity": str(quantity)}
        reply = self.pages.post("/_sim/trade", json=body)
        assert reply.status_code == 201, reply.text
        return reply.json()


def start(
    *,
    speed: float = 1,
    begin: str = START,
    anchor: float | None = None,
    accounts: str = f"{ACCOUNT}:100000",
    options: Iterable[object] = (),
    env: Mapping[str, str] | None = None,
    stderr: IO[str] | None = None,
) -> TwsSim:
    """Start a gateway.

    Args:
        speed: simulated seconds a second.
        begin: simulated time at the start.
        anchor: unix time at which it is ``begin``; now unless given.
        accounts: as on the command line.
        options: more of the command line, such as ``--state DIR``.
        env: more of the environment.
        stderr: where its error output goes; to that of the test unless given.
    """
    return TwsSim(clock_of(begin, speed, anchor), ("--accounts", accounts, *options), env, stderr)


def wait_for(look: Callable[[], Any], seconds: float = 30) -> Any:
    """Return what ``look`` finds, asking until it finds something."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return found
