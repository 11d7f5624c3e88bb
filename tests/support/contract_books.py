"""What an account of event contracts did and has: by the venue's file, a surface's journal, the client's ledger."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from demo_story import Story, whole_lines

Record = dict[str, Any]
OPENING = Decimal("10000.00")
FOUR = Decimal("0.0001")


@dataclass
class Books:
    """Cash, and what is held of each contract: YES above zero, NO below."""

    cash: Decimal = OPENING
    held: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def take(self, market: str, units: Decimal, cash: Decimal) -> None:
        self.held[market] += units
        self.cash += cash

    def same_as(self, account: Record) -> bool:
        """Tell whether the venue shows exactly this."""
        held = {market: units for market, units in self.held.items() if units}
        return (self.cash, held) == (Decimal(account["cash"]), account["positions"])


def of_surface(story: Story, surface: str) -> Books:
    """Add up the executions a surface and its resolver journalled."""
    # Read in this order: the demo may still be trading, and writes each intent before its events.
    events = story.records("order_event", surface)
    intents = {one["signal_id"]: one for one in story.records("order_intent", surface) if one["leg"] == "entry"}
    books = Books()
    for event in events:
        intent, units, price = intents[event["signal_id"]], Decimal(event["quantity"]), Decimal(event["price"] or 0)
        each = price if intent["side"] == "buy" else 1 - price
        sign = (1 if intent["side"] == "buy" else -1) * (1 if event["leg"] == "entry" else -1)
        paid = -each if event["leg"] == "entry" else each
        books.take(intent["market"], units * sign, paid * units - Decimal(event["fee"] or 0))
    return books


def ledger(story: Story) -> list[Record]:
    """Return what the subscriber's own client wrote down of its account."""
    return whole_lines((story.house.state / "demo-subscriber-kalshi" / "kalshi.jsonl").read_bytes())


def of_ledger(story: Story) -> Books:
    """Add up the subscriber's ledger, whose costs are of YES: what was sold cost what lacks to a dollar each."""
    books, entries = Books(), {}
    for one in ledger(story):
        if one["kind"] == "opened":
            units, cost, is_buy = Decimal(one["units"]), Decimal(one["cost"]), one["side"] == "buy"
            paid = (cost if is_buy else units - cost) + Decimal(one["fees"])
            entries[one["order_id"]] = one["market"], units if is_buy else -units, paid
            books.take(one["market"], units if is_buy else -units, -paid)
        elif one["kind"] == "settled":
            market, units, paid = entries.pop(one["trade_id"])
            books.take(market, -units, paid + Decimal(one["realised"]))
    return books


def venue_rows(story: Story, account: str, what: str) -> list[Record]:
    """Return the ``fills``, ``settlements`` or ``orders`` of an account, from the file the venue keeps them in."""
    lines = whole_lines((story.house.state / "sim-kalshi.json").read_bytes())
    return [row for line in lines if account in line["accounts"] for row in line["accounts"][account][what]]


def earned(settlements: Iterable[Record]) -> dict[str, Decimal]:
    """Return market -> what a settlement left after the cost and the fees of what was held."""
    return {one["ticker"]: Decimal(one["revenue"]) - Decimal(one["cost"]) - Decimal(one["fees"]) for one in settlements}


def executions(fills: Iterable[Record]) -> dict[str, tuple[Decimal, Decimal]]:
    """Return order id -> how many contracts it bought or sold, and their average price to four decimals."""
    counts: dict[str, Decimal] = defaultdict(Decimal)
    worth: dict[str, Decimal] = defaultdict(Decimal)
    for one in fills:
        counts[one["order_id"]] += Decimal(one["count"])
        worth[one["order_id"]] += Decimal(one["count"]) * Decimal(one["price"])
    return {name: (count, (worth[name] / count).quantize(FOUR)) for name, count in counts.items()}
