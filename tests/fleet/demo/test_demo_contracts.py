"""What the demo left behind at the simulated Kalshi: three accounts, told three ways, to the cent."""

from collections import Counter
from datetime import datetime
from decimal import Decimal

import pytest
from contract_books import earned, executions, ledger, venue_rows
from demo_story import Story

from fleet.demo_kalshi import LT, PANEL, ST, SUBSCRIBER

# The whole story counts as the set-up of whichever test comes first.
pytestmark = [pytest.mark.fleet, pytest.mark.timeout(420)]

ACCOUNTS = {"st": ST, "lt": LT}
MODELS = {item.partition(":")[2] for item in PANEL}
# What a judgement of a kind of contract names of what it read.
READINGS = {"Climate and Weather": "forecast_high_f", "Crypto": "spot"}
# A killed process is waited for by its launcher, and has a journal to read.
LONGEST_OUTAGE_S = 30.0
surfaces = pytest.mark.parametrize("surface", ["st", "lt"])


def test_kalshi_its_surfaces_and_its_subscriber_agreed_to_the_cent_after_all_kills(story: Story) -> None:
    assert story.contracts_agreed
    assert {name: one["fills"] > 0 for name, one in story.kalshi["accounts"].items()} == dict.fromkeys(
        (ST, LT, SUBSCRIBER), True
    )


def test_every_killed_process_was_back_in_time(story: Story) -> None:
    killed = ("kalshi-st", "kalshi-lt", "resolver-st", "simulator-kalshi", "demo-subscriber-kalshi")

    assert {name: story.outage_s[name] for name in killed if story.outage_s[name] > LONGEST_OUTAGE_S} == {}


def test_no_client_order_id_reached_kalshi_twice(story: Story) -> None:
    sent = {
        one["client_order_id"]
        for name in ACCOUNTS
        for one in story.records("order_intent", name)
        if one["leg"] == "entry"
    }

    assert len(story.kalshi["created"]) > 0
    assert set(story.kalshi["created"].values()) == {1}
    assert {name for name in story.kalshi["created"] if name.startswith("tb-")} <= sent


@pytest.mark.parametrize("account", [ST, LT, SUBSCRIBER])
def test_no_contract_was_bought_twice_by_one_account(story: Story, account: str) -> None:
    fills = venue_rows(story, account, "fills")
    orders = {(one["ticker"], one["client_order_id"]) for one in fills}

    assert len(orders) > 0
    assert {name for name, count in Counter(ticker for ticker, _ in orders).items() if count > 1} == set()


@surfaces
def test_each_execution_at_kalshi_is_journalled_with_its_count_price_and_fee(story: Story, surface: str) -> None:
    venue = Counter(
        (one["client_order_id"], Decimal(one["count"]), Decimal(one["price"]), Decimal(one["fee"]))
        for one in venue_rows(story, ACCOUNTS[surface], "fills")
        if datetime.fromisoformat(one["time"]) < story.stopping_at
    )
    entries = [event for event in story.records("order_event", surface) if event["leg"] == "entry"]
    journal = Counter(
        (one["client_order_id"], Decimal(one["quantity"]), Decimal(one["price"]), Decimal(one["fee"]))
        for one in entries
        if Decimal(one["quantity"]) > 0
    )

    # An order that was filled while the fleet goes down is taken up when it starts again.
    assert venue - journal == Counter()


@surfaces
def test_what_each_resolution_says_was_earned_is_what_kalshi_paid(story: Story, surface: str) -> None:
    paid = earned(venue_rows(story, ACCOUNTS[surface], "settlements"))
    resolved = story.resolutions(surface)

    assert len(resolved) > 0
    assert {one["resolution_source"] for one in resolved} == {"kalshi_resolution"}
    assert {one["market"]: Decimal(one["realised"]) for one in resolved}.items() <= paid.items()


@surfaces
def test_positions_held_when_their_processes_were_killed_are_resolved(story: Story, surface: str) -> None:
    held = story.held_when_killed[surface]

    assert len(held) > 0
    assert held - story.open_signals(surface) != set()


@surfaces
def test_an_outcome_seen_early_is_provisional_and_comes_before_the_final_one(story: Story, surface: str) -> None:
    final = {one["signal_id"]: one for one in story.resolutions(surface)}
    early = [one for one in story.records("resolution", surface) if one["provisional"]]

    for sighting in early:
        if sighting["signal_id"] in final:
            assert sighting["ts"] <= final[sighting["signal_id"]]["ts"]
            assert Decimal(sighting["realised"]) == Decimal(final[sighting["signal_id"]]["realised"])


