"""Times training and forecast of CDNOW and of parts of its customers, and writes benchmarks/cost.json.

python benchmarks/cost.py
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

from _tasks import MAIN_TASKS, PARAMS, Task, read_orders, shown, write_figures
from churnlab.config import Params, read_params
from churnlab.evaluation.backtest import backtest

OUT = Path(__file__).with_name("cost.json")
CUSTOMERS = (3000, 6000, 12000, None)  # None: all
# Whole customers, not copies of them: a copy in another fold would give its twin's outcome away.
TASKS = [replace(MAIN_TASKS[0], customers=customers) for customers in CUSTOMERS]


def cost(task: Task, params: Params) -> dict[str, Any]:
    """Customers, and seconds of training and forecast together."""
    orders = read_orders(task, params)
    begun = perf_counter()
    test = backtest(orders, task.cutoff, task.horizon_days, params, task.name)
    return {"customers": len(test.predictions), "seconds": perf_counter() - begun}


def main(arguments: Sequence[str] | None = None) -> int:
    """Time every size and write the figures."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args(arguments)
    params = read_params(PARAMS)
    sizes = [cost(task, params) for task in shown(TASKS, "sizes")]
    write_figures({"task": MAIN_TASKS[0].name, "sizes": sizes}, OUT)
    for size in sizes:
        sys.stdout.write(f"{size['customers']:,} customers: {size['seconds']:.0f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
