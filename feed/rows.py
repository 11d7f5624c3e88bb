"""The signals of the board as rows of bytes: half a million of them take some 40 MB, as objects ten times that.

All rows are of one width, and those of ids with the same checksum lie one behind the other on a shelf. A row is found
by looking for its id there, which takes about a microsecond; no index has to grow, and nothing is ever sorted anew.
"""

from array import array
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from struct import Struct
from sys import intern
from zlib import crc32

import msgspec

from feed.lines import Signal

# Id, which words, which of the others are there, exponent and digits of the price, published, expires, ended.
_ROW = Struct("<26sIBbqqqq")
_KEY = Struct("<26s")
_WHAT = Struct("<30xB17xqq")
WIDTH = _ROW.size
_RAW = Struct(f"{WIDTH}s")
_NOTHING = bytes(WIDTH)
_KNOWN, _PRICED, _WIDE, _PUBLISHED, _EXPIRES, _ENDED = 1, 2, 4, 8, 16, 32

_SHELVES = 16_384
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
# What surely fits eight bytes.
_DIGITS_MAX = 18
_NEVER = 2**63 - 1

Words = tuple[str, str, str]  # surface, mode, side


class KeptRows(msgspec.Struct, frozen=True):
    """All of it; ``wide`` are the prices that fit no row, by id."""

    count: int
    shelves: list[bytes]
    words: list[Words]
    wide: list[tuple[str, Decimal]]

    @property
    def is_whole(self) -> bool:
        lengths = list(map(len, self.shelves))
        return len(lengths) == _SHELVES and sum(lengths) == self.count * WIDTH and not any(n % WIDTH for n in lengths)


