"""The real feed and the real client with a link between them that loses, doubles and garbles."""

import importlib.util
import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.contract
SOURCE = Path(__file__).parents[2] / "client" / "tests" / "support" / "flaky_link.py"


@pytest.fixture
def link(stage: Any) -> Iterator[Any]:
    """Return the client's own flaky link before the feed; the file is loaded by its place, being of another project."""
    spec = importlib.util.spec_from_file_location("flaky_link", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    link = module.FlakyLink(stage.feed.url, rate=0.2, seed=11)
    yield link
    link.close()


def publish(stage: Any, link: Any, polls: int) -> list[str]:
    """Publish opens, amends and ends until so many polls have passed; every signal is ended."""
    signals: list[str] = []
    seen, deadline = 0, time.monotonic() + 60 + polls
    while link.polls < polls:
        assert time.monotonic() < deadline, f"only {link.polls} polls"
        if link.polls - seen < 10:
            time.sleep(0.01)
            continue
        seen = link.polls
        signals.append(stage.publisher.open())
        if len(signals) % 2:
            stage.publisher.amend(signals[-1])
        if len(signals) > 3:
            stage.publisher.end(signals[-4])
    for one in signals[-3:]:
        stage.publisher.end(one)
    return signals


@pytest.mark.timeout(3600)  # the full dose takes minutes
@pytest.mark.proves("row 25", "F1", "C1")
def test_each_signal_is_executed_once_and_each_report_is_stored_once(
    stage: Any, link: Any, dose: Callable[[int, int], int]
) -> None:
    polls = dose(100, 10_000)
    subscriber = stage.subscriber("--wait-s=0", "--max-open=1000")
    config = subscriber.home / "config.toml"
    text = config.read_text().replace(stage.feed.url, link.url)
    config.write_text(text.replace("[poll]\n", "[poll]\nretry_s = 0.05\nretry_max_s = 0.2\n"))
    process = subscriber.start()
    try:
        stage.until("the client to poll", lambda: link.polls > 2)
        signals = publish(stage, link, polls)
        stage.until("all reports", lambda: all(is_over(stage, one) for one in signals), 90)
        stage.until("all answers to reports", lambda: subscriber.status()["outbox"] == 0)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()

    traded = [one for one in signals if stage.stages(one) != ["ack"]]
    records = list(map(json.loads, (subscriber.home / "paper.jsonl").read_text().splitlines()))
    kinds = Counter(record["kind"] for record in records)
    orders = Counter(record["client_id"] for record in records if record["kind"] == "opened")
    assert sum(n for fault, n in link.happened.items() if fault) > polls / 10
    assert set(orders.values()) == {1}
    assert len(orders) == kinds["closed"] == len(traded) > 0
    assert [stage.stages(one) for one in traded] == [["ack", "executed", "resolved"]] * len(traded)
    status = subscriber.status()
    assert (status["disputed"], status["distrust"], status["outbox"], status["positions"]) == ([], "", 0, [])


def is_over(stage: Any, signal_id: str) -> bool:
    """Tell whether all reports of a signal are there: three, or a skip because its end came first."""
    reports = stage.reports(signal_id)
    return len(reports) == 3 or [report.get("decision") for report in reports] == ["skip"]
