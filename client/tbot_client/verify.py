"""Whether the past still is what it was: this home's own files, and the feed as it is served now.

Everything that was seen and signed is compared with what stands at the same place today. A difference is named with
both hashes and both signatures: two signed lines for one place are a proof that anybody can check.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tbot_client import heads, proof
from tbot_client.config import Config
from tbot_client.errors import FAILURE, OK, ClientError
from tbot_client.feed import FeedClient
from tbot_client.heads import Seen
from tbot_client.home import Home
from tbot_client.journal import read
from tbot_client.keys import BadSignature, Keyring, OlderKey, line_text, parse_keys
from tbot_client.past import Line, Past
from tbot_client.state import State
from tbot_client.wire import Head

Row = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Findings:
    """What was looked at, and what is wrong; ``rewritten`` rows name log, seq, and what was seen and is served."""

    records: int = 0
    seen: int = 0
    served: int = 0
    compared: int = 0
    no_longer_served: int = 0
    faults: list[str] = field(default_factory=list)
    rewritten: list[Row] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        return FAILURE if self.faults or self.rewritten else OK

    def plain(self) -> Row:
        return {name: getattr(self, name) for name in self.__slots__}


def home_alone(home: Home, config: Config, found: Findings) -> tuple[Keyring, list[Seen]]:
    """Check this home's own files; return the keys that count and everything that was seen."""
    state = State()
    try:
        for record in read(home.journal):
            state.apply(record)
            found.records += 1
    except ClientError as error:
        found.faults.append(str(error))
    ring = Keyring(config.feed.publisher_keys, state.keys)
    seen = list(heads.read(home.heads))
    found.seen = len(seen)
    found.faults += [problem for each in seen if (problem := _fault(each, ring))]
    known = [Seen(log=log, seq=int(seq), h=h) for log, at in state.hashes.items() for seq, h in at.items()]
    # What the journal remembers has no signature; it counts where nothing better is known.
    return ring, known + seen


def _fault(seen: Seen, ring: Keyring) -> str:
    if not seen.sig or seen.sig[:16] not in ring:
        return ""
    try:
        ring.check(seen.log.partition("/")[0], line_text(seen.h), seen.sig)
    except (BadSignature, OlderKey) as error:
        return f"heads.jsonl: {seen.log} {seen.seq}: {error}"
    return ""


def against_feed(config: Config, ring: Keyring, seen: list[Seen], found: Findings) -> None:
    """Read the whole feed again and compare.

    Raises:
        Retry, Unreachable: it can't be read.
    """
    feed = FeedClient(config)
    try:
        past = Past(feed, ring, is_required=config.feed.require_signatures)
        past.learn()
        lines = list(past.everything())
        compare(seen, lines, past.heads, found, config.feed.surfaces)
    finally:
        feed.close()


def compare(
    seen: list[Seen], lines: list[Line], served_heads: dict[str, Head], found: Findings, surfaces: Iterable[str] = ()
) -> None:
    """Set what was seen beside what is served."""
    now = {(line.item.journal, line.item.seq): line for line in lines}
    firsts: dict[str, int] = {}
    for log, seq in now:
        firsts[log] = min(seq, firsts.get(log, seq))
    found.served = len(lines)
    found.faults += _chain_faults(lines)
    wanted = frozenset(surfaces)
    for was in _merged(seen):
        if was.log in served_heads and (not wanted or was.log.partition("/")[0] in wanted):
            _compare_one(was, now, firsts, served_heads[was.log], found)


def _merged(seen: list[Seen]) -> list[Seen]:
    """Return one entry a place and hash, the one with most to it; two hashes at one place both stay."""
    best: dict[tuple[str, int, str], Seen] = {}
    for each in seen:
        place = (each.log, each.seq, each.h)
        before = best.get(place)
        if before is None or (bool(each.sig), each.is_line) > (bool(before.sig), before.is_line):
            best[place] = each
    return list(best.values())


def _compare_one(
    was: Seen, now: dict[tuple[str, int], Line], firsts: dict[str, int], head: Head, found: Findings
) -> None:
    line = now.get((was.log, was.seq))
    if line is not None:
        found.compared += 1
        if line.item.h != was.h:
            found.rewritten.append(_row(was, line.item.h, line.item.sig, "another line"))
    elif was.seq > head.seq:
        found.rewritten.append(_row(was, "", "", f"nothing: the log ends at {head.seq}"))
    elif was.seq == head.seq:
        found.compared += 1
        if head.h != was.h:
            found.rewritten.append(_row(was, head.h, head.sig or "", "another head"))
    elif was.is_line and was.seq > firsts.get(was.log, head.seq):
        found.rewritten.append(_row(was, "", "", "nothing at this place"))
    elif was.is_line:
        found.no_longer_served += 1


def _row(was: Seen, h: str, sig: str, what: str) -> Row:
    seen = {"h": was.h, "sig": was.sig, "at": was.at}
    return {"log": was.log, "seq": was.seq, "now": what, "seen": seen, "served": {"h": h, "sig": sig}}


def _chain_faults(lines: list[Line]) -> list[str]:
    faults = [f"{line.item.journal} line {line.item.seq}: {line.fault}" for line in lines if line.fault]
    last: dict[str, Line] = {}
    for line in lines:
        before, item = last.get(line.item.journal), line.item
        if before is not None and item.seq == before.item.seq + 1 and item.prev and item.prev != before.item.h:
            faults.append(f"{item.journal} line {item.seq}: it does not follow line {before.item.seq}")
        last[item.journal] = line
    return faults


def by_proof(body: bytes, home: Home, config: Config, found: Findings) -> proof.Proven:
    """Check a proof against the keys that count, and against what was seen at the same place.

    Raises:
        HistoryChanged: the proof does not hold.
    """
    ring, seen = home_alone(home, config, found)
    if home.keys.exists():
        ring.learn(parse_keys(home.keys.read_bytes()))
    proven = proof.check(proof.parse(body), ring)
    for was in _merged(seen):
        if (was.log, was.seq) == (proven.log, proven.seq):
            found.compared += 1
            if was.h != proven.h:
                found.rewritten.append(_row(was, proven.h, proven.sig, "another line, proven"))
    return proven


def as_text(found: Findings) -> str:
    """Write the findings for a person."""
    compared = f"{found.compared} compared, {found.no_longer_served} no longer served"
    lines = [
        f"journal   {found.records} records",
        f"seen      {found.seen} lines and heads of the publisher, {compared}",
        f"feed      {found.served} lines read again",
    ]
    lines += [f"FAIL      {fault}" for fault in found.faults]
    for row in found.rewritten:
        seen, served = row["seen"], row["served"]
        lines.append(f"REWRITTEN {row['log']} line {row['seq']}: now {row['now']}")
        lines.append(f"          seen   {seen['at']} h {seen['h']} sig {seen['sig'] or 'none'}")
        lines.append(f"          served h {served['h'] or 'none'} sig {served['sig'] or 'none'}")
    return "\n".join([*lines, "the past is as it was" if found.exit_code == OK else "the past is NOT as it was"])
