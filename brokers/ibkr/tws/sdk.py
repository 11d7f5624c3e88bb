"""The vendor's library: ib_async where it is installed, else ib_insync, of which it is the maintained successor.

Only what both have alike is used, and of that only the wire client, which frames, throttles, encodes and decodes. The
state their ``IB`` class keeps is not ours to trust: both cancel live orders locally on codes that are remarks (10349,
10147, 10148), and lose a commission that comes before its execution. ``session`` keeps our own.

Must be imported in a thread whose event loop runs: ib_insync asks for one on import.
"""

import logging
import sys
import types
from typing import Any


def _import() -> Any:
    """Import the SDK without numpy, which eventkit wants for one operator nobody here uses: it would cost 13 MiB."""
    stand_in = None if "numpy" in sys.modules else types.ModuleType("numpy")
    if stand_in is not None:
        sys.modules["numpy"] = stand_in
    try:
        try:
            import ib_async as library  # noqa: PLC0415  the stand-in must be there before
        except ImportError:
            import ib_insync as library  # type: ignore[no-redef]  # noqa: PLC0415  the same
    finally:
        if stand_in is not None:
            del sys.modules["numpy"]
    return library


_library: Any = _import()
NAME: str = _library.__name__
# The SDK logs every connection that fails at ERROR, past our process log; each is told there by us, in its own words.
logging.getLogger(NAME).setLevel(logging.CRITICAL)
Client = _library.client.Client
Contract = _library.Contract
Order = _library.Order
ExecutionFilter = _library.ExecutionFilter
UNSET_DOUBLE: float = sys.float_info.max
