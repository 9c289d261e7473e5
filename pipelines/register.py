"""DVC stage `register`: packages the model, logs the run, promotes the model if it earned it."""

from __future__ import annotations

import json
import shutil
import sys

from churnlab.config import Params
from churnlab.engine import read_parquet, write_text
from churnlab.models.scorer import Scorer, forecaster_from_state
from churnlab.models.training import BtydBook, assemble
from churnlab.operations import promotion, tracking
from churnlab.operations.provenance import project_root
from churnlab.operations.promotion import Headline
from churnlab.operations.recording import record_execution, synthetic_example
from churnlab.pipelines._files import ingested, progress, read_json, read_plan
from churnlab.pipelines._record import execution_files, plots_page
from churnlab.pipelines._run import Workspace, main


def run(params: Params) -> None:
    """models/clv.json, models/churn/, reports/metrics.json → models/packaged/, reports/registration.json."""
    work = Workspace.of(params)
    with progress("package and register", 2) as step:
        scorer = package(params, work)
        headline = read_json(work.metrics)
        verdict = promotion.against_baselines(headline, params.registry.tolerance)
        training_id = promotion.training_id(scorer.digest, scorer.data_version)
        identity = {"data_version": scorer.data_version, "model_digest": scorer.digest, "training_id": training_id}
        step("packaged")
        register(params, work, scorer, headline, identity, verdict)
        step("registered")
    outcome = {**identity, "beats_baselines": verdict.promote, "findings": list(verdict.findings)}
    write_text(json.dumps(outcome, indent=1, sort_keys=True) + "\n", work.registration)


def package(params: Params, work: Workspace) -> Scorer:
    """Assemble the scorer and write it into a fresh folder."""
    plan, current = read_plan(work), read_parquet(work.current)
    learners = forecaster_from_state(read_json(work.churn_model / "forecaster.json"), work.churn_model)
    version = ingested(work).data_version
    scorer = assemble(current, plan, BtydBook.from_dict(read_json(work.clv_models)), learners, params.clv, params.decisions.labels, version)
    shutil.rmtree(work.packaged_model, ignore_errors=True)
    scorer.save(work.packaged_model)
    return scorer


def register(
    params: Params,
    work: Workspace,
    scorer: Scorer,
    headline: Headline,
    identity: dict[str, str],
    verdict: promotion.Verdict,
) -> None:
    """Log run and model; move the champion alias if baselines and champion are matched."""
    root, names, gains = project_root(), params.registry, promotion.gains(headline)
    run_id = record_execution(root, params, headline, identity, execution_files(work), plots_page(work))
    example = synthetic_example(read_parquet(work.current))
    version = tracking.log_model(
        root,
        run_id,
        work.packaged_model,
        registered_name=names.model_name,
        input_example=example,
        output_example=scorer.predict(example),
        tags={**identity, **{name: str(gain) for name, gain in gains.items()}},
    )
    champion = tracking.champion(root, names.model_name, names.champion_alias)
    rivalry = promotion.against_champion(gains, champion.tags if champion else {}, names.tolerance)
    if verdict.promote and rivalry.promote:
        tracking.promote(root, names.model_name, names.champion_alias, version)
    else:
        reasons = "; ".join((verdict if not verdict.promote else rivalry).findings)
        sys.stderr.write(f"version {version} is registered but not {names.champion_alias}: {reasons}\n")


if __name__ == "__main__":
    main(run)
