"""Times churnlab beside its peers and beside itself at ten times the size, and writes benchmarks/speed.json.

benchmarks/run [--lines 10000000] [--only NAME]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from lifetimes import BetaGeoFitter
from lifetimes.utils import summary_data_from_transaction_data
from rich.console import Console
from rich.table import Table

from _bench import Bench, as_orders, full_spec, last_day, plan_of
from _floor import floor_features
from _logs import Recipe, histories
from _measure import churnlab, in_turns, machine
from _tasks import PARAMS, write_figures
from churnlab.config import read_params
from churnlab.engine import connect
from churnlab.features.rfm import rfm
from churnlab.features.snapshots import snapshot
from churnlab.models.purchase_fits import fit_family
from churnlab.models.purchase_formulas import formulas
from churnlab.models.purchases import DAYS_PER_WEEK
from churnlab.models.scorer import Scorer
from churnlab.models.targets import Target

OUT = Path(__file__).with_name("speed.json")
MONEY_SCALE = 100.0
Figures = dict[str, Any]


def rfm_columns(bench: Bench) -> Figures:
    """Frequency, recency, T and money, beside lifetimes; both sides read the Parquet file."""
    log, engine = bench.log(bench.customers), read_params(PARAMS).engine

    def ours() -> pd.DataFrame:
        lines = connect(engine).read_parquet(log)
        return rfm(as_orders(lines), last_day(bench.customers)).to_pandas()

    return in_turns(lambda: lifetimes_summary(log), ours, bench.repeats).to_dict()


def feature_set(bench: Bench) -> Figures:
    """Every column of a snapshot, beside lifetimes' four; both sides read the Parquet file."""
    log, params = bench.log(bench.customers), read_params(PARAMS)
    spec = full_spec(params, Recipe(bench.customers).days - params.features.horizon_days)

    def ours() -> pd.DataFrame:
        lines = connect(params.engine).read_parquet(log)
        return snapshot(as_orders(lines), last_day(bench.customers), spec, MONEY_SCALE)

    return in_turns(lambda: lifetimes_summary(log), ours, bench.repeats).to_dict()


def lifetimes_summary(log: Path) -> pd.DataFrame:
    """The four columns by lifetimes."""
    lines = pd.read_parquet(log, columns=["customer_id", "ts", "amount"])
    return summary_data_from_transaction_data(lines, "customer_id", "ts", monetary_value_col="amount")


def nightly_score(bench: Bench) -> Figures:
    """`churnlab score`, beside a bare GROUP BY of the same features and LightGBM's own predictions."""
    model = bench.model()
    log, (params, path) = bench.log(bench.customers), bench.params(bench.customers)
    plan, scorer, day = plan_of(model), Scorer.load(model), last_day(bench.customers)
    names = scorer.forecaster.members[Target.CHURN]["lightgbm"].features
    boosters = [lgb.Booster(model_file=str(file)) for file in sorted(model.glob("*.txt"))]

    def floor() -> None:
        features = floor_features(log, day, plan.spec, plan.money_scale, params.engine.threads)
        matrix = features[list(names)].to_numpy(np.float64)
        for booster in boosters:
            booster.predict(matrix, num_threads=params.engine.threads)

    def ours() -> None:
        out = str(bench.folder / "scores")
        churnlab("score", "--params", str(path), "--model", str(model), "--out", out)

    return in_turns(ours, floor, bench.repeats).to_dict()


def ten_times_the_lines(bench: Bench) -> Figures:
    """Seconds and peak memory of `churnlab score` at one and ten times the lines."""
    model, sizes = bench.model(), (bench.customers, 10 * bench.customers)
    taken = []
    for customers in sizes:
        _, path = bench.params(customers)
        out = str(bench.folder / "scores")
        taken.append(churnlab("score", "--params", str(path), "--model", str(model), "--out", out))
    ratio = taken[1].seconds / taken[0].seconds
    runs = [{"customers": n, **asdict(usage)} for n, usage in zip(sizes, taken, strict=True)]
    return {"runs": runs, "ratio": ratio}


