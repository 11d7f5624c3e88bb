"""Brier scores of the pooled, calibrated and blended probabilities beside individuals and market prices.

    python -m bench forecasts      (python -m bench.forecasts --data FOLDER)

First the published anchor scores are reproduced, to show that the scoring is right. Everything else is walk-forward:
whatever is fitted for a question saw only outcomes that were known before it was asked, and nothing was tuned on them.
"""

import random
import statistics
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import erf, log, sqrt
from pathlib import Path

from bench._research import Opinion, by_target, data_folder, day, opinions, parquet, rows
from domain.candidate import Vote
from forecast.blending import MarketWeight, blend_chances
from forecast.calibration import Isotonic, Platt
from forecast.pooling import chance_of, log_odds, pool
from forecast.scores import brier, calibration_error, log_loss, murphy
from forecast.volatility import WINDOW_MINUTES, Candle, per_minute, student4
from forecast.weights import Weights

LONG, ANCHORS = "forecasts/forecasts_long.csv.gz", "forecasts/anchor_scores.csv"
TIGHT, WIDE = Decimal("0.02"), Decimal("0.10")
CRYPTO = "crypto_1m_lean/trade_bars_1m.parquet"
# Strikes in percent of the price an hour ahead; they scale with the square root of the horizon.
STRIKES = (-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0)
ROUNDS = 2000
Group = dict[str, list[Opinion]]
DAY = timedelta(days=1)


def sets(folder: Path) -> dict[str, Group]:
    """Return the recorded sets by the names they have in the anchor file."""
    supers = opinions(folder, "fb_super")
    return {
        "supers dataset-questions": by_target([one for one in supers if one.resolved]),
        "supers market-questions": by_target([one for one in supers if not one.resolved]),
        "AIB Q3-2024 LLM bots": by_target(opinions(folder, "aib_q3_bots"), least=3),
        "cookics 17 Metaculus Qs x 9 LLM configs": by_target(opinions(folder, "cookics")),
    }


def trimmed_fifth(chances: Sequence[float]) -> float:
    """Return the mean without the highest and lowest fifth of the values, counted down."""
    ordered, cut = sorted(chances), int(len(chances) * 0.2)
    return statistics.fmean(ordered[cut : len(ordered) - cut])


def mean_odds(chances: Sequence[float]) -> float:
    return statistics.fmean(log_odds(chance) for chance in chances)


METHODS: dict[str, Callable[[Sequence[float]], float]] = {
    "mean": statistics.fmean,
    "median": statistics.median,
    "trim": trimmed_fifth,
    "logit_mean": lambda chances: chance_of(mean_odds(chances)),
    "ext15": lambda chances: chance_of(1.5 * mean_odds(chances)),
    "ext2": lambda chances: chance_of(2.0 * mean_odds(chances)),
    "shrink07": lambda chances: chance_of(0.7 * mean_odds(chances)),
}


def individual(group: Group) -> float:
    """Return the mean over targets of the mean Brier score of whoever gave an opinion."""
    return statistics.fmean(
        brier([one.chance for one in found], [one.outcome for one in found]) for found in group.values()
    )


def scored(group: Group, method: Callable[[Sequence[float]], float]) -> tuple[float, float]:
    chances = [method([one.chance for one in found]) for found in group.values()]
    outcomes = [found[0].outcome for found in group.values()]
    return brier(chances, outcomes), log_loss(chances, outcomes)


def reproduce_anchors(folder: Path, found: dict[str, Group]) -> None:
    """Print how far the anchors are from what is computed here."""
    known = {(row["dataset"], row["method"]): row for row in rows(folder / ANCHORS)}
    print("anchors: largest difference of Brier score and log loss from the published table")
    for name, group in found.items():
        gaps = {"avg_individual": abs(individual(group) - float(known[name, "avg_individual"]["brier"]))}
        for method, compute in METHODS.items():
            anchor, (score, loss) = known[name, method], scored(group, compute)
            gaps[method] = max(abs(score - float(anchor["brier"])), abs(loss - float(anchor["logloss"])))
        trimmed = gaps.pop("trim")
        print(f"  {name:<42} n={len(group):<4} {max(gaps.values()):.6f}  trimmed mean {trimmed:.4f}")
    print(
        "  (six decimals are the table's own rounding; the table does not say how its trimmed mean counts what it cuts)"
    )


def pooled(found: Sequence[Opinion], weights: dict[str, float] | None = None) -> float:
    votes = [
        Vote(model=one.forecaster, probability=Decimal(str(one.chance)), weight=Decimal(1), cost_usd=Decimal(0))
        for one in found
    ]
    return pool(votes, weights).probability


