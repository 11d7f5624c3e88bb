"""What the panel needs of a vendor."""

from typing import Protocol

from forecast.answers import Reply
from forecast.prompts import Prompt


class Client(Protocol):
    """One vendor's API behind one method; used by several threads at once, and never retrying by itself."""

    def answer(self, model: str, prompt: Prompt) -> Reply:
        """Make one call and return what came back.

        Raises:
            CallFailed: there is no answer; says whether the vendor may have billed it.
        """

    def close(self) -> None:
        """Close connections that are not in use."""
