"""What a paid call must ask before it is made, and tell after it: the budget port.

The panel calls it from several threads at once. What stands behind it keeps the money; the panel keeps the order:

1. ``reserve`` before **each attempt**, with the most that attempt can cost. Only when it has returned is anything sent.
2. one call to the vendor.
3. ``settle``, exactly once for each reservation, with what the attempt cost: what the vendor billed; nothing when the
   request was never sent or was answered with an error; all that was reserved when nobody can tell (no answer in
   time, a dropped connection, an answer without its token counts). An answer that comes after the panel's deadline
   is settled when it comes.

A process that ends between 2 and 3 leaves a reservation without a settlement: that money counts as spent.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from domain.errors import Refuse


class BudgetSpent(Refuse):
    """The call does not fit into what is left; nothing was reserved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidCall:
    """One attempt about to be made.

    ``question`` is the id the asker gave the question; ``worst_usd`` is the most the attempt can cost: an upper
    bound of the prompt's tokens at the model's input price, and the longest answer allowed at its output price.
    ``attempt`` counts from 1 for each model (and sample) of a question.
    """

    provider: str
    model: str
    question: str
    worst_usd: Decimal
    attempt: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The tokens a vendor says it billed, thinking included; zeros when it did not say."""

    tokens_in: int = 0
    tokens_out: int = 0


class Budget(Protocol):
    """Where the money for paid calls comes from. Its methods are called by several threads at once."""

    def reserve(self, call: PaidCall) -> str:
        """Set ``call.worst_usd`` aside and return the reservation's id, unique and durable before it returns.

        Raises:
            BudgetSpent: it does not fit; nothing was reserved, and the panel makes no further call for the question.
            Halt: nothing can be written any more; it ends the question, and the panel asks no other.
            TBotError: whether money is left cannot be told or written just now; to the panel that is a refusal too.
        """

    def settle(self, reservation_id: str, usage: Usage, cost_usd: Decimal, outcome: str) -> None:
        """Put ``cost_usd`` in the place of what was reserved.

        It is more than was reserved only if the vendor billed more than it was asked for. ``outcome`` is ``answered``
        or the word of ``forecast.answers.Reason`` that says why there is no answer. If this raises, the reservation
        stays spent and the panel goes on without the settlement; a Halt reaches whoever asks.
        """
