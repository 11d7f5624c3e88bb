"""The report: a funnel that adds up, the nearest miss of each gate, and outcomes kept apart by source."""

import json
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.pages import report_text
from audit.report import SurfaceReport
from audit.restore import trades_of
from audit.since import surface_reports
from domain.clock import parse_iso
from domain.decision import Verdict
from domain.errors import Refuse
from domain.ledger.position import Position
from domain.vocabulary import Code, Gate, Mode, ResolutionSource, Side
from journal import read

D = Decimal
LIMITS = st.integers(-5, 5).map(str)
REFUSALS = st.tuples(st.sampled_from(Gate), LIMITS, LIMITS)


def gap(value, limit):
    return abs(D(value) - D(limit)) / (abs(D(limit)) or 1)


@given(st.lists(REFUSALS | st.none(), max_size=25))
def test_the_funnel_adds_up_to_the_candidates_and_shows_the_nearest_miss(new_story, outcomes):
    story = new_story()
    for n, refusal in enumerate(outcomes):
        if refusal is None:
            story.decide(n)
        else:
            story.refuse(n, *refusal)

    report = SurfaceReport("fx").add(story.records)

    rows = report.funnel()
    assert [gate for gate, _, _ in rows] == list(Gate)
    assert report.candidates == len(outcomes) == report.admitted + sum(refused for _, _, refused in rows)
    assert rows[0][1] == report.candidates
    assert all(later[1] == row[1] - row[2] for row, later in pairwise(rows))
    assert rows[-1][1] - rows[-1][2] == report.admitted
    for gate in Gate:
        gaps = [gap(value, limit) for refused, value, limit in filter(None, outcomes) if refused is gate]
        assert (report.nearest[gate].margin if gaps else None) == min(gaps, default=None)


def test_the_nearest_miss_names_its_decision_and_numbers(story):
    story.refuse(1, Gate.EDGE, "1", "5")
    near = story.refuse(2, Gate.EDGE, "4.5", "5", market="USD_JPY")
    story.refuse(3, Gate.EDGE, "2", "5")

    facts = SurfaceReport("fx").add(story.records).as_dict()["nearest_misses"]

    assert facts == {
        "edge": {
            "decision": near["id"],
            "market": "USD_JPY",
            "value": "4.5",
            "limit": "5",
            "unit": "bp",
            "margin": "0.1000",
        }
    }


def test_outcomes_of_different_mode_source_or_currency_stay_apart(story):
    story.resolve(1, "5")
    story.resolve(2, "-2", late=True)
    story.resolve(3, "100", resolution_source=ResolutionSource.SIM)
    story.resolve(4, "1000", mode=Mode.LIVE)
    story.resolve(5, "10000", currency="EUR")
    story.streams["resolutions"][3]["mode"] = "live"

    outcomes = SurfaceReport("fx").add(story.records).as_dict()["outcomes"]

    assert [(o["mode"], o["resolution_source"], o["currency"], o["realised"], o["synthetic"]) for o in outcomes] == [
        ("live", "oanda_candles", "USD", "1000", False),
        ("paper", "oanda_candles", "EUR", "10000", False),
        ("paper", "oanda_candles", "USD", "3", False),
        ("paper", "sim", "USD", "100", True),
    ]


def test_an_outcome_holds_best_worst_fees_and_how_good_the_etas_were(story):
    for n, (realised, hours) in enumerate((("5", 3), ("-2", 9), ("1", 6))):
        story.resolve(n, realised, actual_hours=D(hours), late=hours > 6)
    story.resolve(3, "0", eta_hours=D(0))

    [outcome] = SurfaceReport("fx").add(story.records).as_dict()["outcomes"]

    assert (outcome["trades"], outcome["wins"], outcome["best"], outcome["worst"]) == (4, 2, "5", "-2")
    assert (outcome["fees"], outcome["late"], outcome["late_rate"]) == ("0.4", 1, 0.25)
    assert outcome["actual_over_eta_median"] == 1.0


def test_a_report_survives_json_and_its_text_shows_every_gate(story):
    story.refuse(1, Gate.EDGE, "1", "2")
    story.decide(2)
    story.resolve(2, resolution_source=ResolutionSource.SIM)
    report = SurfaceReport("fx").add(story.records)

    text = report_text(report)

    assert json.loads(json.dumps(report.as_dict())) == report.as_dict()
    assert "fx: 2 candidates, 1 admitted" in text
    assert all(gate in text for gate in Gate)
    assert "EUR_USD 1 against 2 bp" in text
    assert "never added to real ones" in text


