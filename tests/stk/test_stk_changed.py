"""What is different all at once: settings at the next start, while an entry rests or shares are held, and the time."""

from datetime import timedelta

from stock_rig import FAR
from stock_venue import D, Venue, at_each

from domain.vocabulary import State

TRANSPORTS = ("tws", "portal")
# An entry that misses the climb, on a busy machine, follows the market down and is bought as soon as that turns.
FOLLOWING = {"STRATEGY_REPRICE_MIN_S": "2", "STRATEGY_REPRICE_PCT": "0.001"}
UNWATCHED = {"STK_MARKETS": "IBM", "STRATEGY_OVERRIDES": "IBM:entry=4", "STRATEGY_REPRICE_MIN_S": "300"}


def start_with(rig, **changes):
    """Begin anew with other settings."""
    rig.close()
    rig.environ |= changes
    return rig.open()


def held(rig):
    """Turn until shares are held."""
    rig.open().until(lambda: rig.signals() and rig.fold.positions(), "an entry fills", 120)
    return rig.bought()


def unheeded(rig):
    return rig.loop._desk.keeper.unheeded.told


@at_each(*TRANSPORTS)
def test_entry_of_a_symbol_that_is_watched_no_more_is_taken_back(opened, transport):
    rig = opened(transport, **FAR)
    rig.open().armed()

    start_with(rig, **UNWATCHED)
    rig.until(lambda: rig.waiting() == {"IBM"}, "only the entry of what is watched rests")
    rig.turn_for(0.5)

    assert rig.waiting() == {"IBM"}
    assert not rig.story().position()
    rig.assert_sound()


@at_each(*TRANSPORTS)
def test_shares_of_a_symbol_that_is_watched_no_more_keep_their_stop_and_no_more_are_bought(opened, transport):
    rig = held(opened(transport, **FOLLOWING))

    start_with(rig, **UNWATCHED)
    rig.until(lambda: rig.waiting() == {"IBM"}, "only the entry of what is watched rests")
    gone = next(stop["ref"] for stop in rig.story().stops() if stop["symbol"] == "SPY")
    rig.stop_file()
    rig.until(lambda: not rig.waiting(), "nothing rests to be bought")
    rig.withdraw_all()
    rig.until(lambda: [stop["ref"] for stop in rig.story().stops()] not in ([], [gone]), "another stop rests")
    rig.turn_for(0.5)

    shares = rig.fold.positions()[0].quantity
    assert [(stop["symbol"], D(stop["quantity"])) for stop in rig.story().stops()] == [("SPY", shares)]
    rig.assert_sound()


def test_order_of_another_client_id_is_told_when_it_cannot_be_taken_back(opened):
    rig = opened("tws", **FAR)
    rig.open().armed()

    start_with(rig, IBKR_CLIENT_ID="7")
    rig.stop_file()
    ((order, words),) = rig.until(lambda: unheeded(rig), "it is told").items()
    assert order == rig.story().live("BUY")[0]["ref"]
    assert words.startswith(f"SPY: expected an end or a change of {order}, asked for since ")
    assert words in rig.loop._desk.trouble()
    start_with(rig, IBKR_CLIENT_ID="1")
    rig.until(lambda: not rig.story().live(), "it is taken back")
    rig.until(lambda: not rig.loop._desk.trouble(), "nothing is left to tell")

    rig.assert_sound()


def test_other_connection_to_ibkr_goes_on_with_what_is_held(opened):
    state = opened.folder()
    rig = held(opened("tws", "--state", str(state), **FOLLOWING))
    rig.close()
    rig.venue.stop()
    rig.move(Venue("portal", "--state", str(state), begin="2014-05-07T18:05:00Z"))
    intents, orders = rig.intents(), rig.story().refs

    rig.open().turn_for(1)
    assert (rig.intents(), rig.story().refs) == (intents, orders)
    assert len(rig.story().stops()) == 1
    rig.order(state=State.REDUCE, reason="drill", flatten=True)
    rig.resolved().until(lambda: not rig.story().live(), "nothing rests")

    assert rig.story().position() == 0
    rig.assert_sound()


def test_stop_of_the_portal_that_outlasts_a_sale_through_tws_is_told(opened):
    state = opened.folder()
    rig = held(opened("portal", "--state", str(state), **FOLLOWING))
    rig.close()
    rig.venue.stop()
    rig.move(Venue("tws", "--state", str(state), begin="2014-05-07T18:05:00Z"))

    rig.open().order(state=State.REDUCE, reason="drill", flatten=True)
    rig.resolved()
    (told,) = rig.until(lambda: unheeded(rig), "it is told")

    assert [told] == [stop["ref"] for stop in rig.story().stops()]
    rig.assert_sound()


class SetBack:
    """A clock that can be set back."""

    def __init__(self, clock):
        self._clock = clock
        self._by = timedelta(0)

    def set_back(self, seconds):
        self._by += timedelta(seconds=seconds)

    def now(self):
        return self._clock.now() - self._by

    def monotonic_ns(self):
        return self._clock.monotonic_ns()

    def real_seconds(self, seconds):
        return self._clock.real_seconds(seconds)


def test_clock_that_is_set_back_keeps_nobody_from_what_is_done_now_and_then(opened):
    rig = opened("tws", **FOLLOWING)
    rig.clock = SetBack(rig.clock)
    held(rig)

    rig.clock.set_back(600)
    rig.withdraw_all()
    rig.until(lambda: rig.story().stops(), "another stop rests")
    rig.clock.set_back(600)
    rig.order(state=State.REDUCE, reason="drill", flatten=True)
    rig.resolved().until(lambda: not rig.story().live(), "nothing rests")

    assert rig.story().position() == 0
    rig.assert_sound()


def test_entry_of_a_strategy_that_is_switched_off_is_taken_back(opened):
    rig = opened("tws", **FAR)
    rig.open().armed()

    start_with(rig, STK_STRATEGIES="crossover")
    rig.until(lambda: not rig.story().live(), "it is taken back")
    rig.turn_for(0.5)

    assert len(rig.intents()) == 1
    rig.assert_sound()
