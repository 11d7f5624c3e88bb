"""Why a past is not believed, and what a person can do about it: not every cause is mended by beginning anew."""

from tbot_client.config import Feed
from tbot_client.errors import HistoryChanged
from tbot_client.history import TODO
from tbot_client.keys import BadSignature, Keyring, NotPinned
from tbot_client.state import State

ASK_KEYS = "ask the publisher for its keys, and correct publisher_keys in [feed]"
# Beginning anew forgets what was seen and keeps the settings: with a wrong pin it would end at the same line.
WRONG_PIN = f"{ASK_KEYS} if they are others; after that, `tbot-client run --trust-new-history` begins anew"
RESUME = "that key counts by now: `tbot-client run --trust-new-history` resumes entries"


def unsigned(what: str, error: BadSignature) -> HistoryChanged:
    """Return the error for something that can't be shown to be the publisher's, with what to do by its cause."""
    if isinstance(error, NotPinned):
        return HistoryChanged(f"{what} signed by the publisher", str(error), WRONG_PIN, signer=error.signer)
    return HistoryChanged(f"{what} signed by the publisher", str(error), TODO)


def told(state: State, settings: Feed) -> str:
    """Return why entries are off for good, as things stand with the settings of now; empty if they are not."""
    if not state.distrust_signers or not state.distrust.endswith(WRONG_PIN):
        return state.distrust
    ring = Keyring(settings.publisher_keys, state.keys)
    count = [one in settings.publisher_keys or one.partition(":")[2] in ring for one in state.distrust_signers]
    return state.distrust.removesuffix(WRONG_PIN) + RESUME if all(count) else state.distrust
