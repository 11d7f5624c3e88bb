"""A proposal: a candidate, what is believed about it, and its id.

Candidate ids are a pure function of what was proposed and when, so that a replay yields the same ones.
"""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from domain.candidate import Candidate, Estimate

_PREFIX = "cnd"
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    candidate: Candidate
    estimate: Estimate


def candidate_id(now: datetime, *parts: str) -> str:
    """Return ``cnd_<26 characters>``: 48 bits of milliseconds, then 80 bits of a digest of ``now`` and ``parts``.

    The layout is that of ``domain.ids.new_id``, which draws its 80 bits at random.
    """
    digest = sha256("|".join((now.isoformat(), *parts)).encode()).digest()
    value = (int(now.timestamp() * 1000) << 80) | int.from_bytes(digest[:10], "big")
    return f"{_PREFIX}_" + "".join(_ALPHABET[(value >> shift) & 31] for shift in range(125, -1, -5))
