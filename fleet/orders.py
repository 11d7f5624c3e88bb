"""An operator's orders to a surface, written where the surface reads them."""

from domain.clock import parse_clock
from domain.errors import Halt, Refuse, Retry
from domain.house import House
from domain.operation import OperatorAction
from domain.vocabulary import Kind, State, Surface
from journal import Journal


def order(house: House, surface: Surface, state: State, *, reason: str, flatten: bool = False) -> None:
    """Tell a surface to go to ``state``; it obeys within one turn of its loop, or when it is next started.

    Raises:
        Refuse: no fleet has ever run there, so nobody would read the order.
        Retry: another order is being written; a STOP file needs no journal.
        Halt: the operator's journal is damaged, or its disk fails; neither does that keep a STOP file from working.
    """
    if not house.log(surface, "decisions").is_dir():
        found = f"no journals of {surface} in {house.logs}"
        raise Refuse(f"the home of a fleet that runs {surface}", found, "give --home, or start the fleet first")
    action = OperatorAction(state=state, reason=reason, flatten=flatten)
    try:
        with Journal.open(house.log("operator", "actions"), clock=parse_clock(house.clock)) as journal:
            journal.append(Kind.OPERATOR_ACTION, surface=surface, mode="operator", fields=action)
    except (Retry, Halt) as error:
        stop = house.stop_files(surface)[1]
        kind = Halt if isinstance(error, Halt) else Retry
        raise kind(error.expected, error.found, f"{error.todo}; to stop entries at once: touch {stop}") from error