def test_an_outcome_seen_early_is_shown_apart_and_in_no_total(story):
    story.resolve(1, "5", provisional=True, outcome="61 degF", resolution_source=ResolutionSource.NWS_OBSERVATION)
    story.resolve(2, "7", provisional=True)
    story.resolve(2, "6")
    report = SurfaceReport("fx").add(story.records)

    text, facts = report_text(report), report.as_dict()

    assert [(one["trades"], one["realised"]) for one in facts["outcomes"]] == [(1, "6")]
    assert [(one["signal"], one["outcome"], one["realised_if_it_holds"]) for one in facts["seen_early"]] == [
        (story.signal(1), "61 degF", "5")
    ]
    assert f"EUR_USD 61 degF by nws_observation, +5.00 USD if it holds (paper, {story.signal(1)})" in text


def test_the_newest_sighting_replaces_the_one_before_and_says_a_dispute(story):
    story.resolve(1, "5", provisional=True, outcome="yes (determined)")
    story.resolve(1, "-5", provisional=True, outcome="yes (disputed)", disputed=True)

    [early] = SurfaceReport("fx").add(story.records).as_dict()["seen_early"]

    assert (early["outcome"], early["realised_if_it_holds"], early["disputed"]) == ("yes (disputed)", "-5", True)


def test_the_funnel_names_the_codes_of_each_gate(story):
    def refused(code, unit, value):
        return Verdict(gate=Gate.DIRECTION, passed=False, code=code, value=D(value), limit=D(0), unit=unit)

    for n in range(3):
        story.decide(n, verdicts=(refused(Code.RULE_UNPARSED, "rules unread", 1),))
    story.decide(3, verdicts=(refused(Code.MARKET_CLOSED, "closures", 1),))
    report = SurfaceReport("fx").add(story.records)

    row = next(line for line in report_text(report).splitlines() if line.startswith("  direction"))

    assert row.split(maxsplit=3) == ["direction", "4", "4", "RULE_UNPARSED 3, MARKET_CLOSED 1"]
    assert report.as_dict()["funnel"][3]["codes"] == {"RULE_UNPARSED": 3, "MARKET_CLOSED": 1}


def test_the_text_of_an_empty_report_says_so():
    text = report_text(SurfaceReport("fx"))

    assert "fx: no decisions in this period" in text
    assert "no trade has been resolved" in text


@pytest.mark.parametrize("segment_bytes", [4096, 2**20])
def test_a_report_since_a_moment_equals_one_over_the_filtered_records(story, tmp_path, segment_bytes):
    for n in range(40):
        story.refuse(n, list(Gate)[n % 10], str(n), "50") if n % 4 else story.decide(n)
        if n % 5 == 0:
            story.resolve(n, str(n - 20))
    story.write(tmp_path, segment_bytes=segment_bytes)
    everything = [e.record for s in ("decisions", "resolutions") for e in read(tmp_path / "fx" / s)]
    moments = [parse_iso(record["ts"]) for record in story.records]
    early, late = moments[0] - timedelta(days=1), moments[-1] + timedelta(days=1)

    for moment in [early, *moments[::7], moments[9] + timedelta(microseconds=1), late]:
        [report] = surface_reports(tmp_path, moment)
        linear = SurfaceReport("fx").add(r for r in everything if parse_iso(r["ts"]) >= moment)
        assert report.as_dict() == linear.as_dict()

    assert surface_reports(tmp_path, None)[0].as_dict() == SurfaceReport("fx").add(everything).as_dict()


def test_reports_cover_the_surfaces_that_have_journals_or_those_asked_for(story, tmp_path):
    story.decide(1)
    story.write(tmp_path)

    assert [report.surface for report in surface_reports(tmp_path, None)] == ["fx"]
    assert [report.candidates for report in surface_reports(tmp_path, None, ["st", "fx"])] == [0, 1]
    assert surface_reports(tmp_path / "nothing", None) == []


def test_a_report_on_an_unknown_surface_is_refused(tmp_path):
    with pytest.raises(Refuse, match="did you mean 'stk'"):
        surface_reports(tmp_path, None, ["stkk"])


def test_open_positions_come_back_as_the_brokers_trades(fold, story):
    story.decide(1)
    story.happen(1, story.OrderState.PARTIAL, 60, "t1", price="1.10")
    story.happen(1, story.OrderState.FILLED, 40, "t2", price="1.20")
    story.happen(1, story.OrderState.PARTIAL, 25, "t3", leg=story.Leg.EXIT, attempt=0)
    position: Position = fold(story.records).positions()[0]

    [trade] = trades_of([position])

    assert (trade.trade_id, trade.client_order_id) == ("trade-1", story.order(1))
    assert (trade.market, trade.side, trade.quantity, trade.price) == ("EUR_USD", Side.BUY, 75, D("1.14"))
    assert (trade.stop_loss, trade.take_profit, trade.trailing_distance) == (D("1.0950"), D("1.1100"), D("0.002"))
    assert trade.opened_at == position.opened_at


def test_a_position_without_the_brokers_trade_id_goes_by_its_signal(fold, story):
    story.decide(1)
    story.happen(1, story.OrderState.FILLED, 100, "t1")["broker_trade_id"] = None

    [trade] = trades_of(fold(story.records).positions())

    assert trade.trade_id == story.signal(1)
