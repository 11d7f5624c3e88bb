"""What is done about positions when the feed falls silent: hold, flatten or tighten, once for each position.

Whatever it does only lessens risk, so neither a STOP file nor a mistrusted history keeps it from acting. Silence is
counted in real seconds by a clock nobody sets (see `contact`), from the start of a run on.
"""

from collections.abc import Callable
from decimal import Decimal

from tbot_client.book import Book, say
from tbot_client.brokers.port import Broker, Levels, Quote
from tbot_client.config import Limits
from tbot_client.errors import Ask, Refused, Retry, Unreachable
from tbot_client.journal import Record
from tbot_client.state import level_texts
from tbot_client.trade import Phase, Trade

HOLD, FLATTEN, TIGHTEN = "hold", "flatten", "tighten"
DIGITS = Decimal("0.00001")


class DeadMan:
    """Watches the silence; what it wants done is written down, and the trader does it like any other end or amend."""

    def __init__(self, limits: Limits, book: Book, broker: Broker, silent_s: Callable[[], float]) -> None:
        self._limits = limits
        self._book = book
        self._broker = broker
        self._silent_s = silent_s

    def look(self) -> None:
        """Act on every position that was not acted on, once the silence is long enough."""
        silent = self._silent_s()
        if silent < self._limits.dead_man_s:
            return
        for trade in list(self._book.state.trades.values()):
            if trade.phase is Phase.OPEN and not trade.end_reason and not trade.dead_man_done:
                self._act(trade, policy(self._limits, trade), silent)

    def _act(self, trade: Trade, wanted: str, silent: float) -> None:
        record: Record = {"kind": "dead_man", "signal_id": trade.signal_id, "policy": wanted, "silent_s": round(silent)}
        told = f"! no word from the feed for {silent:.0f} s: {trade.signal_id} {trade.market} "
        if wanted == FLATTEN:
            say(told + "is closed (dead_man = flatten)")
            return self._book.insist(record)
        if trade.is_contract:
            why = "dead_man = hold" if wanted == HOLD else "dead_man = tighten, which has nothing to tighten: hold"
            say(told + f"stays: an event contract settles by itself, and can lose no more than it cost ({why})")
            return self._book.insist(record | {"policy": HOLD})
        if wanted == TIGHTEN:
            levels = self._tightened(trade)
            if levels is None:
                return
            say(told + f"gets its stop at {levels.stop} instead of {trade.stop} (dead_man = tighten)")
            return self._book.insist(record | {"levels": level_texts(levels)})
        say(told + "stays, protected by its orders at your broker (dead_man = hold)")
        return self._book.insist(record)

    def _tightened(self, trade: Trade) -> Levels | None:
        """Return closer levels, or None when the broker can't be asked now: then it is tried again."""
        try:
            quote = self._broker.quote(trade.market, trade.reference)
        except (Retry, Ask, Refused, Unreachable) as error:
            say(f"broker: {error}")
            return None
        return tighter(trade, quote)


def policy(limits: Limits, trade: Trade) -> str:
    """Return what the subscriber chose, or left to the signal; a signal that says nothing is held."""
    return trade.dead_man or HOLD if limits.dead_man == "signal" else limits.dead_man


def tighter(trade: Trade, quote: Quote | None) -> Levels:
    """Return levels with less at risk: the stop at the entry if the price is past it, else half as far from the price.

    A stop only ever comes closer, and never lies beyond the price, where a broker would refuse it.
    """
    sign = 1 if trade.side == "buy" else -1
    price = trade.price if quote is None else quote.exit(trade.side)
    halfway = (price - (price - trade.stop) / 2).quantize(min(DIGITS, _step(trade.stop)))
    is_past_entry = quote is not None and (price - trade.price) * sign > (trade.price - trade.stop) * sign / 2
    wanted = trade.price if is_past_entry and (trade.price - trade.stop) * sign > 0 else halfway
    stop = wanted if (wanted - trade.stop) * sign > 0 else trade.stop
    trailing, percent = _halved(trade.trailing), _halved(trade.trailing_percent)
    return Levels(stop=stop, target=trade.target, trailing=trailing, trailing_percent=percent)


def _halved(number: Decimal | None) -> Decimal | None:
    return None if number is None else (number / 2).quantize(min(DIGITS, _step(number)))


def _step(number: Decimal) -> Decimal:
    exponent = number.as_tuple().exponent
    return Decimal(1).scaleb(exponent) if isinstance(exponent, int) else DIGITS
