"""A look at everything a run depends on, one line each, before any money is at stake."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec

from tbot_client import errors
from tbot_client.brokers.port import Broker, Instrument
from tbot_client.clock import Clock
from tbot_client.config import Config
from tbot_client.contact import JUDGED, WRONG_S
from tbot_client.distrust import ASK_KEYS
from tbot_client.errors import ClientError, Unreachable
from tbot_client.feed import FeedClient
from tbot_client.keys import Key, Keyring, parse_keys
from tbot_client.reports import plain

# A run goes by the feed's clock, so that a machine minutes or hours off does no harm. A day is more than any machine
# is off by accident or by a wrong time zone: such a feed lives in another time.
CORRECTED_S = 86_400.0
# A simulated clock is not corrected. Two that were given the same text differ by the time an answer takes.
SIMULATED_S, ANSWER_S = 60.0, 2.0
_GOES_ON = f"a run goes by the feed's time: {JUDGED}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at; ``code`` is 0 when it keeps no run from its work, though a person may be warned."""

    name: str
    code: int
    text: str
    is_warning: bool = False

    @property
    def mark(self) -> str:
        if self.code != errors.OK:
            return "FAIL"
        return "warn" if self.is_warning else "ok  "


class _Head(msgspec.Struct):
    server_time: datetime
    logs: dict[str, msgspec.Raw] = {}


def findings(config: Config, clock: Clock, broker: Callable[[], Broker]) -> Iterator[Finding]:
    """Yield what was found, feed first; a failure does not keep the rest from being looked at."""
    yield Finding("config", errors.OK, "read, private, no unknown keys")
    yield from _guarded("feed", lambda: _feed(config, clock))
    yield from _guarded("broker", lambda: _broker(config, broker()))


def _guarded(name: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    try:
        return look()
    except Unreachable as error:
        return [Finding(name, error.exit_code, str(error))]
    except errors.Retry as error:
        # It is asked once here: the error's own words are those of a run, which does try again.
        text = f"expected {error.expected}; found {error.found}; check the network and config.toml"
        return [Finding(name, errors.UNREACHABLE, text)]
    except ClientError as error:
        return [Finding(name, error.exit_code, str(error))]


def _feed(config: Config, clock: Clock) -> list[Finding]:
    feed = FeedClient(config)
    try:
        head = msgspec.json.decode(feed.head(), type=_Head)
        served = parse_keys(feed.keys())
    except msgspec.MsgspecError:
        return [Finding("feed", errors.FAILURE, f"{config.feed.url} answers, but not as a signal feed does")]
    finally:
        feed.close()
    logs = ", ".join(head.logs) or "none yet"
    reached = Finding("feed", errors.OK, f"reached, token accepted, logs: {logs}")
    return [reached, _keys(config, served), _clock(head.server_time, clock)]


def _keys(config: Config, served: list[Key]) -> Finding:
    """Tell whose signatures a run would believe; without a pin a person should compare them once."""
    ring = Keyring(config.feed.publisher_keys)
    learned = ring.learn(served)
    current = ", ".join(f"{one.key.surface}:{one.key.key} ({one.why})" for one in learned if one.key.until is None)
    if current:
        return Finding("keys", errors.OK, f"signed by {current}")
    if not config.feed.require_signatures:
        return Finding("keys", errors.OK, "none that counts; your settings do not require signatures")
    names = ", ".join(f"{key.surface}:{key.key}" for key in served) or "none"
    return Finding("keys", errors.CONFIG, f"expected a key that counts; found {names}; {ASK_KEYS}")


def _clock(server_time: datetime, clock: Clock) -> Finding:
    now = datetime.now(UTC) if clock.is_real else clock.now()
    offset = (server_time - now).total_seconds()
    limit = CORRECTED_S if clock.is_real else max(SIMULATED_S, ANSWER_S * clock.speed)
    if abs(offset) > limit:
        return Finding("clock", errors.CONFIG, _other_time(server_time, offset, clock))
    is_warning = clock.is_real and abs(offset) > WRONG_S
    note = f"; {_GOES_ON}" if is_warning else ""
    return Finding("clock", errors.OK, f"the feed's clock is {offset:+.2f} s from ours{note}", is_warning)


def _other_time(server_time: datetime, offset: float, clock: Clock) -> str:
    found = f"found {server_time:%Y-%m-%d %H:%M:%S} UTC, {timedelta(seconds=round(abs(offset)))} "
    found += "ahead" if offset > 0 else "behind"
    source = "the text its operator shows (TBOT_CLOCK in the demo's run/supervisord.conf, printed on the demo page)"
    if clock.is_real:
        todo = f'if this is a demo set [clock] spec = "sim:…" to {source}, else set this machine\'s clock'
        todo += f"; {_GOES_ON}"
        return f"expected the feed's clock within a day of ours; {found}; {todo}"
    todo = f'set [clock] spec to {source}, its anchor included, or to "real" if the feed is no demo'
    return f"expected the feed's clock to be our simulated one; {found}; {todo}"


def _broker(config: Config, broker: Broker) -> list[Finding]:
    account = broker.account()
    rests = "" if config.broker.kind != "kalshi" else "; contracts settle by themselves: no stop or target rests there"
    found = [Finding("broker", errors.OK, f"reached, {plain(account.equity)} {account.currency}{rests}")]
    return found + [_lot(config, name, broker.instrument(name)) for name in config.filters.instruments]


def _lot(config: Config, name: str, instrument: Instrument | None) -> Finding:
    if instrument is None:
        return Finding(name, errors.DEGRADED, "this account can't trade it: its signals will be skipped")
    most = min(config.size.max_units, config.size.units or Decimal(config.size.max_units))
    text = f"smallest order {plain(instrument.minimum)}, yours at most {plain(most)}"
    return Finding(name, errors.OK if most >= instrument.minimum else errors.DEGRADED, text)


def worst(found: list[Finding]) -> int:
    """Return the exit code of a list of findings: the first failure that is not a mere warning, else the warning."""
    codes = [finding.code for finding in found if finding.code]
    grave = [code for code in codes if code != errors.DEGRADED]
    return (grave or codes or [errors.OK])[0]
