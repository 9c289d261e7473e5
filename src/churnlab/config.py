"""Turns params.yaml into typed, frozen sections."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from churnlab.errors import ConfigError

Fraction = Annotated[float, Field(ge=0, le=1)]
Days = Annotated[int, Field(ge=1, le=3650)]
_PASSWORD = re.compile(r"://[^/@]*:[^/@]+@|[?&](password|passwd|pwd|secret|token)=", re.IGNORECASE)
BtydFamily = Literal["bgnbd", "mbgnbd", "paretonbd"]


class Section(BaseModel):
    """A part of params.yaml: unknown keys are refused, values cannot be changed after reading."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class CsvFormat(Section):
    """How a delimited text file is written; decimal and date_format hold for text cells of every source."""

    delimiter: str = Field(default=",", min_length=1, max_length=4)
    encoding: str = "utf-8"
    decimal: Literal[".", ","] = "."
    date_format: str | tuple[str, ...] | None = None

    @property
    def date_formats(self) -> tuple[str, ...]:
        """The patterns in the order of trial; none: ISO 8601."""
        given = self.date_format or ()
        return (given,) if isinstance(given, str) else given


class Database(Section):
    """Where a table is kept in a database. Whoever needs a password keeps the URL in the environment."""

    url: str | None = None
    url_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    table: str | None = None
    db_schema: str | None = None
    query: str | None = None
    chunk_rows: int = Field(default=50_000, ge=1, le=1_000_000)

    @model_validator(mode="after")
    def _one_of_each(self) -> Database:
        if (self.url is None) == (self.url_env is None):
            raise ValueError("name either url or url_env, the environment variable that holds the URL")
        if (self.table is None) == (self.query is None):
            raise ValueError("name either table or query, and leave the other null")
        if self.url is not None and _PASSWORD.search(self.url):
            raise ValueError(
                "url holds a password: put the URL into an environment variable named by url_env"
            )
        return self


class Source(Section):
    """Where a table is and how to read it."""

    path: str | None = None
    database: Database | None = None
    format: Literal["auto", "csv", "jsonl", "excel", "parquet", "delta"] = "auto"
    csv: CsvFormat = CsvFormat()
    excel_sheet: str | None = None
    source_timezone: str | None = None
    calendar: Literal["gregorian", "jalali"] = "gregorian"
    incremental: bool = False
    vanished_files: Literal["refuse", "keep", "forget"] = "refuse"


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


class CustomerColumns(Section):
    """The user's column names in the customers table; null where there is no such column."""

    customer_id: str = "customer_id"
    signup: str | None = None
    known_from: str | None = None
    is_business: str | None = None
    referrer: str | None = None
    language: str | None = None
    consent: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")], str] = {}


class InteractionColumns(Section):
    """The user's column names in the interactions table; null where there is no such column."""

    customer_id: str = "customer_id"
    ts: str = "ts"
    kind: str = "kind"
    score: str | None = None
    channel: str | None = None
    topic: str | None = None
    responded: str | None = None
    resolved: str | None = None
    response_hours: str | None = None
    resolution_hours: str | None = None


class ContactColumns(Section):
    """The user's column names in the contacts table; null where there is no such column."""

    customer_id: str = "customer_id"
    ts: str = "ts"
    action: str | None = None
    channel: str | None = None
    group: str | None = None


class SideTable(Source):
    """One of the optional tables."""

    @model_validator(mode="after")
    def _one_source(self) -> SideTable:
        if (self.path is None) == (self.database is None):
            raise ValueError("name either path or database, and leave the other null")
        return self


class Customers(SideTable):
    """Who the customers are."""

    columns: CustomerColumns = CustomerColumns()


class Interactions(SideTable):
    """Complaints, tickets and what customers answered when asked."""

    columns: InteractionColumns = InteractionColumns()
    kinds: dict[Literal["complaint", "ticket", "csat", "nps"], tuple[str, ...]] = {}
    csat_range: tuple[float, float] = (1.0, 5.0)

    @model_validator(mode="after")
    def _range(self) -> Interactions:
        if not self.csat_range[0] < self.csat_range[1]:
            raise ValueError("csat_range goes from the worst score to the best: write the lower number first")
        return self


