"""The ``tbot keys`` commands: make, replace and list the keys that sign the journals."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(help="Make, replace and list the keys that sign what the surfaces publish.", no_args_is_help=True)

SurfaceName = Annotated[str, typer.Argument(help="st, lt or fx.")]
Home = Annotated[Path, typer.Option(envvar="TBOT_HOME", help="Folder that holds env/, keys/, logs/, run/ and state/.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
HERE = Path()


@app.command()
def create(
    surface: SurfaceName,
    anew: Annotated[
        bool, typer.Option("--anew", help="Begin although journals are signed by a key that is lost for good.")
    ] = False,
    home: Home = HERE,
    as_json: Json = False,
) -> None:
    """Make the key that a surface and its resolver sign with. Back it up: it can't be made again."""
    from cli.homes import existing_home
    from cli.subscribers import known_surface
    from domain.clock import parse_clock
    from domain.house import House
    from journal.key_files import create_key, signed_by

    now = parse_clock(os.environ.get("TBOT_CLOCK", "real")).now()
    house, name = House(home=existing_home(home)), known_surface(surface)
    entry = create_key(house.keys, name, now, signed=None if anew else signed_by(house.logs / name))
    _show(entry, f"made; back up {home / 'keys'}", as_json)


@app.command()
def rotate(
    surface: SurfaceName,
    leaked: Annotated[
        bool,
        typer.Option("--leaked", help="The old key is lost or known to others: it does not vouch for the new one."),
    ] = False,
    home: Home = HERE,
    as_json: Json = False,
) -> None:
    """Replace a surface's key; the old one vouches for the new one. Stop the surface and its resolver first."""
    from cli.homes import existing_home
    from cli.subscribers import known_surface
    from domain.clock import parse_clock
    from domain.house import House
    from journal.key_files import logs_at_rest, rotate_key

    house, name = House(home=existing_home(home)), known_surface(surface)
    with logs_at_rest(house.logs / name, parse_clock(os.environ.get("TBOT_CLOCK", "real"))) as moment:
        entry = rotate_key(house.keys, name, moment, leaked=leaked)
    vouched = f"vouched for by {entry.by}" if entry.by else "nothing vouches for it: tell every subscriber to pin it"
    _show(entry, f"in use from {entry.from_}; {vouched}", as_json)


@app.command("list")
def list_(home: Home = HERE, as_json: Json = False) -> None:
    """List the public keys, oldest first."""
    from cli.homes import existing_home
    from domain.house import House
    from journal.public_keys import read_public_keys

    entries = read_public_keys(House(home=existing_home(home)).keys)
    if as_json:
        print(json.dumps([_fields(entry) for entry in entries]))
        return
    if not entries:
        print("no keys yet; make one with: tbot keys create SURFACE", file=sys.stderr)
    for entry in entries:
        end = f"until {entry.until}" if entry.until else "in use"
        by = f"  by {entry.by}" if entry.by else ""
        print(f"{entry.surface}:{entry.key}  from {entry.from_}  {end}{by}")


def _show(entry: Any, what: str, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_fields(entry)))
        return
    print(f"{entry.surface}:{entry.key}")
    print(what, file=sys.stderr)


def _fields(entry: Any) -> dict[str, Any]:
    import msgspec

    fields: dict[str, Any] = msgspec.to_builtins(entry)
    return fields
