"""The account's transaction log: the one record of what really happened."""

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

from brokers.oanda import sdk
from brokers.oanda.errors import Rejected
from brokers.oanda.wire import Body, Wire
from domain.clock import iso

PAGE = 1000


class TransactionLog:
    """Reads transactions by id and by time; each comes once and in order, however OANDA repeats or shuffles them."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._account_id = wire.config.account_id

    def since_id(self, last_id: int) -> tuple[Sequence[Body], int]:
        """Return the transactions after ``last_id`` and the account's latest id, reading page after page."""
        found: dict[int, Body] = {}
        while True:
            after = max(found, default=last_id)
            page, latest = self._since(after)
            fresh = {number: row for number, row in page.items() if number > after}
            found |= fresh
            if not fresh or max(found) >= latest:
                return [found[number] for number in sorted(found)], latest

    def since_time(self, moment: datetime) -> Sequence[Body]:
        """Return the transactions at and after ``moment``."""
        params = {"from": iso(moment), "pageSize": str(PAGE)}
        pages = self._wire.read(
            "transactions since a time",
            lambda: sdk.transactions.TransactionList(self._account_id, params=params),
            lambda body: [_range(url) for url in body["pages"]],
        )
        found: dict[int, Body] = {}
        for first, last in pages:
            found |= self.between(first, last)
        return [found[number] for number in sorted(found)]

    def between(self, first: str, last: str) -> dict[int, Body]:
        """Return id -> transaction from ``first`` to ``last``, both inclusive."""
        params = {"from": first, "to": last}
        page, _ = self._wire.read(
            "a range of transactions",
            lambda: sdk.transactions.TransactionIDRange(self._account_id, params=params),
            _page,
        )
        return page

    def one(self, transaction_id: str) -> Body | None:
        """Return one transaction; None while OANDA does not show it."""
        try:
            return self._wire.read(
                f"transaction {transaction_id}",
                lambda: sdk.transactions.TransactionDetails(self._account_id, transaction_id),
                _single,
            )
        except Rejected as error:
            if error.status == 404:
                return None
            raise

    def _since(self, last_id: int) -> tuple[dict[int, Body], int]:
        params = {"id": str(last_id)}
        return self._wire.read(
            "transactions since an id",
            lambda: sdk.transactions.TransactionsSinceID(self._account_id, params=params),
            _page,
        )


def _page(body: Body) -> tuple[dict[int, Body], int]:
    rows = {int(row["id"]): row for row in body["transactions"]}
    return rows, int(body.get("lastTransactionID") or max(rows, default=0))


def _single(body: Body) -> Body:
    transaction: Body = body["transaction"]
    return transaction


def _range(url: str) -> tuple[str, str]:
    """Take ``from`` and ``to`` out of a page's URL, whose host is not followed: the token stays with our own."""
    query = parse_qs(urlsplit(url).query)
    return query["from"][0], query["to"][0]
