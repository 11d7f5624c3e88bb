"""The command ``tbot export``: what the journals hold, as tables for other programs."""

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from audit.trades import Trade

app = typer.Typer(help="Write what the journals hold as tables for other programs.", no_args_is_help=True)
Home = Annotated[Path, typer.Option(envvar="TBOT_HOME", help="Folder that holds logs/.")]


@app.command("trades")
def trades_command(
    since: Annotated[
        str, typer.Option(help="7d, today, 2026-11-01, 2026-11-01T09:30Z, or Unix seconds; default: everything.")
    ] = "",
    surface: Annotated[list[str] | None, typer.Option("--surface", help="Only this surface; repeatable.")] = None,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Comma-separated values with a header; this is the default.")
    ] = True,
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
    """Write closed trades, one a row: entry, exit, profit, fees, how long it was held, and how its outcome was read."""
    from audit.trades import trades
    from cli.homes import existing_home
    from cli.moments import since_moment

    logs = existing_home(home) / "logs"
    found = trades(logs, since_moment(since), surface)
    rows = _fill_rows(logs, found) if fills else [asdict(trade) for trade in found]
    columns = FILL_COLUMNS if fills else _trade_columns()
    if out is None:
        _write(rows, columns, sys.stdout, as_json=as_json)
        return
    with out.open("x", encoding="utf-8", newline="") as file:
        _write(rows, columns, file, as_json=as_json)


FILL_COLUMNS = [
    "surface", "signal_id", "market", "side", "entry_fill", "entry_at", "entry_price", "exit_fill", "exit_at",
    "exit_price", "quantity", "gross", "fees", "net", "link",
]  # fmt: skip


def _trade_columns() -> list[str]:
    from audit.trades import Trade

    return Trade.columns()


def _fill_rows(logs: Path, found: "Iterable[Trade]") -> Iterator[dict[str, Any]]:
    from audit.trades import fills
    from domain.vocabulary import Side

    known: dict[str, Mapping[str, Any]] = {}
    for trade in found:
        if trade.surface not in known:
            known[trade.surface] = fills(logs / trade.surface)
        made_of = known[trade.surface].get(trade.signal_id)
        for pair in made_of.linked(Side(trade.side).sign) if made_of else ():
            yield {
                "surface": trade.surface,
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


def _write(rows: Iterable[Mapping[str, Any]], columns: list[str], file: Any, *, as_json: bool) -> None:
    if as_json:
        for row in rows:
            file.write(json.dumps({key: _plain(value) for key, value in row.items()}) + "\n")
        return
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: _text(value) for key, value in row.items()})


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _text(value: Any) -> Any:
    """Return a value for a cell: a text that a spreadsheet would take for a formula is quoted."""
    plain = _plain(value)
    if isinstance(plain, str) and not isinstance(value, Decimal | datetime) and plain[:1] in ("=", "+", "-", "@"):
        return f"'{plain}"
    return "" if plain is None else plain
