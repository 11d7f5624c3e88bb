"""What IBKR has said about orders, by its permanent id and by our reference; outlives connections."""

from dataclasses import dataclass, field
from decimal import Decimal

from brokers.ibkr import codes
from brokers.ibkr.codes import Meaning
from brokers.ibkr.tws.parse import Terms

LIVE = frozenset({"PendingSubmit", "ApiPending", "PreSubmitted", "Submitted", "PendingCancel"})
TAKEN = frozenset({"PreSubmitted", "Submitted", "Filled"})
GONE = frozenset({"Cancelled", "ApiCancelled"})
INACTIVE = "Inactive"
FILLED = "Filled"
MOST_KEPT = 5_000


@dataclass(slots=True, kw_only=True)
class Known:
    """One order. ``status`` is the last the server told; it is advisory, executions are what counts.

    ``touched_ns`` is when anything was heard of it; ``missed`` how many lists of open orders did not have it;
    ``short_ns`` since when executions do not account for what it is said to have filled.
    """

    reference: str | None
    perm_id: int = 0
    terms: Terms | None = None
    status: str = ""
    remarks: list[tuple[int, str]] = field(default_factory=list)
    refusal: tuple[int, str] | None = None
    doubts: bool = False
    touched_ns: int = 0
    short_ns: int | None = None
    missed: int = 0
    told_filled: Decimal = Decimal(0)

    @property
    def is_live(self) -> bool:
        return self.status in LIVE and self.refusal is None

    @property
    def said(self) -> str:
        """Return what IBKR remarked, in its own words."""
        return "; ".join(f"{code} {text}" for code, text in self.remarks)


class OrderBook:
    """Orders by permanent id, by reference, and by the number they have on the connection that is open now.

    Numbers are used anew after a gateway's restart: they are forgotten with their connection.
    """

    def __init__(self) -> None:
        self._by_perm: dict[int, Known] = {}
        self._by_reference: dict[str, Known] = {}
        self._by_number: dict[int, Known] = {}
        self.highest_number = 0

    def begin(self, client_id: int) -> None:
        """Start a connection: the numbers of the last one mean nothing any more."""
        self._by_number = {}
        self._client_id = client_id
        self.highest_number = 0

    def get(self, reference: str) -> Known | None:
        return self._by_reference.get(reference)

    def of_number(self, order_id: int) -> Known | None:
        return self._by_number.get(order_id)

    def all(self) -> list[Known]:
        """Return every order known, with or without a reference."""
        unnamed = [one for one in self._by_perm.values() if one.reference not in self._by_reference]
        return [*self._by_reference.values(), *unnamed]

    def live(self) -> list[Known]:
        return [one for one in self.all() if one.is_live and one.terms is not None]

    def sent(self, reference: str, order_id: int, now_ns: int) -> Known:
        """Note an order that is about to be written to the socket."""
        known = Known(reference=reference, touched_ns=now_ns)
        self._by_reference[reference] = known
        self._by_number[order_id] = known
        self.highest_number = max(self.highest_number, order_id)
        return known

    def forget(self, reference: str) -> None:
        """Drop an order that proved never to have arrived."""
        self._by_reference.pop(reference, None)

    def opened(self, terms: Terms, status: str, now_ns: int) -> Known:
        """Take in an openOrder message, pushed or listed."""
        known = self._find(terms)
        known.terms, known.touched_ns, known.missed = terms, now_ns, 0
        if status:
            known.status = status
        if status in TAKEN:
            known.refusal = None
        return known

    def told(self, perm_id: int, order_id: int, client_id: int, status: str, filled: Decimal, now_ns: int) -> None:
        """Take in an orderStatus message; one of an order nobody told us of is kept by its permanent id."""
        known = self._by_perm.get(perm_id)
        if known is None and client_id == self._client_id:
            known = self._by_number.get(order_id)
        if known is None:
            known = Known(reference=None)
        self._index(known, perm_id)
        known.status, known.touched_ns = status, now_ns
        known.told_filled = max(known.told_filled, filled)

    def completed(self, terms: Terms, status: str) -> None:
        """Take in an order that was done before: its own status counts unless it is known to live."""
        known = self._find(terms)
        known.terms = known.terms or terms
        known.told_filled = max(known.told_filled, terms.filled)
        if not known.is_live or known.missed:
            known.status = status

    def remarked(self, order_id: int, code: int, text: str, now_ns: int) -> Known | None:
        """Take in a message about an order, by our own table of what codes mean."""
        known = self._by_number.get(order_id)
        if known is None:
            return None
        known.touched_ns = now_ns
        meaning = codes.meaning(code)
        if (code, text) not in known.remarks:
            known.remarks.append((code, text))
        if meaning is Meaning.REJECT and known.status not in TAKEN:
            known.refusal = code, text
        elif meaning in (Meaning.UNKNOWN, Meaning.REJECT):
            known.doubts = True
        return known

    def missing(self, perm_ids: frozenset[int], asked_ns: int) -> list[Known]:
        """Return what was live before a list of open orders was asked for and is not in it.

        It may have filled, may have been cancelled, or the list may be short: TWS is known to leave children out.
        """
        found = [one for one in self.all() if one.is_live and one.perm_id not in perm_ids and one.touched_ns < asked_ns]
        for one in found:
            one.missed += 1
        return found

    def gone(self, known: Known, now_ns: int) -> None:
        """Give up on an order that no list has had for a while, and no completed order explains."""
        known.status, known.touched_ns = "Cancelled", now_ns
        known.remarks.append((0, "no longer listed"))

    def trim(self) -> None:
        """Drop the oldest orders that are done once there are very many."""
        if len(self._by_perm) <= MOST_KEPT:
            return
        done = [one for one in self._by_perm.values() if not one.is_live]
        for one in sorted(done, key=lambda known: known.touched_ns)[: len(self._by_perm) - MOST_KEPT]:
            self._by_perm.pop(one.perm_id, None)
            if one.reference is not None:
                self._by_reference.pop(one.reference, None)

    def _find(self, terms: Terms) -> Known:
        known = self._by_perm.get(terms.perm_id)
        if known is None and terms.client_id == self._client_id:
            known = self._by_number.get(terms.order_id)
            if known is not None and known.reference != terms.reference:
                known = None
        if known is None and terms.reference is not None:
            known = self._by_reference.get(terms.reference)
        if known is None:
            known = Known(reference=terms.reference)
        known.reference = known.reference or terms.reference
        self._index(known, terms.perm_id)
        if terms.client_id == self._client_id and terms.order_id > 0:
            self._by_number[terms.order_id] = known
            self.highest_number = max(self.highest_number, terms.order_id)
        return known

    def _index(self, known: Known, perm_id: int) -> None:
        if perm_id:
            known.perm_id = perm_id
            self._by_perm[perm_id] = known
        if known.reference is not None:
            self._by_reference.setdefault(known.reference, known)

    _client_id = 0
