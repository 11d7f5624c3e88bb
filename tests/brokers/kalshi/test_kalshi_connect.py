"""The choice of executor that a mode stands for, with Kalshi's prices."""

from decimal import Decimal

import pytest

from brokers.connect import connect_kalshi
from brokers.dry_run.executor import DryRunExecutor
from brokers.kalshi.client import KalshiExecutor
from domain.errors import Misconfigured
from domain.settings import Secret
from domain.vocabulary import Mode, OrderState

D = Decimal


def test_dry_run_trades_on_the_venues_prices_and_sends_it_no_order(venue, entry):
    data, executor = connect_kalshi(Mode.DRY_RUN, venue.config(), venue.clock, balance=D(500), currency="USD")
    intent = entry(venue.clock)
    (event,) = executor.submit(intent)
    quote = data.quotes([intent.market])[intent.market]
    fills = executor.settle(intent.market, D(1), venue.clock.now())
    data.close()

    assert isinstance(executor, DryRunExecutor)
    assert (event.state, event.price) == (OrderState.FILLED, quote.ask)
    assert fills[0].realised == (1 - event.price) * 10
    assert venue.requests("POST", "") == []


def test_paper_trades_at_the_venue(venue):
    data, executor = connect_kalshi(Mode.PAPER, venue.config(), venue.clock, balance=D(500), currency="USD")
    account = executor.account()
    data.close()
    executor.close()

    assert isinstance(executor, KalshiExecutor)
    assert (account.account_id, account.balance, account.currency) == (venue.key_id, D(1000), "USD")


def test_account_has_the_name_it_was_given(venue):
    _, executor = venue.connect(account_id="my-account")

    assert executor.account().account_id == "my-account"


def test_key_that_cannot_be_read_is_misconfigured_at_once(venue):
    config = venue.config(private_key=Secret("no key"))

    with pytest.raises(Misconfigured, match="RSA private key in PEM form"):
        connect_kalshi(Mode.PAPER, config, venue.clock, balance=D(500), currency="USD")
