"""An operator's orders to a surface, written where the surface reads them."""

from domain.clock import parse_clock
from domain.house import House
from domain.operation import OperatorAction
from domain.vocabulary import Kind, State, Surface
from journal import Journal


def order(house: House, surface: Surface, state: State, *, reason: str, flatten: bool = False) -> None:
    """Tell a surface to go to ``state``; it obeys within one turn of its loop, or when it is next started.

    Raises:
        Retry: another order is being written.
    """
    action = OperatorAction(state=state, reason=reason, flatten=flatten)
    with Journal.open(house.log("operator", "actions"), clock=parse_clock(house.clock)) as journal:
        journal.append(Kind.OPERATOR_ACTION, surface=surface, mode="operator", fields=action)
