"""What a new home's settings are made of: options given, environment, and answers typed at a prompt.

A wrong answer is asked for again at once. Where nobody can be asked, all that is missing or wrong is named together.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from tbot_client import allowed
from tbot_client.allowed import Allowed
from tbot_client.book import say
from tbot_client.config import DEAD_MAN, KINDS
from tbot_client.errors import Misconfigured
from tbot_client.newhome import Answers

_NEVER_ASKED = {
    "token_file": allowed.TOKEN_FILE,
    "broker_token_file": allowed.TOKEN_FILE,
    "api_url": allowed.ADDRESS,
    "stream_url": allowed.ADDRESS,
    "max_open": allowed.NUMBER,
    "max_drift_bp": allowed.NUMBER,
    "max_age_s": allowed.NUMBER,
    "daily_loss": allowed.NUMBER,
    "dead_man": allowed.one_of(*DEAD_MAN),
    "dead_man_s": allowed.SILENCE,
    "clock": allowed.CLOCK,
    "wait_s": allowed.POLL_WAIT,
    "broker_s": allowed.BROKER_WAIT,
}
_LIMITS = ("max_drift_bp", "max_age_s", "daily_loss", "dead_man", "dead_man_s")
_SIZES = {"fixed": allowed.ABOVE_ZERO, "fraction": allowed.ABOVE_ZERO, "risk": allowed.PART}


def answers(given: Mapping[str, Any]) -> Answers:
    """Turn the options of `init` into sections, asking for what is missing or wrong unless told not to.

    Raises:
        Misconfigured: options are missing or wrong and nobody can be asked for them; it names every one.
    """
    asker = _Asker(given)
    kind = asker.ask("broker", f"Broker ({', '.join(KINDS)})", allowed.one_of(*KINDS), "paper")
    sections: Answers = {
        "feed": _feed(given, asker),
        "broker": _broker(given, asker, kind),
        "size": _size(given, asker),
        "filters": {"instruments": given["instrument"] or []},
        "limits": {name: given[name] for name in _LIMITS},
        "clock": {"spec": given["clock"]},
        "poll": {"wait_s": given["wait_s"], "broker_s": given["broker_s"]},
    }
    asker.settle()
    return sections


class _Asker:
    """Takes each answer from its option or the prompt, and keeps what is wrong with those it can't ask for."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given
        self._is_silent = bool(given["non_interactive"])
        self._problems = [
            _problem(_option(name), str(given[name]), may_be)
            for name, may_be in _NEVER_ASKED.items()
            if given[name] != "" and not may_be.fits(str(given[name]))
        ]
        if not self._is_silent:
            self.settle()

    def ask(self, option: str, question: str, may_be: Allowed, default: str = "") -> str:
        """Return the answer to an option that is asked for when it is not given."""
        return self._answer(_option(option), self._given[option], question, may_be, default)

    def secret(self, variable: str, file_option: str, question: str) -> str:
        """Return a token from the environment or a hidden prompt; empty when a file holds it."""
        if self._given[file_option]:
            return ""
        name = f"{variable} in the environment, or {_option(file_option)}"
        return self._answer(name, os.environ.get(variable, ""), question, allowed.TOKEN, hidden=True)

    def path(self, variable: str, option: str, question: str, may_be: Allowed) -> str:
        """Return the name of a file from its option, the environment or the prompt."""
        name = f"{_option(option)}, or {variable} in the environment"
        return self._answer(name, self._given[option] or os.environ.get(variable, ""), question, may_be)

    def require(self, option: str, may_be: Allowed) -> None:
        """Refuse an option that is never asked for, unless it fits."""
        if not may_be.fits(self._given[option]):
            self._problems.append(_problem(_option(option), self._given[option], may_be))

    def _answer(
        self, name: str, text: str, question: str, may_be: Allowed, default: str = "", *, hidden: bool = False
    ) -> str:
        if self._is_silent:
            text = text or default
            if not may_be.fits(text):
                self._problems.append(_problem(name, "a wrong one" if text and hidden else text, may_be))
            return text
        while not may_be.fits(text):
            if text:
                say(f"It must be {may_be.words}.")
            text = str(typer.prompt(question, default=default or None, hide_input=hidden)).strip()
        return text

    def settle(self) -> None:
        """Name all problems there are, together.

        Raises:
            Misconfigured: there is one at least.
        """
        if self._problems:
            listed = "\n  ".join(self._problems)
            found = f"{len(self._problems)} missing or wrong"
            raise Misconfigured(
                "options that make a whole config.toml", found, f"nothing was written; give\n  {listed}"
            )


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _problem(name: str, text: str, may_be: Allowed) -> str:
    return f"{name}: {may_be.words} (found {repr(text) if text else 'nothing'})"


