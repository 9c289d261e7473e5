"""DVC stage `train_churn`: LightGBM and regressions on the snapshots, blended and calibrated."""

from __future__ import annotations

from churnlab.config import Params
from churnlab.engine import read_parquet, write_text
from churnlab.features.plan import LearningPlan
from churnlab.models.forecaster import forecaster_state
from churnlab.models.training import BtydBook, fit_learners
from churnlab.pipelines._files import progress, read_json, write_json
from churnlab.pipelines._run import Workspace, main


def run(params: Params) -> None:
    """data/snapshots.parquet, models/clv.json → models/churn/."""
    work = Workspace.of(params)
    with progress("churn and value learners", 1) as step:
        snapshots, current = read_parquet(work.snapshots), read_parquet(work.current)
        plan, book = (
            LearningPlan.from_dict(read_json(work.plan)),
            BtydBook.from_dict(read_json(work.clv_models)),
        )
        learners = fit_learners(snapshots, current, plan, book, params.churn)
        step("fitted")
    state, texts = forecaster_state(learners)
    for name, text in texts.items():
        write_text(text, work.churn_model / name)
    write_json(state, work.churn_model / "forecaster.json")


if __name__ == "__main__":
    main(run)
