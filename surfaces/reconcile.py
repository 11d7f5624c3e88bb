"""The comparison of what the journals say is open with what the broker says is open."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import structlog

from brokers.port import BrokerTrade, Executor
from domain.errors import Misconfigured
from domain.ids import signal_of_order
from domain.operation import StateChange
from domain.vocabulary import Cause, Leg, State
from surfaces.books import Books
from surfaces.entry import EntryDesk

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a reconciliation found; ``external``, ``wrong_quantity`` and ``unproven`` leave something unexplained.

    ``gone`` are positions that are no longer at the broker: the resolver will read their exits. ``unproven`` are
    orders whose outcome the broker could not tell yet. ``account_id`` is the account that was compared.
    """

    account_id: str = ""

    matched: tuple[str, ...] = ()
    recovered: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    external: tuple[str, ...] = ()
    wrong_quantity: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        return not (self.external or self.wrong_quantity or self.unproven)


def reconcile(
    books: Books, executor: Executor, entries: EntryDesk, concerns: Callable[[str], bool] = lambda market: True
) -> Findings:
    """Ask the broker about every unfinished order, then compare positions and set the operating state.

    Args:
        concerns: tells of a market whether positions there that are not ours are to be explained.

    Raises:
        Retry: the broker could not be read; nothing was concluded.
    """
    account_id = executor.account().account_id
    _require_same_account(books, account_id)
    orders = books.fold.unfinished(Leg.ENTRY)
    unproven = tuple(intent.client_order_id for intent in orders if not entries.settle_unknown(intent))
    trades = executor.open_trades()
    recovered = _recover(books, entries, trades)
    findings = replace(_compare(books, trades, concerns), account_id=account_id, recovered=recovered, unproven=unproven)
    _record(books, findings, trades)
    return findings


def _recover(books: Books, entries: EntryDesk, trades: Sequence[BrokerTrade]) -> tuple[str, ...]:
    """Read the fills of our own orders that the broker holds open and our journal has no fill of."""
    found: list[str] = []
    for trade in trades:
        intent = books.fold.intents.get(trade.client_order_id or "")
        if intent is not None and books.fold.position(intent.signal_id) is None and entries.settle_unknown(intent):
            found.append(trade.trade_id)
    return tuple(found)


def _require_same_account(books: Books, account_id: str) -> None:
    """Refuse another account than the journals are about: its positions and cursors would be taken for this one's."""
    known = books.fold.account_id
    if known is not None and known != account_id:
        raise Misconfigured(
            f"account {known}, which the journals of {books.surface} in mode {books.mode} are about",
            f"account {account_id}",
            "give this account a home of its own (TBOT_HOME)",
        )


def _compare(books: Books, trades: Sequence[BrokerTrade], concerns: Callable[[str], bool]) -> Findings:
    ours = {position.signal_id: position for position in books.fold.positions()}
    matched, external, wrong = [], [], []
    for trade in trades:
        parsed = signal_of_order(trade.client_order_id or "")
        if parsed is not None and parsed[0] is not books.surface:
            continue
        position = ours.pop(parsed[1], None) if parsed else None
        if position is None and parsed is None and not concerns(trade.market):
            continue
        if position is None:
            external.append(trade.trade_id)
        elif position.quantity != trade.quantity or position.side is not trade.side:
            wrong.append(position.signal_id)
        else:
            matched.append(position.signal_id)
    return Findings(
        matched=tuple(matched),
        gone=tuple(ours),
        external=tuple(external),
        wrong_quantity=tuple(wrong),
    )


def _record(books: Books, findings: Findings, trades: Sequence[BrokerTrade]) -> None:
    state = books.fold.wish(Cause.RECONCILIATION).state
    books.reconciled({"clean": findings.is_clean, **asdict(findings)})
    if not findings.is_clean:
        log.error("reconciliation_unexplained", **asdict(findings))
        if state is State.RUN:
            books.changed(StateChange(state=State.REDUCE, reason=_reason(findings, trades), cause=Cause.RECONCILIATION))
    elif state is not State.RUN:
        books.changed(StateChange(state=State.RUN, reason="explained", cause=Cause.RECONCILIATION))


def _reason(findings: Findings, trades: Sequence[BrokerTrade]) -> str:
    """Return what is unexplained in words: shares and markets as the broker counts them, and orders."""
    odd = [trade for trade in trades if _is_odd(trade, findings)]
    counts = [f"{trade.quantity * trade.side.sign} {trade.market}" for trade in odd]
    return f"unexplained: {', '.join((*counts, *findings.unproven))}"


def _is_odd(trade: BrokerTrade, findings: Findings) -> bool:
    parsed = signal_of_order(trade.client_order_id or "")
    return trade.trade_id in findings.external or (parsed is not None and parsed[1] in findings.wrong_quantity)
