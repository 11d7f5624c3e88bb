"""The command ``tbot export``: what the journals hold, as tables for other programs."""

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from cli.moments import SINCE

if TYPE_CHECKING:
    from audit.linking import Pair
    from audit.trades import Trade

app = typer.Typer(help="Write what the journals hold as tables for other programs.", no_args_is_help=True)
Home = Annotated[Path, typer.Option(envvar="TBOT_HOME", help="Folder that holds logs/.")]
FILL_COLUMNS = [
    "surface", "mode", "signal_id", "market", "side", "entry_fill", "entry_at", "entry_price", "exit_fill", "exit_at",
    "exit_price", "quantity", "gross", "fees", "net", "link",
]  # fmt: skip
# What a spreadsheet begins a formula with; a tab or a line break before one does not keep it from it.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@app.command("trades")
def trades_command(
    since: Annotated[str, typer.Option(help=SINCE)] = "",
    surface: Annotated[list[str] | None, typer.Option("--surface", help="Only this surface; repeatable.")] = None,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Comma-separated values with a header; this is the default.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line instead.")] = False,
    fills: Annotated[
        bool,
        typer.Option("--fills", help="A row for each entry fill and the exit fill that closed it, instead of a trade."),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="A file to write instead of the terminal; it must not exist.")
    ] = None,
    home: Home = Path(),
) -> None:
    """Write closed trades, one a row: entry, exit, profit, fees, how long it was held, and how its outcome was read.

    Rows come in the order in which the ends were written. A text that a spreadsheet would take for a formula is
    quoted with '.
    """
    from audit.trades import Trade, trades
    from cli.homes import existing_home
    from cli.moments import since_moment
    from domain.errors import Refuse

    if as_csv and as_json:
        raise Refuse("--csv or --json", "both", "give one")
    logs = existing_home(home) / "logs"
    found = trades(logs, since_moment(since), surface)
    rows = _fill_rows(logs, found) if fills else (asdict(trade) for trade in found)
    with _opened(out) as file:
        has_rows = _write(rows, FILL_COLUMNS if fills else Trade.columns(), file, as_json=as_json)
    if not has_rows:
        print(f"no trade closed{f' since {since}' if since else ''}; no row was written", file=sys.stderr)


@contextmanager
def _opened(out: Path | None) -> Iterator[TextIO]:
    """Open a new file, which is only left behind when it was written to its end; without a name, standard output."""
    from domain.errors import Refuse

    if out is None:
        yield sys.stdout
        return
    try:
        file = out.open("x", encoding="utf-8", newline="")
    except FileExistsError as error:
        raise Refuse("a file that is not there yet", str(out), "give another name, or move that file") from error
    try:
        with file:
            yield file
    except BaseException:
        out.unlink(missing_ok=True)
        raise


def _fill_rows(logs: Path, found: "Iterable[Trade]") -> Iterator[dict[str, Any]]:
    from audit.trades import links

    by_surface: dict[str, list[Trade]] = {}
    for trade in found:
        by_surface.setdefault(trade.surface, []).append(trade)
    for name, closed in by_surface.items():
        yield from (_fill_row(trade, pair) for trade, pair in links(logs / name, closed))


def _fill_row(trade: "Trade", pair: "Pair") -> dict[str, Any]:
    return {
        "surface": trade.surface,
        "mode": trade.mode,
        "signal_id": trade.signal_id,
        "market": trade.market,
        "side": trade.side,
        "entry_fill": pair.entry.transaction_id,
        "entry_at": pair.entry.at,
        "entry_price": pair.entry.price,
        "exit_fill": pair.exit.transaction_id,
        "exit_at": pair.exit.at,
        "exit_price": pair.exit.price,
        "quantity": pair.quantity,
        "gross": pair.gross,
        "fees": pair.fees,
        "net": pair.net,
        "link": pair.link,
    }


def _write(rows: Iterable[Mapping[str, Any]], columns: list[str], file: TextIO, *, as_json: bool) -> bool:
    """Write the rows and tell whether there was any."""
    has_rows = False
    if as_json:
        for row in rows:
            file.write(json.dumps({key: _plain(value) for key, value in row.items()}) + "\n")
            has_rows = True
        return has_rows
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _cell(value) for key, value in row.items()})
        has_rows = True
    return has_rows


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return f"{value:f}" if isinstance(value, Decimal) else value


def _cell(value: Any) -> Any:
    """Return a value for a cell: a text that a spreadsheet would take for a formula is quoted."""
    if isinstance(value, str):
        # The csv module quotes no carriage return that does not end a line, and readers take one for an end.
        text = value.replace("\r", "\n")
        return f"'{text}" if value.startswith(FORMULA) else text
    return "" if value is None else _plain(value)
