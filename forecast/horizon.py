"""What may be learnt at a moment: only what was known by then.

Every fold over outcomes holds one of these. It turns "never look ahead" into an error instead of a habit.
"""

from datetime import datetime

from domain.clock import require_utc


class Horizon:
    """The latest moment a fold has learnt from."""

    def __init__(self) -> None:
        self._latest: datetime | None = None

    def pass_to(self, moment: datetime) -> None:
        """Note that something known at ``moment`` was learnt; outcomes come in the order in which they were known.

        Raises:
            ValueError: something later was learnt before.
        """
        require_utc(moment, "moment of an outcome")
        if self._latest is not None and moment < self._latest:
            raise ValueError(f"expected outcomes in the order they became known, found {moment} after {self._latest}")
        self._latest = moment

    def require_past(self, moment: datetime) -> None:
        """Refuse a question asked at a moment before the last one learnt from.

        Raises:
            ValueError: the answer would know the future.
        """
        if self._latest is not None and require_utc(moment, "moment of a question") < self._latest:
            raise ValueError(f"expected a question after {self._latest}, which is already learnt; found {moment}")
