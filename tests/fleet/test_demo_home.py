"""The home of a demo: made afresh, the run before kept, anybody else's left alone; and what counts as a success."""

import copy
import subprocess
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from audit.tally import SubscriberTally, SurfaceTally
from domain.errors import Refuse
from feed.config import load as load_feed
from fleet.demo import is_success, result
from fleet.demo_home import ADDRESSES, KEEP_RUNS, MARKER, SERVICES, prepare
from fleet.demo_kalshi import PROVIDERS
from fleet.envfile import read_env_file
from fleet.status import FleetFacts
from surfaces.ibkr_stk.config import load as load_stk
from surfaces.kalshi.config import load_lt, load_st
from surfaces.oanda_fx.config import load as load_fx


@pytest.fixture
def home(tbot_home: Path) -> Path:
    return tbot_home


def test_a_prepared_home_holds_settings_that_every_process_accepts(home: Path) -> None:
    demo = prepare(home)

    fx = load_fx(read_env_file(home / "env" / "fx.env"))
    feed, _, _ = load_feed(read_env_file(home / "env" / "feed.env"))
    assert fx.oanda.rest_url == demo.urls["oanda"]
    assert demo.feed_url.endswith(f":{feed.port}")
    assert demo.config.is_file()
    st, lt = (load(read_env_file(home / "env" / f"{name}.env")) for name, load in (("st", load_st), ("lt", load_lt)))
    for event in (st, lt):
        assert event.kalshi.rest_url == f"{demo.urls['kalshi']}/trade-api/v2"
    assert st.kalshi.key_id != lt.kalshi.key_id
    assert (st.nws.url, st.coinbase.url) == (demo.urls["nws"], demo.urls["coinbase"])
    assert {seat.partition(":")[0] for seat in lt.models.panel} == set(PROVIDERS)
    stk = load_stk(read_env_file(home / "env" / "stk.env"))
    assert stk.ibkr.portal_url == f"{demo.urls['portal']}/v1/api"
    assert stk.ibkr.socket_port != int(demo.urls["tws"].rpartition(":")[2])
    assert len(demo.subscriber_homes) == 3
    private = [*(subscriber / "config.toml" for subscriber in demo.subscriber_homes), *home.glob("env/*.pem")]
    assert [path for path in private if path.stat().st_mode & 0o077] == []


def test_a_shell_learns_the_addresses_of_the_simulators_from_a_file(home: Path) -> None:
    demo = prepare(home)
    told = subprocess.run(
        ["sh", "-c", '. "$0"; echo $O $K $N $C $M $T $P', str(home / "run" / ADDRESSES)], capture_output=True, text=True
    )

    assert told.stdout.split() == [demo.urls[name] for name in SERVICES]


def test_a_second_demo_keeps_the_first_in_demo_runs(home: Path) -> None:
    prepare(home)
    token = read_env_file(home / "env" / "fx.env")["OANDA_TOKEN"]
    journal = home / "logs" / "fx" / "signals" / "000001.jsonl"
    journal.parent.mkdir(parents=True)
    journal.write_text("a record\n")
    (home / "env" / "fx.env.example").write_text("stays\n")

    prepare(home)

    (kept,) = (home / "demo-runs").iterdir()
    assert (kept / "logs" / "fx" / "signals" / "000001.jsonl").read_text() == "a record\n"
    assert read_env_file(kept / "env" / "fx.env")["OANDA_TOKEN"] == token
    assert (kept / "state" / "subscribers.json").is_file()
    assert not journal.exists()
    assert read_env_file(home / "env" / "fx.env")["OANDA_TOKEN"] != token
    assert (home / "env" / "fx.env.example").read_text() == "stays\n"


def test_at_most_five_runs_are_kept_and_the_oldest_go_first(home: Path) -> None:
    prepare(home)
    now = datetime.now(UTC)
    names = [f"{now - timedelta(days=age):%Y%m%dT%H%M%S.%f}" for age in range(1, 8)]
    for name in names:
        (home / "demo-runs" / name / "logs").mkdir(parents=True)

    prepare(home)

    kept = {path.name for path in (home / "demo-runs").iterdir()}
    assert len(kept) == KEEP_RUNS
    assert set(names[: KEEP_RUNS - 1]) < kept


