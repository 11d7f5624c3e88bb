"""Which order of the venue is which client's number."""

from simulators.ibkr.orders import Order
from simulators.ibkr.venue import Venue

# client and order number
Key = tuple[int, int]
# orders made outside any client carry these
BY_HAND: Key = (0, 0)


def key_of(order: Order) -> Key:
    """Return whose order it is."""
    owner = order.owner
    if isinstance(owner, (list, tuple)) and len(owner) == 2 and all(isinstance(part, int) for part in owner):
        return int(owner[0]), int(owner[1])
    return BY_HAND


class OrderBook:
    """client and order number -> order."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._numbers: dict[Key, int] = {}
        self._keys: dict[int, Key] = {}
        self._forgotten: set[int] = set()
        for order in (*venue.completed(), *venue.orders()):
            self.learn(order)

    def learn(self, order: Order) -> None:
        """Note whose order it is."""
        key, perm_id = key_of(order), order.perm_id
        if key == BY_HAND:
            return
        self._keys[perm_id] = key
        # of two orders with one number, as after a rollback, the younger is meant
        if perm_id not in self._forgotten and perm_id >= self._numbers.get(key, 0):
            self._numbers[key] = perm_id

    def order(self, key: Key) -> Order | None:
        """Return a client's order by its number."""
        perm_id = self._numbers.get(key)
        return None if perm_id is None else self._venue.order(perm_id)

    def is_used(self, key: Key) -> bool:
        """Tell whether a client has used a number."""
        return key in self._numbers

    def number_of(self, perm_id: int | None) -> int:
        """Return the client's number of an order; 0 where it has none. Asks the venue nothing."""
        return 0 if perm_id is None else self._keys.get(perm_id, BY_HAND)[1]

    def forget(self, client: int) -> None:
        """Take every number of a client as new."""
        self._forgotten.update(perm_id for key, perm_id in self._numbers.items() if key[0] == client)
        self._numbers = {key: perm_id for key, perm_id in self._numbers.items() if key[0] != client}