class Rows:
    """What is known of each signal, and when it ended. An end may come before its signal."""

    def __init__(self) -> None:
        # A shelf is not changed but replaced, so that whoever keeps all of them needs no copies.
        self._shelves = [b""] * _SHELVES
        self._first_ends = array("q", [_NEVER]) * _SHELVES
        self._words: dict[Words, int] = {}
        self._spelt: list[Words] = []
        self._wide: dict[bytes, Decimal] = {}

    def __len__(self) -> int:
        return sum(map(len, self._shelves)) // WIDTH

    @classmethod
    def restored(cls, kept: KeptRows) -> "Rows":
        """Return the rows as `keep` saw them."""
        made = cls()
        made._shelves = list(kept.shelves)
        made._first_ends = array("q", map(_first_end, kept.shelves))
        for words in kept.words:
            made._number(words)
        made._wide = {key.encode(): price for key, price in kept.wide}
        return made

    def keep(self) -> KeptRows:
        """Return everything as it is now; later changes do not change it."""
        wide = [(key.decode(), price) for key, price in self._wide.items()]
        return KeptRows(len(self), list(self._shelves), list(self._spelt), wide)

    def put(self, signal: Signal) -> bool:
        """Take a signal in, and tell whether it ended already; an end that came before it stays."""
        key = _key(signal.id)
        shelf, at, row = self._find(key)
        what, _, ended = _WHAT.unpack(row)
        self._place(shelf, at, self._packed(key, signal, what & _ENDED, ended))
        return bool(what & _ENDED)

    def end(self, signal_id: str, moment: datetime) -> None:
        """Note when a signal ended; the first end counts."""
        key = _key(signal_id)
        shelf, at, row = self._find(key)
        _, words, what, *price_and_times, _ = _ROW.unpack(row)
        if not what & _ENDED:
            ended = _micros(moment)
            self._place(shelf, at, _ROW.pack(key, words, what | _ENDED, *price_and_times, ended))
            self._first_ends[shelf] = min(self._first_ends[shelf], ended)

    def signal(self, signal_id: str) -> Signal | None:
        key = _key(signal_id)
        _, words, what, exponent, digits, published, expires, _ = _ROW.unpack(self._find(key)[2])
        if not what & _KNOWN:
            return None
        surface, mode, side = self._spelt[words]
        return Signal(
            signal_id,
            surface,
            mode,
            side,
            self._wide[key] if what & _WIDE else _price(digits, exponent) if what & _PRICED else None,
            _moment(published) if what & _PUBLISHED else None,
            _moment(expires) if what & _EXPIRES else None,
        )

    def ended_at(self, signal_id: str) -> datetime | None:
        what, _, ended = self._what(signal_id)
        return _moment(ended) if what & _ENDED else None

    def is_known(self, signal_id: str) -> bool:
        return bool(self._what(signal_id)[0] & _KNOWN)

    def is_served(self, signal_id: str, moment: datetime) -> bool:
        """Tell whether a signal is known and did not end before ``moment``."""
        what, _, ended = self._what(signal_id)
        return bool(what & _KNOWN) and not (what & _ENDED and ended < _micros(moment))

    def is_dead(self, signal_id: str, now: datetime) -> bool:
        """Tell whether a signal is unknown, or over, or expired by ``now``."""
        what, expires, _ = self._what(signal_id)
        is_expired = what & _EXPIRES and expires <= _micros(now)
        return not what & _KNOWN or bool(what & _ENDED or is_expired)

    def drop(self, moment: datetime, but: Iterable[str]) -> None:
        """Let go of everything that ended before ``moment``, but for some signals."""
        until, kept = _micros(moment), {_key(signal_id) for signal_id in but}
        for shelf in [number for number, first in enumerate(self._first_ends) if first < until]:
            self._drop(shelf, until, kept)

    def _drop(self, shelf: int, until: int, kept: set[bytes]) -> None:
        left = []
        for row in _RAW.iter_unpack(self._shelves[shelf]):
            what, _, ended = _WHAT.unpack(row[0])
            key = row[0][: _KEY.size]
            if what & _ENDED and ended < until and key not in kept:
                self._wide.pop(key, None)
            else:
                left.append(row[0])
        self._shelves[shelf] = b"".join(left)
        self._first_ends[shelf] = _first_end(self._shelves[shelf])

    def _find(self, key: bytes) -> tuple[int, int, bytes]:
        """Return the number of an id's shelf, where its row is on it, and the row; -1 and zeros if there is none."""
        shelf = crc32(key) % _SHELVES
        rows = self._shelves[shelf]
        at = rows.find(key)
        while at > 0 and at % WIDTH:  # the same bytes by chance, across two rows
            at = rows.find(key, at + 1)
        return shelf, at, rows[at : at + WIDTH] if at >= 0 else _NOTHING

    def _place(self, shelf: int, at: int, row: bytes) -> None:
        """Put a row in the place of another, or behind all."""
        rows = self._shelves[shelf]
        self._shelves[shelf] = rows + row if at < 0 else rows[:at] + row + rows[at + WIDTH :]

    def _what(self, signal_id: str) -> tuple[int, int, int]:
        """Return which things are known of a signal, when it expires, and when it ended."""
        return _WHAT.unpack(self._find(_key(signal_id))[2])

    def _packed(self, key: bytes, signal: Signal, is_ended: int, ended: int) -> bytes:
        published, expires = signal.published_at, signal.expires_at
        what = _KNOWN | (_PUBLISHED if published else 0) | (_EXPIRES if expires else 0)
        kind, digits, exponent = self._shrunk(key, signal.reference_price)
        return _ROW.pack(
            key,
            self._number((signal.surface, signal.mode, signal.side)),
            what | kind | is_ended,
            exponent,
            digits,
            _micros(published) if published else 0,
            _micros(expires) if expires else 0,
            ended,
        )

    def _shrunk(self, key: bytes, price: Decimal | None) -> tuple[int, int, int]:
        """Return how a price is kept, its digits and its exponent."""
        self._wide.pop(key, None)
        if price is None:
            return 0, 0, 0
        sign, digits, exponent = price.as_tuple()
        if sign or len(digits) > _DIGITS_MAX or not isinstance(exponent, int) or not -128 <= exponent <= 127:
            self._wide[key] = price
            return _WIDE, 0, 0
        return _PRICED, int(price.scaleb(-exponent)), exponent

    def _number(self, words: Words) -> int:
        """Return the number of these words, of which there are few."""
        number = self._words.get(words)
        if number is None:
            surface, mode, side = map(intern, words)
            number = self._words[surface, mode, side] = len(self._spelt)
            self._spelt.append((surface, mode, side))
        return number


def _key(signal_id: str) -> bytes:
    """Return 26 bytes that stand for an id: those of the house's own are the ids without their prefix."""
    plain = signal_id.encode()
    if len(plain) == 4 + _KEY.size and plain.startswith(b"sig_"):
        return plain[4:]
    return blake2b(plain, digest_size=_KEY.size // 2).hexdigest().encode()


def _first_end(rows: bytes) -> int:
    return min((ended for what, _, ended in _WHAT.iter_unpack(rows) if what & _ENDED), default=_NEVER)


def _price(digits: int, exponent: int) -> Decimal:
    return Decimal(digits).scaleb(exponent)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _moment(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
