"""Gate 1: no STOP file exists and the surface is in RUN."""

from domain.candidate import Candidate, Estimate
from domain.decision import Size, Verdict
from domain.vocabulary import Code, Gate, State
from risk.check import clear, found
from risk.limits import Limits
from risk.state import RiskState

_RUN = State.RUN
_CLEAR = clear(Gate.STOP_FILE, "reasons")


def stop_file(candidate: Candidate, estimate: Estimate, size: Size, state: RiskState, limits: Limits) -> Verdict:
    """Refuse while there is any reason to stand still; a STOP file that cannot be read is one."""
    is_running = state.state is _RUN
    if is_running and not state.stop_files:
        return _CLEAR
    reasons = state.stop_files if is_running else (*state.stop_files, f"state {state.state}")
    return found(Gate.STOP_FILE, Code.STOPPED, reasons, "reasons")
