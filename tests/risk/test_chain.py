"""The chain as data, what it says together, and the purity of the folder."""

import ast
from decimal import Decimal
from pathlib import Path

from domain.vocabulary import Code, Gate
from risk.chain import CHAIN, funnel, nearest_miss

D = Decimal
FOLDER = Path(__file__).parents[2] / "risk"
ALLOWED = {"collections", "dataclasses", "datetime", "decimal", "enum", "typing", "domain", "risk"}


def test_chain_has_the_order_of_the_vocabulary():
    assert list(Gate) == [step.gate for step in CHAIN]
    assert [gate.value for gate in Gate] == [step.ask.__name__ for step in CHAIN]


def test_sound_trade_passes_every_gate_with_numbers_and_unit(case):
    outcome = case.decide()

    assert (outcome.admitted, outcome.code) == (True, None)
    assert list(Gate) == [verdict.gate for verdict in outcome.verdicts]
    assert all(verdict.passed and verdict.unit and verdict.value.is_finite() for verdict in outcome.verdicts)


def test_free_gates_are_asked_after_a_refusal_and_the_cost_gate_is_not(case):
    outcome = case.but(state={"stop_files": ("logs/STOP",)}, estimate={"edge_bp": D(1)}).decide()

    assert outcome.code == Code.STOPPED
    assert [False, *[True] * 6, False, True, None] == [verdict.passed for verdict in outcome.verdicts]


def test_cost_gate_is_asked_when_nothing_refused_before(case):
    outcome = case.but(state={"spent_day_usd": D(5)}).decide()

    assert (outcome.code, outcome.verdicts[-1].passed) == (Code.COST, False)


def test_nearest_miss_is_the_refusal_closest_to_its_limit(case):
    outcome = case.but(estimate={"edge_bp": D("1.9"), "confidence": D("0.3")}, state={"market_open": False}).decide()

    assert outcome.code == Code.MARKET_CLOSED
    assert nearest_miss(outcome.verdicts).code == Code.EDGE


def test_nothing_is_missed_when_all_pass(case):
    assert nearest_miss(case.decide().verdicts) is None


def test_funnel_adds_up_to_all_candidates(case):
    weak = case.but(estimate={"edge_bp": D(1), "confidence": D(0)}).decide()
    shut = case.but(state={"market_open": False}).decide()
    passages = funnel([case.decide(), weak, shut, weak])

    assert {
        gate: (entered, refused)
        for gate, entered, refused in passages
        if gate in ("direction", "category", "edge", "confidence", "cost")
    } == {"direction": (4, 1), "category": (3, 0), "edge": (3, 2), "confidence": (1, 0), "cost": (1, 0)}
    assert sum(passage.refused for passage in passages) + 1 == 4


def test_funnel_of_nothing_is_empty_at_every_gate():
    assert [passage[1:] for passage in funnel([])] == [(0, 0)] * 10


def test_folder_imports_nothing_that_could_touch_the_world():
    found = {
        (node.module if isinstance(node, ast.ImportFrom) else alias.name).split(".")[0]
        for path in FOLDER.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }

    assert found <= ALLOWED


def test_folder_keeps_no_state_and_asks_no_clock():
    called = {"now", "today", "utcnow", "open", "print"}
    for path in FOLDER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not isinstance(node, ast.Global | ast.Nonlocal), path
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                assert name not in called, f"{path}:{node.lineno}"
