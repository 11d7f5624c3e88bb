"""What can go wrong with the gateway by script; grammar and matching are those of the read-only simulators."""

from typing import Any

from simulators.ibkr.contracts import BY_CONID
from simulators.rest.faults import NUMBER, SECONDS, TEXT, Action, Params, one_of

_ORDERS, _SNAPSHOT = "*/iserver/account/orders", "*/iserver/marketdata/snapshot"


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_ids(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) for item in value)


def _is_conid(value: Any) -> bool:
    return isinstance(value, int) and value in BY_CONID


def _is_ratio(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


FLAG = ("true or false", _is_flag)
IDS = ("a list of message ids", _is_ids)
CONID = ("the number of a contract that is listed", _is_conid)
RATIO = ("a whole number from 1", _is_ratio)
_CONID: Params = {"conid": CONID}

# once: they change a state, which stays
_STATES = {
    "session_expired": Action(once=True),
    "competing_session": Action(once=True),
    "needs_login": Action(once=True),
    "daily_reset": Action({"seconds": NUMBER}, once=True),
    "penalty_box": Action({"seconds": NUMBER}, once=True),
    "split": Action(
        {**_CONID, "new": RATIO, "old": RATIO, "orders": one_of("keep", "cancel", "scale")},
        ("conid", "new", "old"),
        once=True,
    ),
}
_REQUESTS = {
    "no_session": Action({"form": one_of("401", "body")}),
    "error_500": Action({"body": TEXT, "after_accept": FLAG}),
    "slow": Action({"seconds": SECONDS, "after_accept": FLAG}, ("seconds",)),
}
_ENTRIES = {
    "lost_reply": Action(),
    "swallowed_order": Action({"acknowledged": FLAG}),
    "reject_200": Action({"error": TEXT}),
    "duplicate_coid": Action({"taken": FLAG}),
    "extra_questions": Action({"message_ids": IDS}),
    "unknown_question": Action({"text": TEXT}),
    "stale_reply": Action({"status": one_of(400, 503)}, path="*/iserver/reply/*"),
    "child_refused": Action({"error": TEXT}),
    "inactive_order": Action({"reason": TEXT}),
    "partial_fill": Action({"quantity": NUMBER}, ("quantity",)),
    "late_fill_after_cancel": Action({"seconds": SECONDS}),
}
_VIEWS = {
    "empty_preflight": Action(path=_SNAPSHOT),
    "frozen_quotes": Action(_CONID),
    "delayed_quotes": Action(_CONID),
    "halted_quote": Action(_CONID),
    "orders_cache_empty": Action(path=_ORDERS),
    "trades_cache_empty": Action(path="*/iserver/account/trades"),
    "foreign_holding": Action({"quantity": NUMBER}, ("quantity",)),
    "stale_positions": Action(path="*/portfolio/*/positions/[0-9]*"),
    "missing_child": Action(path=_ORDERS),
    "missing_order": Action({"ref": TEXT}, ("ref",), path=_ORDERS),
}
_SOCKETS = {
    "cut_socket": Action({"after_seconds": SECONDS}),
    "websocket_silent": Action({"after_seconds": SECONDS, "seconds": SECONDS}),
}
ACTIONS = {**_STATES, **_REQUESTS, **_ENTRIES, **_VIEWS, **_SOCKETS}
