"""Turns params.yaml into typed, frozen sections."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from churnlab.errors import ConfigError

Fraction = Annotated[float, Field(ge=0, le=1)]
Days = Annotated[int, Field(ge=1, le=3650)]
BtydFamily = Literal["bgnbd", "mbgnbd", "paretonbd"]


class Section(BaseModel):
    """A part of params.yaml: unknown keys are refused, values cannot be changed after reading."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class CsvFormat(Section):
    """How a delimited text file is written."""

    delimiter: str = Field(min_length=1, max_length=4)
    encoding: str
    decimal: Literal[".", ","]
    date_format: str | None


class Columns(Section):
    """The user's column names for churnlab's words; null where the source has no such column."""

    customer_id: str = "customer_id"
    ts: str = "ts"
    amount: str | None = None
    quantity: str | None = None
    unit_price: str | None = None
    order_id: str | None = None
    product_id: str | None = None
    category: str | None = None
    discount: str | None = None
    channel: str | None = None
    currency: str | None = None

    @model_validator(mode="after")
    def _money(self) -> Columns:
        if self.amount is None and (self.quantity is None or self.unit_price is None):
            raise ValueError("map amount, or both quantity and unit_price")
        return self


class Data(Section):
    """Where the transactions are and how to read them."""

    dataset: Literal["cdnow", "complete_journey"] | None
    path: str | None
    format: Literal["auto", "csv", "parquet"]
    csv: CsvFormat
    columns: Columns
    timezone: str
    as_of: date | None
    earliest_date: date
    currency: str | None
    return_order_prefix: str | None
    exact_duplicates: Literal["keep", "quarantine"]

    @model_validator(mode="after")
    def _one_source(self) -> Data:
        if (self.dataset is None) == (self.path is None):
            raise ValueError("name either dataset or path, and leave the other null")
        return self


class Engine(Section):
    """Limits of the embedded query engine."""

    threads: int = Field(ge=1, le=256)
    memory_limit: str = Field(pattern=r"^\d+(\.\d+)?\s?(MB|GB|TB)$")


class Features(Section):
    """The snapshots from which models learn."""

    horizon_days: Days
    windows_days: tuple[Days, ...] = Field(min_length=2)
    half_lives_days: tuple[Days, ...] = Field(min_length=1)
    max_snapshots: int = Field(ge=3, le=60)
    min_step_days: Days
    min_history_days: Days
    max_lookback_days: Days


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
    model_name: str = Field(min_length=1)
    champion_alias: str = Field(min_length=1)
    tolerance: float = Field(ge=0, le=1)


class RiskShares(Section):
    """Shares of the base, riskiest first; the rest is `low`."""

    high: Fraction
    medium: Fraction


class ValueShares(Section):
    """Shares of the base, most valuable first; the rest is `low`."""

    top: Fraction
    high: Fraction
    medium: Fraction


class Labels(Section):
    """Cut points of the labels, as shares of the base at training."""

    risk_shares: RiskShares
    value_shares: ValueShares


class Contact(Section):
    """What one contact costs and is assumed to do."""

    channel: str = Field(min_length=1)
    contact_cost: float = Field(ge=0)
    incentive_cost: float = Field(ge=0)
    save_rate: Fraction


class Decisions(Section):
    """Labels, contacts and the budget behind the priority list."""

    labels: Labels
    new_customer_days: Days
    budget: float = Field(ge=0)
    max_contacts: int = Field(ge=0)
    control_share: float = Field(ge=0, lt=1)
    salt: str
    actions: dict[str, Contact] = Field(min_length=1)


class Report(Section):
    """How the page looks."""

    title: str
    top_rows: int = Field(ge=1, le=10000)
    currency_symbol: str


class Params(Section):
    """The whole of params.yaml."""

    workspace: str
    data: Data
    engine: Engine
    features: Features
    clv: Clv
    churn: Churn
    evaluation: Evaluation
    registry: Registry
    decisions: Decisions
    report: Report


def read_params(path: str | Path) -> Params:
    """Read params.yaml.

    Parameters
    ----------
    path
        A YAML file with every key of :class:`Params`.

    Raises
    ------
    ConfigError
        The file is missing or is not YAML, or a key is unknown, missing or out of range.
        One line, with the key's dotted name.
    """
    path = Path(path)
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}): name a file with --params") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" near line {where.line + 1}" if where else ""
        raise ConfigError(f"{path}: is not valid YAML{line}: check its indentation and quotes") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: holds no keys: start from the params.yaml that churnlab ships")
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_one_line(error)}") from error


def _one_line(error: ValidationError) -> str:
    """The first finding as `dotted.name: finding`, and how many more there are."""
    findings = error.errors(include_url=False)
    first = findings[0]
    name = ".".join(str(part) for part in first["loc"])
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return f"{name}: {_finding(first)}{more}"


def _finding(found: Any) -> str:
    if found["type"] == "extra_forbidden":
        return "unknown key: remove it or correct its spelling"
    if found["type"] == "missing":
        return "missing key: add it (params.yaml as shipped has every key)"
    message = found["msg"].removeprefix("Value error, ")
    if found["type"] == "value_error":
        return message
    return f"{message[0].lower()}{message[1:]}, not {found['input']!r}"
