"""One model asked one thing: reserve, call, settle, and again where another attempt is worth its money."""

import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from decimal import Decimal

import structlog

from domain.errors import Halt, TBotError
from forecast.answers import ANSWERED, CallFailed, Reason, read_probability
from forecast.budget import Budget, PaidCall, Usage
from forecast.config import PanelModel
from forecast.prompts import Prompt
from forecast.providers.port import Client

log = structlog.get_logger()

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 8.0
_NOTHING = Usage()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of asking: a probability, or why there is none. ``failure`` is how the last call ended."""

    probability: Decimal | None = None
    version: str = ""
    reason: Reason | None = None
    failure: Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What asking has cost so far; money that is reserved for a call under way counts as spent."""

    cost_usd: Decimal
    usage: Usage
    attempts: int


class Round:
    """One question put to the panel: its time, and its way to the budget, which closes when it refuses once.

    A ledger that can't be written any more (Halt) is not hidden by any of this.
    """

    def __init__(self, budget: Budget, question: str, deadline_s: float) -> None:
        self.question = question
        self._until = time.monotonic() + deadline_s
        self._budget = budget
        self._lock = threading.Lock()
        self._is_broke = False
        self._is_over = threading.Event()

    @property
    def left_s(self) -> float:
        return max(0.0, self._until - time.monotonic())

    def end(self) -> None:
        """Wake whoever pauses; nobody makes another attempt."""
        self._is_over.set()

    def pause(self, seconds: float) -> bool:
        """Wait before another attempt; return whether there is time for one."""
        return seconds < self.left_s and not self._is_over.wait(seconds)

    def reserve(self, call: PaidCall) -> str | None:
        """Return the reservation's id, or None once the budget has refused anything of this question."""
        with self._lock:
            if self._is_broke:
                return None
            try:
                return self._budget.reserve(call)
            except Halt:
                raise
            except TBotError as error:
                self._is_broke = True
                log.warning("no money for a call", question=self.question, model=call.model, error=str(error))
                return None

    def settle(self, reservation: str, usage: Usage, cost_usd: Decimal, outcome: str) -> None:
        try:
            self._budget.settle(reservation, usage, cost_usd, outcome)
        except Halt:
            raise
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the ledger, an answer paid for is not lost
            log.error("a call is not settled", reservation=reservation, cost_usd=str(cost_usd), error=str(error))


class Asking:
    """One model's answer to one prompt. `begin` runs in the asker's thread, `run` in one of its own."""

    def __init__(
        self, model: PanelModel, prompt: Prompt, round_: Round, client: Client, *, attempts: int, longest: int
    ):
        self.model = model
        self.future: Future[Outcome] = Future()
        self._prompt = prompt
        self._round = round_
        self._client = client
        self._most_attempts = attempts
        self._worst_usd = model.price.of(Usage(tokens_in=prompt.most_tokens, tokens_out=longest))
        self._lock = threading.Lock()
        self._reservation = ""
        self._attempts = 0
        self._spent = self._held = Decimal(0)
        self._usage = _NOTHING

    def begin(self) -> bool:
        """Reserve the next attempt; return whether it may be made."""
        call = PaidCall(
            provider=str(self.model.provider),
            model=self.model.id,
            question=self._round.question,
            worst_usd=self._worst_usd,
            attempt=self._attempts + 1,
        )
        reservation = self._round.reserve(call)
        if reservation is None:
            return False
        with self._lock:
            self._reservation = reservation
            self._attempts += 1
            self._held = self._worst_usd
        return True

    def run(self) -> Outcome:
        """Make the attempt that `begin` reserved, and others after it; return how it ended."""
        while True:
            try:
                return self._attempt()
            except CallFailed as failed:
                pause_s = min(FIRST_PAUSE_S * 2 ** (self._attempts - 1), LONGEST_PAUSE_S)
                reason = failed.reason
                if not failed.is_repeatable or self._attempts >= self._most_attempts:
                    return Outcome(reason=reason, failure=reason)
                if not self._round.pause(pause_s if failed.after_s is None else failed.after_s):
                    return Outcome(reason=reason, failure=reason)
                if not self.begin():
                    return Outcome(reason=Reason.BUDGET, failure=reason)

    def tally(self) -> Tally:
        with self._lock:
            return Tally(cost_usd=self._spent + self._held, usage=self._usage, attempts=self._attempts)

    def _attempt(self) -> Outcome:
        try:
            reply = self._client.answer(self.model.id, self._prompt)
        except CallFailed as failed:
            log.warning(
                "a model gave no answer",
                model=self.model.id,
                question=self._round.question,
                attempt=self._attempts,
                reason=str(failed.reason),
                detail=failed.detail,
            )
            self._settle(None if failed.is_billed else _NOTHING, failed.reason)
            raise
        found = read_probability(reply)
        if isinstance(found, Reason):
            self._settle(reply.usage, found)
            return Outcome(version=reply.version, reason=found, failure=found)
        self._settle(reply.usage, ANSWERED)
        return Outcome(probability=found, version=reply.version)

    def _settle(self, usage: Usage | None, outcome: str) -> None:
        """Settle at what the tokens cost; without a word on them (None), at the worst case."""
        cost = self._worst_usd if usage is None else self.model.price.of(usage)
        self._round.settle(self._reservation, usage or _NOTHING, cost, outcome)
        with self._lock:
            self._spent += cost
            self._held = Decimal(0)
            if usage is not None:
                self._usage = Usage(
                    tokens_in=self._usage.tokens_in + usage.tokens_in,
                    tokens_out=self._usage.tokens_out + usage.tokens_out,
                )