class Contacts(SideTable):
    """Who was contacted, and who was left alone on purpose."""

    columns: ContactColumns = ContactColumns()
    groups: dict[Literal["treated", "control"], tuple[str, ...]] = {}


class Privacy(Section):
    """Keyed hashes in place of ids, and the list of those who asked to be forgotten."""

    hash_ids: bool = False
    key_env: str = Field(default="CHURNLAB_ID_KEY", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    forgotten: str = "params/forgotten.csv"


class Data(Source):
    """Where the transactions are and how to read them."""

    dataset: Literal["cdnow", "complete_journey"] | None = None
    columns: Columns
    timezone: str
    as_of: date | None = None
    earliest_date: date = date(1990, 1, 1)
    currency: str | None = None
    currency_symbols: dict[str, str] = {}
    rates: str | None = None
    customer_ids: Literal["exact", "text", "integer"] = "exact"
    missing_ids: tuple[str, ...] = (
        *("null", "none", "nan", "n/a"),
        *("#n/a", "#ref!", "#value!", "#name?", "#div/0!", "#null!", "#num!"),  # as spreadsheets say it
    )
    exclude_customers: str | None = None
    return_order_prefix: str | None = None
    exact_duplicates: Literal["keep", "quarantine"] = "keep"
    overlapping_rows: Literal["keep", "quarantine"] = "keep"
    order_conflicts: Literal["keep", "newest_file", "quarantine"] = "keep"
    excess_returns: Literal["keep", "quarantine"] = "quarantine"
    ambiguous_cells: Literal["keep", "quarantine"] = "quarantine"
    customers: Customers | None = None
    interactions: Interactions | None = None
    contacts: Contacts | None = None
    privacy: Privacy = Privacy()

    @model_validator(mode="after")
    def _one_source(self) -> Data:
        if sum(source is not None for source in (self.dataset, self.path, self.database)) != 1:
            raise ValueError("name one of dataset, path and database, and leave the others null")
        sources = (self, self.customers, self.interactions, self.contacts)
        if self.privacy.hash_ids and any(source is not None and source.incremental for source in sources):
            raise ValueError(
                "incremental keeps lines with the ids as written: set it to false with privacy.hash_ids"
            )
        return self


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
    control_share: float | None = Field(default=None, ge=0, lt=1)


class Quota(Section):
    """Contacts of one kind of customers: so many at most, and at least so many as far as limits allow."""

    column: Literal["risk_label", "value_label", "lifecycle_type", "buying_style"]
    value: str = Field(min_length=1)
    most: int | None = Field(default=None, ge=0)
    least: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _bounds(self) -> Quota:
        if self.most is None and not self.least:
            raise ValueError("name most or least")
        if self.most is not None and self.least > self.most:
            raise ValueError("least is more than most: lower it")
        return self


class Decisions(Section):
    """Labels, contacts and the budget behind the priority list."""

    labels: Labels
    new_customer_days: Days
    budget: float = Field(ge=0)
    max_contacts: int = Field(ge=0)
    channel_capacity: dict[str, Annotated[int, Field(ge=0)]] = {}
    segment_quotas: list[Quota] = []
    control_share: float = Field(ge=0, lt=1)
    salt: str
    learned_effects: str | None = None
    effect_prior_sd: float = Field(default=0.05, gt=0, le=1)
    actions: dict[str, Contact] = Field(min_length=1)

    @model_validator(mode="after")
    def _channels_are_used(self) -> Decisions:
        unknown = set(self.channel_capacity) - {contact.channel for contact in self.actions.values()}
        if unknown:
            raise ValueError(f"channel_capacity: no action uses the channel {min(unknown)}")
        return self


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
    gates: Gates = Gates()
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
    given = repr(found["input"])
    if _PASSWORD.search(given):
        given = "what is there: it holds a password, and is not shown"
    return f"{message[0].lower()}{message[1:]}, not {given}"
