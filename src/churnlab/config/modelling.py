"""The engine, the features and the models."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from churnlab.config.sections import Days, Section

BtydFamily = Literal["bgnbd", "mbgnbd", "paretonbd"]


class Engine(Section):
    """Where queries run, and their limits; `engine: spark` is short for `engine: {backend: spark}`.

    threads and memory_limit are those of DuckDB; `spark_master` is Spark's, or the sc:// URL of a Spark
    Connect server.
    """

    backend: Literal["duckdb", "spark"] = "duckdb"
    threads: int = Field(default=2, ge=1, le=256)
    memory_limit: str = Field(default="2GB", pattern=r"^\d+(\.\d+)?\s?(MB|GB|TB)$")
    bucket_customers: int = Field(default=60_000, ge=1_000)
    spark_master: str = Field(default="local[*]", min_length=1)
    spark_conf: dict[str, str] = {}

    @model_validator(mode="before")
    @classmethod
    def _named(cls, given: Any) -> Any:
        return {"backend": given} if isinstance(given, str) else given


class Features(Section):
    """The snapshots from which models learn."""

    horizon_days: Days
    windows_days: tuple[Days, ...] = Field(min_length=2)
    half_lives_days: tuple[Days, ...] = Field(min_length=1)
    max_snapshots: int = Field(ge=3, le=60)
    min_step_days: Days
    min_history_days: Days
    max_lookback_days: Days
    max_training_rows: int = Field(default=1_000_000, ge=1_000)


class Gates(Section):
    """What the data must hold before models are fitted; see :mod:`churnlab.features.gates`.

    Fewer than the `fewest_` ones, and no model is fitted at all; fewer than the `min_` ones, and a sentence
    says what the answer rests on.
    """

    fewest_customers: int = Field(default=5, ge=1)
    fewest_repeat_customers: int = Field(default=0, ge=0)
    min_customers: int = Field(default=100, ge=1)
    min_repeat_customers: int = Field(default=30, ge=1)
    min_history_horizons: int = Field(default=3, ge=1)
    max_silence_days: Days = 30


class Clv(Section):
    """Purchase and spend models, and how the future is discounted."""

    families: tuple[BtydFamily, ...] = Field(min_length=1)
    penalizers: tuple[Annotated[float, Field(ge=0)], ...] = Field(min_length=1)
    clv_months: int = Field(ge=1, le=120)
    monthly_discount_rate: float = Field(ge=0, lt=1)
    margin: float = Field(gt=0, le=1)
    interval: float = Field(gt=0, lt=1)


class LinearPenalty(Section):
    """L2 of the regressions, per target."""

    churn: float = Field(gt=0)
    repeats: float = Field(gt=0)
    spend: float = Field(gt=0)


class Churn(Section):
    """The learners, LightGBM above all, and the calibration of their blend."""

    members: tuple[Literal["lightgbm", "linear", "recency"], ...] = Field(min_length=1)
    linear_penalty: LinearPenalty
    num_leaves: int = Field(ge=2, le=1024)
    learning_rate: float = Field(gt=0, le=1)
    min_data_in_leaf: int = Field(ge=1)
    feature_fraction: float = Field(gt=0, le=1)
    bagging_fraction: float = Field(gt=0, le=1)
    lambda_l2: float = Field(ge=0)
    threads: int = Field(ge=1, le=256)
    max_rounds: int = Field(ge=1, le=20000)
    early_stopping_rounds: int = Field(ge=1)
    probability_calibration: Literal["platt", "none"]
    seed: int = Field(ge=0)


class Evaluation(Section):
    """The rolling-origin backtest."""

    origins: int = Field(ge=1, le=24)
    origin_step_days: Days


class Registry(Section):
    """The MLflow registry and the rule of promotion."""

    experiment: str = Field(min_length=1)
    model_name: str = Field(pattern=r"^[^/:]+$")  # MLflow refuses others, but only after training
    champion_alias: str = Field(min_length=1)
    tolerance: float = Field(ge=0, le=1)
