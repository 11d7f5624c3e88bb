"""The panel: several models asked the same question side by side, within one deadline and one budget.

It reports who said what and who is missing, and why; whether that is enough is for gate 9 to judge. Importing this
loads no SDK: each is imported when a model of its vendor is first asked.
"""

import threading
import time
from collections.abc import Iterable, Mapping
from concurrent import futures
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import structlog

from domain.candidate import Missing, Vote
from domain.clock import Clock
from domain.errors import Halt
from forecast import prompts
from forecast.answers import Reason, middle
from forecast.asking import Asking, Outcome, Round
from forecast.breaker import Rests
from forecast.budget import Budget, Usage
from forecast.cache import AnswerCache, Kept
from forecast.config import ModelsConfig, PanelModel, Provider
from forecast.prompts import Prompt
from forecast.providers.connect import connect
from forecast.providers.port import Client
from forecast.question import Question

log = structlog.get_logger()

EVEN = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelAnswer:
    """What the panel said: every model of it is either among the votes or among the missing, in the panel's order.

    ``cost_usd`` is the sum of theirs; a call still under way at the deadline counts with what is reserved for it.
    ``prompt`` is the version of the wording and the beginning of its hash.
    """

    votes: tuple[Vote, ...]
    missing: tuple[Missing, ...]
    cost_usd: Decimal
    elapsed_s: float
    prompt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sample:
    """One answer wanted of one model: known already, asked for (by us, or by an asker before us), or not to be had."""

    kept: Kept | None = None
    asking: Asking | None = None
    is_own: bool = True
    reason: Reason | None = None

    def outcome(self) -> Outcome:
        if self.kept is not None:
            return Outcome(probability=self.kept.probability, version=self.kept.version)
        if self.asking is None:
            return Outcome(reason=self.reason)
        return self.asking.future.result() if self.asking.future.done() else Outcome(reason=Reason.DEADLINE)


