"""Rewrites the marked blocks of README.md and docs/ from the code and from the last run.

    python docs/refresh.py            rewrite what is out of date
    python docs/refresh.py --check    change nothing; name what is out of date and exit with 1

A block stands between <!-- begin:NAME --> and <!-- end:NAME -->. Blocks of CODE come from the repository
alone, figures that the scripts of benchmarks/ wrote included; blocks of RUN need `dvc repro` on params.yaml
first.
"""

from __future__ import annotations

import argparse
import ast
import json
import math
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import speed_blocks
import yaml

from churnlab.config import read_params
from churnlab.data.contract import TABLES, reasons_of
from churnlab.data.reasons import Reason
from churnlab.decisions.profit import PLAN, UNLIMITED, over_all
from churnlab.decisions.profit_definitions import DEFINITIONS
from churnlab.report.decision_charts import STRATEGIES
from churnlab.report.tables import MetricRow, metric_table

ROOT = Path(__file__).resolve().parents[1]
PAGES = (
    "README.md",
    "docs/data.md",
    "docs/params.md",
    "docs/accuracy.md",
    "docs/decisions.md",
    "docs/operations.md",
    "docs/speed.md",
    "docs/spark.md",
)
LIST_ROWS = 6
METHODS = {
    "churnlab": "churnlab",
    "btyd_bgnbd": "BG/NBD",
    "btyd_mbgnbd": "MBG/NBD",
    "btyd_paretonbd": "Pareto/NBD",
    "historical_rate": "historical rate",
    "days_since_last_order": "days since last order",
    "tutorial_lightgbm": "LightGBM by tutorial",
}
WRITTEN = {"ratio": "{:.3f}", "times": "{:.2f}", "amount": "{:.2f}", "share": "{:.1%}", "bias": "{:+.1%}"}
ACCURACY = "benchmarks/accuracy.json"
ABLATION = "benchmarks/ablation.json"
COST = "benchmarks/cost.json"
WORTH = "benchmarks/worth.json"
SPEED, FAULTS = "benchmarks/speed.json", "benchmarks/faults.json"
SPARK = "benchmarks/spark_growth.json"
BILLION = {"lines": 1_000_000_000, "customers": 50_000_000}
EXECUTOR_CORES = 4
RANK_BYTES = 32  # expected benefit, its negative, their order, the ranks: see ranks_of
BUSY = 0.5  # of the executors' time: the rest goes to waiting for the driver and for the slowest task
COMPARED = {"roc_auc": "AUC", "log_loss": "Log loss", "normalised_gini": "Gini of spend"}
PARAMETER = re.compile(
    r"^(?P<indent> *)(?P<key>\w+):"
    r'(?: +(?P<value>"(?:[^"\\]|\\.)*"|\[[^\]]*\]|\{[^}]*\}|[^#\s][^#]*?))?'
    r"(?: +# *(?P<comment>.*))?\s*$"
)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """A Markdown table; the columns `right` are aligned to the right."""
    rule = ["---:" if k in right else "---" for k in range(len(head))]
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [list(head), rule, *escaped])


def contracts() -> str:
    """The columns of every table of the source."""
    parts = []
    for schema in (table_of() for table_of in TABLES):
        rows = [
            (f"`{word}`", column.metadata["kind"], "" if column.nullable else "yes", column.description)
            for word, column in schema.columns.items()
        ]
        head = table(("Column", "Cells", "Needed", "Meaning"), rows)
        parts.append(f"### {schema.name.capitalize()}\n\n{schema.description}\n\n{head}")
    return "\n\n".join(parts)


def reasons() -> str:
    """Reason codes of the quarantine: where they come from, an example and the remedy."""
    found: dict[str, tuple[Reason, list[str]]] = {}
    for schema in (table_of() for table_of in TABLES):
        for word, reason in reasons_of(schema):
            places = found.setdefault(reason.code, (reason, []))[1]
            place = f"`{word}`" if word else "the line"
            if place not in places:
                places.append(place)
    return table(
        ("Reason", "Found in", "For instance", "What it means and how to mend it"),
        [
            (f"`{code}`", ", ".join(places), f"`{reason.example}`" if reason.example else "", reason.remedy)
            for code, (reason, places) in found.items()
        ],
    )


