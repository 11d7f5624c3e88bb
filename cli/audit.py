"""The ``audit`` command: verify journals, report on them, and answer "why".

It reads journals only, with the standard library and msgspec, so that it works while everything else is down.
"""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.errors import run

if TYPE_CHECKING:
    from datetime import datetime

    from journal import VerifyReport

app = typer.Typer(
    name="audit",
    help="Check and read the journals under logs/. Nothing is ever written.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
HERE = Path()
Home = Annotated[Path, typer.Option(envvar="TBOT_HOME", help="Folder that holds logs/.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
PROBLEMS = 3


@app.command()
def verify(home: Home = HERE, as_json: Json = False) -> None:
    """Check every record of every journal: form, order, numbering and hash chain. Exit code 3 when one is broken."""
    from audit.logs import verify_all

    reports = verify_all(_logs(home))
    if not reports:
        print("no journals yet: nothing to check", file=sys.stderr)
    if as_json:
        print(json.dumps({name: _verified(report) for name, report in reports.items()}))
    else:
        for name, report in reports.items():
            state = "ok" if report.ok else "BROKEN"
            print(
                f"{state:6}  {name:20}  {report.records} records in {report.segments} segments, head {report.head_seq}"
            )
            for problem in report.problems:
                print(f"        segment {problem.segment} byte {problem.offset} seq {problem.seq}: {problem.what}")
    raise typer.Exit(0 if all(report.ok for report in reports.values()) else PROBLEMS)


@app.command()
def report(
    since: Annotated[str, typer.Option(help="7d, today, 2026-11-01, 2026-11-01T09:30Z, or Unix seconds.")] = "",
    surface: Annotated[list[str] | None, typer.Option(help="Only this surface; repeatable.")] = None,
    home: Home = HERE,
    as_json: Json = False,
) -> None:
    """Report outcomes by source, the gate funnel with its nearest misses, and how good the ETAs were."""
    from audit.pages import report_text
    from audit.since import surface_reports

    moment = _moment(since)
    if moment is not None:
        print(f"since {moment.isoformat()}", file=sys.stderr)
    reports = surface_reports(_logs(home), moment, surface)
    if as_json:
        print(json.dumps({one.surface: one.as_dict() for one in reports}))
    else:
        print("\n\n".join(report_text(one) for one in reports) or "no surface has journals yet")


@app.command()
def why(
    wanted: Annotated[str, typer.Argument(metavar="ID", help="The id of a decision, signal, order or resolution.")],
    home: Home = HERE,
    as_json: Json = False,
) -> None:
    """Tell everything that happened to one candidate, from its decision to the subscribers' reports."""
    from audit.why import history, sentence

    records = history(_logs(home), wanted)
    if as_json:
        print(json.dumps(list(records)))
        return
    for record in records:
        print(f"{record['ts']}  {record['log']:16}  {sentence(record)}")


def main() -> None:
    """Run the command line."""
    run(app)


def _logs(home: Path) -> Path:
    from domain.errors import Refuse

    logs = home.resolve() / "logs"
    if not logs.is_dir():
        raise Refuse(f"a folder of journals at {logs}", "none", "give --home, or run the demo first: tbot demo")
    return logs


def _moment(since: str) -> "datetime | None":
    from audit.period import parse_moment
    from domain.clock import parse_clock

    return parse_moment(since, parse_clock(os.environ.get("TBOT_CLOCK", "real")).now()) if since else None


def _verified(report: "VerifyReport") -> dict[str, Any]:
    return {
        "ok": report.ok,
        "records": report.records,
        "segments": report.segments,
        "head": {"seq": report.head_seq, "h": report.head_h},
        "problems": [{"segment": p.segment, "offset": p.offset, "seq": p.seq, "what": p.what} for p in report.problems],
    }
