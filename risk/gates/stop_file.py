"""Gate 1: no STOP file exists and the surface is in RUN."""

from domain.candidate import Candidate, Estimate
from domain.decision import Size, Verdict
from domain.vocabulary import Code, Gate, State
from risk.check import at_most, verdict
from risk.limits import Limits
from risk.state import RiskState


def stop_file(candidate: Candidate, estimate: Estimate, size: Size, state: RiskState, limits: Limits) -> Verdict:
    """Refuse while there is any reason to stand still; a STOP file that cannot be read is one."""
    reasons = state.stop_files if state.state is State.RUN else (*state.stop_files, f"state {state.state}")
    return verdict(Gate.STOP_FILE, at_most(Code.STOPPED, len(reasons), 0, "reasons", ", ".join(reasons)))
