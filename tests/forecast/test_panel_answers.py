"""How the one number is read, and how samples of one model become its opinion."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecast.answers import LONGEST, Reason, Reply, middle, read_probability


@pytest.mark.parametrize(
    ("text", "probability"),
    [
        ('{"probability": 0.37}', "0.37"),
        ('{"probability": 0}', "0"),
        ('{"probability": 1}', "1"),
        ('{"probability": 1e-3}', "0.001"),
        ('{"probability": 1e-999999}', "0"),
        (' \n{"probability": 0.123456789, "why": "x"}\n', "0.1235"),
    ],
)
def test_a_probability_is_read_in_steps_of_a_ten_thousandth(text: str, probability: str) -> None:
    found = read_probability(Reply(text=text))

    assert found == Decimal(probability)
    assert isinstance(found, Decimal)
    assert found.as_tuple().exponent == -4


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0.37",
        "null",
        "[0.37]",
        "The probability is 0.37",
        '{"probability": "0.37"}',
        '{"probability": "37%"}',
        '{"probability": true}',
        '{"probability": null}',
        '{"probability": NaN}',
        '{"probability": [0.37]}',
        '{"p": 0.37}',
        '{"probability": 0.3',
        '```json\n{"probability": 0.37}\n```',
        "[" * 3_000,
        '{"probability": 0.37}' + " " * LONGEST,
        '{"probability": 1e99999999999999999999999}',
    ],
)
def test_what_is_not_the_form_asked_for_is_malformed(text: str) -> None:
    assert read_probability(Reply(text=text)) is Reason.MALFORMED


@pytest.mark.parametrize("number", ["-0.01", "1.01", "37", "1e999999", "-1e999999", "-1e-999999"])
def test_a_number_that_is_no_probability_is_out_of_range(number: str) -> None:
    assert read_probability(Reply(text=f'{{"probability": {number}}}')) is Reason.OUT_OF_RANGE


@pytest.mark.parametrize("stop", [Reason.TRUNCATED, Reason.REFUSED])
def test_an_answer_the_vendor_calls_unfinished_is_not_read(stop: Reason) -> None:
    assert read_probability(Reply(text='{"probability": 0.37}', stop=stop)) is stop


@given(st.text())
def test_no_text_makes_the_reader_fail(text: str) -> None:
    assert isinstance(read_probability(Reply(text=text)), Decimal | Reason)


def test_one_sample_is_the_opinion_as_it_is() -> None:
    assert middle([Decimal("0.0012")]) == Decimal("0.0012")


def test_samples_meet_in_their_log_odds() -> None:
    assert middle([Decimal("0.2"), Decimal("0.8")]) == Decimal("0.5000")
    assert middle([Decimal("0.5"), Decimal("0.5"), Decimal("0")]) == Decimal("0.1777")


@given(st.lists(st.decimals("0", "1", places=4), min_size=2, max_size=9))
def test_the_middle_lies_between_the_samples_but_never_at_certainty(samples: list[Decimal]) -> None:
    low, high = Decimal("0.01"), Decimal("0.99")
    step = Decimal("0.0001")

    found = middle(samples)

    assert max(low, min(min(samples), high)) - step <= found <= min(high, max(max(samples), low)) + step
