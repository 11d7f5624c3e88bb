"""What every vendor does in its own words."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from simulators.models.catalogue import Model
from simulators.models.wire import Answer, Ask, Json, Problem, Reply
from simulators.rest.transport import Request


class Task(StrEnum):
    """What a path asks for."""

    GENERATE = "generate"
    RESPOND = "respond"
    MODELS = "models"
    MODEL = "model"


@dataclass(frozen=True, slots=True)
class Route:
    """A path that was understood; ``model`` where it names one."""

    task: Task
    model: str = ""


class Vendor(Protocol):
    """One API."""

    name: str

    def route(self, method: str, path: str) -> Route | None:
        """Read a path, without the prefix that names the vendor."""

    def key(self, request: Request) -> str | None:
        """Return the key a request carries."""

    def ask(self, route: Route, body: Json, request: Request) -> Ask:
        """Read a request for text; raises Problem."""

    def check(self, ask: Ask, body: Json, model: Model) -> None:
        """Refuse what this model does not take; raises Problem."""

    def reply(self, route: Route, ask: Ask, answer: Answer, number: int) -> Reply:
        """Write an answer."""

    def refuse(self, problem: Problem, number: int) -> Reply:
        """Write a refusal."""

    def model(self, model: Model) -> Json:
        """Describe a model."""

    def models(self, models: list[Model]) -> Json:
        """List models."""
