"""Transactions: pages, ranges, those since an id, one."""

from simulators.oanda.call import Call
from simulators.oanda.endpoints.accounts import since_id
from simulators.oanda.wire import ApiError, Json, invalid_value, parse_time, rfc3339

PAGE = 1000
_DEFAULT_PAGE = 100


def pages(call: Call) -> tuple[int, Json]:
    """Return the addresses of the pages that cover a span of time."""
    account = call.account
    first = parse_time(account.transactions[0]["time"])
    start = first if (asked := call.moment("from")) is None else asked
    end = call.now if (asked := call.moment("to")) is None else asked
    size = call.integer("pageSize", _DEFAULT_PAGE, 1, PAGE)
    within = [i for i, t in enumerate(_seen(call), 1) if start <= parse_time(t["time"]) <= end]
    body: Json = {"from": rfc3339(start), "to": rfc3339(end), "pageSize": size, "count": len(within)}
    if _types(call):
        body["type"] = sorted(_types(call))
    host = call.request.headers.get("host", "127.0.0.1")
    suffix = f"&type={call.query['type']}" if "type" in call.query else ""
    stem = f"http://{host}/v3/accounts/{account.id}/transactions/idrange"
    spans = [within[i : i + size] for i in range(0, len(within), size)]
    body["pages"] = [f"{stem}?from={span[0]}&to={span[-1]}{suffix}" for span in spans]
    return 200, {**body, "lastTransactionID": _last(call)}


def _seen(call: Call) -> list[Json]:
    return call.account.transactions[: call.account.visible()]


def _last(call: Call) -> str:
    # a reader that lags must not be told about what it is not shown, or it would skip it
    return str(call.account.visible())


def _types(call: Call) -> set[str]:
    return set(filter(None, call.query.get("type", "").split(",")))


def _shown(call: Call, found: list[Json]) -> tuple[int, Json]:
    types = _types(call)
    kept = [item for item in found if not types or item["type"] in types]
    if kept and call.occasion.take("duplicate_transactions") is not None:
        kept = [item for item in kept for _ in range(2)]
    return 200, {"transactions": kept, "lastTransactionID": _last(call)}


def id_range(call: Call) -> tuple[int, Json]:
    """Return transactions from one id to another, both included."""
    start, end = since_id(call, "from"), since_id(call, "to")
    if start < 1 or end < start:
        raise ApiError(416, "Invalid transaction range: 'from' must be at least 1 and not after 'to'")
    if end - start >= PAGE:
        raise invalid_value("to", f"A range holds at most {PAGE} transactions")
    return _shown(call, _seen(call)[start - 1 : end])


def since(call: Call) -> tuple[int, Json]:
    """Return transactions after an id, at most one page of them."""
    after = since_id(call, "id")
    return _shown(call, _seen(call)[after : after + PAGE])


def read(call: Call) -> tuple[int, Json]:
    """Return one transaction."""
    text = call.params["transaction"]
    if not text.isascii() or not text.isdigit():
        raise invalid_value("transactionID")
    if not 1 <= int(text) <= call.account.visible():
        raise ApiError(404, "The transaction ID specified does not exist", "NO_SUCH_TRANSACTION")
    return 200, {"transaction": call.account.transactions[int(text) - 1], "lastTransactionID": _last(call)}
