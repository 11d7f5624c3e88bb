"""How an answer comes about: the forecast, the text around it, what it costs in tokens and how long it takes."""

import json
import math
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from simulators.models import speech
from simulators.models.catalogue import Model
from simulators.models.forecasts import Forecast, forecast
from simulators.models.question import Anchors, Asked, read
from simulators.models.speech import Voice
from simulators.models.wire import Answer, Ask, Finish, Tokens
from simulators.recordings.seeded import normal

# how far lengths scatter around their median (standard deviation of the logarithm): 0.13 to 0.7 was measured
_SCATTER = 0.35
# A field of a schema gets a shorter rationale than free prose, which is what was measured.
_FIELD_SHARE = 0.35
# tokens a vendor wraps around a message, and around a schema
_WRAPPING, _SCHEMA_WRAPPING = 9, 22
# provider -> (shortest prefix that is cached, step in which hits are counted)
_CACHES = {"openai": (1024, 128), "gemini": (1024, 1), "deepseek": (64, 64)}
_REMEMBERED = 32
_MARKED_MINIMUM = 1024


@dataclass(frozen=True, slots=True)
class Opinion:
    """A forecast with the question it answers."""

    asked: Asked
    forecast: Forecast


@dataclass(slots=True)
class Engine:
    """Answers what is asked; ``day`` returns the date on the simulated clock."""

    anchors: Anchors
    day: Callable[[], str]
    latency_scale: float
    _seen: dict[tuple[str, str], deque[str]] = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=_REMEMBERED))
    )

    def opinion(self, ask: Ask, model: Model) -> Opinion:
        """Return what the model thinks of the question in the prompt."""
        asked = read(ask.prompt, self.anchors)
        return Opinion(asked, forecast(asked, model, self.day()))

    def answer(self, ask: Ask, model: Model, opinion: Opinion) -> Answer:
        """Return the whole answer, cut where the longest that was allowed is reached."""
        seed = (opinion.asked.text, model.id, self.day())
        voice = Voice(opinion.forecast.probability, int(_length(ask, model, seed) * model.line.characters))
        value = _value(ask, voice)
        text = speech.prose(voice) if value is None else json.dumps(value)
        tokens = self._tokens(ask, model, text, _thoughts(ask, model, seed))
        seconds = _seconds(model, tokens, seed) * self.latency_scale
        return limited(Answer(text=text, tokens=tokens, value=value, seconds=seconds), ask, model)

    def _tokens(self, ask: Ask, model: Model, text: str, thoughts: int) -> Tokens:
        size = model.line.characters
        schema = 0 if ask.schema is None else _SCHEMA_WRAPPING + len(json.dumps(ask.schema)) / size
        prompt = _WRAPPING + math.ceil(len(ask.said) / size + schema)
        cached, written = self._cached(ask, model, prompt)
        return Tokens(prompt=prompt, text=count(text, model), thoughts=thoughts, cached=cached, cache_written=written)

    def _cached(self, ask: Ask, model: Model, prompt: int) -> tuple[int, int]:
        """Return how many tokens of the prompt were read from the cache, and how many written to it."""
        seen, said = self._seen[model.provider, model.id], ask.said
        if model.provider not in _CACHES:
            marked = said[: ask.marked or 0]
            size = min(int(len(marked) / model.line.characters), prompt)
            if size < _MARKED_MINIMUM:
                return 0, 0
            known = marked in seen
            seen.append(marked)
            return (size, 0) if known else (0, size)
        least, step = _CACHES[model.provider]
        longest = max((_common(said, other) for other in seen), default=0)
        seen.append(said)
        size = min(int(longest / model.line.characters), prompt - 1) // step * step
        return (size, 0) if size >= least else (0, 0)


def _common(one: str, other: str) -> int:
    """Return how many characters two texts begin with alike."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def count(text: str, model: Model) -> int:
    """Return how many tokens a text has."""
    return math.ceil(len(text) / model.line.characters)


def limited(answer: Answer, ask: Ask, model: Model) -> Answer:
    """Return the answer cut to the tokens allowed; thinking comes first and is paid from the same purse."""
    if ask.maximum_tokens is None or answer.tokens.out <= ask.maximum_tokens:
        return answer
    thoughts = min(answer.tokens.thoughts, ask.maximum_tokens)
    room = ask.maximum_tokens - thoughts
    return cut(answer, room, thoughts, model)


def cut(answer: Answer, room: int, thoughts: int, model: Model) -> Answer:
    """Return the answer after so many tokens of its text."""
    text = answer.text[: int(room * model.line.characters)]
    old = answer.tokens
    tokens = Tokens(prompt=old.prompt, text=room, thoughts=thoughts, cached=old.cached, cache_written=old.cache_written)
    return Answer(text=text, tokens=tokens, finish=Finish.LENGTH, seconds=answer.seconds, has_usage=answer.has_usage)


def _length(ask: Ask, model: Model, seed: tuple[str, ...]) -> float:
    if speech.wants_brief(ask.said):
        return speech.BRIEF_TOKENS
    is_field = ask.schema is not None or ask.is_json
    return _scattered(model.line.text, "text", *seed) * (_FIELD_SHARE if is_field else 1)


def _value(ask: Ask, voice: Voice) -> object:
    if ask.schema is not None:
        found: object = speech.fill(ask.schema, voice)
        return found
    return speech.loose(voice, ask.said) if ask.is_json else None


def _thoughts(ask: Ask, model: Model, seed: tuple[str, ...]) -> int:
    effort = ask.effort
    if effort is None:
        effort = 0.0 if model.provider == "anthropic" else 1.0
    return round(_scattered(model.line.thoughts, "thoughts", *seed) * effort)


def _seconds(model: Model, tokens: Tokens, seed: tuple[str, ...]) -> float:
    """Return the wait: half of the line's usual time at least, the rest grows with what is written."""
    usual = model.line.text + (0 if model.provider == "anthropic" else model.line.thoughts)
    return _scattered(model.line.seconds, "seconds", *seed) * (0.3 + 0.7 * tokens.out / usual)


def _scattered(median: float, *seed: str) -> float:
    return median * math.exp(_SCATTER * normal(*seed))
