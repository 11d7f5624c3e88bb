"""The gateway without a socket: whatever a client says, it answers or refuses, and never breaks."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.ibkr.accounts import AccountSpec
from simulators.ibkr.tape import Tape
from simulators.ibkr.venue import Venue
from simulators.oanda.clock import parse_clock
from simulators.tws.framing import encode
from simulators.tws.gateway import Gateway
from simulators.tws.names import NAMES, Ask

CONTRACT = ("756733", "SPY", "STK", "", "0", "", "", "SMART", "", "USD", "", "")
WORDS = (
    "", "0", "1", "-1", "7", "756733", "SPY", "STK", "SMART", "USD", "BUY", "SELL", "MKT", "LMT", "TRAIL", "GTC", "100",
    "167.5", "1e309", "1E+5000", "NaN", "DU1", "TRADES", "1 min", "1 D", "99999999999999999999", "All", "é",
    "20140505-16:00:00", "00010101-00:00:00", "1.7976931348623157E308", "2147483647",
)  # fmt: skip
TAPE = Tape()


class Listener:
    """A client that hears what it is told, as far as it can be written."""

    def __init__(self):
        self.client, self.ready, self.dead, self.cut_next, self.breaches = 1, True, False, False, 0
        self.muted, self.heard, self.is_loaded = set(), [], True

    def send(self, *fields):
        assert encode(fields)
        self.heard.append(fields)

    def error(self, request, code, text):
        self.send(4, 2, request, code, text, "")

    def counts_too_many(self):
        return False


def gateway():
    clock = parse_clock("sim:2014-05-06T15:00:00Z@0.000001")
    built = Gateway(Venue(TAPE, clock, [AccountSpec(id="DU1", cash=Decimal(1_000_000), kind="MARGIN")]))
    one = Listener()
    built.sessions.append(one)
    return built, one


def order(number, *, side="BUY", kind="LMT", limit="100", stop="", transmit="1", parent="0"):
    """Return a placeOrder message as the library writes it."""
    first = ["3", number, *CONTRACT, "", "", side, "10", kind, limit, stop, "DAY", "", "DU1", "", "0", "ref", transmit]
    rest = ["", "0", "", "", "0", "", "", "0", "", "", "", "0", "0", "0", "", "0", "0", "0", "0", "0", ""]
    middle = [parent, "0", "0", "0", "0", "0", "0", *[""] * 9, "0", "", "-1", "0", "", "", "0", "", "", "0", "0", ""]
    middle += [
        "0",
        *[""] * 5,
        "0",
        "",
        "0",
        "",
        "",
        "0",
        "0",
        *[""] * 6,
        "",
        "",
        "",
        "0",
        "",
        "",
        "0",
        "0",
        "",
        "",
        "0",
    ]
    return [*first, *middle, "", "0", "0", "0", "0", *[""] * 11, "0", *rest]


def test_a_plain_order_is_taken():
    built, one = gateway()
    built.hear(one, order("1"))

    assert [fields[0] for fields in one.heard] == [5, 3, 5, 3]
    assert one.heard[-1][2] == "Submitted"


def test_a_hundred_lines_are_the_most_a_client_gets():
    built, one = gateway()
    for number in range(101):
        built.hear(one, ["1", "11", str(number), *CONTRACT, "0", "", "0", "0", ""])

    refused = [fields[2:4] for fields in one.heard if fields[0] == 4]
    assert refused == [(100, 101)]


def test_what_a_client_says_is_remembered():
    built, one = gateway()
    built.hear(one, ["49", "1"])

    assert built.log[-1] == {
        "time": "2014-05-06T15:00:00+00:00",
        "client": 1,
        "message": "reqCurrentTime",
        "fields": ["1"],
    }


@settings(max_examples=150, deadline=None)
@given(number=st.sampled_from(sorted(NAMES)), fields=st.lists(st.sampled_from(WORDS), max_size=30))
def test_any_message_is_answered_or_refused(number, fields):
    built, one = gateway()
    built.hear(one, [str(number), *fields])
    built.poll()

    assert built.counts[NAMES[number]] == 1


@settings(max_examples=150, deadline=None)
@given(
    changes=st.dictionaries(st.integers(1, 119), st.sampled_from(WORDS), max_size=3),
    again=st.dictionaries(st.integers(2, 119), st.sampled_from(WORDS), max_size=3),
)
def test_a_mangled_order_never_breaks_the_gateway(changes, again):
    built, one = gateway()
    for mangled in (changes, again, {}):
        message = order("1", transmit="0" if mangled else "1")
        for place, word in mangled.items():
            message[min(place, len(message) - 1)] = word
        built.hear(one, message)
        built.poll()
    built.hear(one, [str(int(Ask.ReqAllOpenOrders)), "1"])
    built.hear(one, [str(int(Ask.ReqCompletedOrders)), "0"])

    assert one.heard[-1][0] == 102