def walked_weights(group: Group) -> list[float]:
    """Pool each target with weights of the outcomes that were known when it came out, in the order of the file.

    Where the file names no date of resolution, a target counts as known before the next one; that is said beside it.
    """
    weights, chances = Weights(), []
    waiting: list[tuple[datetime, list[Opinion]]] = []
    start, keys = datetime(2024, 1, 1, tzinfo=UTC), list(group)
    dated = all(found[0].resolved for found in group.values())
    for number, key in enumerate(sorted(keys, key=lambda one: group[one][0].resolved) if dated else keys):
        found = group[key]
        moment = day(found[0].resolved) if dated else start + number * DAY
        for known, earlier in [pair for pair in waiting if pair[0] < moment]:
            for one in earlier:
                weights.learn(known, one.forecaster, one.chance, one.outcome)
        waiting = [pair for pair in waiting if pair[0] >= moment]
        chances.append(pooled(found, weights.weights([one.forecaster for one in found], moment)))
        waiting.append((moment, found))
    outcomes = {key: group[key][0].outcome for key in keys}
    order = sorted(keys, key=lambda one: group[one][0].resolved) if dated else keys
    return [(chance - outcomes[key]) ** 2 for chance, key in zip(chances, order, strict=True)]


def interval(differences: Sequence[float]) -> str:
    """Return the 90 % interval of a mean over resampled questions, in thousandths of a Brier point."""
    generator = random.Random(7)
    means = sorted(statistics.fmean(generator.choices(differences, k=len(differences))) for _ in range(ROUNDS))
    low, high = means[ROUNDS // 20], means[-ROUNDS // 20]
    return f"[{low * 1000:+.1f}, {high * 1000:+.1f}]"


def show_pools(found: dict[str, Group]) -> None:
    """Print the pool beside the average individual; the target is 5 % less."""
    print("\npool beside the average individual (Brier; the interval is of pool - individual in thousandths, 90 %)")
    print(f"  {'':<42} {'n':>4} {'single':>7} {'median':>7} {'pool':>7} {'less':>6} {'interval':>16} {'weighted':>9}")
    for name, group in found.items():
        own = [brier([one.chance for one in one_set], [one.outcome for one in one_set]) for one_set in group.values()]
        ours = [(pooled(one_set) - one_set[0].outcome) ** 2 for one_set in group.values()]
        single, score = statistics.fmean(own), statistics.fmean(ours)
        less = 1 - score / single
        weighted = statistics.fmean(walked_weights(group))
        print(
            f"  {name:<42} {len(group):>4} {single:>7.4f} {scored(group, statistics.median)[0]:>7.4f} {score:>7.4f}"
            f" {less:>6.1%} {interval([a - b for a, b in zip(ours, own, strict=True)]):>16} {weighted:>9.4f}"
            f"  {'met' if less >= 0.05 else 'missed'}"
        )
    print(
        "  weighted: with trailing weights. Only the first set has dates of resolution; elsewhere a question is taken"
    )
    print("  as known before the next in the file, which is a wish. The plain pool uses no outcome at all.")


def show_blends(folder: Path, found: dict[str, Group]) -> None:
    """Print the blended estimate beside the market's price; the target is at most 0.001 worse."""
    print("\nblended estimate beside the market (Brier; the interval is of blend - market in thousandths, 90 %)")
    print(f"  {'':<42} {'n':>4} {'model':>7} {'market':>7} {'blend':>7} {'worse':>8} {'interval':>16}")
    supers = [one for one in found["supers market-questions"].values() if one[0].market is not None]
    rated = [(pooled(one), float(one[0].market or 0), one[0].outcome, day(one[0].asked), None) for one in supers]
    _print_blend("supers and stale freeze prices", rated, TIGHT)
    quarter = by_target(opinions(folder, "aib_q4"))
    parts = [{one.forecaster: one for one in group} for group in quarter.values()]
    for label, name in (("bot median", "bot_team_median"), ("best bot", "pgodzinai")):
        crowd = [
            (one[name].chance, one["community_prediction"].chance, one[name].outcome, day(one[name].asked), None)
            for one in parts
        ]
        _print_blend(f"AIB Q4: {label} and the community", sorted(crowd, key=lambda row: row[3]), TIGHT)
    prices = sorted(opinions(folder, "fb_market"), key=lambda one: (one.asked, one.resolved, one.target))
    _print_blend("1,958 freeze prices, Platt as the model", _recalibrated(prices, Platt()), TIGHT)
    _print_blend("1,958 freeze prices, isotonic as the model", _recalibrated(prices, Isotonic()), TIGHT)


Rated = tuple[float, float, float, datetime, datetime | None]


def _print_blend(name: str, rated: Sequence[Rated], spread: Decimal) -> None:
    own = [(model - outcome) ** 2 for model, _, outcome, _, _ in rated]
    market = [(price - outcome) ** 2 for _, price, outcome, _, _ in rated]
    mixed = [(chance - one[2]) ** 2 for chance, one in zip(walked_blend(rated, spread), rated, strict=True)]
    worse = statistics.fmean(mixed) - statistics.fmean(market)
    print(
        f"  {name:<42} {len(rated):>4} {statistics.fmean(own):>7.4f} {statistics.fmean(market):>7.4f}"
        f" {statistics.fmean(mixed):>7.4f} {worse:>+8.4f}"
        f" {interval([a - b for a, b in zip(mixed, market, strict=True)]):>16}  {'met' if worse <= 0.001 else 'missed'}"
    )


def walked_blend(rated: Sequence[Rated], spread: Decimal) -> list[float]:
    """Blend each question with the weight that was known when it was asked; questions come in the order of asking.

    A question without a date of resolution is never learnt from.
    """
    weight, chances = MarketWeight(), []
    waiting: list[tuple[datetime, float, float, float]] = []
    for model, price, outcome, asked, known in rated:
        for one in sorted((one for one in waiting if one[0] <= asked), key=lambda one: one[0]):
            weight.learn(*one)
        waiting = [one for one in waiting if one[0] > asked]
        chances.append(blend_chances(model, price, weight.weight(spread, asked)))
        if known is not None:
            waiting.append((known, model, price, outcome))
    return chances


def _recalibrated(prices: Sequence[Opinion], fold: Platt | Isotonic) -> list[Rated]:
    """Return each price beside what the fold made of it from the outcomes known when it was asked."""
    rated: list[Rated] = []
    waiting: list[Opinion] = []
    for one in prices:
        asked = day(one.asked)
        for known in sorted((w for w in waiting if day(w.resolved) + DAY <= asked), key=lambda w: w.resolved):
            fold.learn(day(known.resolved) + DAY, known.chance, known.outcome)
        waiting = [w for w in waiting if day(w.resolved) + DAY > asked]
        rated.append((fold.apply(one.chance, asked), one.chance, one.outcome, asked, day(one.resolved) + DAY))
        waiting.append(one)
    return rated


def show_calibration(folder: Path, found: dict[str, Group]) -> None:
    """Print the parts of the scores."""
    print("\nparts of the Brier score over ten bins of equal mass, and the expected calibration error")
    print(f"  {'':<42} {'n':>5} {'reliab.':>8} {'resol.':>8} {'uncert.':>8} {'ECE':>7}")
    table = {
        f"pool of {name}": [(pooled(one), one[0].outcome) for one in group.values()] for name, group in found.items()
    }
    table["freeze prices"] = [(one.chance, one.outcome) for one in opinions(folder, "fb_market")]
    for name, pairs in table.items():
        chances, outcomes = [chance for chance, _ in pairs], [outcome for _, outcome in pairs]
        parts = murphy(chances, outcomes)
        print(
            f"  {name[:42]:<42} {len(pairs):>5} {parts.reliability:>8.4f} {parts.resolution:>8.4f}"
            f" {parts.uncertainty:>8.4f} {calibration_error(chances, outcomes):>7.4f}"
        )


def minutes(folder: Path) -> list[list[Candle]]:
    """Return the recorded minutes of each pair."""
    pairs: dict[str, list[Candle]] = {}
    for pair, start, *prices in parquet(
        folder / CRYPTO, "SELECT symbol, ts, open, high, low, close FROM {} ORDER BY 1, 2"
    ):
        pairs.setdefault(pair, []).append(Candle(start, *prices))
    return list(pairs.values())


def normal(deviations: float) -> float:
    return 0.5 * (1.0 + erf(deviations / sqrt(2.0)))


def show_prices(folder: Path) -> None:
    """Print how good the chances of a price above a strike are, with fat tails and with a normal's."""
    print("\nprice above a strike: recorded minutes of BTC and LTC, every quarter of an hour, seven strikes")
    columns = f"{'Brier':>7} {'log loss':>9} {'ECE':>7}"
    print(f"  {'ahead':<8} {'n':>6} {columns}   normal: {columns}")
    recorded = minutes(folder)
    for horizon in (15, 60, 170):
        fat: list[float] = []
        thin: list[float] = []
        outcomes: list[float] = []
        for candles in recorded:
            ends = {one.start: one.close for one in candles}
            for at in range(WINDOW_MINUTES, len(candles), 15):
                now = candles[at].start + timedelta(minutes=1)
                end = ends.get(candles[at].start + timedelta(minutes=horizon))
                if end is None or candles[at].start - candles[at - WINDOW_MINUTES].start > timedelta(hours=8):
                    continue
                width = per_minute(candles[at - WINDOW_MINUTES : at + 1], now) * sqrt(horizon)
                for percent in STRIKES:
                    distance = log(1 + percent / 100 * sqrt(horizon / 60))
                    fat.append(1 - student4(distance / width))
                    thin.append(1 - normal(distance / width))
                    outcomes.append(float(log(end / candles[at].close) > distance))
        shown = [
            f"{brier(found, outcomes):.4f} {log_loss(found, outcomes):>9.4f} {calibration_error(found, outcomes):>7.4f}"
            for found in (fat, thin)
        ]
        print(f"  {horizon:>3} min  {len(outcomes):>6}  {shown[0]}            {shown[1]}")


def main() -> None:
    folder = data_folder(__doc__, LONG, ANCHORS)
    if folder is None:
        return
    found = sets(folder)
    reproduce_anchors(folder, found)
    show_pools(found)
    show_blends(folder, found)
    show_calibration(folder, found)
    if (folder / CRYPTO).exists():
        show_prices(folder)


if __name__ == "__main__":
    main()
