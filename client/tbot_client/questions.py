"""What a new home's settings are made of: options given, environment, and answers typed at a prompt."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import typer

from tbot_client.errors import Misconfigured
from tbot_client.newhome import Answers

Ask = Callable[..., str]


def answers(given: Mapping[str, Any]) -> Answers:
    """Turn the options of `init` into sections, asking for what is missing unless told not to.

    Raises:
        Misconfigured: a token is in none of the places it may come from.
    """
    ask = _asker(silent=given["non_interactive"])
    kind = ask("Broker (oanda, paper)", given["broker"], "paper")
    return {
        "feed": _feed(given, ask),
        "broker": _broker(given, ask, kind),
        "size": _size(given, ask),
        "filters": {"instruments": given["instrument"] or []},
        "limits": {name: given[name] for name in ("max_drift_bp", "max_age_s", "daily_loss")},
        "clock": {"spec": given["clock"]},
        "poll": {"wait_s": given["wait_s"], "broker_s": given["broker_s"]},
    }


def _asker(*, silent: bool) -> Ask:
    def ask(name: str, given: str, default: str = "", *, hidden: bool = False) -> str:
        if given or silent:
            return given or default
        return str(typer.prompt(name, default=default or None, hide_input=hidden))

    return ask


def _feed(given: Mapping[str, Any], ask: Ask) -> dict[str, Any]:
    return {
        "url": ask("Feed address (https://…)", given["feed_url"]),
        "token": _secret("Feed token", "TBOT_FEED_TOKEN", given["token_file"], ask),
        "token_file": _absolute(given["token_file"]),
        "surfaces": given["surface"] or [],
    }


def _broker(given: Mapping[str, Any], ask: Ask, kind: str) -> dict[str, Any]:
    if kind != "oanda":
        return {"kind": kind}
    return {
        "kind": kind,
        "account_id": ask("Account number", given["account_id"]),
        "token": _secret("Broker token", "TBOT_BROKER_TOKEN", given["broker_token_file"], ask),
        "token_file": _absolute(given["broker_token_file"]),
        "api_url": given["api_url"],
        "stream_url": given["stream_url"],
    }


def _size(given: Mapping[str, Any], ask: Ask) -> dict[str, Any]:
    rule = ask("Size rule (fixed, fraction, risk)", given["size_rule"], "fixed")
    is_fixed = rule == "fixed"
    value = ask("Units" if is_fixed else "Fraction of equity", given["size_value"])
    most = ask("Never more units than", given["max_units"], value if is_fixed else "")
    name = "units" if is_fixed else "fraction"
    return {"rule": rule, name: value, "max_units": most, "max_open": given["max_open"]}


def _secret(name: str, variable: str, file: str, ask: Ask) -> str:
    if file:
        return ""
    token = ask(name, os.environ.get(variable, ""), hidden=True)
    if not token:
        raise Misconfigured(f"{variable} or a token file", "neither", "a token is never taken as an argument")
    return token


def _absolute(file: str) -> str:
    return str(Path(file).expanduser().absolute()) if file else ""
