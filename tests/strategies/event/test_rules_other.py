"""Long-term questions and games: one sentence, one deadline, a named source."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from domain.contract import Contract, RuleKind, SettlementRule, Unread
from strategies.event.rules import read_rule

Maker = Callable[..., Contract]


def test_a_question_is_read_with_its_deadline_and_source(question: Maker) -> None:
    rule = read_rule(question())

    assert isinstance(rule, SettlementRule), rule.reason
    assert rule.kind is RuleKind.STATEMENT
    assert rule.subject == "the Federal Reserve lowers its target rate before Dec 31, 2026"
    assert rule.source == "the Federal Reserve"
    assert rule.ends_at == datetime(2026, 12, 31, tzinfo=UTC)
    assert "cancelled" in rule.void


def test_by_a_day_includes_that_day(question: Maker) -> None:
    rule = read_rule(question(rules_primary=question().rules_primary.replace("before Dec", "by Dec")))

    assert isinstance(rule, SettlementRule), rule.reason
    assert rule.ends_at == datetime(2027, 1, 1, tzinfo=UTC)


def test_the_venues_list_of_sources_counts_where_the_text_names_none(question: Maker) -> None:
    silent = {"rules_secondary": "If the meeting is cancelled, the market resolves to No."}

    rule = read_rule(question(**silent, settlement_sources=("Reuters",)))

    assert isinstance(rule, SettlementRule), rule.reason
    assert rule.source == "Reuters"
    assert isinstance(read_rule(question(**silent)), Unread)


MUTATIONS = {
    "no deadline": {"rules_primary": (" before Dec 31, 2026", "")},
    "two deadlines": {"rules_primary": ("before Dec 31, 2026", "after a vote on Nov 4, 2026 and before Dec 31, 2026")},
    "a deadline after the venue's": {"rules_primary": ("Dec 31, 2026", "Dec 31, 2029")},
    "a deadline before the opening": {"rules_primary": ("Dec 31, 2026", "Dec 31, 2025")},
    "another deadline than the ticker's": {"rules_primary": ("Dec 31, 2026", "Nov 30, 2026")},
    "no outcome": {"rules_primary": (", then the market resolves to Yes", "")},
    "no void rule": {"rules_secondary": (" If the meeting is cancelled, the market resolves to No.", "")},
    "discretion": {"rules_secondary": ("The outcome", "Disputes are at the sole discretion of staff. The outcome")},
    "an exception": {"rules_secondary": ("The outcome", "An emergency cut settles nothing. The outcome")},
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_question_that_leaves_something_open_is_unread(question: Maker, name: str) -> None:
    whole = question()
    changes = {}
    for field, (found, put) in MUTATIONS[name].items():
        assert found in getattr(whole, field)
        changes[field] = getattr(whole, field).replace(found, put)

    assert isinstance(read_rule(question(**changes)), Unread)


def test_a_strike_without_a_text_that_has_one_is_unread(question: Maker) -> None:
    assert isinstance(read_rule(question(strike_type="greater", floor_strike=Decimal(3))), Unread)


def test_a_text_too_long_for_a_rule_is_unread(question: Maker) -> None:
    assert isinstance(read_rule(question(rules_secondary="word " * 10_000)), Unread)


ENDLESS = (
    "If " + "a wins the b at c game ",
    "If a wins the b at " + "c game ",
    "high ",
    "If the highest temperature recorded in " + "x for May 11, 2026 ",
    "If the mean price of " + "b before 5 PM EDT ",
    "If the price of b is above " + "1,",
    "If x by " + "May ",
    'If the answer to the question "' + '" is yes, then ',
    "According to no report, unless ",
)


@pytest.mark.parametrize("words", ENDLESS)
@pytest.mark.parametrize("field", ["rules_primary", "rules_secondary"])
def test_no_text_keeps_the_linter_busy(question: Maker, field: str, words: str) -> None:
    text = words * (7_900 // len(words))
    started = time.process_time()

    read = read_rule(question(**{field: text}, series="KXHIGHNY"))

    assert isinstance(read, Unread)
    assert time.process_time() - started < 2


@pytest.mark.parametrize("team", ["Oklahoma City", "Indiana", "Denver"])
def test_a_game_is_read_for_one_of_its_two_sides(question: Maker, team: str) -> None:
    contract = question(
        ticker="KXNBAGAME-25JUN19OKCIND-OKC", event="KXNBAGAME-25JUN19-OKCIND", series="KXNBAGAME", title="Winner?",
        rules_primary=(
            f"If {team} wins the Oklahoma City at Indiana professional basketball game originally scheduled for "
            "Jun 19, 2025, then the market resolves to Yes."
        ),
        rules_secondary="If this game is postponed, the market will remain open until it has been played.",
        settlement_sources=("NBA",), open_at=datetime(2025, 6, 1, tzinfo=UTC),
        close_at=datetime(2025, 6, 20, 4, tzinfo=UTC),
    )  # fmt: skip

    rule = read_rule(contract)

    if team == "Denver":
        assert isinstance(rule, Unread)
    else:
        assert isinstance(rule, SettlementRule), rule.reason
        assert (rule.kind, rule.subject) == (RuleKind.GAME, f"{team} wins")
        assert rule.location == "Oklahoma City at Indiana"