@pytest.mark.parametrize("name", ["logs/fx/signals/000001.jsonl", "env/fx.env", "logs/feed/callbacks/000002.jsonl"])
def test_a_home_that_somebody_trades_from_is_refused_and_left_as_it_was(home: Path, name: str) -> None:
    (home / name).parent.mkdir(parents=True, exist_ok=True)
    (home / name).write_text("mine\n")
    before = sorted(home.rglob("*"))

    with pytest.raises(Refuse, match="--home"):
        prepare(home)

    assert sorted(home.rglob("*")) == before
    assert (home / name).read_text() == "mine\n"


@pytest.mark.parametrize("name", ["logs/fx/signals/000001.jsonl", "env/stk.env"])
def test_a_home_is_refused_when_only_one_half_of_it_is_a_demos(home: Path, name: str) -> None:
    prepare(home)
    other = "logs" if name.startswith("logs") else "env"
    (home / other / MARKER).unlink()
    (home / name).parent.mkdir(parents=True, exist_ok=True)
    (home / name).write_text("mine\n")

    with pytest.raises(Refuse):
        prepare(home)

    assert (home / name).read_text() == "mine\n"


def test_a_home_with_examples_only_is_free(home: Path) -> None:
    (home / "env" / "fx.env.example").write_text("FX_MODE=dry_run\n")

    prepare(home)

    assert not (home / "demo-runs").exists()


def full() -> FleetFacts:
    surface = SurfaceTally(decisions=9, admitted=2, signals=2, resolved=1, filled_orders={"a", "b"})
    seen = SubscriberTally(acked=2, accepted=2, executed=2, resolved=1, realised={"USD": Decimal("1.5")})
    return FleetFacts(surfaces={"fx": surface}, subscribers=seen, each_subscriber={"token": seen})


def judged(facts: FleetFacts, received: int = 2, *, verified: bool = True) -> dict[str, Any]:
    return result(facts, {"feed": 61.5}, {"friend": received}, {"friend": "token"}, verified=verified)


def test_the_result_counts_what_each_did() -> None:
    outcome = judged(full())

    assert outcome == {
        "surfaces": {"fx": {"decisions": 9, "signals": 2, "executed": 2, "resolved": 1}},
        "subscriber": {"received": 2, "acked": 2, "executed": 2, "resolved": 1},
        "subscribers": {"friend": {"received": 2, "acked": 2, "executed": 2, "resolved": 1}},
        "journals_verified": True,
        "rss_mib": {"feed": 61.5},
        "missing": [],
    }
    assert is_success(outcome)


@pytest.mark.parametrize(
    ("group", "name"),
    [("fx", n) for n in ("decisions", "signals", "executed", "resolved")]
    + [("subscriber", n) for n in ("received", "acked", "executed", "resolved")],
)
def test_a_single_count_of_zero_is_no_success(group: str, name: str) -> None:
    outcome: dict[str, Any] = copy.deepcopy(judged(full()))
    counts = outcome["subscriber"] if group == "subscriber" else outcome["surfaces"][group]
    counts[name] = 0

    assert not is_success(outcome)


def test_a_journal_that_does_not_verify_is_no_success() -> None:
    assert not is_success(judged(full(), verified=False))


def test_a_demo_in_which_no_surface_said_anything_is_no_success() -> None:
    assert not is_success(judged(FleetFacts()))


def test_one_surface_that_did_nothing_spoils_the_success_of_all() -> None:
    facts = full()
    facts.surfaces["stk"] = SurfaceTally()

    assert not is_success(judged(facts))


@pytest.mark.parametrize("what", ["received", "acked", "executed"])
def test_one_subscriber_that_did_nothing_spoils_the_success_of_all(what: str) -> None:
    facts = full()
    facts.each_subscriber["other"] = SubscriberTally(acked=what != "acked", executed=what != "executed")
    received, tokens = {"friend": 2, "new": int(what != "received")}, {"friend": "token", "new": "other"}

    outcome = result(facts, {}, received, tokens, verified=True)

    assert outcome["missing"] == [f"new {what}"]
    assert not is_success(outcome)


def test_a_subscriber_whose_contracts_are_not_over_yet_is_no_failure() -> None:
    facts = full()
    facts.each_subscriber["other"] = SubscriberTally(acked=1, executed=1)

    assert is_success(result(facts, {}, {"friend": 2, "new": 1}, {"friend": "token", "new": "other"}, verified=True))


def test_a_subscriber_nothing_was_heard_of_is_missing() -> None:
    outcome = result(full(), {}, {"friend": 2, "new": 0}, {"friend": "token"}, verified=True)

    assert outcome["missing"] == ["new received", "new acked", "new executed"]
