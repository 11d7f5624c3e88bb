"""A provider or a model that fails again and again is left alone for a while."""

import threading
import time
from collections.abc import Iterable

from forecast.answers import MODEL_FAILURES, PROVIDER_FAILURES, Reason
from forecast.config import PanelModel


class Breaker:
    """Counts failures of one provider or one model one after the other; thread-safe.

    After ``after`` of them nobody is let through for ``rest_s`` real seconds; then one call is, and what becomes of it
    decides about the next rest.
    """

    def __init__(self, after: int, rest_s: float) -> None:
        self._after = after
        self._rest_s = rest_s
        self._lock = threading.Lock()
        self._failures = 0
        self._rests_until = 0.0
        self._is_probing = False

    def admit(self) -> bool:
        """Tell whether a call may be made; whoever is let through calls one of the other three methods afterwards."""
        with self._lock:
            if self._failures < self._after:
                return True
            if self._is_probing or time.monotonic() < self._rests_until:
                return False
            self._is_probing = True
            return True

    def succeeded(self) -> None:
        with self._lock:
            self._failures, self._is_probing = 0, False

    def failed(self) -> None:
        with self._lock:
            self._failures += 1
            self._is_probing = False
            self._rests_until = time.monotonic() + self._rest_s

    def withdrew(self) -> None:
        """The call was not made after all."""
        with self._lock:
            self._is_probing = False


class Rests:
    """Who of a panel is left alone: a provider for what is wrong with it, a model for what is wrong with that model.

    A model that is retired or talks nonsense must not silence the others of its provider, nor be paid for ever.
    """

    def __init__(self, models: Iterable[PanelModel], after: int, rest_s: float) -> None:
        self._models = {model: Breaker(after, rest_s) for model in models}
        self._providers = {model.provider: Breaker(after, rest_s) for model in self._models}

    def admit(self, model: PanelModel) -> bool:
        """Tell whether a model may be called; whoever is let through tells `learn` what became of the call."""
        if not self._models[model].admit():
            return False
        if self._providers[model.provider].admit():
            return True
        self._models[model].withdrew()
        return False

    def learn(self, model: PanelModel, failure: Reason | None, *, is_answered: bool) -> None:
        """Take in how a call ended; with neither a failure nor an answer it was not made."""
        own, providers = self._models[model], self._providers[model.provider]
        if failure in PROVIDER_FAILURES:
            providers.failed()
            own.withdrew()
            return
        if failure is None and not is_answered:
            providers.withdrew()
            own.withdrew()
            return
        providers.succeeded()
        if failure in MODEL_FAILURES:
            own.failed()
        elif is_answered:
            own.succeeded()
        else:
            own.withdrew()