def bgnbd_fit(bench: Bench) -> Figures:
    """BG/NBD on a customer for every ten lines, beside lifetimes on rows as they are."""
    known = histories(Recipe(max(bench.lines // 10, 1000)))
    weeks = known.assign(recency=known["recency"] / DAYS_PER_WEEK, T=known["T"] / DAYS_PER_WEEK)
    found: dict[str, Any] = {}

    def theirs() -> None:
        fitter = BetaGeoFitter().fit(weeks["frequency"], weeks["recency"], weeks["T"])
        found["theirs"] = fitter.params_.to_dict()

    def ours() -> None:
        model = fit_family(known, "bgnbd", [0.0]).model
        found["ours"] = None if model is None else model.params

    timed = in_turns(theirs, ours, bench.repeats).to_dict()
    ours_at, theirs_at = (_log_likelihood(weeks, found[side]) for side in ("ours", "theirs"))
    apart = 1e6 * (ours_at - theirs_at) / abs(theirs_at)
    return {"customers": len(known), **timed, "log_likelihood_apart_per_million": apart}


def _log_likelihood(weeks: pd.DataFrame, params: dict[str, float]) -> float:
    x, t_x, T = (weeks[name].to_numpy(np.float64) for name in ("frequency", "recency", "T"))
    return float(formulas("bgnbd", params).log_likelihood(x, t_x, T).sum())


def training(bench: Bench) -> Figures:
    """From lines to learners, stage by stage, at a tenth and at half as many customers as lines."""
    runs, totals = [], []
    for customers in (bench.lines // 10, bench.lines // 2):
        stages = bench.train(customers)
        runs.append(
            {"customers": customers, "stages": {name: asdict(usage) for name, usage in stages.items()}}
        )
        totals.append(sum(usage.seconds for usage in stages.values()))
    return {"runs": runs, "ratio": totals[1] / totals[0]}


def second_cpu(bench: Bench) -> Figures:
    """The fits of one model with one thread, beside the same with two."""
    bench.model()
    one, two = (bench.threaded(bench.model_customers, threads) for threads in (1, 2))
    taken = in_turns(partial(_fits, one), partial(_fits, two), bench.repeats)
    return {"customers": bench.model_customers, **taken.to_dict()}


def _fits(params: Path) -> None:
    for stage in ("train-clv", "train-churn"):
        churnlab(stage, "--params", str(params))


PARTS: dict[str, tuple[Callable[[Bench], Figures], str]] = {
    "rfm": (rfm_columns, "lifetimes' summary / churnlab's frequency, recency, T, money"),
    "features": (feature_set, "lifetimes' summary / churnlab's complete feature set"),
    "score": (nightly_score, "churnlab score / bare GROUP BY and LightGBM's predict"),
    "growth": (ten_times_the_lines, "churnlab score at ten times the lines / at the lines"),
    "bgnbd": (bgnbd_fit, "lifetimes' BetaGeoFitter / churnlab's BG/NBD"),
    "cpus": (second_cpu, "the fits with one thread / with two"),
    "training": (training, "training at five times the customers / at the customers"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the parts asked for, write them beside those measured before, print the ratios."""
    asked = _parser().parse_args(arguments)
    bench = Bench(asked.lines, asked.repeats, asked.data, asked.model_customers)
    bench.folder.mkdir(parents=True, exist_ok=True)
    parts = {}
    for name in asked.only or PARTS:
        measure, _ = PARTS[name]
        parts[name] = {"lines": bench.lines, **measure(bench)}
        _keep(parts, asked.out)
    Console(highlight=False).print(table(parts))
    return 0


def table(parts: dict[str, Figures]) -> Table:
    """The ratios, their spread over the turns, and peaks of memory."""
    shown = Table("", "lines", "ratio", "spread", "peak MB", title=f"{machine()['cores']} cores")
    for name, figures in parts.items():
        spread = f"{figures['lowest']:.2f} to {figures['highest']:.2f}" if "lowest" in figures else ""
        peaks = [run["peak_mb"] for run in figures.get("runs", []) if "peak_mb" in run]
        peaks += [use["peak_mb"] for run in figures.get("runs", []) for use in run.get("stages", {}).values()]
        peak = f"{max(peaks):,.0f}" if peaks else ""
        shown.add_row(PARTS[name][1], f"{figures['lines']:,}", f"{figures['ratio']:.2f}", spread, peak)
    return shown


def _keep(parts: dict[str, Figures], out: Path) -> None:
    before = json.loads(out.read_text(encoding="utf-8"))["parts"] if out.exists() else {}
    write_figures({"machine": machine(), "parts": {**before, **parts}}, out)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks/run", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lines", type=int, default=10_000_000, help="lines of the log, about")
    parser.add_argument("--only", action="append", choices=list(PARTS), help="a part; may be repeated")
    parser.add_argument("--repeats", type=int, default=3, help="turns of every comparison")
    parser.add_argument("--model-customers", type=int, default=50_000, help="customers the model learns from")
    default = Path(tempfile.gettempdir()) / "churnlab-benchmarks"
    parser.add_argument("--data", type=Path, default=default, help="folder where logs and models are kept")
    parser.add_argument("--out", type=Path, default=OUT, help="JSON file of the figures")
    return parser


if __name__ == "__main__":
    sys.exit(main())
