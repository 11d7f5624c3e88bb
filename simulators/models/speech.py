"""What a simulated model writes: a labelled rationale, and values for the fields of a schema."""

import json
import re
from dataclasses import dataclass
from typing import Any

from simulators.models.wire import LABEL, Json

_PROBABILITY = re.compile(r"prob|p_?yes|likelihood|chance|forecast|estimate|^p$", re.IGNORECASE)
_AGAINST = re.compile(r"(^|_)no($|_)", re.IGNORECASE)
_REASONS = re.compile(r"reason|rational|explan|justif|analys|thought|summary|comment|why", re.IGNORECASE)
_PERCENT = re.compile(r"percent|0\s*(?:to|-|–)\s*100", re.IGNORECASE)
_BRIEF = re.compile(r"\bbrief|\bshort|\bconcise|\bsentences?\b|\bfew words", re.IGNORECASE)
_BLOCK = re.compile(r"\{[^{}]*\}")
_KEY = re.compile(r'"(\w+)"\s*:')
BRIEF_TOKENS = 60
_SENTENCES = (
    "The starting point is how often questions of this form come out as yes.",
    "The time that is left before the deadline weighs against anything that is not under way already.",
    "A simulator has no news, so nothing is known here beyond the wording and the numbers in the prompt.",
    "The rules of settlement leave some room, which speaks for less than full confidence.",
    "Whatever is the case today is likely to be the case at the end as well.",
    "A surprise would have to come from outside of what the question names.",
    "Both outcomes can be told as a story; that is no reason to take them for equally likely.",
    "Where a price or a base rate stands in the prompt, the number has moved towards it.",
    "Other forecasters are likely to see the same evidence and to err in the same direction.",
    "The number is drawn, not reasoned: it follows the spread that real models have shown on such questions.",
)


@dataclass(frozen=True, slots=True)
class Voice:
    """What there is to say: the probability, and a rationale of so many characters."""

    probability: float
    length: int

    @property
    def rationale(self) -> str:
        """Return the rationale; its first words are the label."""
        text = f"[{LABEL}] The chance of yes is put at {self.probability:.2f}."
        index = round(self.probability * 100)
        while len(text) < self.length:
            text += " " + _SENTENCES[index % len(_SENTENCES)]
            index += 1
        return text


def wants_brief(prompt: str) -> bool:
    """Tell whether a prompt asks for few words."""
    return _BRIEF.search(prompt) is not None


def prose(voice: Voice) -> str:
    """Return the answer to a prompt that asks for no JSON."""
    return f"{voice.rationale}\n\nProbability: {voice.probability:.2f}"


def loose(voice: Voice, prompt: str) -> Json:
    """Return a JSON object for a prompt that describes its fields in words, in an example or as a schema."""
    schema, example = _described(prompt)
    if schema is not None:
        found: Json = fill(schema, voice)
        return found
    names = example or ["probability", "reasoning"]
    return {name: voice.rationale if _REASONS.search(name) else _number(name, {}, voice) for name in names}


def _described(prompt: str) -> tuple[Json | None, list[str]]:
    decoder, place = json.JSONDecoder(), prompt.find("{")
    while place >= 0:
        try:
            found, _ = decoder.raw_decode(prompt, place)
        except ValueError:
            found = None
        if isinstance(found, dict) and isinstance(found.get("properties"), dict):
            return found, []
        place = prompt.find("{", place + 1)
    examples = (_KEY.findall(block) for block in _BLOCK.findall(prompt))
    return None, next((keys for keys in examples if any(_PROBABILITY.search(key) for key in keys)), [])


def fill(schema: Any, voice: Voice, name: str = "", root: Json | None = None) -> Any:
    """Return a value that a JSON schema (or Gemini's dialect of it) accepts."""
    node = schema if isinstance(schema, dict) else {}
    root = node if root is None else root
    if "$ref" in node:
        target: Any = root
        for key in str(node["$ref"]).removeprefix("#/").split("/"):
            target = target.get(key, {})
        return fill(target, voice, name, root)
    for choice in ("anyOf", "any_of", "oneOf", "allOf"):
        options = [option for option in node.get(choice, []) if option.get("type") not in ("null", "NULL")]
        if options:
            return fill(options[0], voice, name, root)
    if "const" in node:
        return node["const"]
    if node.get("enum"):
        return _chosen(node["enum"], voice)
    return _typed(_type(node), node, voice, name, root)


def _type(node: Json) -> str:
    named = node.get("type", "object" if "properties" in node else "string")
    if isinstance(named, list):
        named = next((item for item in named if item != "null"), "null")
    return str(named).lower()


def _typed(kind: str, node: Json, voice: Voice, name: str, root: Json) -> Any:
    if kind == "object":
        return {key: fill(part, voice, key, root) for key, part in node.get("properties", {}).items()}
    if kind == "array":
        count = max(1, int(node.get("minItems") or node.get("min_items") or 1))
        return [fill(node.get("items", {}), voice, name, root) for _ in range(count)]
    if kind == "number":
        return _number(name, node, voice)
    if kind == "integer":
        return _whole(name, node, voice)
    if kind == "boolean":
        return voice.probability >= 0.5
    if kind == "null":
        return None
    return voice.rationale if _REASONS.search(name) else f"[{LABEL}]"


def _number(name: str, node: Json, voice: Voice) -> float:
    low, high = node.get("minimum"), node.get("maximum")
    scale = 100 if high == 100 or _PERCENT.search(f"{name} {node.get('description', '')}") else 1
    if name and not _PROBABILITY.search(name):
        # some other share, such as a confidence: the further from a coin, the surer
        value = 0.5 + abs(voice.probability - 0.5)
    elif _AGAINST.search(name):
        value = 1 - voice.probability
    else:
        value = voice.probability
    value = round(value * scale, 2)
    value = value if high is None else min(value, high)
    return value if low is None else max(value, low)


def _whole(name: str, node: Json, voice: Voice) -> int:
    low, high = int(node.get("minimum", 0)), int(node.get("maximum", 100))
    if _PROBABILITY.search(name):
        return min(max(round(voice.probability * 100), low), high)
    return low + round(voice.probability * (high - low))


def _chosen(options: list[Any], voice: Voice) -> Any:
    words = {str(option).casefold(): option for option in options}
    if {"yes", "no"} <= words.keys():
        return words["yes" if voice.probability >= 0.5 else "no"]
    return options[min(int(voice.probability * len(options)), len(options) - 1)]


def is_probability(name: str) -> bool:
    """Tell whether a field by its name holds the probability."""
    return _PROBABILITY.search(name) is not None
