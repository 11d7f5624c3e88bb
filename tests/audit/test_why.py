"""The answer to "why", from journals on disk."""

import pytest

from audit.logs import journals, verify_all
from audit.why import history, sentence, told
from audit.words import rounded
from domain.errors import Refuse
from domain.vocabulary import Gate, Leg, OrderState


@pytest.fixture
def logs(story, tmp_path):
    """A trade from decision to resolution, another that stays open, and a refusal, in real journals."""
    story.refuse(1, Gate.EDGE, "1", "2")
    for n in (2, 3):
        story.decide(n)
        story.intend(n)
        story.happen(n, OrderState.FILLED, 100, f"t{n}")
        story.publish(n)
    story.amend(2)
    story.happen(2, OrderState.FILLED, 100, "t9", leg=Leg.EXIT, attempt=0)
    story.close(2)
    story.resolve(2)
    story.cool(2)
    story.write(tmp_path)
    return tmp_path


def kinds(records):
    return [record.get("action") or record["kind"] for record in records]


WHOLE_TRADE = [
    "decision",
    "order_intent",
    "order_event",
    "open",
    "amend",
    "order_event",
    "close",
    "resolution",
    "cooldown",
]


def test_every_id_of_a_trade_tells_its_whole_story_in_time_order(story, logs):
    decision = next(r for r in story.streams["decisions"] if r.get("signal_id") == story.signal(2))
    resolution = story.streams["resolutions"][-1]
    ids = [
        decision["id"],
        story.signal(2),
        story.order(2),
        story.order(2, Leg.EXIT, 0),
        resolution["id"],
        decision["candidate"]["id"],
    ]

    found = [history(logs, id_) for id_ in ids]

    assert kinds(found[0]) == WHOLE_TRADE
    assert all(records == found[0] for records in found)
    assert [r["ts"] for r in found[0]] == sorted(r["ts"] for r in found[0])
    assert all(r["id"] == decision["id"] or r["signal_id"] == story.signal(2) for r in found[0])


def test_a_refused_candidate_has_its_decision_alone(story, logs):
    [record] = history(logs, story.streams["decisions"][0]["id"])

    assert sentence(record) == ("buy EUR_USD (breakout.h1) refused: EDGE at gate edge (1 against 2 bp), passed 1 of 2")


@pytest.mark.parametrize(
    "unknown",
    [
        "sig_01KJX1V2R09999999999999999",
        "tb-fx-01KJX1V2R09999999999999999-entry-1",
        "dec_nothing",
        "¢",
        "",
        "EUR_USD",  # stands in every record, but is no id
        "sig_01KJX1V2R0000000000000000",  # a part of one
    ],
)
def test_an_id_no_journal_mentions_is_refused(logs, unknown):
    with pytest.raises(Refuse, match="an id that some journal mentions") as caught:
        history(logs, unknown)

    assert caught.value.found == repr(unknown)


def test_a_home_without_journals_knows_no_id(tmp_path):
    with pytest.raises(Refuse):
        history(tmp_path, "sig_1")


def story_expiry(logs, signal_id):
    return history(logs, signal_id)[3]["expires_at"][11:19]


def test_every_record_of_a_trade_has_a_sentence_of_its_own(story, logs):
    said = [sentence(record) for record in history(logs, story.signal(2))]

    order, exit_ = story.order(2), story.order(2, Leg.EXIT, 0)
    assert said[:4] == [
        "buy EUR_USD (breakout.h1) admitted by all ten gates, size 100",
        f"order {order} intended: buy 100 EUR_USD",
        f"order {order} filled 100 at 1.1",
        f"published open: buy 100 EUR_USD at 1.1, valid until {story_expiry(logs, story.signal(2))}",
    ]
    assert said[4:8] == [
        "published amend: stop 1.0960, target 1.1100",
        f"order {exit_} filled 100 at 1.1",
        "published close: EUR_USD at 1.095 (stop_loss)",
        "EUR_USD resolved +5.00 USD by stop_loss, 3.00 h of 6.00 h expected (oanda_candles)",
    ]
    assert said[8].startswith("EUR_USD rests until 2026-03-04T13:00:")


