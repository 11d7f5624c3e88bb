"""What is wrong without stopping anything: told in the heartbeat, so that whoever looks at the status sees it."""


class Ailments:
    """What fails at the moment, by name; each goes away when it works again."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def failed(self, what: str, why: str) -> None:
        self._known[what] = why

    def well(self, what: str) -> None:
        self._known.pop(what, None)

    def text(self) -> str:
        """Return them in one line, empty when there is none."""
        return "; ".join(f"{what}: {why}" for what, why in sorted(self._known.items()))
