"""The calibration of estimates as text for a terminal."""

from collections.abc import Sequence

from audit.calibration import ModeCalibration, SurfaceCalibration
from audit.judging import VIEWS, Judged, ModelScore, Score, Table, model_scores, tables
from audit.words import counted, printable

# With fewer events a difference from the market is not called one, whatever its standard error says.
LEAST_EVENTS = 10
# The reliability curve is shown of what was decided on.
CURVE = "blended"
LEGEND = "\n".join(
    [
        f"market   {VIEWS['market']}: the anchor to beat",
        f"model    {VIEWS['model']}",
        f"blended  {VIEWS['blended']}",
        "Brier is the mean squared error: 0 is perfect, 0.25 a coin's. Log loss punishes being sure and wrong.",
        "Brier is reliability - resolution + uncertainty, but for what varies inside a bin; ECE is the mean gap of",
        "what was said to what came. Smaller is better for all but resolution; uncertainty is the questions' own.",
    ]
)

# key of the counts -> what it means to a reader, of one and of several
_BESIDE = {
    "disputed": "judged although disputed",
    "contradicted": "judged as the surface wrote it, while the resolver wrote another end",
    "awaited": "estimated, end not known yet",
    "ended_in_another_mode": "end written in another mode: not judged",
    "seen_early": "traded and seen early, nothing final: not judged",
    "neither_yes_nor_no": "ended neither YES nor NO: not judged",
    "without_an_opinion": "ended with no opinion given before its end: not judged",
    "simulated_end": "ended in simulation only: not judged",
}


def calibration_text(found: Sequence[SurfaceCalibration]) -> str:
    """Lay the calibration of several surfaces out, with a legend once there are scores to explain."""
    parts = [_surface(one) for one in found]
    if any(mode.judged_markets for one in found for mode in one.modes):
        parts.append(LEGEND)
    return "\n\n".join(parts)


def _surface(found: SurfaceCalibration) -> str:
    if not found.modes:
        return f"{found.surface}: no event contract was estimated in this period"
    return "\n\n".join(_mode(found.surface, mode) for mode in found.modes)


def _mode(surface: str, mode: ModeCalibration) -> str:
    parts = [
        _header(surface, mode),
        _judged("newest estimate of each contract before its end", mode.newest),
        _judged("estimates that were traded", mode.traded),
        _models(mode),
        _attendance(mode),
    ]
    return "\n\n".join(part for part in parts if part)


def _header(surface: str, mode: ModeCalibration) -> str:
    counts = mode.contracts()
    judged = counts.pop("judged")
    head = f"{counted(judged, 'contract')} judged" if judged else "no contract has ended yet that can be judged"
    lines = [f"{surface}, {mode.mode}: {head}"]
    lines += [f"  {counts[key]:5} {meaning}" for key, meaning in _BESIDE.items() if counts[key]]
    return printable_lines(lines)


def _judged(title: str, judged: Sequence[Judged]) -> str:
    if not judged:
        return ""
    head = f"  {title}"
    return "\n\n".join(_table(f"{head}: {table.method or 'no method named'}", table) for table in tables(judged))


def _table(head: str, table: Table) -> str:
    lead = "" if table.lead_hours is None else f", half of them {table.lead_hours:.1f} h or more before the close"
    contracts, events = counted(table.n, "contract"), counted(table.events, "event")
    lines = [
        head,
        f"    {contracts} of {events}, {table.yes} ended YES{lead}",
        "                 Brier  log loss  reliability  resolution  uncertainty     ECE",
    ]
    lines += [f"    {view:9}{_score(score)}" for view, score in table.scores.items()]
    return printable_lines([*lines, f"    {_verdict(table)}", *_curve(table.scores[CURVE])])


def _curve(score: Score) -> list[str]:
    said = "".join(f"{one.forecast:7.2f}" for one in score.curve)
    came = "".join(f"{one.observed:7.2f}" for one in score.curve)
    size = "".join(f"{one.count:7}" for one in score.curve)
    return [f"    {CURVE}: said  {said}", f"    came YES       {came}", f"    contracts      {size}"]


def _score(score: Score) -> str:
    parts = score.parts
    return (
        f"{score.brier:9.4f} {score.log_loss:9.4f} {parts.reliability:12.4f} {parts.resolution:11.4f} "
        f"{parts.uncertainty:12.4f} {score.calibration_error:7.3f}"
    )


def _verdict(table: Table) -> str:
    """Say what the difference from the market is worth."""
    error = table.standard_error
    number = f"blended less market: {table.difference:+.4f} Brier"
    if table.events < LEAST_EVENTS or error is None:
        return f"{number}; {counted(table.events, 'event')} can't tell skill from luck (at least {LEAST_EVENTS} can)"
    number += f", standard error {error:.4f} over {table.events} events"
    if abs(table.difference) < 2 * error:
        return f"{number}: no difference to speak of"
    return f"{number}: {'better' if table.difference < 0 else 'worse'} than the market"


def _models(mode: ModeCalibration) -> str:
    scores = model_scores(mode.newest)
    if not scores:
        return ""
    lines = [
        "  models, in the newest estimates; beside each the market over the same contracts",
        "                                    n    Brier   market  log loss  reliability  resolution    ECE  weight",
    ]
    lines += [f"  {one.model:30} {one.n:4}  {_model(one)}" for one in scores]
    return printable_lines(lines)


def _model(one: ModelScore) -> str:
    parts = one.score.parts
    return (
        f"{one.score.brier:7.4f}  {one.market_brier:7.4f}  {one.score.log_loss:8.4f}  {parts.reliability:11.4f}  "
        f"{parts.resolution:10.4f}  {one.score.calibration_error:5.3f}  {one.weight:6.2f}"
    )


def _attendance(mode: ModeCalibration) -> str:
    if not mode.attendance:
        return ""
    lines = [
        "  who was asked and who answered, in all estimates of the period",
        "                                asked  voted  from cache  missing",
    ]
    for model, seen in sorted(mode.attendance.items()):
        reasons = ", ".join(f"{reason} {number}" for reason, number in seen.missing.most_common())
        lines.append(f"  {model:30} {seen.asked:4}   {seen.voted:4}  {seen.cached:10}  {reasons or '-'}")
    return printable_lines(lines)


def printable_lines(lines: Sequence[str]) -> str:
    return "\n".join(printable(line) for line in lines)
