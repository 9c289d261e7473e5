"""Airflow: one run of `churnlab score` per day of the shop, missed days caught up one after the other.

Written for Airflow 3. Put it into the folder of DAGs of a worker on which `churnlab` is installed in an
environment of its own (Airflow pins other versions of the same libraries), and set where that is in PROGRAM,
FOLDER and TARGET, or in the variables of the same names.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.standard.hooks.subprocess import SubprocessHook
from airflow.sdk import DAG, BaseOperator, Param
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.timetables.interval import CronDataIntervalTimetable

ZONE = os.environ.get("CHURNLAB_TIMEZONE", "UTC")  # as data.timezone in params.yaml
PROGRAM = os.environ.get("CHURNLAB_PROGRAM", "/opt/churnlab/venv/bin/churnlab")
FOLDER = os.environ.get("CHURNLAB_FOLDER", "/var/lib/churnlab")  # of params.yaml
TARGET = os.environ.get("CHURNLAB_TARGET", "env:CHURNLAB_SINK")  # the address stays out of Airflow's logs
FIRST_NIGHT = os.environ.get("CHURNLAB_FIRST_NIGHT", "2026-01-01")
MISTAKES = (1, 2)  # a defect of churnlab, a mistake to mend: another try would end the same way


class ScoreNight(BaseOperator):
    """Runs `churnlab score` and turns its exit code into what Airflow should do next.

    0 is success. 1 and 2 fail at once. Anything else is tried again: 75 says that only the moment is wrong,
    143 or 137 that the worker was stopped; such a run has published nothing, or everything.

    Parameters
    ----------
    as_of
        Last day that is known, YYYY-MM-DD; templated.
    restate
        "True" to publish the day anew although it has been published; templated.
    """

    template_fields = ("as_of", "restate")

    def __init__(self, *, as_of: str, restate: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.as_of = as_of
        self.restate = restate

    def execute(self, context: Any) -> None:
        """Score one day."""
        found = self.hook().run_command(self.command(), env=dict(os.environ), cwd=FOLDER)
        if found.exit_code in MISTAKES:
            raise AirflowFailException(f"churnlab score ended with {found.exit_code}: {found.output}")
        if found.exit_code:
            raise AirflowException(f"churnlab score ended with {found.exit_code}: {found.output}")

    def command(self) -> list[str]:
        """The words of the command line."""
        words = [PROGRAM, "score", "--params", "params.yaml", "--as-of", self.as_of, "--sink", TARGET]
        return [*words, "--restate"] if self.restate == "True" else words

    def hook(self) -> SubprocessHook:
        """What runs it; one per task."""
        if not hasattr(self, "_hook"):
            self._hook = SubprocessHook()
        return self._hook

    def on_kill(self) -> None:
        """Pass SIGTERM on: the run then ends cleanly."""
        with suppress(ProcessLookupError):  # it has just ended by itself
            self.hook().send_sigterm()


with DAG(
    "churnlab_nightly",
    description="Score every customer as of the day that has just ended",
    # The run of 02:30 has the interval that began at 02:30 the day before, the day it scores.
    schedule=CronDataIntervalTimetable("30 2 * * *", timezone=ZONE),
    start_date=pendulum.parse(FIRST_NIGHT, tz=ZONE),
    catchup=True,
    max_active_runs=1,
    params={"restate": Param(False, type="boolean", description="Publish days anew that are published")},
    tags=["churnlab"],
) as dag:
    ScoreNight(
        task_id="score",
        as_of="{{ data_interval_start.in_timezone('" + ZONE + "') | ds }}",
        restate="{{ params.restate }}",
        retries=6,
        retry_delay=timedelta(minutes=5),
        retry_exponential_backoff=True,
        max_retry_delay=timedelta(hours=1),
        execution_timeout=timedelta(hours=6),
    )
