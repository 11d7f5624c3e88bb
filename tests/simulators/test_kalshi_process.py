"""The simulated Kalshi as a process: options, exit codes, what it keeps between runs."""

import json
import os
import random
import subprocess
import sys
import time
from decimal import Decimal

import kalshi_lab
import kalshi_sim
import pytest
from simulator import ROOT

from simulators.kalshi.catalogue_file import CatalogueError
from simulators.kalshi.orders import Force
from simulators.kalshi.persistence import Store
from simulators.kalshi.wire import ApiError
from simulators.rest.state_file import StateError

TICKER = kalshi_sim.TICKER


def run(*arguments, **env):
    command = [sys.executable, "-m", "simulators.kalshi", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, env={**os.environ, **env})


def written(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def test_it_says_where_it_listens_and_ends_with_nothing_on_sigterm(tmp_path):
    venue = kalshi_sim.start(tmp_path)

    assert venue.get("/exchange/status")["trading_active"]
    assert venue.stop() == 0


def test_the_clock_comes_from_the_environment_too(tmp_path):
    catalogue = written(tmp_path / "c.json", {"markets": [kalshi_sim.market()]})
    bad = run("--catalogue", catalogue, TBOT_CLOCK="noon")

    assert bad.returncode == 2
    assert "clock: expected" in bad.stderr


@pytest.mark.parametrize(
    ("option", "content", "told"),
    [
        ("--account-file", [{"key_id": "a"}], "expected an object with key_id"),
        ("--account-file", [{"key_id": "a", "public_key_pem": "x", "balance": "1"}], "public key"),
        ("--account-file", [{"key_id": "a", "public_key_pem": "x", "balance": "-1"}], "balance"),
        ("--account-file", [{"key_id": "a", "public_key_pem": "x", "balance": "1", "tier": "gold"}], "tier"),
        ("--account-file", "nonsense", "JSON"),
        ("--catalogue", [], "markets"),
        ("--faults", [{"name": "x", "action": "nothing"}], "expected one of"),
        ("--state", "{}}\n{}\n", "state: expected JSON lines"),
    ],
)
def test_a_wrong_file_is_one_line_and_code_two(tmp_path, option, content, told):
    catalogue = written(tmp_path / "c.json", {"markets": [kalshi_sim.market()]})
    path = written(tmp_path / "file.json", content)

    ended = run("--clock", f"sim:{kalshi_sim.START}@1", "--catalogue", catalogue, option, path)

    assert ended.returncode == 2
    assert told in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_an_unknown_option_is_code_two():
    assert run("--colour", "red").returncode == 2


@pytest.mark.parametrize(
    ("market", "told"),
    [
        ({"ticker": "X"}, "missing"),
        ({**kalshi_sim.market(), "colour": "red"}, "colour"),
        ({**kalshi_sim.market(), "result": "maybe"}, "yes or no"),
        ({**kalshi_sim.market(), "open_time": "2014-05-06T07:00:00"}, "offset"),
        ({**kalshi_sim.market(), "close_time": "2014-05-01T07:00:00Z"}, "open < close"),
        ({**kalshi_sim.market(), "fair": "high"}, "fair"),
    ],
)
def test_a_catalogue_file_that_cannot_be_used_is_told_by_place(tmp_path, market, told):
    with pytest.raises(CatalogueError, match=told):
        kalshi_lab.catalogue(tmp_path, [market])


def test_the_built_in_markets_are_listed_when_no_file_is_given(tmp_path):
    accounts = written(tmp_path / "a.json", [kalshi_sim.member(0).row()])
    venue = kalshi_sim.KalshiSim((kalshi_sim.member(0),), f"sim:{kalshi_sim.START}@1", ("--account-file", accounts))

    try:
        markets = venue.get("/markets", limit=1000, status="open")["markets"]
    finally:
        assert venue.stop() == 0

    assert {market["ticker"].partition("-")[0] for market in markets} >= {"KXHIGHNY", "KXBTCD"}
    assert all(market["result"] == "" for market in markets)


def test_accounts_orders_and_positions_are_kept_between_runs(tmp_path):
    anchor, options = time.time(), ["--state", str(tmp_path / "state.jsonl")]
    first = kalshi_sim.start(tmp_path, anchor=anchor, options=options)
    first.order(number=5, client_order_id="filled")
    rests = first.order(price="0.30", number=4, time_in_force="good_till_canceled", client_order_id="rests")
    before = [first.get(f"/portfolio/{page}", who=0) for page in ("balance", "positions", "orders", "fills")]
    first.process.kill()
    first.stop()

    second = kalshi_sim.start(tmp_path, anchor=anchor, options=options)
    after = [second.get(f"/portfolio/{page}", who=0) for page in ("balance", "positions", "orders", "fills")]
    twice = second.order(client_order_id="rests").status_code
    gone = second.send("DELETE", f"/portfolio/events/orders/{rests.json()['order_id']}").json()
    second.stop()

    assert before[1:] == after[1:]
    assert before[0]["balance"] == after[0]["balance"]
    assert (twice, gone["reduced_by"]) == (409, "4.00")


def test_what_fell_due_while_the_process_was_down_is_settled_with_its_own_time(tmp_path):
    found = kalshi_lab.catalogue(tmp_path, [kalshi_sim.market(hours=1)])
    store = tmp_path / "state.jsonl"
    lab = kalshi_lab.lab(found, store=Store(store))
    lab.order("bid", "0.51", 10, force=Force.IOC)
    lab.order("bid", "0.40", 10)
    lab.venue.commit()

    later = kalshi_lab.lab(found, store=Store(store), start="2014-05-20T07:00:00Z")
    row = later.get("/portfolio/settlements")["settlements"][0]
    again = kalshi_lab.lab(found, store=Store(store), start="2014-05-20T07:00:00Z")

    assert (row["settled_time"], row["revenue"]) == ("2014-05-06T09:30:00Z", 1000)
    assert not later.account().resting
    assert again.get("/portfolio/settlements")["settlements"] == [row]
    assert again.account().cash == later.account().cash
    assert again.venue.clearing.fees == later.venue.clearing.fees


def test_a_line_cut_short_by_a_crash_is_dropped(tmp_path):
    found, store = kalshi_lab.catalogue(tmp_path), tmp_path / "state.jsonl"
    lab = kalshi_lab.lab(found, store=Store(store))
    lab.order("bid", "0.51", 10, force=Force.IOC)
    lab.venue.commit()
    whole = store.read_bytes()
    store.write_bytes(whole + b'{"as_of":"2014')

    again = kalshi_lab.lab(found, store=Store(store))

    assert again.account().held(TICKER) == 10
    assert store.read_bytes() == whole


def test_a_clock_before_the_end_of_the_file_is_refused(tmp_path):
    found, store = kalshi_lab.catalogue(tmp_path), tmp_path / "state.jsonl"
    lab = kalshi_lab.lab(found, store=Store(store))
    lab.order("bid", "0.51", 10, force=Force.IOC)
    lab.venue.commit()

    with pytest.raises(StateError, match="clock at or after"):
        kalshi_lab.lab(found, store=Store(store), start="2014-05-06T06:00:00Z")


@pytest.mark.parametrize("seed", range(6))
def test_whatever_happened_a_new_process_knows_all_of_it(tmp_path, seed):
    chance = random.Random(seed)
    moves = [[kalshi_sim.START, 0.5], *[[f"2014-05-06T07:{m:02}:00Z", chance.uniform(0.2, 0.8)] for m in range(1, 59)]]
    soon = {"determined_at": "2014-05-06T07:15:00Z", "settled_at": "2014-05-06T07:16:00Z"}
    markets = [kalshi_sim.market(fair=moves), kalshi_sim.market("KXTEST-14MAY06-T80", hours=0.25, **soon)]
    found, path = kalshi_lab.catalogue(tmp_path, markets), tmp_path / "state.jsonl"
    lab = kalshi_lab.lab(found, store=Store(path))
    for _ in range(60):
        disturb(lab, chance)
        lab.later(seconds=chance.randint(0, 60))

    again = kalshi_lab.lab(found, store=Store(path), start=f"{lab.venue.position:%Y-%m-%dT%H:%M:%SZ}")

    assert [known(account) for account in again.venue.accounts.values()] == [
        known(account) for account in lab.venue.accounts.values()
    ]
    assert again.venue.clearing.synthetic.cash == lab.venue.clearing.synthetic.cash
    assert again.venue.clearing.fees == lab.venue.clearing.fees
    assert again.get("/markets/trades", ticker=TICKER)["trades"] == lab.get("/markets/trades", ticker=TICKER)["trades"]
    assert again.get(f"/markets/{TICKER}")["market"]["volume"] == lab.get(f"/markets/{TICKER}")["market"]["volume"]
    assert any(account.settlements for account in again.venue.accounts.values())


def disturb(lab, chance):
    """Do something at random: an order, a cancellation, an amendment."""
    who, cents = chance.randint(0, 2), chance.randint(20, 80)
    desk = lab.desk(who)
    resting = list(desk.account.resting.values())
    ticker = chance.choice([TICKER, "KXTEST-14MAY06-T80"])
    try:
        if resting and chance.random() < 0.2:
            desk.cancel(resting[0])
        elif resting and chance.random() < 0.2:
            desk.amend(resting[0], Decimal(cents) / 100, chance.randint(1, 200), f"amended-{chance.random()}"[:20])
        else:
            lab.order(chance.choice(["bid", "ask"]), Decimal(cents) / 100, chance.randint(1, 200), who, ticker)
    except ApiError:
        return
    finally:
        lab.venue.commit()


def known(account):
    positions = {ticker: held for ticker, held in account.positions.items() if held.traded}
    return account.cash, positions, account.orders, set(account.resting), account.fills, account.settlements
