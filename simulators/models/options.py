"""Command line of the simulator."""

import argparse
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from simulators.models.catalogue import PROVIDERS, Catalogue, Model, default_models, invented
from simulators.models.question import Anchors, load_anchors, recorded_anchors
from simulators.oanda.clock import Clock
from simulators.rest.options import OptionError, checked_port, clock_of, json_of, parser_of

_EPILOG = """\
example:
  python -m simulators.models --port 8082 --clock sim:2014-05-06T07:00:00Z@120 --key anthropic:secret

A provider without --key takes the key simulated-<provider>-key. Base urls for the SDKs:
  Anthropic http://127.0.0.1:PORT/anthropic     OpenAI   http://127.0.0.1:PORT/openai/v1
  Gemini    http://127.0.0.1:PORT/gemini        DeepSeek http://127.0.0.1:PORT/deepseek
Every forecast is synthetic. Fault actions, models and how forecasts are drawn: simulators/README.md."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the simulator was started with; ``keys`` are provider -> keys."""

    port: int
    clock: Clock
    keys: dict[str, frozenset[str]]
    catalogue: Catalogue
    anchors: Anchors
    latency_scale: float
    faults: Path | None


def _parser() -> argparse.ArgumentParser:
    parser = parser_of("simulators.models", "Language-model APIs on loopback, with synthetic forecasts.", _EPILOG)
    parser.add_argument("--key", action="append", default=[], metavar="PROVIDER:KEY", help="a key; repeatable")
    parser.add_argument("--keys", type=Path, help="JSON object, provider -> key or list of keys")
    parser.add_argument("--models", type=Path, help="JSON object, provider -> list of model ids to serve")
    parser.add_argument(
        "--anchors", help="JSON object, question -> the crowd's probability; 'recorded' for the bundled freeze prices"
    )
    parser.add_argument("--latency-scale", type=float, default=0.01, help="share of real waiting times (default 0.01)")
    return parser


def parse_options(arguments: list[str] | None = None) -> Options:
    """Read the command line and TBOT_CLOCK.

    Raises:
        OptionError, ClockError, AnchorError: an option cannot be used; the message says what was expected.
    """
    parsed = _parser().parse_args(arguments)
    if not 0 <= parsed.latency_scale <= 100:
        raise OptionError(f"--latency-scale: expected a number from 0 to 100; found {parsed.latency_scale}")
    return Options(
        port=checked_port("--port", parsed.port),
        clock=clock_of(parsed),
        keys=_keys(parsed.key, parsed.keys),
        catalogue=_catalogue(parsed.models),
        anchors=_anchors(parsed.anchors),
        latency_scale=parsed.latency_scale,
        faults=parsed.faults,
    )


def _anchors(source: str | None) -> Anchors:
    """Return what the crowd said: nothing, the bundled prices from before each question closed, or a file's."""
    if source is None:
        return Anchors()
    return recorded_anchors() if source == "recorded" else load_anchors(Path(source))


def _keys(specs: list[str], file: Path | None) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for spec in specs:
        provider, _, key = spec.partition(":")
        if provider not in PROVIDERS or not key:
            # the key stands in the text, so the text is not repeated
            raise OptionError(f"--key: expected PROVIDER:KEY with one of {', '.join(PROVIDERS)}")
        found[provider].add(key)
    for provider, value in _by_provider("--keys", file):
        keys = value if isinstance(value, list) else [value]
        if not all(isinstance(key, str) and key for key in keys):
            raise OptionError(f"--keys: expected a text or a list of texts for {provider}")
        found[provider].update(keys)
    return {provider: frozenset(found[provider] or {f"simulated-{provider}-key"}) for provider in PROVIDERS}


def _catalogue(file: Path | None) -> Catalogue:
    models = default_models()
    for provider, items in _by_provider("--models", file):
        if not isinstance(items, list) or not items:
            raise OptionError(f"--models: expected a list of ids for {provider}; found {items!r}")
        served = [_model(provider, item, models[provider]) for item in items]
        retired = {name: model for name, model in models[provider].items() if model.retired}
        models[provider] = retired | {model.id: model for model in served}
    return Catalogue(models)


def _model(provider: str, item: Any, known: dict[str, Model]) -> Model:
    if isinstance(item, str) and item:
        model = known.get(item)
        # naming a retired model brings it back
        return invented(provider, item) if model is None or model.retired else model
    names = {"id", "input_usd", "output_usd"}
    if not isinstance(item, dict) or set(item) != names:
        raise OptionError(f"--models: expected an id or an object with {', '.join(sorted(names))}; found {item!r}")
    try:
        Decimal(str(item["input_usd"])), Decimal(str(item["output_usd"]))
    except InvalidOperation as exc:
        raise OptionError(f"--models: expected USD per million tokens for {item['id']}; found {item!r}") from exc
    return invented(provider, str(item["id"]), str(item["input_usd"]), str(item["output_usd"]))


def _by_provider(option: str, file: Path | None) -> Iterable[tuple[str, Any]]:
    if file is None:
        return []
    found = json_of(option, file, "a JSON object")
    if not isinstance(found, dict) or not found.keys() <= set(PROVIDERS):
        raise OptionError(f"{option}: expected a JSON object in {file} with keys out of {', '.join(PROVIDERS)}")
    return found.items()
