"""Refusals of requests, in the broker's numbers and words."""


class Refused(Exception):
    """A request that is answered with an error; ``request`` is its number, or -1."""

    def __init__(self, request: int, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.request = request
        self.code = code
        self.text = text


def unknown_contract(request: int) -> Refused:
    """Return the refusal of a contract nobody knows."""
    return Refused(request, 200, "No security definition has been found for the request")


def invalid(request: int, cause: str) -> Refused:
    """Return the refusal of a request that says something impossible."""
    return Refused(request, 321, f"Error validating request.-'bO' : cause - {cause}")
