"""What the command lines of both fronts have in common."""

from decimal import Decimal, InvalidOperation

from simulators.ibkr.accounts import AccountSpec
from simulators.rest.options import OptionError

DEFAULT_ACCOUNTS = "DU1:100000"
ACCOUNT_FORM = "ID:CASH[:cash|margin][:fractional]"
_WORDS = {"cash", "margin", "fractional"}


def read_accounts(text: str) -> list[AccountSpec]:
    """Read the accounts to start with, separated by commas.

    Raises:
        OptionError: one does not follow the form, or there is none, or one twice.
    """
    accounts = [_account(part.strip()) for part in text.split(",") if part.strip()]
    ids = [account.id for account in accounts]
    if not ids or len(set(ids)) != len(ids):
        raise OptionError(f"--accounts: expected {ACCOUNT_FORM}, every id once; found {text!r}")
    return accounts


def _account(text: str) -> AccountSpec:
    name, _, rest = text.partition(":")
    cash, *words = rest.split(":")
    try:
        amount = Decimal(cash)
    except InvalidOperation as exc:
        raise OptionError(f"--accounts: expected {ACCOUNT_FORM}; found {text!r}") from exc
    if not name or not amount.is_finite() or amount < 0 or not set(words) <= _WORDS or {"cash", "margin"} <= set(words):
        raise OptionError(f"--accounts: expected {ACCOUNT_FORM}; found {text!r}")
    return AccountSpec(
        id=name, cash=amount, kind="MARGIN" if "margin" in words else "CASH", fractional="fractional" in words
    )
