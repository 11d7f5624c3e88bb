"""The simulated vendors, started once, and a bench for each test that asks them a question of its own."""

from collections.abc import Iterator

import pytest
from models_sim import ModelsSim
from panel_rig import Bench


@pytest.fixture(scope="session")
def sim() -> Iterator[ModelsSim]:
    running = ModelsSim()
    # The SDKs are loaded here, once, so that no test measures that.
    bench = Bench(running)
    bench.panel().ask(bench.question)
    bench.close()
    yield running
    running.stop()


@pytest.fixture
def bench(sim: ModelsSim) -> Iterator[Bench]:
    made = Bench(sim)
    yield made
    made.close()
