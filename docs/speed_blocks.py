"""The blocks of docs/speed.md and docs/operations.md that benchmarks/speed.json and faults.json fill."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

Json = dict[str, Any]
Table = Callable[..., str]

COMPARED = {
    "rfm": ("frequency, recency, T and money", "lifetimes' summary takes", "times as long"),
    "features": ("all features of one cutoff", "lifetimes' four columns take", "times as long"),
    "bgnbd": ("BG/NBD fit", "`BetaGeoFitter.fit` takes", "times as long"),
    "score": (
        "`churnlab score`, start to end",
        "takes",
        "times as long as GROUP BY and LightGBM alone",
    ),
    "cpus": ("fits of one model, on two threads", "one thread takes", "times as long"),
}
"""Part to what is timed, and how its ratio is read."""


def ratios(speed: Json, table: Table) -> str:
    """Ratios between two sides of one run, with their spread over the turns."""
    rows = []
    for name, (what, before, after) in COMPARED.items():
        part = speed["parts"][name]
        size = f"{part['customers']:,} customers" if "customers" in part else f"{part['lines']:,} lines"
        span = f"{part['lowest']:.2f} to {part['highest']:.2f}"
        rows.append((what, size, f"{before} **{part['ratio']:.1f}** {after}", span))
    apart = speed["parts"]["bgnbd"]["log_likelihood_apart_per_million"]
    fits = f"Log-likelihood of churnlab's BG/NBD: that of `BetaGeoFitter` {apart:+.3f} millionths."
    return f"{_machine(speed)}\n\n{table(('What', 'Size', 'Ratio', 'Turns'), rows)}\n\n{fits}"


def growth(speed: Json, table: Table) -> str:
    """`churnlab score` at two sizes."""
    part = speed["parts"]["growth"]
    rows = [(f"{run['customers']:,}", *_usage(run)) for run in part["runs"]]
    head = table(("Customers", "Seconds", "Peak memory, GiB"), rows, right=(0, 1, 2))
    return f"{head}\n\nTen times the lines take {part['ratio']:.1f} times as long."


def training(speed: Json, table: Table) -> str:
    """Each stage up to the fitted learners at two sizes."""
    part = speed["parts"]["training"]
    names = ("ingest", "features", "train-clv", "train-churn")
    rows = []
    for run in part["runs"]:
        usages = [run["stages"][name] for name in names]
        total = {name: pick(u[name] for u in usages) for name, pick in (("seconds", sum), ("peak_mb", max))}
        rows.append((f"{run['customers']:,}", *(f"{u['seconds']:,.0f}" for u in usages), *_usage(total)))
    head = table(("Customers", *names, "Together", "Peak memory, GiB"), rows, right=range(len(names) + 3))
    return f"Seconds:\n\n{head}\n\nFive times the customers take {part['ratio']:.1f} times as long."


def kills(faults: Json, table: Table) -> str:
    """What was seen of runs that were ended."""
    head = (
        "Target",
        "Signal",
        "Ended",
        "while publishing",
        "Readers saw old",
        "new",
        "half",
        "Rows lost",
        "doubled",
    )
    rows = [
        (
            one["target"],
            one["fault"],
            *(str(one[name]) for name in ("ended", "ended_publishing", "saw_old", "saw_new", "saw_half")),
            str(one["rows_lost"]),
            str(one["rows_doubled"]),
        )
        for one in faults["ended"]
    ]
    return table(head, rows, right=range(2, len(head)))


def outages(faults: Json, table: Table) -> str:
    """What was seen while something was taken away."""
    rows = [
        (one["target"], one["fault"], str(one["code"]), one["saw"], str(len(one["leftovers"])))
        for one in faults["outages"]
    ]
    return table(("Target", "Taken away", "Exit code", "Readers saw", "Left behind"), rows, right=(2, 4))


def _usage(usage: Json) -> Sequence[str]:
    return f"{usage['seconds']:,.0f}", f"{usage['peak_mb'] / 1024:.2f}"


def _machine(speed: Json) -> str:
    found = speed["machine"]
    return f"Measured on {found['cores']} cores with {found['memory_gb']:.0f} GB of memory."


OF_SPEED = {"ratios": ratios, "growth": growth, "training": training}
OF_FAULTS = {"kills": kills, "outages": outages}
