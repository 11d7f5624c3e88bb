"""The programs of the fleet: the single authority for what runs, with which env file and which limits.

``supervisord.conf`` holds one ``[program:x]`` for each of them; a test compares the two.
"""

from dataclasses import dataclass
from pathlib import Path

from domain.errors import Misconfigured, did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One supervised process.

    ``module`` and ``arguments`` are what ``python -m`` gets; ``{home}`` in an argument becomes the fleet's home.
    ``env`` names its file ``env/<env>.env``. ``data_mib`` bounds its data segment (RLIMIT_DATA). A program ``beats``
    when it keeps a heartbeat file, from which a clean stop is told from a crash.
    """

    name: str
    module: str
    arguments: tuple[str, ...]
    env: str
    what: str
    data_mib: int = 512
    beats: bool = True
    demo_only: bool = False

    def command(self, home: Path) -> list[str]:
        """Return the arguments after the interpreter."""
        return ["-m", self.module, *(argument.replace("{home}", str(home)) for argument in self.arguments)]


FLEET: tuple[Program, ...] = (
    Program(name="oanda-fx", module="surfaces", arguments=("fx",), env="fx", what="trades FX at OANDA"),
    Program(name="resolver-fx", module="resolver", arguments=("fx",), env="fx", what="settles what oanda-fx opened"),
    Program(name="kalshi-st", module="surfaces", arguments=("st",), env="st", what="trades weather and crypto"),
    Program(name="resolver-st", module="resolver", arguments=("st",), env="st", what="settles what kalshi-st opened"),
    Program(name="kalshi-lt", module="surfaces", arguments=("lt",), env="lt", what="trades long-term questions"),
    Program(name="resolver-lt", module="resolver", arguments=("lt",), env="lt", what="settles what kalshi-lt opened"),
    Program(name="ibkr-stk", module="surfaces", arguments=("stk",), env="stk", what="trades stocks at IBKR"),
    Program(name="resolver-stk", module="resolver", arguments=("stk",), env="stk", what="settles what ibkr-stk opened"),
    Program(name="feed", module="feed", arguments=(), env="feed", what="serves signals, takes subscribers' reports"),
    Program(
        name="simulator-oanda",
        module="simulators.oanda",
        arguments=("--account-file", "{home}/env/simulator-oanda.json", "--state", "{home}/state/simulator-oanda.json"),
        env="simulator-oanda",
        what="replays recorded OANDA quotes over OANDA's own protocol",
        beats=False,
        demo_only=True,
    ),
    Program(
        name="simulator-kalshi",
        module="simulators.kalshi",
        arguments=("--account-file", "{home}/env/simulator-kalshi.json", "--state", "{home}/state/sim-kalshi.json"),
        env="simulator-kalshi",
        what="lists event contracts over Kalshi's own protocol, with synthetic books around recorded facts",
        beats=False,
        demo_only=True,
    ),
    Program(
        name="simulator-nws",
        module="simulators.nws",
        arguments=(),
        env="simulator-nws",
        what="reports the weather of recorded days as the National Weather Service does",
        beats=False,
        demo_only=True,
    ),
    Program(
        name="simulator-coinbase",
        module="simulators.coinbase",
        arguments=(),
        env="simulator-coinbase",
        what="serves recorded Bitcoin bars as Coinbase does",
        beats=False,
        demo_only=True,
    ),
    Program(
        name="simulator-models",
        module="simulators.models",
        arguments=("--keys", "{home}/env/simulator-models.json", "--anchors", "recorded"),
        env="simulator-models",
        what="answers like four language models, with synthetic forecasts",
        beats=False,
        demo_only=True,
    ),
    Program(
        name="simulator-tws",
        module="simulators.tws",
        arguments=("--accounts", "DU1000001:50000:cash", "--state", "{home}/state/simulator-tws"),
        env="simulator-tws",
        what="replays recorded stock prices over the socket of TWS and IB Gateway",
        beats=False,
        demo_only=True,
    ),
    Program(
        name="simulator-portal",
        module="simulators.client_portal",
        arguments=(
            "--accounts",
            "DU1000001:50000:cash,DU2000002:50000:cash",
            "--state",
            "{home}/state/simulator-portal",
            # A second is two minutes here: limits of real seconds would leave nothing to watch.
            "--limits",
            "off",
        ),
        env="simulator-portal",
        what="replays recorded stock prices over IBKR's Client Portal Web API",
        beats=False,
        demo_only=True,
    ),
    Program(
        name="demo-subscriber",
        module="tbot_client",
        arguments=("run", "--home", "{home}/state/demo-subscriber"),
        env="demo-subscriber",
        what="a subscriber trading its own simulated OANDA account",
        beats=False,
        demo_only=True,
    ),
    Program(
        name="demo-subscriber-kalshi",
        module="tbot_client",
        arguments=("run", "--home", "{home}/state/demo-subscriber-kalshi"),
        env="demo-subscriber-kalshi",
        what="a subscriber trading its own simulated Kalshi account",
        beats=False,
        demo_only=True,
    ),
    Program(
        name="demo-subscriber-ibkr",
        module="tbot_client",
        arguments=("run", "--home", "{home}/state/demo-subscriber-ibkr"),
        env="demo-subscriber-ibkr",
        what="a subscriber trading its own simulated IBKR account",
        beats=False,
        demo_only=True,
    ),
)


def program(name: str) -> Program:
    """Return the program called ``name``.

    Raises:
        Misconfigured: no program has that name.
    """
    known = {item.name: item for item in FLEET}
    if name not in known:
        hint = did_you_mean(name, known) or f"known: {', '.join(known)}"
        raise Misconfigured("the name of a program", repr(name), hint)
    return known[name]
