"""What became of our orders at IBKR, one line each in a file of the home.

IBKR lists the orders of a day and the executions of a week, while a position may be held for months. An order's intent
is written before it is sent, so that after a crash it is known which id to ask for.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from tbot_client.brokers.ibkr_parse import OURS, ZERO, Execution
from tbot_client.brokers.port import Event, Levels, NotFilled, Opened, Reduced
from tbot_client.brokers.told import Told
from tbot_client.clock import iso
from tbot_client.journal import Record

CURRENCY = "USD"
_PRICE, _MONEY = Decimal("0.000001"), Decimal("0.0001")


@dataclass(slots=True, kw_only=True)
class Held:
    """An entry of ours and what is ``left`` of it; ``cost`` and ``fees`` are those of what is left.

    ``sent`` is leg -> number of the last order sent for it.
    """

    client_id: str
    market: str
    conid: int
    side: str
    price: Decimal
    left: Decimal
    cost: Decimal
    fees: Decimal
    levels: Levels
    at: datetime
    sent: dict[str, int] = field(default_factory=dict)

    @property
    def stem(self) -> str:
        return stem_of(self.client_id)

    @property
    def sign(self) -> int:
        return 1 if self.side == "buy" else -1

    def shares(self, units: Decimal) -> tuple[Decimal, Decimal]:
        """Return cost and fees of ``units`` of what is left; whatever rounding leaves over goes with the last part."""
        if units >= self.left:
            return self.cost, self.fees
        part = units / self.left
        return (self.cost * part).quantize(_MONEY), (self.fees * part).quantize(_MONEY)


class Ledger(Told):
    """The fold of one file; a position goes by the stem of its orders' ids."""

    def __init__(self, path: Path, now: Callable[[], datetime]) -> None:
        super().__init__(path, now)
        self.held: dict[str, Held] = {}
        self.intents: dict[str, Record] = {}
        self.numbers: dict[str, str] = {}
        self.entries: set[str] = set()
        self.fills: set[str] = set()
        self.load()

    def sent(self, client_id: str, **facts: object) -> None:
        """Note that an order is about to be sent."""
        self.write({"kind": "sent", "client_id": client_id, "time": self._moment()} | facts)

    def taken(self, client_id: str, number: str) -> None:
        """Note the number IBKR gave an entry when it took it in."""
        self.write({"kind": "taken", "client_id": client_id, "number": number, "time": self._moment()})

    def opened(self, client_id: str, intent: Record, fills: list[Execution]) -> None:
        """Note an entry that was filled, wholly or in part, and is over."""
        facts = {name: intent[name] for name in ("market", "conid", "side", "levels")}
        self.write({"kind": "opened", "client_id": client_id, "time": iso(fills[-1].at)} | facts | _sums(fills))

    def unfilled(self, client_id: str, reason: str) -> None:
        """Note an entry that ended without a fill."""
        self.write({"kind": "unfilled", "client_id": client_id, "reason": reason, "time": self._moment()})

    def grown(self, held: Held, fills: list[Execution]) -> None:
        """Note fills of an entry that were told after it was over."""
        self.write({"kind": "grown", "stem": held.stem, "time": iso(fills[-1].at)} | _sums(fills))

    def reduced(self, held: Held, fills: list[Execution], reason: str) -> None:
        """Note that a position became smaller: proceeds less cost, less the fees of both."""
        sums = _sums(fills)
        cost, fees = held.shares(Decimal(str(sums["units"])))
        realised = (Decimal(str(sums["cost"])) - cost) * held.sign - fees - Decimal(str(sums["fees"]))
        record: Record = {"kind": "reduced", "stem": held.stem, "reason": reason, "time": iso(fills[-1].at)}
        part = {"entry_cost": str(cost), "entry_fees": str(fees), "realised": str(realised)}
        self.write(record | sums | part)

    def known(self, fills: list[Execution], client_id: str = "") -> None:
        """Note fills that change nothing any more, ``client_id`` if they are of an entry nobody follows."""
        record: Record = {"kind": "known", "client_id": client_id, "fills": [fill.fill_id for fill in fills]}
        self.write(record | {"time": iso(fills[-1].at)})

    def levels(self, held: Held, levels: Record) -> None:
        """Note where a position is to be protected from now on."""
        self.write({"kind": "levels", "stem": held.stem, "levels": levels, "time": self._moment()})

    def split(self, held: Held, units: Decimal) -> None:
        """Note that what is held was split, and is so many shares now."""
        self.write({"kind": "split", "stem": held.stem, "units": str(units), "time": self._moment()})

    def _moment(self) -> str:
        return iso(self._now())

    def fold(self, record: Record, at: datetime) -> Event | None:
        self.fills.update(record.get("fills", []))
        return _FOLDS[record["kind"]](self, record, at)

    def _fold_sent(self, record: Record, at: datetime) -> None:
        self.intents[record["client_id"]] = record
        stem, leg, number = parts_of(record["client_id"])
        if stem in self.held:
            self.held[stem].sent[leg] = number

    def _fold_taken(self, record: Record, at: datetime) -> None:
        self.numbers[record["client_id"]] = record["number"]

    def _end_entry(self, client_id: str) -> None:
        self.entries.add(client_id)
        self.numbers.pop(client_id, None)

    def _fold_opened(self, record: Record, at: datetime) -> Event:
        client_id, units, cost = record["client_id"], Decimal(record["units"]), Decimal(record["cost"])
        self._end_entry(client_id)
        held = Held(
            client_id=client_id,
            market=record["market"],
            conid=record["conid"],
            side=record["side"],
            price=_mean(cost, units),
            left=units,
            cost=cost,
            fees=Decimal(record["fees"]),
            levels=read_levels(record["levels"]),
            at=at,
            sent={"stop": 1},
        )
        self.held[held.stem] = held
        return Opened(
            id=record["fills"][0], client_id=client_id, trade_id=held.stem, units=units, price=held.price, at=at
        )

    def _fold_unfilled(self, record: Record, at: datetime) -> Event:
        self._end_entry(record["client_id"])
        return NotFilled(id=record["client_id"], client_id=record["client_id"], reason=record["reason"])

    def _fold_grown(self, record: Record, at: datetime) -> None:
        held = self.held[record["stem"]]
        held.left += Decimal(record["units"])
        held.cost += Decimal(record["cost"])
        held.fees += Decimal(record["fees"])

    def _fold_reduced(self, record: Record, at: datetime) -> Event:
        held, units = self.held[record["stem"]], Decimal(record["units"])
        held.left -= units
        held.cost -= Decimal(record["entry_cost"])
        held.fees -= Decimal(record["entry_fees"])
        if held.left <= 0:
            del self.held[held.stem]
        return Reduced(
            id=record["fills"][-1],
            trade_id=held.stem,
            units=units,
            price=_mean(Decimal(record["cost"]), units),
            realised=Decimal(record["realised"]),
            currency=CURRENCY,
            reason=record["reason"],
            at=at,
        )

    def _fold_known(self, record: Record, at: datetime) -> None:
        self._end_entry(record["client_id"])

    def _fold_levels(self, record: Record, at: datetime) -> None:
        self.held[record["stem"]].levels = read_levels(record["levels"])

    def _fold_split(self, record: Record, at: datetime) -> None:
        held = self.held[record["stem"]]
        held.left = Decimal(record["units"])
        held.price = _mean(held.cost, held.left)