def stages() -> str:
    """Stages of dvc.yaml: what each does and writes."""
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    rows = []
    for name, stage in pipeline.items():
        text = (
            ast.get_docstring(ast.parse((ROOT / "pipelines" / f"{name}.py").read_text(encoding="utf-8")))
            or ""
        )
        first = text.splitlines()[0].removeprefix(f"DVC stage `{name}`: ")
        rows.append((f"`{name}`", first[0].upper() + first[1:].rstrip("."), ", ".join(_outputs(stage))))
    return table(("Stage", "What it does", "Writes"), rows)


def _outputs(stage: dict[str, Any]) -> Iterator[str]:
    """Paths a stage writes, the files of one folder of plots together."""
    listed = [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]
    paths = [next(iter(entry)) if isinstance(entry, dict) else entry for entry in listed]
    shown = ["reports/plots/" if path.startswith("reports/plots/") else path for path in paths]
    yield from (f"`{path}`" for path in dict.fromkeys(shown))


def parameters() -> str:
    """Every key of params.yaml with its value and its comment, one table per section."""
    out: list[str] = []
    rows: list[tuple[str, str, str]] = []
    path: list[str] = []
    head = ("Key", "Value as shipped", "Meaning and unit")
    for line in (ROOT / "params.yaml").read_text(encoding="utf-8").splitlines():
        found = PARAMETER.match(line)
        if found is None:
            continue
        path = [*path[: len(found["indent"]) // 2], found["key"]]
        if len(path) == 1 and rows:
            out.append(table(head, rows))
            rows = []
        if len(path) == 1 and found["value"] is None:
            out.append(f"## `{found['key']}`")
        else:
            value = f"`{found['value']}`" if found["value"] else ""
            rows.append((f"`{'.'.join(path)}`", value, found["comment"] or ""))
    return "\n\n".join([*out, table(head, rows)])


def headline() -> str:
    """What the list of the last run adds up to."""
    data, plan, unit = _json("data/ingest.json"), _json("reports/plan.json"), _unit()
    return (
        f"On the built-in CDNOW log ({data['customers']:,} customers, {data['orders']:,} orders, "
        f"{data['first_day']} to {data['last_day']}) it says: contact {plan['contacts']} customers for "
        f"{unit}{plan['cost']:,.0f}, expected net benefit {unit}{plan['expected_net_benefit']:,.0f}; "
        f"leave {plan['held_out']} more alone as the control group. The list begins:"
    )


def priority() -> str:
    """The first rows of the priority list."""
    rows = pd.read_csv(ROOT / "outputs/priority_list.csv", dtype={"customer_id": str}).head(LIST_ROWS)
    unit = _unit()
    cells = [
        (
            str(row.priority_rank),
            str(row.customer_id),
            str(row.action).replace("_", " "),
            str(row.channel),
            f"{unit}{row.value_at_stake:,.2f}",
            f"{unit}{row.expected_net_benefit:,.2f}",
            str(row.group),
            str(row.why),
        )
        for row in rows.itertuples()
    ]
    head = ("Rank", "Customer", "Action", "Channel", "Value at stake", "Expected net benefit", "Group", "Why")
    return table(head, cells, right=(0, 4, 5))


def metrics() -> str:
    """The backtest: the model beside BTYD alone and the naive baselines, means over the cutoffs."""
    measured = pd.read_parquet(ROOT / "reports/comparison.parquet")
    horizon = read_params(ROOT / "params.yaml").features.horizon_days
    days = " and ".join(sorted(measured["cutoff"].unique()))
    found = metric_table(
        measured.assign(order=measured["method"].map(list(METHODS).index)).sort_values("order")
    )
    rows = []
    for heading, block in found.blocks:
        rows.append((f"**{heading}**", *([""] * len(found.methods))))
        rows += [_metric_row(row) for row in block]
    head = ("", *(METHODS[name] for name in found.methods))
    everybody = pd.read_parquet(ROOT / "reports/backtest.parquet")
    newest = everybody[everybody["cutoff"] == everybody["cutoff"].max()]
    left = float(newest["churned"].mean())
    about = (
        f"Cutoffs: {days}, {horizon} days forecast from each, means over the cutoffs. Bold is the best of "
        f"the row. At the newest cutoff {left:.1%} of {len(newest):,} customers left, so no lift can be "
        f"above {1 / left:.2f}."
    )
    return f"{about}\n\n{table(head, rows, right=range(1, len(head)))}"


def next_order() -> str:
    """How often the next order came in its interval, on the backtest cutoffs."""
    found = _json("reports/metrics.json")["churnlab"]["next_order"]
    params = read_params(ROOT / "params.yaml")
    return (
        f"At the backtest cutoffs, {found['interval_coverage']:.1%} of {found['customers']:,} customers "
        f"who ordered in the {params.features.horizon_days} days after did so in their "
        f"{params.clv.interval:.0%} interval, given that an order comes in those days (for the log ends)."
    )


def profit() -> str:
    """What the list would have brought on the backtest cutoffs, beside simpler rules."""
    return _strategies(over_all(pd.read_parquet(ROOT / "reports/profit.parquet")))


def profit_grocer() -> str:
    """The same on the grocer's log."""
    return _strategies(_of_the_grocer()[0])


def grocer_lists() -> str:
    """How many past lists of the grocer's log could be judged, and by what."""
    found = _json(WORTH)["grocer"]
    first = found["definitions"][0]
    return (
        f"{first['cutoffs']} past lists with a horizon of {found['horizon_days']} days, by "
        f"`{first['definition']}`:"
    )


def grocer_definitions() -> str:
    """:func:`profit_definitions` on the grocer's log."""
    return _definitions(pd.concat(_of_the_grocer()))


def _of_the_grocer() -> list[pd.DataFrame]:
    """Every strategy, by definition."""
    told = []
    for found in _json(WORTH)["grocer"]["definitions"]:
        table = pd.DataFrame.from_dict(found["strategies"], orient="index").reindex(list(STRATEGIES))
        named = {name: found[name] for name in ("definition", "cutoffs")}
        told.append(table.rename_axis("strategy").reset_index().assign(**named))
    return told


def _strategies(measured: pd.DataFrame) -> str:
    head = ("Contacted", "By", "Contacts", "Cost", "Expected", "Realised", "90 %", "List ahead by", "90 %")
    rows = []
    for row in measured.itertuples(index=False):
        own = row.strategy in (PLAN, UNLIMITED)
        rows.append(
            (
                STRATEGIES[row.strategy],
                row.action.replace("_", " "),
                f"{row.contacts:,.0f}",
                f"{row.cost:,.0f}",
                f"{row.expected_profit:,.0f}",
                f"{row.realised_profit:,.0f}",
                f"{row.low:,.0f} to {row.high:,.0f}",
                "" if own else f"{row.plan_ahead:,.0f}",
                "" if own else f"{row.ahead_low:,.0f} to {row.ahead_high:,.0f}",
            )
        )
    return table(head, rows, right=range(2, len(head)))


OWN, LEAD = ("realised_profit", "low", "high"), ("plan_ahead", "ahead_low", "ahead_high")


def profit_definitions() -> str:
    """How far the list was ahead under every definition of who could have been kept."""
    return _definitions(pd.read_parquet(ROOT / "reports/profit_definitions.parquet"))


def _definitions(found: pd.DataFrame) -> str:
    parts = found.groupby("definition", sort=False)
    shown = {f"`{name}`": part.set_index("strategy") for name, part in parts}
    cutoffs = ("cutoffs", *(str(part["cutoffs"].iloc[0]) for part in shown.values()))
    own = ("*profit of the list*", *(_spanned(part.loc[PLAN], *OWN) for part in shown.values()))
    ahead = [
        (words, *(_spanned(part.loc[name], *LEAD) for part in shown.values()))
        for name, words in STRATEGIES.items()
        if name not in (PLAN, UNLIMITED, "nobody")
    ]
    return table(("List ahead of", *shown), [cutoffs, own, *ahead], right=range(1, len(shown) + 1))


def profit_truth() -> str:
    """Realised profit on made-up logs, by what a log tells and by the truth."""
    names = (*DEFINITIONS, "alive", "leaving")
    head = ("Shop", "Contacted", *(f"`{name}`" for name in names))
    rows = [
        (
            shop["shop"],
            words,
            *(f"{round(shop[name][strategy]['realised_profit']):,}" for name in names),
        )
        for shop in _json(WORTH)["shops"]
        for strategy, words in STRATEGIES.items()
        if strategy != "nobody"
    ]
    return table(head, rows, right=range(2, len(head)))


def _spanned(row: pd.Series, name: str, low: str, high: str) -> str:
    return f"{row[name]:,.0f} ({row[low]:,.0f} to {row[high]:,.0f})"


def _metric_row(row: MetricRow) -> tuple[str, ...]:
    texts = ["" if value is None else WRITTEN[row.wording.kind].format(value) for value in row.figures]
    best = {text for text, first in zip(texts, row.best, strict=True) if first}
    return (row.wording.name, *(f"**{text}**" if text in best else text for text in texts))


def accuracy() -> str:
    """churnlab's figures on every task of the benchmark."""
    head = ("Task", "Customers", "AUC", "Log loss", "ECE", "Gini", "Tenths", "Bias", "MAE", "Seconds")
    rows = []
    for task in _json(ACCURACY)["tasks"]:
        found = task["methods"]["churnlab"]
        churn, spend = found["churn"], found["spend"]
        cells = (
            task["task"],
            f"{task['customers']:,}",
            WRITTEN["ratio"].format(churn["roc_auc"]),
            WRITTEN["ratio"].format(churn["log_loss"]),
            WRITTEN["share"].format(churn["ece"]),
            WRITTEN["ratio"].format(spend["normalised_gini"]),
            WRITTEN["share"].format(spend["decile_mape"]),
            WRITTEN["bias"].format(spend["aggregate_bias"]),
            WRITTEN["amount"].format(found["purchases"]["mae"]),
            f"{task['seconds']:.0f}",
        )
        rows.append(cells)
    return table(head, rows, right=range(1, len(head)))


def rivals() -> str:
    """churnlab less the best rival on every task of the benchmark."""
    rows = []
    for task in _json(ACCURACY)["tasks"]:
        found = [task["against_best_rival"][metric] for metric in COMPARED]
        rows.append((task["task"], *(_difference(one) for one in found)))
    return table(("Task", *COMPARED.values()), rows)


def small() -> str:
    """churnlab and its lead over each sample's best rival, on samples of few customers."""
    rows = []
    for task in _json(ACCURACY)["small"]:
        ahead = task["against_best_rival"]
        cells = (
            f"{task['churnlab'][name]:.3f} ({ahead[name]['mean']:+.4f} ± {ahead[name]['standard_error']:.4f})"
            for name in COMPARED
        )
        rows.append((task["task"], str(task["samples"]), *cells))
    return table(("Task", "Samples", *COMPARED.values()), rows, right=(1,))


def cost() -> str:
    """Seconds by number of customers."""
    sizes = _json(COST)["sizes"]
    rows = [
        (
            f"{size['customers']:,}",
            f"{size['seconds']:.0f}",
            f"{1000 * size['seconds'] / size['customers']:.1f}",
        )
        for size in sizes
    ]
    return table(("Customers", "Seconds", "Seconds per 1,000"), rows, right=(0, 1, 2))


def _difference(found: dict[str, Any]) -> str:
    """Difference, interval and rival in one cell."""
    span = f"[{found['low']:+.4f}, {found['high']:+.4f}]"
    return f"{found['difference']:+.4f} {span} {METHODS[found['rival']]}"


def _ablation(target: str, metric: str) -> str:
    """One metric of every variant, a column per task."""
    rows = _json(ABLATION)["ablation"]
    values = {(row["variant"], row["task"]): row[target][metric] for row in rows}
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    variants = dict.fromkeys(row["variant"] for row in rows)
    cells = [(name, *(f"{values[name, task]:.4f}" for task in tasks)) for name in variants]
    return table(("", *tasks), cells, right=range(1, len(tasks) + 1))


def season() -> str:
    """Bias of the totals on the seasonal log, by variant."""
    found = _json(ABLATION)["season"]
    about = (
        f"A made-up log of two years and {found['customers']:,} customers, who buy {found['december']:g} "
        f"times as often in December. Cutoff {found['cutoff']}, {found['horizon_days']} days forecast."
    )
    biases = [
        (row["variant"], row["purchases"]["aggregate_bias"], row["spend"]["aggregate_bias"])
        for row in found["variants"]
    ]
    rows = [(name, *(WRITTEN["bias"].format(bias) for bias in both)) for name, *both in biases]
    return f"{about}\n\n{table(('', 'Bias of purchases', 'Bias of spend'), rows, right=(1, 2))}"


def spark_growth() -> str:
    """What ingest and score took on Spark, by size."""
    found = _json(SPARK)
    head = ("Lines", "Customers", "Step", "Seconds", "CPU s, executors", "CPU s, driver", "Shuffled MB")
    peaks = ("Driver MB", "JVM MB", "Workers MB")
    names = ("seconds", "executor_cpu_seconds", "driver_cpu_seconds", "shuffle_mb")
    rows = [
        (
            f"{size['lines']:,}",
            f"{size['customers']:,}",
            step,
            *(f"{size[step][name]:,.0f}" for name in (*names, "driver_mb", "jvm_mb", "workers_mb")),
        )
        for size in found["sizes"]
        for step in ("ingest", "score")
    ]
    return table((*head, *peaks), rows, right=(0, 1, *range(3, 10)))


def spark_billion() -> str:
    """What a billion lines would take, from what the largest size took beyond the one before."""
    rows, totals = [], dict.fromkeys(("executor_cpu_seconds", "driver_cpu_seconds", "shuffle_mb"), 0.0)
    for step, unit in (("ingest", "lines"), ("score", "customers")):
        for name in totals:
            each = _slope(step, name, unit)
            total = each * BILLION[unit]
            totals[name] += total
            what = f"{each * 1e6:,.2f}", f"{BILLION[unit]:,}", f"{total:,.0f}"
            rows.append((step, name.replace("_", " "), f"per million {unit}", *what))
    head = ("Step", "What", "", "Measured", "Times", "Makes")
    return f"{table(head, rows, right=(3, 4, 5))}\n\n{_executors(totals)}\n\n{_driver(totals)}"


def _slope(step: str, name: str, unit: str) -> float:
    """By how much a figure grew for each line or customer, between the two largest sizes."""
    before, after = _json(SPARK)["sizes"][-2:]
    return float((after[step][name] - before[step][name]) / (after[unit] - before[unit]))


def _executors(totals: dict[str, float]) -> str:
    """How many executors do the work in an hour, and how large each is."""
    hours = totals["executor_cpu_seconds"] / 3600
    cores = hours / BUSY
    executors = math.ceil(cores / EXECUTOR_CORES)
    found = _json(SPARK)
    largest = found["sizes"][-1]
    held = max(largest[step]["jvm_mb"] + largest[step]["workers_mb"] for step in ("ingest", "score"))
    memory = math.ceil(held / found["cores"] * EXECUTOR_CORES / 1000)
    shuffled = totals["shuffle_mb"] / 1000
    return (
        f"Executors: {totals['executor_cpu_seconds']:,.0f} CPU seconds are {hours:.1f} core hours. Busy for "
        f"{BUSY:.0%} of the time, {cores:.0f} cores do that in an hour: {executors} executors of "
        f"{EXECUTOR_CORES} cores. With {held:,.0f} MB for {found['cores']} cores at the largest size, an "
        f"executor needs {memory} GB, JVM and Python workers together. Disk for shuffles: {shuffled:,.0f} "
        f"GB, {shuffled / executors:,.0f} GB an executor."
    )


def _driver(totals: dict[str, float]) -> str:
    """What one process does alone, and what it holds."""
    sizes = _json(SPARK)["sizes"]
    held = max(sizes[-1][step]["driver_mb"] for step in ("ingest", "score"))
    ranks = RANK_BYTES * BILLION["customers"] / 1e6
    return (
        f"Driver: {totals['driver_cpu_seconds'] / 60:,.0f} minutes of one core, on top, for no other can do "
        f"them. Its Python process held {held:,.0f} MB at the largest size, and grows until a batch of a "
        f"million orders is full; {RANK_BYTES} bytes for each of {BILLION['customers']:,} customers make "
        f"{ranks:,.0f} MB more while ranks are given: {(held + ranks) / 1000:.1f} GB and that growth."
    )


def _filled(write: Callable[..., str], path: str) -> str:
    return write(_json(path), table)


def _json(path: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((ROOT / path).read_text(encoding="utf-8"))
    return loaded


def _unit() -> str:
    return read_params(ROOT / "params.yaml").report.currency_symbol


CODE: dict[str, Callable[[], str]] = {
    "tables": contracts,
    "reasons": reasons,
    "stages": stages,
    "params": parameters,
    "accuracy": accuracy,
    "rivals": rivals,
    "small": small,
    "cost": cost,
    "ablation_log_loss": partial(_ablation, "churn", "log_loss"),
    "ablation_auc": partial(_ablation, "churn", "roc_auc"),
    "ablation_gini": partial(_ablation, "spend", "normalised_gini"),
    "season": season,
    "profit_truth": profit_truth,
    "profit_grocer": profit_grocer,
    "grocer_lists": grocer_lists,
    "grocer_definitions": grocer_definitions,
    **{name: partial(_filled, write, SPEED) for name, write in speed_blocks.OF_SPEED.items()},
    **{name: partial(_filled, write, FAULTS) for name, write in speed_blocks.OF_FAULTS.items()},
    "spark_growth": spark_growth,
    "spark_billion": spark_billion,
}
RUN: dict[str, Callable[[], str]] = {
    "headline": headline,
    "list": priority,
    "metrics": metrics,
    "profit": profit,
    "next_order": next_order,
    "profit_definitions": profit_definitions,
}


def refreshed(text: str, blocks: dict[str, Callable[[], str]]) -> str:
    """`text` with every block of `blocks` that it holds written anew."""
    for name, write in blocks.items():
        begin, end = f"<!-- begin:{name} -->", f"<!-- end:{name} -->"
        if begin in text:
            before, _, rest = text.partition(begin)
            _, mark, after = rest.partition(end)
            if not mark:
                raise SystemExit(f"block {name}: {end} is missing")
            text = f"{before}{begin}\n{write()}\n{end}{after}"
    return text


def main(arguments: Sequence[str] | None = None) -> int:
    """Refresh or check every page; 1 if --check finds one out of date."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit with 1 if a page is out of date"
    )
    check = parser.parse_args(arguments).check
    stale = []
    for page in PAGES:
        path = ROOT / page
        old = path.read_text(encoding="utf-8")
        try:
            new = refreshed(old, CODE | RUN)
        except FileNotFoundError as error:
            sys.stderr.write(f"{error.filename}: is not there: run dvc repro, or its script of benchmarks/\n")
            return 2
        if new != old:
            stale.append(page)
            if not check:
                path.write_text(new, encoding="utf-8")
    for page in stale:
        sys.stdout.write(f"{page}: {'out of date: run python docs/refresh.py' if check else 'rewritten'}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