def test_every_journal_of_a_home_is_found_and_verifies(logs):
    (logs / "fleet.log").touch()
    (logs / "fx" / "STOP").touch()
    (logs / "st" / "decisions").mkdir(parents=True)

    reports = verify_all(logs)

    assert list(reports) == ["fx/decisions", "fx/orders", "fx/resolutions", "fx/signals"]
    assert [str(path.relative_to(logs)) for path in journals(logs)] == list(reports)
    assert all(report.ok for report in reports.values())


def test_a_changed_byte_is_found_in_its_journal_and_in_no_other(logs):
    path = logs / "fx" / "signals" / "000001.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"1.1"', b'"1.2"', 1))

    reports = verify_all(logs)

    assert {name for name, report in reports.items() if not report.ok} == {"fx/signals"}


FINDINGS = {"kind": "reconciliation", "clean": True, "matched": ["a"], "gone": [], "external": [],
            "wrong_quantity": [], "unproven": []}  # fmt: skip


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (FINDINGS, "the broker agrees with the journals: 1 position matched"),
        (FINDINGS | {"gone": ["b"]}, "the broker agrees with the journals: 1 position matched, 1 gone"),
        (
            FINDINGS | {"clean": False, "external": ["7", "8"], "unproven": ["o"]},
            "the broker does not agree with the journals: unknown position: 7, 8; order of unknown outcome: o",
        ),
        (
            {"kind": "callback_conflict", "stage": "executed", "rev": 0, "code": "id_reused"},
            "a subscriber's executed report, revision 0, contradicts the books: id_reused",
        ),
        (
            {"kind": "day", "day": "2026-03-04", "start_equity": "9950.5", "currency": "USD", "tripped": True},
            "trading day 2026-03-04 began with 9950.50 USD, breaker tripped",
        ),
        (
            {"kind": "suspension", "name": "breakout.h1", "reason": "storm", "until": None},
            "breakout.h1 is suspended until a person lifts it (storm)",
        ),
    ],
)
def test_what_stands_beside_trades_has_a_sentence_too(record, said):
    assert sentence(record) == said


def found_at(minute, **changes):
    return FINDINGS | {"ts": f"2014-05-06T07:{minute:02}:00.000000Z"} | changes


def test_agreeing_reconciliations_in_a_row_share_a_line_and_news_keep_their_own():
    other = {"kind": "cooldown", "market": "A", "until": "then", "reason": "x", "ts": "2014-05-06T07:09:00.000000Z"}
    records = [
        *(found_at(minute) for minute in range(4)),
        found_at(4, gone=["b"]),
        found_at(5, clean=False, external=["7"]),
        found_at(6),
        other,
        found_at(10),
        found_at(11, matched=["a", "b", "c"]),
    ]

    lines = [(record["ts"][14:16], said) for record, said in told(records)]

    assert lines == [
        ("00", "the broker agreed with the journals 4 times until 2014-05-06 07:03:00: 1 position matched"),
        ("04", "the broker agrees with the journals: 1 position matched, 1 gone"),
        ("05", "the broker does not agree with the journals: unknown position: 7"),
        ("06", "the broker agrees with the journals: 1 position matched"),
        ("09", "A rests until then (x)"),
        ("10", "the broker agreed with the journals 2 times until 2014-05-06 07:11:00: 1 to 3 positions matched"),
    ]


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("BOUNDS_VIOLATION", "order o cancelled (BOUNDS_VIOLATION: nobody met the price)"),
        ("PARTIAL_FILL", "order o cancelled (PARTIAL_FILL: the rest found nobody)"),
        (
            "OPPOSITE_POSITION",
            "order o cancelled (OPPOSITE_POSITION: another trade of the account holds the other side)",
        ),
        ("something_new", "order o cancelled (something_new)"),
    ],
)
def test_a_code_of_the_venue_is_told_with_its_meaning(reason, said):
    record = {"kind": "order_event", "client_order_id": "o", "state": "cancelled", "price": None, "reason": reason}

    assert sentence(record) == said


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("3.553069680281036350195132295", "3.55307"),
        ("1234567.89", "1234568"),
        ("12345678", "12345678"),
        ("0.00000012345678", "0.000000123457"),
        ("1.50", "1.50"),
        ("-", "-"),
    ],
)
def test_a_long_decimal_is_rounded_and_a_short_one_left_alone(number, shown):
    assert rounded(number) == shown
