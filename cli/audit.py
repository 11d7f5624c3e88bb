"""The ``audit`` command: verify, prove and repair journals, report on them, judge what was estimated, answer "why".

It needs nothing but the files, so that it works while everything else is down.
"""

import json
import os
import sys
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import run
from cli.moments import since_moment

if TYPE_CHECKING:
    from domain.clock import Clock
    from journal import VerifyReport
    from journal.keys import Keyring
    from journal.prove import Proof
    from journal.repair import Repair

app = typer.Typer(
    name="audit",
    help="Check and read the journals under logs/. Only repair writes.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
HERE = Path()
Home = Annotated[Path, typer.Option(envvar="TBOT_HOME", help="Folder that holds logs/ and keys/.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Log = Annotated[str, typer.Argument(help="Name of the journal, such as fx/signals.")]
Since = Annotated[str, typer.Option(help="7d, today, 2026-11-01, 2026-11-01T09:30Z, or Unix seconds.")]
Surfaces = Annotated[list[str] | None, typer.Option("--surface", help="Only this surface; repeatable.")]
KEYS = "keys/public.json"
PROBLEMS = 3


class Signatures(StrEnum):
    """Which signatures to check; a copy of journal.seals.Level, which would take long to import for --help."""

    ALL = "all"
    NEWEST = "newest"
    NONE = "none"


@app.command(short_help="Check every journal: form, order, hashes, signatures.")
def verify(
    signatures: Annotated[
        Signatures,
        typer.Option(
            help="Which signatures to check against keys/public.json, at 0.1 ms each: all of them; the newest line of "
            "each key and the newest checkpoint, which by the chain vouch for all before; or none."
        ),
    ] = Signatures.ALL,
    home: Home = HERE,
    as_json: Json = False,
) -> None:
    """Check every record of every journal: form, order, numbering, hash chain, signatures, checkpoints.

    Exit code 3 when one is broken, or signed by a surface that keys/public.json knows no key of.
    """
    from audit.logs import verify_all
    from journal.seals import Level

    logs, ring = _logs(home), _house_keys(home)
    reports = verify_all(logs, keyring=ring, level=Level(signatures))
    if not reports:
        print("no journals yet: nothing to check", file=sys.stderr)
    # Whoever hashed a log anew need only take the keys away; so without keys its signatures vouch for nothing.
    is_blind = not ring and signatures is not Signatures.NONE and any(r.unchecked_signatures for r in reports.values())
    if is_blind:
        print(f"signatures could not be checked: {home / KEYS} names no key; restore it from a copy", file=sys.stderr)
    if as_json:
        print(json.dumps({name: _verified(report) for name, report in reports.items()}))
    else:
        for name, report in reports.items():
            print(_verified_text(name, report))
    raise typer.Exit(0 if all(report.ok for report in reports.values()) and not is_blind else PROBLEMS)


@app.command(short_help="Do after a crash what the next start would do.")
def repair(
    log: Log,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    home: Home = HERE,
    as_json: Json = False,
) -> None:
    """Do to a journal after a crash what its next start would do: move torn bytes to torn/, or refuse.

    What was committed is never repaired: damage there is named, with exit code 70, and nothing is changed.
    """
    from audit.logs import journal
    from journal.repair import inspect
    from journal.repair import repair as mend

    directory = journal(_logs(home), log)
    found = (inspect if dry_run else mend)(directory, _clock(), keyring=_house_keys(home))
    print(json.dumps(asdict(found) | {"dry_run": dry_run}) if as_json else _repaired_text(found, dry_run=dry_run))


@app.command(short_help="Prove that a record stands in a journal, or check a proof.")
def prove(
    log: Annotated[str, typer.Argument(metavar="LOG", help="Name of the journal, such as fx/signals.")] = "",
    seq: Annotated[int, typer.Option(help="Number of the record.")] = 0,
    out: Annotated[Path | None, typer.Option(help="File to write the proof to; default: standard output.")] = None,
    check: Annotated[Path | None, typer.Option(help="Check the proof in this file instead of making one.")] = None,
    keys: Annotated[
        Path | None, typer.Option(help="Public keys to check with; default: keys/public.json of the home.")
    ] = None,
    home: Home = HERE,
    as_json: Json = False,
) -> None:
    """Prove that a record stands in a journal under a signed checkpoint, without showing any other record.

    With --check, tell whether such a proof holds; exit code 3 if it does not.
    """
    from domain.errors import Refuse
    from journal.prove import read_proof

    if check is not None:
        raise typer.Exit(_checked(read_proof(check.read_bytes()), keys or home.resolve() / KEYS, as_json=as_json))
    if not log or seq < 1:
        raise Refuse("LOG and --seq, or --check FILE", "neither", "such as: audit prove fx/signals --seq 42")
    _prove(home, log, seq, out)


@app.command(short_help="Outcomes, refusals by gate with nearest misses, ETAs.")
def report(
    since: Since = "",
    surface: Surfaces = None,
    home: Home = HERE,
    as_json: Json = False,
) -> None:
    """Report outcomes by source, the gate funnel with its nearest misses, and how good the ETAs were.

    A trade whose outcome was seen before the venue paid is shown apart and stands in no total.
    """
    from audit.pages import report_text
    from audit.since import surface_reports

    reports = surface_reports(_logs(home), since_moment(since), surface)
    for one in reports:
        if one.stepped_back:
            print(
                f"{one.surface}: {one.stepped_back} records were written while the clock was up to {one.most_back_s} s "
                "behind the record before them; they bear that record's time",
                file=sys.stderr,
            )
    if as_json:
        print(json.dumps({one.surface: one.as_dict() for one in reports}))
    else:
        print("\n\n".join(report_text(one) for one in reports) or "no surface has journals yet")


@app.command(short_help="How good the estimates of event contracts were.")
def calibration(
    since: Since = "",
    surface: Surfaces = None,
    home: Home = HERE,
    as_json: Json = False,
) -> None:
    """Judge the estimates of event contracts by how the contracts ended, beside the market's price at the same moments.

    Judged are the newest estimate of each contract before its end and, apart from these, the estimates that were
    traded. Modes are never mixed; what was only seen early, or ended in simulation alone, is told and not judged.

    --since chooses by when the end was written; the estimate before it may be older.
    """
    from audit.calibration import calibrations
    from audit.calibration_pages import calibration_text

    found = calibrations(_logs(home), since_moment(since), surface)
    if as_json:
        print(json.dumps({one.surface: one.as_dict() for one in found}))
    else:
        print(calibration_text(found) or "no event contract has been estimated" + (" since" if since else " yet"))


@app.command(short_help="What paid estimates cost, by surface, model and day.")
def cost(
    since: Since = "",
    surface: Surfaces = None,
    home: Home = HERE,
    as_json: Json = False,
) -> None:
    """Tell what paid estimates cost: by surface, day and model, a decision, an admitted trade, and all together.

    A call that was reserved and never settled counts with all that was reserved for it.
    """
    from audit.spending import fleet, spendings
    from audit.spending_pages import spending_text

    found = spendings(_logs(home), since_moment(since), surface)
    if as_json:
        print(json.dumps({"surfaces": {one.surface: one.as_dict() for one in found}, "fleet": fleet(found).as_dict()}))
    else:
        print(spending_text(found) if found else "no surface has paid for an estimate yet")


@app.command(short_help="All that happened to one candidate, and why.")
def why(
    wanted: Annotated[
        str,
        typer.Argument(metavar="ID", help="The id of a decision, candidate, signal, order, resolution or reservation."),
    ],
    home: Home = HERE,
    as_json: Json = False,
) -> None:
    """Tell everything that happened to one candidate, from its decision to the subscribers' reports.

    Under a decision stand its nearest miss and, for an event contract, who believed what, how its text was understood
    and the numbers behind it; a reservation's id tells of one paid call.
    """
    from audit.why import details, history, told

    records = history(_logs(home), wanted)
    if as_json:
        print(json.dumps(list(records)))
        return
    for record, said in told(records):
        print(f"{record['ts']}  {record['log']:16}  {said}")
        for line in details(record):
            print(f"    {line}")


def main() -> None:
    """Run the command line."""
    run(app)


def _logs(home: Path) -> Path:
    from domain.errors import Refuse

    logs = home.resolve() / "logs"
    if not logs.is_dir():
        raise Refuse(f"a folder of journals at {logs}", "none", "give --home, or run the demo first: tbot demo")
    return logs


def _clock() -> "Clock":
    from domain.clock import parse_clock

    return parse_clock(os.environ.get("TBOT_CLOCK", "real"))


def _house_keys(home: Path) -> "Keyring":
    from journal.keys import Keyring

    return Keyring.load((home.resolve() / KEYS).parent)


def _prove(home: Path, log: str, seq: int, out: Path | None) -> None:
    import msgspec

    from audit.logs import journal
    from journal.prove import prove

    proof = prove(journal(_logs(home), log), seq)
    if '"sig":"' not in proof.checkpoint:
        print("the checkpoint is not signed: its writer has no key, so the proof binds nobody", file=sys.stderr)
    data = msgspec.json.encode(proof) + b"\n"
    if out is None:
        sys.stdout.buffer.write(data)
    else:
        out.write_bytes(data)
        print(f"wrote {out}; check it with: audit prove --check {out}", file=sys.stderr)


def _checked(proof: "Proof", keys: Path, *, as_json: bool) -> int:
    from audit.words import printable
    from journal.prove import BadProof, check, read_keys

    said = {"log": proof.log, "seq": proof.seq}
    try:
        found = check(proof, read_keys(keys))
    except BadProof as error:
        print(json.dumps(said | {"ok": False, "what": str(error)}) if as_json else printable(f"DOES NOT HOLD: {error}"))
        return PROBLEMS
    text = f"holds: seq {proof.seq} of {proof.log} stands under the checkpoint of seq {found.seq}, signed at {found.ts}"
    print(
        json.dumps(said | {"ok": True, "checkpoint": found.seq, "signed_at": found.ts}) if as_json else printable(text)
    )
    print(printable(proof.line), file=sys.stderr)
    return 0


def _verified_text(name: str, report: "VerifyReport") -> str:
    state = "ok" if report.ok else "BROKEN"
    head = f"head {report.head_seq} {report.head_h[:12]}"
    signed = f"{report.signatures} signatures" + (
        f" and {report.unchecked_signatures} unchecked" if report.unchecked_signatures else ""
    )
    facts = (
        f"{report.records} records in {report.segments} segments, {head}, {report.checkpoints} checkpoints, {signed}"
    )
    return "\n".join([f"{state:6}  {name:20}  {facts}", *(f"        {problem}" for problem in report.problems)])


def _repaired_text(found: "Repair", *, dry_run: bool) -> str:
    moved, kept = ("would move", "would keep") if dry_run else ("moved", "kept")
    lines = [f"{found.log}: whole up to seq {found.seq}"]
    if found.kept:
        lines.append(f"  {kept} {found.kept} whole records beyond the commit mark")
    lines += [f"  {moved} to torn/ {move}" for move in found.moves]
    return "\n".join(lines if found.kept or found.moves else [*lines, "  nothing to repair"])


def _verified(report: "VerifyReport") -> dict[str, Any]:
    return {
        "ok": report.ok,
        "records": report.records,
        "segments": report.segments,
        "head": {"seq": report.head_seq, "h": report.head_h},
        "checkpoints": report.checkpoints,
        "signatures": report.signatures,
        "unchecked_signatures": report.unchecked_signatures,
        "uncommitted_bytes": report.uncommitted_bytes,
        "problems": [{"segment": p.segment, "offset": p.offset, "seq": p.seq, "what": p.what} for p in report.problems],
    }
