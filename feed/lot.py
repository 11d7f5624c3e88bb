"""The parking lot: polls that wait for news, woken together and timed together."""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator

from domain.vocabulary import Surface
from feed.answers import Answer
from feed.cursor import Marks
from feed.problems import too_busy

TICK_S = 0.1


class Group:
    """All polls that wait for the same page: they get the same bytes."""

    __slots__ = ("limit", "marks", "packed", "parked", "visible")

    def __init__(self, marks: Marks, limit: int, visible: frozenset[Surface], packed: bool) -> None:
        self.marks = marks
        self.limit = limit
        self.visible = visible
        self.packed = packed
        self.parked: set[Parked] = set()


class Parked:
    """One waiting poll."""

    __slots__ = ("due", "future", "group", "key", "token_id")

    def __init__(self, token_id: str, key: str, group: Group, due: int) -> None:
        self.token_id = token_id
        self.key = key
        self.group = group
        self.due = due
        self.future: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()


class Lot:
    """Holds at most ``total`` polls, ``per_token`` of one token.

    One timer serves all of them: each waits in the bucket of the tick in which its time is up.
    """

    def __init__(self, *, total: int, per_token: int, empty: Callable[[Group], Answer]) -> None:
        self._total = total
        self._per_token = per_token
        self._empty = empty
        self._groups: dict[str, Group] = {}
        self._tokens: defaultdict[str, OrderedDict[Parked, None]] = defaultdict(OrderedDict)
        self._wheel: defaultdict[int, set[Parked]] = defaultdict(set)
        self._size = 0
        self._tick = 0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return self._size

    def park(self, token_id: str, key: str, group: Group, wait_s: float) -> Parked:
        """Begin to wait; ``key`` says which polls share a page. The oldest poll of a token makes room for a newer one.

        Raises:
            Problem: 503 when the lot is full.
        """
        mine = self._tokens[token_id]
        if len(mine) >= self._per_token:
            oldest = next(iter(mine))
            self.release([oldest], self._empty(oldest.group))
        if self._size >= self._total:
            raise too_busy()
        self._start_timer()
        due = self._tick + max(1, round(wait_s / TICK_S))
        group = self._groups.setdefault(key, group)
        parked = Parked(token_id, key, group, due)
        group.parked.add(parked)
        self._wheel[due].add(parked)
        self._tokens[token_id][parked] = None
        self._size += 1
        return parked

    def groups(self) -> list[Group]:
        return list(self._groups.values())

    def token_ids(self) -> list[str]:
        return list(self._tokens)

    def of_token(self, token_id: str) -> list[Parked]:
        return list(self._tokens.get(token_id, ()))

    def release(self, polls: list[Parked], answer: Answer | None) -> None:
        """Answer these polls; None tells them to look for themselves."""
        for parked in polls:
            self.leave(parked)
            if not parked.future.done():
                parked.future.set_result(answer)

    def release_all(self) -> None:
        for group in self.groups():
            self.release(list(group.parked), self._empty(group))

    def leave(self, parked: Parked) -> None:
        """Forget a poll, also one whose connection has gone; a second time changes nothing."""
        if parked not in parked.group.parked:
            return
        parked.group.parked.discard(parked)
        if not parked.group.parked:
            self._groups.pop(parked.key, None)
        _drop(self._wheel, parked.due, parked)
        mine = self._tokens[parked.token_id]
        mine.pop(parked, None)
        if not mine:
            del self._tokens[parked.token_id]
        self._size -= 1

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TICK_S, self._turn)

    def _turn(self) -> None:
        self._tick += 1
        self._timer = None
        due = self._wheel.pop(self._tick, None)
        for group, polls in _by_group(due or set()):
            self.release(polls, self._empty(group))
        if self._size:
            self._start_timer()


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
