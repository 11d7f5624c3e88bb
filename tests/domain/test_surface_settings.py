"""Real money needs three keys, and the error names those that are missing."""

from itertools import product

import pytest

from domain.errors import Misconfigured
from domain.surface_settings import OrderHost, SurfaceSettings, require_armed
from domain.vocabulary import Mode, Surface

ACCOUNT = "001-001-1234567-001"
LIVE = SurfaceSettings(mode=Mode.LIVE, live=True, live_account=ACCOUNT)


def arm(settings, *, is_real=True, arm_text=f"{ACCOUNT}\n"):
    chosen = "live" if is_real else "practice"
    host = OrderHost(account_id=ACCOUNT, chosen=chosen, key="OANDA_ENVIRONMENT", practice="practice", live="live")
    require_armed(settings, Surface.FX, host, arm_text=arm_text)


@pytest.mark.parametrize(("flag", "account", "file"), [*product([True, False], repeat=3)])
def test_live_trading_needs_three_keys_and_each_missing_one_is_named(flag, account, file):
    settings = SurfaceSettings(mode=Mode.LIVE, live=flag, live_account=ACCOUNT if account else None)
    arm_text = ACCOUNT if file else None
    named = {"FX_LIVE=true": flag, f"FX_LIVE_ACCOUNT={ACCOUNT}": account, f"state/fx.armed holding {ACCOUNT}": file}

    if all(named.values()):
        arm(settings, arm_text=arm_text)
        return
    with pytest.raises(Misconfigured) as caught:
        arm(settings, arm_text=arm_text)

    assert caught.value.found == "missing " + "; ".join(key for key, given in named.items() if not given)


@pytest.mark.parametrize("arm_text", ["", "001-001-7654321-001", f"{ACCOUNT}1"])
def test_an_arm_file_for_another_account_does_not_arm(arm_text):
    with pytest.raises(Misconfigured, match=r"state/fx\.armed"):
        arm(LIVE, arm_text=arm_text)


def test_a_live_account_that_is_not_the_one_connected_to_does_not_arm():
    with pytest.raises(Misconfigured, match="FX_LIVE_ACCOUNT"):
        arm(SurfaceSettings(mode=Mode.LIVE, live=True, live_account="other"))


def test_paper_and_dry_run_need_no_key():
    arm(SurfaceSettings(mode=Mode.PAPER), is_real=False, arm_text=None)
    arm(SurfaceSettings(mode=Mode.DRY_RUN), is_real=True, arm_text=None)


def test_paper_refuses_the_live_host_and_live_the_practice_host():
    with pytest.raises(Misconfigured, match=r"a practice host with FX_MODE=paper.*set OANDA_ENVIRONMENT=practice"):
        arm(SurfaceSettings(mode=Mode.PAPER), is_real=True)
    with pytest.raises(Misconfigured, match=r"the live host with FX_MODE=live.*set OANDA_ENVIRONMENT=live"):
        arm(LIVE, is_real=False)


def test_the_defaults_send_no_order():
    settings = SurfaceSettings()

    assert settings.mode is Mode.DRY_RUN
    assert settings.live is False
    assert settings.live_account is None


@pytest.mark.parametrize(
    "wrong", [{"markets": ()}, {"loop_s": 0}, {"signal_ttl_s": 0}, {"max_holding_hours": 0}, {"reconcile_s": -1}]
)
def test_settings_that_would_never_trade_or_never_wait_are_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        SurfaceSettings(**wrong)