_FOLDS: dict[str, Callable[[Ledger, Record, datetime], Event | None]] = {
    "sent": Ledger._fold_sent,
    "taken": Ledger._fold_taken,
    "opened": Ledger._fold_opened,
    "unfilled": Ledger._fold_unfilled,
    "grown": Ledger._fold_grown,
    "reduced": Ledger._fold_reduced,
    "known": Ledger._fold_known,
    "levels": Ledger._fold_levels,
    "split": Ledger._fold_split,
}


def parts_of(client_id: str) -> tuple[str, str, int]:
    """Return stem, leg and number of an order's id."""
    found = OURS.fullmatch(client_id)
    return (found[1], found[2], int(found[3])) if found else (client_id, "", 0)


def stem_of(client_id: str) -> str:
    return parts_of(client_id)[0]


def write_levels(levels: Levels) -> Record:
    return {name: None if (level := getattr(levels, name)) is None else str(level) for name in Levels.__slots__}


def read_levels(record: Record) -> Levels:
    numbers = {name: None if text is None else Decimal(text) for name, text in record.items()}
    return Levels(**numbers)  # type: ignore[arg-type]  # a stop is always written


def _mean(cost: Decimal, units: Decimal) -> Decimal:
    """Return a mean price with four decimals, or six where it needs them."""
    exact = (cost / units).quantize(_PRICE)
    four = exact.quantize(_MONEY)
    return four if four == exact else exact


def _sums(fills: list[Execution]) -> Record:
    return {
        "units": str(sum((fill.units for fill in fills), ZERO)),
        "cost": str(sum((fill.units * fill.price for fill in fills), ZERO)),
        "fees": str(sum((fill.fee or ZERO for fill in fills), ZERO)),
        "fills": [fill.fill_id for fill in fills],
    }