def test_the_subscriber_reported_the_executions_its_own_kalshi_account_has(story: Story) -> None:
    venue = executions(venue_rows(story, SUBSCRIBER, "fills"))
    reports = story.reports("executed", "st", "lt")

    assert len(reports) > 0
    assert {
        one["fill_id"]: (Decimal(one["quantity"]), Decimal(one["price"])) for one in reports
    }.items() <= venue.items()


def test_the_subscriber_reported_and_noted_what_kalshi_paid_it(story: Story) -> None:
    paid = earned(venue_rows(story, SUBSCRIBER, "settlements"))
    market_of = {one["order_id"]: one["market"] for one in ledger(story) if one["kind"] == "opened"}
    noted = {market_of[one["trade_id"]]: one for one in ledger(story) if one["kind"] == "settled"}
    market_of_signal = {one["signal_id"]: one["market"] for name in ACCOUNTS for one in story.records("signal", name)}
    reports = {market_of_signal[one["signal_id"]]: one for one in story.reports("resolved", "st", "lt")}

    assert len(reports) >= 3
    assert {market: Decimal(one["realised"]) for market, one in noted.items()}.items() <= paid.items()
    assert {market: Decimal(one["realised"]) for market, one in reports.items()}.items() <= paid.items()


def test_the_subscriber_followed_both_event_surfaces(story: Story) -> None:
    acks = [one for one in story.reports("ack", "st", "lt") if one["decision"] == "accept"]
    executed = {one["signal_id"] for one in story.reports("executed", "st", "lt")}
    resolved = {one["signal_id"] for one in story.reports("resolved", "st", "lt")}

    assert {one["surface"] for one in acks} == {"st", "lt"}
    assert executed <= {one["signal_id"] for one in acks}
    assert resolved <= executed


def test_short_term_judgements_name_weather_and_crypto_with_what_was_read(story: Story) -> None:
    judged = [one for one in story.records("decision", "st") if one["estimate"]["method"]]
    found = {category: [] for category in READINGS}
    for one in judged:
        found[one["candidate"]["category"]].append(
            dict(one["estimate"]["facts"])[READINGS[one["candidate"]["category"]]]
        )

    # A forecast may be missing for an hour, and says so in a word.
    for told in found.values():
        assert [text for text in told if text.replace(".", "").isdigit() and Decimal(text) > 0] != []


def test_long_term_judgements_carry_a_vote_of_each_of_four_models(story: Story) -> None:
    judged = [one for one in story.records("decision", "lt") if one["admitted"]]

    assert len(judged) > 0
    for decision in judged:
        votes = decision["estimate"]["votes"]
        assert {vote["model"] for vote in votes} == MODELS
        assert all(0 < Decimal(vote["probability"]) < 1 for vote in votes)


def test_what_was_reserved_and_settled_for_models_is_what_they_billed(story: Story) -> None:
    asked_at = datetime.fromisoformat(story.models["now"])
    journal = [one for one in story.journal("lt", "costs") if datetime.fromisoformat(one["ts"]) <= asked_at]
    reserved = {one["id"]: one for one in journal if one["kind"] == "cost_reserved"}
    settled = {one["reservation"]: one for one in journal if one["kind"] == "cost_settled"}
    open_calls = reserved.keys() - settled.keys()

    assert settled.keys() <= reserved.keys()
    for provider, billed in story.models["providers"].items():
        mine = [one for one in settled.values() if one["provider"] == provider]
        cost = sum((Decimal(one["amount"]) for one in mine), Decimal(0))
        unsettled = [reserved[name] for name in open_calls if reserved[name]["provider"] == provider]
        most = cost + sum((Decimal(one["amount"]) for one in unsettled), Decimal(0))
        assert 0 < len(mine) <= billed["paid_calls"] <= len(mine) + len(unsettled)
        # What comes from the vendor's cache is counted at the full price here, and billed at less.
        assert cost == Decimal(billed["cost_usd"]) or unsettled or billed["tokens_cached"]
        assert Decimal(billed["cost_usd"]) <= most
    assert all(Decimal(one["amount"]) <= Decimal(reserved[name]["amount"]) for name, one in settled.items())
