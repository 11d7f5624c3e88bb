"""What is written and told when shares were split."""

from decimal import Decimal

from stop_entry_rig import facts

from domain.vocabulary import Kind, Side
from surfaces.ibkr_stk.splits import SplitDesk

D = Decimal


class DiedError(Exception):
    """The process was killed."""


def died(split):
    raise DiedError


def test_split_that_was_told_and_not_written_is_explained_and_told_again(running):
    position = running.books.fold.position(running.trade(side=Side.BUY))
    candidate = position.decision.candidate
    running.clock.advance(600)
    seen = facts(
        symbol=position.market,
        now=running.clock.now(),
        held=position.quantity,
        position=2 * position.quantity,
        last=position.entry_price / 2,
        tick=D("0.00001"),
    )
    write, running.books.split = running.books.split, died

    try:
        SplitDesk(running.books).explain(seen, position)
    except DiedError:
        running.books.split = write
    SplitDesk(running.books).explain(seen, position)

    told = [row for row in running.records("signals", Kind.SIGNAL) if row["action"] == "amend"]
    assert [D(row["stop_loss"]) for row in told] == [candidate.stop_loss / 2] * 2
    assert len(running.books.fold.splits[position.signal_id]) == 1
    assert running.books.fold.position(position.signal_id).quantity == 2 * position.quantity
