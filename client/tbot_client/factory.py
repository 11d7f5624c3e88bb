"""The one place that chooses a broker; a vendor's SDK is loaded only when it is the one chosen."""

from tbot_client.brokers.paper import PaperBroker
from tbot_client.brokers.port import Broker
from tbot_client.clock import Clock
from tbot_client.config import Config
from tbot_client.errors import Misconfigured
from tbot_client.home import Home


def broker(config: Config, home: Home, clock: Clock, *, is_dry: bool = False) -> Broker:
    """Build the broker the config names; a dry run always gets the paper one."""
    if is_dry or config.broker.kind == "paper":
        return PaperBroker(config.broker, home.paper, clock.now)
    if config.broker.kind == "kalshi":
        from tbot_client.brokers.kalshi import KalshiBroker  # noqa: PLC0415 - most clients trade elsewhere

        return KalshiBroker(config.broker, home.kalshi, clock)
    if config.broker.kind == "ibkr":
        from tbot_client.brokers.ibkr import IbkrBroker  # noqa: PLC0415 - most clients trade elsewhere

        return IbkrBroker(config.broker, home.ibkr, clock)
    try:
        from tbot_client.brokers.oanda import OandaBroker  # noqa: PLC0415 - the SDK is an extra, and 7 MiB
    except ImportError as error:
        todo = "pip install 'tbot-client[oanda]'"
        raise Misconfigured("the OANDA SDK", f"no module {error.name}", todo) from error
    return OandaBroker(config.broker)
