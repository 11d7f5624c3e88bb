"""An order on its way in: the questions still to be answered, and what happens when they are."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from simulators.client_portal.questions import Question
from simulators.client_portal.wire import Json

# how an order on its way meets the fault script: action -> parameters of the fault that fires, if any
Faulty = Callable[[str], Json | None]


@dataclass(slots=True)
class Conversation:
    """Questions in the order they are asked; ``settle`` sends the orders once the last one is confirmed."""

    questions: list[Question]
    settle: Callable[[Faulty], Any]
    id: str = field(default_factory=lambda: str(uuid4()))

    def ask(self) -> Any:
        """Return the first question as the gateway words it."""
        question = self.questions[0]
        return [{"id": self.id, "message": [question.text], "isSuppressed": False, "messageIds": [question.message_id]}]

    def confirm(self) -> bool:
        """Take one confirmation; tell whether it was the last."""
        self.questions.pop(0)
        # every question has an id of its own: an answer to an earlier one is refused
        self.id = str(uuid4())
        return not self.questions
