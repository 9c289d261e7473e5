"""Where the tables are and how to read them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, model_validator

from churnlab.config.sections import PASSWORD, Section


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
        if self.url is not None and PASSWORD.search(self.url):
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
    paid_late_share: str | None = None
    referrals: str | None = None
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
    """Complaints, tickets, wishes and what customers answered when asked."""

    columns: InteractionColumns = InteractionColumns()
    kinds: dict[Literal["complaint", "ticket", "csat", "nps", "intent", "wish"], tuple[str, ...]] = {}
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