def _feed(given: Mapping[str, Any], asker: _Asker) -> dict[str, Any]:
    return {
        "url": asker.ask("feed_url", "Feed address (https://…)", allowed.ADDRESS),
        "token": asker.secret("TBOT_FEED_TOKEN", "token_file", "Feed token"),
        "token_file": _absolute(given["token_file"]),
        "surfaces": given["surface"] or [],
        "publisher_keys": given["publisher_key"] or [],
        "require_signatures": False if given["unsigned"] else None,
    }


def _broker(given: Mapping[str, Any], asker: _Asker, kind: str) -> dict[str, Any]:
    if kind == "kalshi":
        return _kalshi(given, asker)
    if kind == "ibkr":
        return _ibkr(given, asker)
    if kind != "oanda":
        return {"kind": kind}
    return {
        "kind": kind,
        "account_id": asker.ask("account_id", "Account number", allowed.ACCOUNT),
        "token": asker.secret("TBOT_BROKER_TOKEN", "broker_token_file", "Broker token"),
        "token_file": _absolute(given["broker_token_file"]),
        "api_url": given["api_url"],
        "stream_url": given["stream_url"],
    }


def _kalshi(given: Mapping[str, Any], asker: _Asker) -> dict[str, Any]:
    if given["api_url"]:
        asker.require("api_url", allowed.KALSHI_ADDRESS)
    return {
        "kind": "kalshi",
        "account_id": asker.ask("account_id", "Id of your API key", allowed.KEY_ID),
        "key_file": _absolute(
            asker.path("TBOT_BROKER_KEY_FILE", "broker_key_file", "File with its private key", allowed.KEY_FILE)
        ),
        "api_url": given["api_url"],
    }


def _ibkr(given: Mapping[str, Any], asker: _Asker) -> dict[str, Any]:
    """No secret is asked for: a person logs in to the gateway."""
    if given["api_url"]:
        asker.require("api_url", allowed.PORTAL_ADDRESS)
    return {
        "kind": "ibkr",
        "account_id": asker.ask("account_id", "Account number at IBKR (U… or DU…)", allowed.ACCOUNT),
        "api_url": given["api_url"],
        "insecure": True if given["insecure"] else None,
    }


def _size(given: Mapping[str, Any], asker: _Asker) -> dict[str, Any]:
    rule = asker.ask("size_rule", "Size rule (fixed, fraction, risk)", allowed.one_of(*_SIZES), "fixed")
    is_fixed = rule == "fixed"
    may_be = _SIZES.get(rule, allowed.ABOVE_ZERO)
    value = asker.ask("size_value", "Units" if is_fixed else "Fraction of equity", may_be)
    most = asker.ask("max_units", "Never more units than", allowed.ABOVE_ZERO, value if is_fixed else "")
    name = "units" if is_fixed else "fraction"
    return {"rule": rule, name: value, "max_units": most, "max_open": given["max_open"]}


def _absolute(file: str) -> str:
    return str(Path(file).expanduser().absolute()) if file else ""
