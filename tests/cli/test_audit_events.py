"""The ``audit`` command on event contracts: calibration, costs, and why one of them was decided as it was."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import warm_start
from event_journals import EventJournals, cost_verdict, missing, vote

from domain.vocabulary import Mode, Surface

Done = subprocess.CompletedProcess[str]


def audit(home: Path, *words: str, **env: str) -> Done:
    kept = {"PATH": os.environ["PATH"], "HOME": str(home), "COLUMNS": "200", **env}
    return warm_start.command("audit", *words, "--home", str(home), env=kept)


@pytest.fixture
def written(tbot_home: Path) -> Path:
    """A panel's estimates of three contracts, one of them traded and ended, and a dry run's of one more."""
    with EventJournals(tbot_home, Surface.LT) as lt:
        lt.call("claude", cost="0.0400")
        traded = lt.trade("A", price="0.5", model="0.9", blended="0.8", votes=(vote("claude", "0.9"),))
        lt.estimate("B", price="0.5", votes=(vote("claude", "0.6"),), more=(cost_verdict("5"),))
        lt.estimate("C", missing=(missing("claude", "timeout"),), model=None)
        lt.resolve(traded, "1")
        lt.end("A", "1")
    with EventJournals(tbot_home, Surface.ST, Mode.DRY_RUN) as st:
        st.estimate("D", method="weather")
    return tbot_home


def test_calibration_shows_each_surface_and_mode(written: Path) -> None:
    done = audit(written, "calibration")

    assert done.returncode == 0
    assert "st, dry_run: no contract has ended yet that can be judged" in done.stdout
    assert "lt, paper: 1 contract judged" in done.stdout
    assert "blended less market: -0.2100 Brier; 1 event can't tell skill from luck" in done.stdout
    assert "the anchor to beat" in done.stdout


def test_calibration_as_json_is_one_object_by_surface(written: Path) -> None:
    facts = json.loads(audit(written, "calibration", "--json").stdout)

    assert facts.keys() == {"st", "lt"}
    [mode] = facts["lt"]["modes"]
    assert mode["newest"][0]["scores"]["blended"]["brier"] == 0.04
    assert mode["attendance"]["claude"] == {"asked": 3, "voted": 2, "cached": 0, "missing": {"timeout": 1}}


def test_calibration_since_a_moment_says_it_and_leaves_out_what_ended_before(written: Path) -> None:
    after = audit(written, "calibration", "--since", "2014-05-07T03:00:30Z", "--surface", "lt", "--json")
    before = audit(written, "calibration", "--since", "2014-05-07T02:00Z", "--surface", "lt", "--json")

    assert "since 2014-05-07T03:00:30+00:00" in after.stderr
    assert json.loads(after.stdout)["lt"]["modes"][0]["newest"] == []
    assert json.loads(before.stdout)["lt"]["modes"][0]["contracts"]["judged"] == 1


def test_cost_shows_calls_decisions_and_the_fleet(written: Path) -> None:
    done = audit(written, "cost")
    facts = json.loads(audit(written, "cost", "--json").stdout)

    assert done.returncode == 0
    assert "lt, paper: 1 call, 1 answered, 0.0400 USD" in done.stdout
    assert "0.0133 USD a decision (3)" in done.stdout
    assert "0.0400 USD an admitted trade (1)" in done.stdout
    assert "budgets as decisions last met them: day 5 USD" in done.stdout
    assert done.stdout.splitlines()[-1] == "fleet: 1 call, 1 answered, 0.0400 USD"
    assert facts["fleet"]["total"] == "0.0400"
    assert facts["surfaces"]["lt"]["modes"][0]["by_day_and_model"][0]["model"] == "claude"


def test_no_report_writes_anything(written: Path) -> None:
    before = {path: path.read_bytes() for path in written.rglob("*") if path.is_file()}

    for words in (("calibration",), ("cost",), ("report",)):
        audit(written, *words)

    assert {path: path.read_bytes() for path in written.rglob("*") if path.is_file()} == before


def test_a_decisions_details_stand_indented_below_it(written: Path) -> None:
    records = json.loads(audit(written, "report", "--json").stdout)
    nearest = records["lt"]["nearest_misses"]["edge"]["decision"]

    lines = audit(written, "why", nearest).stdout.splitlines()

    assert lines[0].endswith("refused: EDGE at gate edge (300 against 400 bp), passed 2 of 3")
    assert all(line.startswith("    ") for line in lines[1:])
    assert "    vote: claude 60.0%, weight 1, 812 tokens in and 140 out, 0.0041 USD" in lines


@pytest.mark.parametrize("command", ["calibration", "cost"])
def test_a_home_without_event_contracts_says_so(tbot_home: Path, command: str) -> None:
    done = audit(tbot_home, command)

    assert done.returncode == 0
    assert done.stdout in (
        "no event contract has been estimated yet\n",
        "no surface has paid for an estimate yet\n",
    )
    assert json.loads(audit(tbot_home, command, "--json").stdout).keys() <= {"surfaces", "fleet"}


@pytest.mark.parametrize("command", ["calibration", "cost"])
def test_wrong_words_are_refused_with_what_to_do(written: Path, tmp_path: Path, command: str) -> None:
    surface = audit(written, command, "--surface", "lit")
    moment = audit(written, command, "--since", "soon")
    nowhere = audit(tmp_path / "nothing", command)

    assert [done.returncode for done in (surface, moment, nowhere)] == [2, 2, 2]
    assert "did you mean 'lt'?" in surface.stderr
    assert "tbot demo" in nowhere.stderr


def test_damaged_journals_are_said_instead_of_a_traceback(written: Path) -> None:
    segment = written / "logs" / "lt" / "decisions" / "000001.jsonl"
    segment.write_bytes(segment.read_bytes().replace(b'"kind":"decision"', b'"kind":decision"'))

    for command in ("calibration", "cost"):
        done = audit(written, command)
        assert done.returncode == 70
        assert "Traceback" not in done.stderr
