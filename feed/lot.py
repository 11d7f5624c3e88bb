"""The parking lot: polls that wait for news, woken together and timed together."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import islice

from domain.vocabulary import Surface
from feed.answers import Answer
from feed.cursor import Marks
from feed.problems import too_busy

TICK_S = 0.1
# So many are answered before the loop sees to other things: the first of thousands is not kept waiting for the last.
_AT_ONCE = 64


class Group:
    """All polls that wait for the same page: they get the same bytes."""

    __slots__ = ("key", "limit", "marks", "packed", "parked", "visible")

    def __init__(self, marks: Marks, limit: int, visible: frozenset[Surface], packed: bool) -> None:
        self.marks = marks
        self.limit = limit
        self.visible = visible
        self.packed = packed
        self.key = ""
        self.parked: set[Parked] = set()


class Parked:
    """One waiting poll; what waits for it is the business of each kind."""

    __slots__ = ("due", "group", "token_id")

    due: int
    group: Group
    token_id: str

    def tell(self, answer: Answer | None) -> None:
        """Hand over the answer; None says to look for oneself."""
        raise NotImplementedError


class Awaited(Parked):
    """A poll that a task waits for."""

    __slots__ = ("future",)

    def __init__(self) -> None:
        self.future: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()

    def tell(self, answer: Answer | None) -> None:
        if not self.future.done():
            self.future.set_result(answer)


class Lot:
    """Holds at most ``total`` polls, ``per_token`` of one token.

    One timer serves all of them: each waits in the bucket of the tick in which its time is up.
    """

    def __init__(self, *, total: int, per_token: int, empty: Callable[[Group], Answer]) -> None:
        self._total = total
        self._per_token = per_token
        self._empty = empty
        self._groups: dict[str, Group] = {}
        self._tokens: defaultdict[str, list[Parked]] = defaultdict(list)
        self._wheel: defaultdict[int, set[Parked]] = defaultdict(set)
        self._size = 0
        self.held = 0  # places that open streams take
        self._tick = 0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return self._size

    def park(self, token_id: str, key: str, group: Group, wait_s: float) -> Awaited:
        """Begin to wait for a future. Raises as `enter`."""
        parked = Awaited()
        self.enter(parked, token_id, key, group, wait_s)
        return parked

    def enter(self, parked: Parked, token_id: str, key: str, group: Group, wait_s: float) -> None:
        """Begin to wait; ``key`` says which polls share a page. The oldest poll of a token makes room for a newer one.

        Raises:
            Problem: 503 when the lot is full.
        """
        mine = self._tokens.get(token_id, [])
        if len(mine) >= self._per_token:
            self.release([mine[0]], self._empty(mine[0].group))
        if self._size + self.held >= self._total:
            raise too_busy()
        self._start_timer()
        group = self._groups.setdefault(key, group)
        group.key = key
        parked.token_id = token_id
        parked.group = group
        parked.due = _ticks() + max(1, round(wait_s / TICK_S))
        group.parked.add(parked)
        self._wheel[parked.due].add(parked)
        self._tokens[token_id].append(parked)
        self._size += 1

    def groups(self) -> list[Group]:
        return list(self._groups.values())

    def token_ids(self) -> list[str]:
        return list(self._tokens)

    def of_token(self, token_id: str) -> list[Parked]:
        return list(self._tokens.get(token_id, ()))

    def release(self, polls: list[Parked], answer: Answer | None) -> None:
        """Answer these polls; None tells them to look for themselves. One that is answered otherwise meanwhile is not
        answered twice.
        """
        self._tell(iter(polls), answer)

    def _tell(self, polls: Iterator[Parked], answer: Answer | None) -> None:
        seen = 0
        for parked in islice(polls, _AT_ONCE):
            if self.leave(parked):
                parked.tell(answer)
            seen += 1
        if seen == _AT_ONCE:
            asyncio.get_running_loop().call_soon(self._tell, polls, answer)

    def release_all(self) -> None:
        """Answer everybody, each with an answer made for it alone: it says when to come back, and not all at once."""
        for group in self.groups():
            for parked in list(group.parked):
                self.release([parked], self._empty(group))

    def leave(self, parked: Parked) -> bool:
        """Forget a poll, also one whose connection has gone; tell whether it was still here."""
        others = parked.group.parked
        if parked not in others:
            return False
        others.remove(parked)
        if not others:
            self._groups.pop(parked.group.key, None)
        _drop(self._wheel, parked.due, parked)
        mine = self._tokens[parked.token_id]
        mine.remove(parked)
        if not mine:
            del self._tokens[parked.token_id]
        self._size -= 1
        return True

    def _start_timer(self) -> None:
        if self._timer is None:
            self._tick = _ticks()
            self._arm()

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._turn)

    def _turn(self) -> None:
        self._timer = None
        now = _ticks()
        # A busy loop turns late: the ticks are those of the clock, or a wait would add up the delays.
        while self._tick < now:
            self._tick += 1
            for group, polls in _by_group(self._wheel.pop(self._tick, set())):
                self.release(polls, self._empty(group))
        if self._size:
            self._arm()


def _ticks() -> int:
    return int(asyncio.get_running_loop().time() / TICK_S)


def _by_group(polls: set[Parked]) -> Iterator[tuple[Group, list[Parked]]]:
    found: defaultdict[Group, list[Parked]] = defaultdict(list)
    for parked in polls:
        found[parked.group].append(parked)
    yield from found.items()


def _drop(wheel: defaultdict[int, set[Parked]], due: int, parked: Parked) -> None:
    if due in wheel:
        wheel[due].discard(parked)
        if not wheel[due]:
            del wheel[due]
