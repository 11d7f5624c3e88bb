"""The answer to "why", from journals on disk."""

import pytest

from audit.logs import journals, verify_all
from audit.why import history, sentence
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
        "resolved +5.00 USD by stop_loss, 3.00 h of 6.00 h expected (oanda_candles)",
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
