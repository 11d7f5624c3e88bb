"""The lines that subscribers' programs were written against.

``golden/*.jsonl`` hold one line of each kind, as a published version wrote it. Keys may be added to what is written
today; none may disappear, and none may change its form or its meaning. To take new keys in, paste the line that
``lines`` writes.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from domain.clock import FakeClock
from feed.lines import PUBLIC
from tbot_client.keys import BadSignature, Keyring, line_text, parse_keys
from tbot_client.wire import BadLine, hash_matches, parse_item, parse_page

pytestmark = pytest.mark.contract

GOLDEN = Path(__file__).parent / "golden"
NAMES = ("open", "amend", "close", "resolution")
START = datetime(2026, 3, 2, 9, 0, 0, 123_456, tzinfo=UTC)
# What depends on the machine and the moment; `prev` and `h` follow from it.
OF_THE_MACHINE = {"boot", "pid", "prev", "h", "sig"}
# Who signed the golden lines; the private half is gone.
KEYS = b"""{"keys":[{"key":"95c98baeb1e31ca1","surface":"fx","public":"iD00UblPkZy7b8EHtoEFjdwwv0vJBmA7vA3Haea7om4=",
"from":"2026-03-02T09:00:00.123456Z","until":null,"by":null,"endorsement":null}]}"""
# field -> what it must be, on every line that has it
FORMS: Mapping[str, Callable[[Any], bool]] = {
    "ts": lambda v: len(v) == 27 and v.endswith("Z") and bool(datetime.fromisoformat(v)),
    "seq": lambda v: type(v) is int,
    "mono_ns": lambda v: v.isdecimal(),
    "boot": lambda v: isinstance(v, str) and len(v) > 0,
    "pid": lambda v: type(v) is int,
    "prev": lambda v: len(v) == 64 and int(v, 16) >= 0,
    "h": lambda v: len(v) == 64 and int(v, 16) >= 0,
    "sig": lambda v: len(v) == 105 and v[16] == ":" and int(v[:16], 16) >= 0,
}


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory, publisher_class: Any) -> dict[str, bytes]:
    """Write one line of each kind anew, with the domain's values and the journal's own hand."""
    numbers = count(1)

    def numbered(prefix: str, moment: datetime) -> str:
        return f"{prefix}_01KJQ9ZDG{next(numbers):017d}"

    logs = tmp_path_factory.mktemp("golden")
    clock = FakeClock(START)
    publisher = publisher_class(logs, clock, numbered)
    signal_id = publisher.open(trailing_distance=Decimal("0.00250"))
    for step in (publisher.amend, publisher.close, publisher.resolve):
        clock.advance(90)
        step(signal_id)
    publisher.shut()
    found = {}
    for stream in ("signals", "resolutions"):
        for raw in (logs / "fx" / stream / "000001.jsonl").read_bytes().splitlines():
            record = json.loads(raw)
            if record["kind"] in PUBLIC:
                found[record.get("action", record["kind"])] = raw
    return found


def golden(name: str) -> bytes:
    (line,) = (GOLDEN / f"{name}.jsonl").read_bytes().splitlines()
    return line


def test_there_is_a_golden_line_of_each_kind_and_of_no_other() -> None:
    assert sorted(path.stem for path in GOLDEN.iterdir()) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_field_that_was_ever_published_is_still_there_with_the_same_meaning(
    name: str, lines: dict[str, bytes]
) -> None:
    before, now = json.loads(golden(name)), json.loads(lines[name])

    for field, value in before.items():
        assert field in now, f"{field} has disappeared from {name}"
        if field not in OF_THE_MACHINE:
            assert now[field] == value, f"{field} of {name} has changed"
        assert type(now[field]) is type(value), f"{field} of {name} has another form"


@pytest.mark.parametrize("name", NAMES)
def test_fields_keep_their_places_and_ts_comes_first(name: str, lines: dict[str, bytes]) -> None:
    before, now = list(json.loads(golden(name))), list(json.loads(lines[name]))

    assert before[0] == now[0] == "ts"
    assert [field for field in now if field in before] == before
    assert now[-3:] == ["prev", "h", "sig"]


@pytest.mark.parametrize("source", ["golden", "new"])
@pytest.mark.parametrize("name", NAMES)
def test_every_line_has_the_documented_forms(name: str, source: str, lines: dict[str, bytes]) -> None:
    raw = golden(name) if source == "golden" else lines[name]
    record = json.loads(raw)

    assert raw.isascii()
    for field, is_right in FORMS.items():
        assert is_right(record[field]), (field, record[field])
    numbers = [v for k, v in record.items() if k.endswith(("price", "_loss", "profit", "realised", "quantity"))]
    assert all(isinstance(number, str) and Decimal(number).is_finite() for number in numbers)
    assert not any(isinstance(value, float) for value in record.values())


@pytest.mark.parametrize("name", NAMES)
def test_the_client_reads_each_golden_line(name: str) -> None:
    raw = golden(name)
    item = parse_item(raw)

    assert hash_matches(raw)
    assert item.is_open is (name == "open")
    assert item.is_end is (name in ("close", "resolution"))
    assert item.journal == ("fx/signals" if name in ("open", "amend") else "fx/resolutions")
    assert item.surface == "fx"
    assert item.signal_id == json.loads(golden("open"))["signal_id"]


@pytest.mark.parametrize("name", NAMES)
def test_the_client_knows_each_golden_line_by_its_signature(name: str) -> None:
    item, ring = parse_item(golden(name)), Keyring(["fx:95c98baeb1e31ca1"])
    ring.learn(parse_keys(KEYS))

    ring.check("fx", line_text(item.h), item.sig, item.ts)
    with pytest.raises(BadSignature, match="does not match"):
        ring.check("fx", line_text("0" * 64), item.sig, item.ts)


def test_the_client_understands_the_numbers_of_an_open_and_of_new_levels() -> None:
    opened, amended, closed = (parse_item(golden(name)) for name in ("open", "amend", "close"))

    assert (opened.reference_price, opened.stop_loss) == (Decimal("1.1"), Decimal("1.09"))
    assert (opened.take_profit, opened.trailing_distance) == (Decimal("1.12"), Decimal("0.0025"))
    assert (opened.side, opened.market) == ("buy", "EUR_USD")
    assert opened.published_at is not None
    assert opened.expires_at is not None
    assert (opened.expires_at - opened.published_at).total_seconds() == 600
    assert (amended.stop_loss, amended.take_profit) == (Decimal("1.095"), Decimal("1.12"))
    assert (closed.exit_price, closed.reason) == (Decimal("1.12"), "take_profit")


@pytest.mark.parametrize("name", NAMES)
def test_a_single_changed_byte_of_a_golden_line_is_noticed(name: str) -> None:
    raw = golden(name)
    ring = Keyring(["fx:95c98baeb1e31ca1"])
    ring.learn(parse_keys(KEYS))

    for place in range(0, len(raw), 7):
        changed = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        assert not is_genuine(changed, ring)


def is_genuine(raw: bytes, ring: Keyring) -> bool:
    try:
        item = parse_item(raw)
        ring.check("fx", line_text(item.h), item.sig, item.ts)
    except (BadLine, BadSignature):
        return False
    return hash_matches(raw)


def test_the_client_ignores_keys_it_does_not_know() -> None:
    raw = golden("open").replace(b'{"ts"', b'{"new":{"h":"x"},"ts"')

    assert parse_item(raw).signal_id == parse_item(golden("open")).signal_id


def test_the_client_keeps_the_bytes_of_a_page_of_golden_lines() -> None:
    raws = [golden(name) for name in NAMES]
    page = b'{"items":[%b],"server_time":"2026-03-02T09:00:00.000000Z","next_cursor":"c"}' % b",".join(raws)

    assert [bytes(raw) for raw in parse_page(page).items] == raws
