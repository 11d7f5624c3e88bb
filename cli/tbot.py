"""The ``tbot`` command: run a demo, look at the fleet, manage subscribers.

Nothing heavy is imported before a command needs it: ``tbot --help`` must answer at once.
"""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import exports, keys
from cli.errors import run
from cli.moments import SINCE

app = typer.Typer(
    name="tbot",
    help="T BOT: a fleet of isolated trading processes with a signal feed. Start with: tbot demo",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
subscribers = typer.Typer(help="Make, list and revoke the tokens of subscribers.", no_args_is_help=True)
app.add_typer(subscribers, name="subscribers")
app.add_typer(keys.app, name="keys")
app.add_typer(exports.app, name="export")

Home = Annotated[Path, typer.Option(envvar="TBOT_HOME", help="Folder that holds env/, keys/, logs/, run/ and state/.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
SurfaceName = Annotated[str, typer.Argument(help="st, lt, fx or stk.")]
Reason = Annotated[str, typer.Option(help="Why; written into the journals.")]
HERE = Path()


@app.command()
def demo(
    home: Home = HERE,
    for_: Annotated[
        str, typer.Option("--for", metavar="SPAN", help="Stop after this long, such as 60s or 5m; default: Ctrl-C.")
    ] = "",
    as_json: Json = False,
    ibkr_transport: Annotated[
        str,
        typer.Option(envvar="IBKR_TRANSPORT", help="How the stock surface reaches IBKR: tws (default) or portal."),
    ] = "",
    clear: Annotated[
        bool, typer.Option("--clear", help="Only move what the last demo left into demo-runs/, then end.")
    ] = False,
) -> None:
    """Run the whole fleet against simulated venues: recorded quotes and outcomes, synthetic contracts and forecasts.

    Seven simulated venues and services (OANDA, Kalshi, weather, Coinbase, models, TWS, Client Portal), four surfaces,
    three subscribers.
    Nothing needs to be configured. The journals stay in logs/ and can be read with the audit command, jq or DuckDB.
    With --json nothing is shown while it runs; at the end one object tells what every process did, and the exit code
    is 0 only if every surface traded, the subscribers followed, and every journal verifies.
    """
    from cli.spans import parse_span
    from fleet.demo import clear_demo, run_demo

    if clear:
        raise typer.Exit(clear_demo(home))
    seconds = parse_span(for_) if for_ else None
    raise typer.Exit(run_demo(home, seconds=seconds, as_json=as_json, transport=ibkr_transport))


@app.command()
def status(home: Home = HERE, as_json: Json = False) -> None:
    """Show what runs and what each surface did.

    Exit code 3 when something that should run does not, or a journal can't be read.
    """
    from cli.homes import existing_home
    from fleet.status import as_dict, collect_once
    from fleet.view import plain

    facts = collect_once(existing_home(home))
    print(json.dumps(as_dict(facts)) if as_json else plain(facts))
    raise typer.Exit(0 if facts.all_running and not facts.unreadable else 3)


@app.command()
def performance(
    since: Annotated[str, typer.Option(help=SINCE)] = "",
    by: Annotated[str, typer.Option(help="Group closed trades by market, strategy, day or week.")] = "market",
    surface: Annotated[list[str] | None, typer.Option("--surface", help="Only this surface; repeatable.")] = None,
    home: Home = HERE,
    as_json: Json = False,
) -> None:
    """Show how each surface has done: closed trades, what each group of them earned, and returns by trading day.

    Sharpe and Sortino are of daily returns, annualised, without a risk-free rate. Real and synthetic
    sources stay apart. What is not known is shown as - (null in the JSON).
    """
    from audit.performance import By
    from audit.performance import as_dict as as_values
    from audit.performance import performance as read
    from audit.performance_pages import performance_text
    from cli.homes import existing_home
    from cli.moments import since_moment
    from domain.errors import Refuse, did_you_mean

    if by not in [*By]:
        raise Refuse("--by", repr(by), did_you_mean(by, By) or f"known: {', '.join(By)}")
    found = read(existing_home(home) / "logs", since_moment(since), surface, By(by))
    print(json.dumps(as_values(found)) if as_json else performance_text(found))


@app.command()
def halt(surface: SurfaceName, reason: Reason = "operator", home: Home = HERE) -> None:
    """Stop a surface: no entry, no exit by us; protective orders keep resting at OANDA and IBKR.

    At Kalshi, where none rest, every order of the account is taken off the book.
    """
    _order(home, surface, "HALT", reason)


@app.command()
def reduce(surface: SurfaceName, reason: Reason = "operator", home: Home = HERE) -> None:
    """Let a surface close positions but open none."""
    _order(home, surface, "REDUCE", reason)


@app.command()
def flatten(
    surface: SurfaceName,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    reason: Reason = "operator",
    home: Home = HERE,
) -> None:
    """Close every open position of a surface now, and open none."""
    from domain.errors import Refuse

    if not yes and not (sys.stdin.isatty() and typer.confirm(f"Close every open position of {surface} now?")):
        raise Refuse("a yes to closing every position", "none", "answer yes, or give --yes")
    _order(home, surface, "REDUCE", reason, flatten=True)


@app.command()
def resume(surface: SurfaceName, reason: Reason = "operator", home: Home = HERE) -> None:
    """Take back halt, reduce or flatten. A breaker or an unexplained position still keeps a surface in REDUCE."""
    _order(home, surface, "RUN", reason)


def _order(home: Path, surface: str, state: str, reason: str, *, flatten: bool = False) -> None:
    from cli.subscribers import known_surface
    from domain.house import House
    from domain.vocabulary import State
    from fleet.orders import order

    house = House(home=home.resolve(), clock=os.environ.get("TBOT_CLOCK", "real"))
    order(house, known_surface(surface), State(state), reason=reason, flatten=flatten)
    print(f"{surface} ordered to {'flatten' if flatten else state}")


@subscribers.command("add")
def subscribers_add(
    label: Annotated[
        str, typer.Argument(help="A name for your own list; subscribers are told apart by token id only.")
    ],
    surface: Annotated[
        list[str] | None, typer.Option(help="A surface the token sees; repeatable. Default: fx.")
    ] = None,
    scope: Annotated[
        list[str] | None, typer.Option(help="feed:read, cb:write or admin:read; repeatable. Default: the first two.")
    ] = None,
    expires: Annotated[str, typer.Option(help="Last moment of the token: an ISO date or date-time.")] = "",
    not_before: Annotated[str, typer.Option(help="First moment of the token: an ISO date or date-time.")] = "",
    home: Home = HERE,
    as_json: Json = False,
) -> None:
    """Make a token and print it. It is shown once: only its hash is kept."""
    from cli.subscribers import add, pins

    surfaces, scopes = surface or ["fx"], scope or ["feed:read", "cb:write"]
    pinned = pins(home.resolve(), surfaces)  # first: nothing may go wrong once the token is made
    token, subscriber = add(home.resolve(), label, surfaces, scopes, expires, not_before)
    if as_json:
        print(json.dumps({"id": subscriber.id, "token": token, "label": label, "publisher_keys": pinned}))
        return
    print(f"{subscriber.id} made for {label}; hand over this token, it is not shown again:", file=sys.stderr)
    print(token)
    if pinned:
        print("and the keys that sign its signals, for [feed] in the subscriber's config.toml:", file=sys.stderr)
        print(f"publisher_keys = {json.dumps(pinned)}", file=sys.stderr)


@subscribers.command("list")
def subscribers_list(home: Home = HERE, as_json: Json = False) -> None:
    """List the tokens that were made."""
    from cli.subscribers import rows

    table = rows(home.resolve())
    if as_json:
        print(json.dumps(table))
        return
    if not table:
        print("no subscribers yet; make one with: tbot subscribers add LABEL", file=sys.stderr)
    for row in table:
        print(
            f"{row['id']}  {row['state']:8}  {','.join(row['surfaces']):10}  {','.join(row['scopes'])}  {row['label']}"
        )


@subscribers.command("rotate")
def subscribers_rotate(
    token_id: Annotated[str, typer.Argument(help="The id, the eight characters after tbs_.")],
    overlap: Annotated[str, typer.Option(help="How long the old token stays good, such as 30m or 24h.")] = "24h",
    expires: Annotated[str, typer.Option(help="Last moment of the new token: an ISO date or date-time.")] = "",
    home: Home = HERE,
    as_json: Json = False,
) -> None:
    """Make a second token for a subscriber and print it; the old one ends after the overlap."""
    from cli.subscribers import rotate

    token, fresh = rotate(home.resolve(), token_id, overlap, expires)
    if as_json:
        print(json.dumps({"id": fresh.id, "token": token, "replaces": token_id, "subscriber": fresh.subscriber_id}))
        return
    print(f"{fresh.id} made, {token_id} ends in {overlap}; hand this over, it is not shown again:", file=sys.stderr)
    print(token)


@subscribers.command("revoke")
def subscribers_revoke(
    token_id: Annotated[str, typer.Argument(help="The id, the eight characters after tbs_.")], home: Home = HERE
) -> None:
    """End a token for good; a waiting client is sent away within a second."""
    from cli.subscribers import revoke

    revoke(home.resolve(), token_id)
    print(f"{token_id} revoked")


def main() -> None:
    """Run the command line."""
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    run(app)
