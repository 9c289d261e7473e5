"""DVC stage `register`: packages the model, logs the run, promotes the model if it earned it."""

from __future__ import annotations

import shutil
import sys

from churnlab.config import Params
from churnlab.engine import read_parquet
from churnlab.features.plan import LearningPlan
from churnlab.models.forecaster import forecaster_from_state
from churnlab.models.scorer import Scorer
from churnlab.models.training import BtydBook, assemble
from churnlab.operations import promotion, tracking
from churnlab.operations.provenance import project_root, training_id
from churnlab.operations.recording import record_execution, synthetic_example
from churnlab.pipelines._files import ingested, progress, read_json, write_json
from churnlab.pipelines._record import execution_files, plots_page
from churnlab.pipelines._run import Workspace, main


def run(params: Params) -> None:
    """models/clv.json, models/churn/, reports/metrics.json → models/packaged/, reports/registration.json."""
    work = Workspace.of(params)
    with progress("package and register", 2) as step:
        scorer = package(params, work)
        step("packaged")
        verdict = register(params, work, scorer)
        step("registered")
    outcome = {"beats_baselines": verdict.promote, "findings": list(verdict.findings)}
    write_json({**identity(scorer), **outcome}, work.registration)


def package(params: Params, work: Workspace) -> Scorer:
    """Assemble the scorer and write it into a fresh folder."""
    plan, book = LearningPlan.from_dict(read_json(work.plan)), BtydBook.from_dict(read_json(work.clv_models))
    learners = forecaster_from_state(read_json(work.churn_model / "forecaster.json"), work.churn_model)
    current, version = read_parquet(work.current), ingested(work).data_version
    scorer = assemble(current, plan, book, learners, params.clv, params.decisions.labels, version)
    shutil.rmtree(work.packaged_model, ignore_errors=True)
    scorer.save(work.packaged_model)
    return scorer


def identity(scorer: Scorer) -> dict[str, str]:
    """What the model is and was learned from: equal for equal trainings, whenever and wherever they run."""
    return {
        "data_version": scorer.data_version,
        "model_digest": scorer.digest,
        "training_id": training_id(scorer.digest, scorer.data_version),
    }


def register(params: Params, work: Workspace, scorer: Scorer) -> promotion.Verdict:
    """Log run and model; move the champion alias if baselines and champion are matched."""
    root, names, headline, known = project_root(), params.registry, read_json(work.metrics), identity(scorer)
    gains = promotion.gains(headline)
    measured = read_parquet(work.comparison)
    run_id = record_execution(
        root, params, headline, measured, known, execution_files(work), plots_page(work)
    )
    tracking.add_to_run(root, run_id, correlations(work))
    example = synthetic_example(read_parquet(work.current))
    version = tracking.log_model(
        root,
        run_id,
        work.packaged_model,
        registered_name=names.model_name,
        input_example=example,
        output_example=scorer.predict(example),
        tags={**known, **{name: str(gain) for name, gain in gains.items()}},
    )
    champion = tracking.champion(root, names.model_name, names.champion_alias)
    verdict = promotion.against_baselines(headline, names.tolerance)
    rivalry = promotion.against_champion(gains, champion.tags if champion else {}, names.tolerance)
    if verdict.promote and rivalry.promote:
        tracking.promote(root, names.model_name, names.champion_alias, version)
    else:
        reasons = "; ".join((rivalry if verdict.promote else verdict).findings)
        sys.stderr.write(f"version {version} is registered but not {names.champion_alias}: {reasons}\n")
    return verdict


def correlations(work: Workspace) -> dict[str, float]:
    """How far Gamma-Gamma's assumption of independence holds, where that is defined."""
    summary = read_json(work.clv_summary)
    names = ("frequency_spend_correlation", "frequency_spend_rank_correlation")
    return {f"btyd.{name}": summary[name] for name in names if summary[name] is not None}


if __name__ == "__main__":
    main(run)
