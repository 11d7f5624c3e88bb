"""The conversation an order has with the portal: it asks "are you sure?" before it takes one, sometimes several times.

Only questions of known kinds are answered with yes. Any other is declined, and the order refused with its words: a
person reads them, no program.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from brokers.ibkr.portal.errors import Rejected, message_of
from brokers.ibkr.portal.wire import Wire
from domain.errors import Ask, Refuse, TBotError

ROUNDS = 5
_TAGS = re.compile(r"<[^>]*>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack:
    """The portal's receipt for one order: its number, what it says of its state, and our id where it repeats it."""

    order_id: str
    status: str
    reference: str = ""


class PartlyRefused(Ask):
    """Of orders sent together some were taken, those of ``acks``, and others not."""

    def __init__(self, what: str, message: str, acks: list[Ack]) -> None:
        super().__init__(f"{what} taken whole", f"a part refused ({message})", "look each up by its client id")
        self.acks = acks


class Conversations:
    """Holds one conversation at a time: another order sent in between makes the portal forget the first's question."""

    def __init__(self, wire: Wire, allowed: frozenset[str]) -> None:
        self._wire = wire
        self._allowed = allowed

    def hold(self, what: str, path: str, body: Any) -> list[Ack]:
        """Send an order and answer what is asked about it.

        Raises:
            Retry: nothing reached the broker.
            Ask: nobody knows; look the order up.
            Refuse: the broker refused, or asked what is not on the list of allowed questions.
        """
        with self._wire.pace.alone(what, self._wire.config.request_timeout_s):
            reply = self._wire.act(what, "POST", path, body)
            taken: list[Ack] = []
            for _ in range(ROUNDS):
                question = _question(reply)
                if question is None:
                    return _acks(what, reply, taken)
                taken += _receipts(reply)
                try:
                    reply = self._answer(what, question)
                except Refuse as error:
                    raise _partly(what, error, taken) from error
            self._decline(str((_question(reply) or {}).get("id") or ""))
            todo = "send it by hand and see what it asks"
            raise _partly(what, Refuse(f"{what} taken after {ROUNDS} questions", "one more", todo), taken)

    def suppress(self) -> None:
        """Ask the portal not to put the allowed questions in this session; it may still. Raises Retry, Rejected."""
        self._wire.ask(
            "fewer questions",
            "/iserver/questions/suppress",
            method="POST",
            body={"messageIds": sorted(self._allowed)},
        )

    def _answer(self, what: str, question: Mapping[str, Any]) -> Any:
        number, kinds = str(question["id"]), [str(kind) for kind in question.get("messageIds") or ()]
        if not kinds or not set(kinds) <= self._allowed:
            self._decline(number)
            text = _TAGS.sub("", " ".join(str(line) for line in question.get("message") or ()))[:300]
            raise Refuse(
                f"{what} without a question that is not on IBKR_PORTAL_CONFIRM",
                f"{', '.join(kinds) or 'no messageId'}: {text}",
                "declined; add its messageId only if it may always be answered with yes",
            )
        try:
            return self._wire.act(what, "POST", f"/iserver/reply/{number}", {"confirmed": True})
        except Rejected as error:
            # The portal forgot its question, so it never took the order; or it took it and forgot afterwards.
            raise Ask(f"an answer to {what}", error.found, "look the order up by its client id") from error

    def _decline(self, number: str) -> None:
        """Say no; a question nobody answers lapses as well, so a failure changes nothing."""
        if not number:
            return
        try:
            self._wire.act("a declined question", "POST", f"/iserver/reply/{number}", {"confirmed": False})
        except TBotError:
            return


def _question(reply: Any) -> Mapping[str, Any] | None:
    """Return the question a reply puts, None when it is the answer."""
    rows = reply if isinstance(reply, list) else [reply]
    for row in rows:
        if isinstance(row, Mapping) and "id" in row and "message" in row and "order_id" not in row:
            return row
    return None


def _partly(what: str, error: Refuse, taken: list[Ack]) -> TBotError:
    """Return what a refusal means where other orders of the same request were taken before it."""
    return PartlyRefused(what, error.found, taken) if taken else error


def receipts_of(names: Sequence[str], acks: Sequence[Ack]) -> list[Ack | None]:
    """Return the receipt of each order by our id: the one that repeats it, or where none does, the one in its place."""
    if any(ack.reference in names for ack in acks):
        by_name = {ack.reference: ack for ack in acks}
        return [by_name.get(name) for name in names]
    return list(acks) if len(acks) == len(names) else [None for _ in names]


def _receipts(reply: Any) -> list[Ack]:
    return [
        Ack(
            order_id=str(row["order_id"]),
            status=str(row.get("order_status") or ""),
            reference=str(row.get("local_order_id") or ""),
        )
        for row in (reply if isinstance(reply, list) else [reply])
        if isinstance(row, Mapping) and row.get("order_id")
    ]


def _acks(what: str, reply: Any, taken: list[Ack]) -> list[Ack]:
    """Read the receipts of all orders of a request, those ``taken`` before among them.

    Raises:
        Rejected: the portal says what is wrong, with status 200.
        Ask: there is no receipt, or one for a part of the orders only.
    """
    rows = reply if isinstance(reply, list) else [reply]
    refusals = [message for message in map(message_of, rows) if message]
    found = [*taken, *_receipts(reply)]
    if refusals and found:
        # An entry may be there without its stop, or the other way round.
        raise PartlyRefused(what, refusals[0], found)
    if refusals:
        raise Rejected(what, 200, refusals[0])
    if not found:
        raise Ask(f"an answer to {what}", "a reply without an order in it", "look the order up by its client id")
    return found