class Panel:
    """The models of one configuration; `ask` may be called by several threads at once.

    An answer that comes after the deadline is settled and kept, so that asking again finds it for nothing. Two who ask
    the same question at once share its calls: each call is made, and counted, for one of them.
    """

    def __init__(self, config: ModelsConfig, *, budget: Budget, clock: Clock, cache_file: Path | None = None) -> None:
        self._config = config
        self._models = config.models
        self._wording = prompts.load(config.prompt)
        self._budget = budget
        self._clock = clock
        self._cache = AnswerCache(config.cache_ttl_s, file=cache_file)
        self._lock = threading.Lock()
        self._clients: dict[Provider, Client] = {}
        self._running: dict[str, Asking] = {}
        self._halt: Halt | None = None
        self._rests = Rests(self._models, config.rest_after, config.rest_s)

    def ask(self, question: Question, *, weights: Mapping[str, Decimal] | None = None) -> PanelAnswer:
        """Ask every model and return what is there at the deadline, or before it once all have answered.

        ``weights`` maps a model's id to the weight its vote carries; without one it is 1. Loading the SDKs, before the
        first question only, is not counted in the deadline.

        Raises:
            Misconfigured: the SDK of a provider is not installed.
            Halt: the ledger can't be written any more, now or since an earlier question.
        """
        self._require_ledger()
        started = time.monotonic()
        clients = {provider: self._client(provider) for provider in {model.provider for model in self._models}}
        prompt = prompts.write(self._wording, question, self._clock.now())
        round_ = Round(self._budget, question.id, self._config.deadline_s)
        samples = self._ask_each(question, prompt, round_, clients)
        wait_for = [one.asking.future for given in samples.values() for one in given if one.asking is not None]
        futures.wait(wait_for, timeout=round_.left_s)
        round_.end()
        self._require_ledger()
        return self._report(samples, weights or {}, prompt.tag, started)

    def worst_usd(self, question: Question) -> Decimal:
        """Return the most that asking now may cost with one call an answer; what is kept is free.

        A call made again reserves its own money, and is not made when there is none.
        """
        prompt, now = prompts.write(self._wording, question, self._clock.now()), self._clock.now()
        longest, worst = self._config.max_output_tokens, Decimal(0)
        for number in range(self._config.samples):
            for model in self._models:
                with self._lock:
                    kept = self._cache.find(_key(model, prompt, question, number), now)
                if kept is None:
                    worst += model.price.of(Usage(tokens_in=prompt.most_tokens, tokens_out=longest))
        return worst

    def close(self, wait_s: float = 0.0) -> None:
        """Wait at most so long for late answers to be settled, then close the connections of whoever is done."""
        with self._lock:
            late = [asking.future for asking in self._running.values()]
        futures.wait(late, timeout=wait_s)
        with self._lock:
            busy = {asking.model.provider for asking in self._running.values()}
            for provider in self._clients.keys() - busy:
                self._clients.pop(provider).close()

    def _client(self, provider: Provider) -> Client:
        with self._lock:
            if provider not in self._clients:
                self._clients[provider] = connect(self._config, provider)
            return self._clients[provider]

    def _ask_each(
        self, question: Question, prompt: Prompt, round_: Round, clients: Mapping[Provider, Client]
    ) -> dict[str, list[_Sample]]:
        """Begin every answer that is wanted and not known; return them by model."""
        samples: dict[str, list[_Sample]] = {model.id: [] for model in self._models}
        reserved: dict[str, Asking] = {}
        try:
            # Everybody's first answer before anybody's second: a small budget buys many models, not many samples.
            for number in range(self._config.samples):
                for model in self._models:
                    key = _key(model, prompt, question, number)
                    sample = self._sample(key, model, prompt, round_, clients[model.provider])
                    samples[model.id].append(sample)
                    if sample.asking is not None and sample.is_own and self._reserve(key, sample.asking):
                        reserved[key] = sample.asking
        except BaseException:
            for key, asking in reserved.items():
                self._finish(key, asking, Outcome(reason=Reason.BUDGET))
            raise
        # Only now, so that nobody's second attempt takes the money of another's first.
        for key, asking in reserved.items():
            # A daemon: the end of the process must not wait for a vendor, whose money is reserved already.
            threading.Thread(target=self._run, args=(key, asking), name=f"ask {asking.model.id}", daemon=True).start()
        return samples

    def _sample(self, key: str, model: PanelModel, prompt: Prompt, round_: Round, client: Client) -> _Sample:
        longest = self._config.max_output_tokens
        with self._lock:
            kept = self._cache.find(key, self._clock.now())
            if kept is not None:
                return _Sample(kept=kept)
            if key in self._running:
                return _Sample(asking=self._running[key], is_own=False)
            if not self._rests.admit(model):
                return _Sample(reason=Reason.RESTING)
            asking = Asking(model, prompt, round_, client, attempts=self._config.attempts, longest=longest)
            self._running[key] = asking
        return _Sample(asking=asking)

    def _reserve(self, key: str, asking: Asking) -> bool:
        may_call = False
        try:
            may_call = asking.begin()
        finally:
            if not may_call:
                self._finish(key, asking, Outcome(reason=Reason.BUDGET))
        return may_call

    def _run(self, key: str, asking: Asking) -> None:
        try:
            outcome = asking.run()
        except Halt as error:
            self._halt = error
            outcome = Outcome(reason=Reason.BUDGET)
        except Exception:  # an error of our own must not leave the others waiting for the deadline
            log.exception("asking a model failed", model=asking.model.id)
            outcome = Outcome(reason=Reason.MALFORMED, failure=Reason.MALFORMED)
        if outcome.probability is not None:
            kept = Kept(probability=outcome.probability, version=outcome.version, at=self._clock.now())
            self._cache.keep(key, kept)
        self._finish(key, asking, outcome)

    def _finish(self, key: str, asking: Asking, outcome: Outcome) -> None:
        self._rests.learn(asking.model, outcome.failure, is_answered=outcome.probability is not None)
        with self._lock:
            del self._running[key]
        asking.future.set_result(outcome)

    def _require_ledger(self) -> None:
        if self._halt is not None:
            raise self._halt

    def _report(
        self, samples: Mapping[str, list[_Sample]], weights: Mapping[str, Decimal], prompt: str, started: float
    ) -> PanelAnswer:
        votes: list[Vote] = []
        missing: list[Missing] = []
        for model in self._models:
            found = _opinion(model, samples[model.id], weights.get(model.id, EVEN), prompt)
            if isinstance(found, Vote):
                votes.append(found)
            else:
                missing.append(found)
        return PanelAnswer(
            votes=tuple(votes),
            missing=tuple(missing),
            cost_usd=sum([vote.cost_usd for vote in votes] + [one.cost_usd for one in missing], Decimal(0)),
            elapsed_s=time.monotonic() - started,
            prompt=prompt,
        )


def _key(model: PanelModel, prompt: Prompt, question: Question, number: int) -> str:
    """Return what one answer is kept under: another model, wording or question never finds it."""
    return f"{model.provider}:{model.id}|{prompt.tag}|{question.fingerprint}|{number}"


def _opinion(model: PanelModel, samples: Iterable[_Sample], weight: Decimal, prompt: str) -> Vote | Missing:
    """Return one model's vote from its samples, whatever became of some of them; missing only if all failed."""
    given = list(samples)
    outcomes = [sample.outcome() for sample in given]
    own = [sample.asking.tally() for sample in given if sample.asking is not None and sample.is_own]
    cost_usd = sum((tally.cost_usd for tally in own), Decimal(0))
    answered = [outcome for outcome in outcomes if outcome.probability is not None]
    if not answered:
        reasons = [outcome.reason for outcome in outcomes]
        reason = Reason.DEADLINE if Reason.DEADLINE in reasons else reasons[0]
        return Missing(model=model.id, reason=str(reason), cost_usd=cost_usd)
    return Vote(
        model=model.id,
        probability=middle([outcome.probability for outcome in answered if outcome.probability is not None]),
        weight=weight,
        cost_usd=cost_usd,
        provider=str(model.provider),
        version=answered[0].version,
        prompt=prompt,
        tokens_in=sum(tally.usage.tokens_in for tally in own),
        tokens_out=sum(tally.usage.tokens_out for tally in own),
        attempts=sum(tally.attempts for tally in own),
        is_cached=not own,
    )
