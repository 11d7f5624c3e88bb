"""What a check of a log has to say."""

from dataclasses import dataclass, field

# A log this broken is replaced, not read line by line.
MAX_PROBLEMS = 1000


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it was written.

    Attributes:
        segment: number of the segment; 0 for `checkpoints.jsonl`.
        offset: byte in that file.
        seq: the record that belongs there.
    """

    segment: int
    offset: int
    seq: int
    what: str

    def __str__(self) -> str:
        where = f"segment {self.segment}" if self.segment else "checkpoints.jsonl"
        return f"{where} byte {self.offset} seq {self.seq}: {self.what}"


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What a check found.

    Attributes:
        records: lines that could be read as records, good links or not.
        head_seq: seq of the last of them; compare it, and ``head_h``, with a head noted elsewhere: a chain alone does
            not show that its end was cut off.
        uncommitted_bytes: bytes beyond the last commit; the next writer keeps or quarantines them.
        checkpoints: lines of `checkpoints.jsonl` that were compared with the log.
        signatures: signatures of lines and checkpoints that were checked against a key, whether they held or not.
        unchecked_signatures: those that were passed over, for want of keys or because fewer were asked for.
    """

    ok: bool
    records: int
    segments: int
    head_seq: int
    head_h: str
    problems: list[Problem] = field(default_factory=list)
    uncommitted_bytes: int = 0
    checkpoints: int = 0
    signatures: int = 0
    unchecked_signatures: int = 0
