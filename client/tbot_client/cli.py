"""The command line: arguments, prompts and exit codes, no logic of its own."""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from tbot_client import __version__, check, errors, newhome, questions, status
from tbot_client.book import Book, say
from tbot_client.clock import Clock, parse_clock
from tbot_client.config import Config
from tbot_client.errors import ClientError, Retry
from tbot_client.factory import broker as build_broker
from tbot_client.home import Home, default_home, load, locked
from tbot_client.listen import Listener, beginning, remembered_keys
from tbot_client.loop import Loop
from tbot_client.newhome import begin_anew

EXIT_CODES = (
    "Exit codes: 0 ok, 1 failure, 2 usage, 3 degraded, 4 feed or broker unreachable or token refused, "
    "5 stopped by the STOP file, 78 config, 130 Ctrl-C."
)
app = typer.Typer(
    help="Follow a T BOT signal feed and trade it on your own account, by your own size rules.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
HomeOption = Annotated[
    Path | None, typer.Option("--home", help="Folder with your settings [default: $TBOT_CLIENT_HOME or ~/.tbot-client]")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text")]


def main() -> None:
    """Run the command and end with the exit code of what went wrong."""
    try:
        code = app(standalone_mode=False)
    except Retry as error:  # from a command that asks once
        say(f"Unreachable: expected {error.expected}; found {error.found}; try again later")
        code = errors.UNREACHABLE
    except ClientError as error:
        say(f"{type(error).__name__}: {error}")
        code = error.exit_code
    except typer.Abort:
        code = errors.INTERRUPTED
    except KeyboardInterrupt:
        code = errors.INTERRUPTED
    except OSError as error:
        say(f"OSError: expected to read and write the client's files; found {error}; check space and permissions")
        code = errors.FAILURE
    except Exception as error:  # noqa: BLE001 - the class of a usage error differs between typer's versions
        code = _shown(error)
    sys.stdout.flush()
    raise SystemExit(code)


def _shown(error: Exception) -> int:
    """Print a usage error as the library does; anything else is ours to mend and goes on as a traceback."""
    show = getattr(error, "show", None)
    if show is None:
        raise error
    show()
    return int(getattr(error, "exit_code", errors.USAGE))


def _home(path: Path | None) -> Home:
    return Home((path or default_home()).expanduser().absolute())


def _ready(path: Path | None) -> tuple[Home, Config, Clock]:
    home = _home(path)
    config = load(home)
    return home, config, parse_clock(config.clock.spec)


@app.command()
def run(
    home: HomeOption = None,
    once: Annotated[bool, typer.Option("--once", help="Act on what is there now, then end")] = False,
    for_s: Annotated[float | None, typer.Option("--for", min=0, help="End after this many seconds")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Pretend: no broker, no reports; kept apart in dry-run/ of the home")
    ] = False,
    trust_new_history: Annotated[
        bool, typer.Option("--trust-new-history", help="Forget the publisher's past and keys; the evidence is kept")
    ] = False,
) -> int:
    """Trade: follow the feed, enter, protect and close on your account, and report what happened.

    A file named STOP in the home stops entries; positions are still closed. Ctrl-C ends the program; protective orders
    stay at your broker.
    """
    base, config, clock = _ready(home)
    place = base.dry if dry_run else base
    with locked(place, replace(config, broker=replace(config.broker, kind="paper")) if dry_run else config):
        book = Book(place.journal, clock)
        broker = build_broker(config, place, clock, is_dry=dry_run)
        if trust_new_history:
            begin_anew(place, book, clock)
        try:
            return Loop(config, place, clock, book, broker, is_dry=dry_run).run(once=once, for_s=for_s)
        finally:
            broker.shut()
            book.close()


@app.command()
def listen(
    home: HomeOption = None,
    surface: Annotated[list[str] | None, typer.Option("--surface", help="Only this surface; repeatable")] = None,
    events: Annotated[str, typer.Option("--events", help="Of open,amend,close,resolution; comma separated")] = "",
    print_json: Annotated[bool, typer.Option("--print-json", "-j", help="Print the feed's own lines")] = False,
    forward_to: Annotated[str, typer.Option("--forward-to", help="POST each line to a URL on 127.0.0.1")] = "",
    start: Annotated[str, typer.Option("--start", help="head (from now), oldest, or a moment with offset")] = "head",
    for_s: Annotated[float | None, typer.Option("--for", min=0, help="End after this many seconds")] = None,
) -> int:
    """Print signals as they come; nothing is traded."""
    place, config, _ = _ready(home)
    if surface:
        config = replace(config, feed=replace(config.feed, surfaces=tuple(surface)))
    if for_s is not None:
        config = replace(config, poll=replace(config.poll, wait_s=min(config.poll.wait_s, int(for_s))))
    begin_at = beginning(start)
    wanted = frozenset(name for name in events.split(",") if name)
    listener = Listener(config, wanted, as_json=print_json, forward_to=forward_to, keys=remembered_keys(place))
    deadline = None if for_s is None else time.monotonic() + for_s
    say(f"> Ready! Listening to {config.feed.url} (^C to quit)")
    try:
        listener.run(begin_at, lambda: deadline is not None and time.monotonic() >= deadline)
    finally:
        listener.close()
    return errors.OK


@app.command(name="status")
def show_status(
    home: HomeOption = None,
    as_json: JsonOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Of the dry run")] = False,
) -> int:
    """Show positions, today's result, what was skipped and why, whose signatures count, the clock and the dead man."""
    base, config, clock = _ready(home)
    found = status.summary(base.dry if dry_run else base, clock, config)
    print(json.dumps(found, indent=2) if as_json else status.as_text(found))
    return status.exit_code(found)


@app.command(name="verify")
def verify_past(
    home: HomeOption = None,
    as_json: JsonOption = False,
    proof: Annotated[Path | None, typer.Option("--proof", help="Check a proof made by `audit prove` instead")] = None,
) -> int:
    """Check that the publisher's past is as it was seen: your journal, stored heads and lines, and the feed read again.

    A rewritten line is named with both hashes and both signatures, and ends with exit code 1.
    """
    from tbot_client import verify

    place, config, _ = _ready(home)
    found = verify.Findings()
    if proof is not None:
        proven = verify.by_proof(proof.read_bytes(), place, config, found)
        told = f"{proven.log} line {proven.seq} stands in the log of {proven.size} lines with root {proven.root[:16]}…"
        extra = {"proven": {"log": proven.log, "seq": proven.seq, "h": proven.h, "size": proven.size}}
    else:
        ring, seen = verify.home_alone(place, config, found)
        verify.against_feed(config, ring, seen, found)
        told, extra = "", {}
    if as_json:
        print(json.dumps(found.plain() | extra | {"ok": found.exit_code == errors.OK}, indent=2))
    else:
        print(told or verify.as_text(found))
        if told and found.exit_code != errors.OK:
            print(verify.as_text(found))
    return found.exit_code


@app.command(name="gap")
def show_gap(
    home: HomeOption = None,
    as_json: JsonOption = False,
    since: Annotated[str, typer.Option("--since", help="A moment with offset [default: the last absence]")] = "",
) -> int:
    """Show what happened while this client was away: opens missed and why, closes and how late, what is still open.

    What following a missed signal would have brought is worked out from the publisher's prices, and only a guess.
    """
    from tbot_client import gap

    place, config, clock = _ready(home)
    found = gap.ask(place, config, clock, since)
    if found is None:
        print("{}" if as_json else "this client was never away for long")
        return errors.OK
    print(json.dumps(found, indent=2) if as_json else gap.as_text(found))
    return errors.OK


@app.command(name="check")
def look(home: HomeOption = None, as_json: JsonOption = False) -> int:
    """Check settings, permissions, clock, feed, broker and smallest orders; nothing is traded."""
    place, config, clock = _ready(home)
    found = list(check.findings(config, clock, lambda: build_broker(config, place.dry, clock)))
    if as_json:
        print(json.dumps({f.name: {"code": f.code, "text": f.text} for f in found}, indent=2))
    else:
        for finding in found:
            print(f"{finding.mark}  {finding.name:<10} {finding.text}")
    return check.worst(found)


@app.command()
def init(
    home: HomeOption = None,
    non_interactive: Annotated[bool, typer.Option("--non-interactive", help="Never ask; use the options")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing config file")] = False,
    feed_url: Annotated[str, typer.Option(help="Address of the feed")] = "",
    token_file: Annotated[str, typer.Option(help="File with the feed token; or set TBOT_FEED_TOKEN")] = "",
    surface: Annotated[list[str] | None, typer.Option(help="Only this surface; repeatable")] = None,
    publisher_key: Annotated[
        list[str] | None, typer.Option(help="<surface>:<key id> your publisher told you; repeatable")
    ] = None,
    unsigned: Annotated[bool, typer.Option("--unsigned", help="Follow a feed that nobody signs")] = False,
    broker: Annotated[str, typer.Option(help="oanda, kalshi, ibkr or paper")] = "",
    account_id: Annotated[
        str, typer.Option(help="Your account number at OANDA or IBKR, the id of your API key at Kalshi")
    ] = "",
    broker_token_file: Annotated[str, typer.Option(help="File with OANDA's token; or set TBOT_BROKER_TOKEN")] = "",
    broker_key_file: Annotated[
        str, typer.Option(help="File with the private half of Kalshi's API key; or set TBOT_BROKER_KEY_FILE")
    ] = "",
    api_url: Annotated[str, typer.Option(help="Broker's address [default: its host for practice]")] = "",
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Trust the certificate of IBKR's gateway unchecked; on this machine only")
    ] = False,
    stream_url: Annotated[str, typer.Option(help="Broker's streaming address")] = "",
    size_rule: Annotated[str, typer.Option(help="fixed, fraction or risk")] = "",
    size_value: Annotated[str, typer.Option(help="Units for fixed; part of equity for the others, e.g. 0.01")] = "",
    max_units: Annotated[str, typer.Option(help="Never order more than this")] = "",
    max_open: Annotated[int, typer.Option(help="Never hold more positions than this")] = 5,
    instrument: Annotated[list[str] | None, typer.Option(help="Only this instrument; repeatable")] = None,
    max_drift_bp: Annotated[
        str,
        typer.Option(help="Skip when the price moved further, in basis points; of an event contract 100 are a cent"),
    ] = "",
    max_age_s: Annotated[int, typer.Option(help="Skip signals older than this")] = 600,
    daily_loss: Annotated[str, typer.Option(help="Stop entries for the day at this loss")] = "",
    dead_man: Annotated[
        str, typer.Option(help="When the feed is silent: hold, flatten, tighten, or signal (as each signal asks)")
    ] = "",
    dead_man_s: Annotated[str, typer.Option(help="Real seconds of silence before that [default: 600]")] = "",
    clock: Annotated[str, typer.Option(help="real, or sim:<ISO>@<speed>[,anchor=<unix>]")] = "real",
    wait_s: Annotated[int, typer.Option(help="Seconds the feed may keep a poll waiting")] = 25,
    broker_s: Annotated[str, typer.Option(help="Seconds between looks at the broker")] = "",
) -> int:
    """Write config.toml (mode 600): asks for what is missing or wrong, unless --non-interactive.

    Tokens are never taken from the command line, where other users could see them: use a file, an environment variable
    or the prompt.
    """
    given = dict(locals())
    place = _home(home)
    newhome.make_way(place, overwrite=force)
    written = newhome.write(place, questions.answers(given))
    say(f"{written} written. Next: tbot-client check")
    return errors.OK


@app.callback(invoke_without_command=True)
def version(show: Annotated[bool, typer.Option("--version", help="Print the version")] = False) -> None:
    if show:
        print(__version__)
        raise typer.Exit
