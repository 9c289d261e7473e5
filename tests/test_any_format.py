"""Scores do not depend on how the lines reach churnlab. Authority: the scores of one clean CSV file."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import openpyxl
import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churnlab.config import Data, Database, Params
from churnlab.data.pseudonyms import pseudonym
from churnlab.operations.nightly import Job, score_source

COLUMNS = {"amount": "amount", "order_id": "order_id", "channel": "channel", "category": "category"}
JUNK = [
    ("", "2022-05-01", "3", "x", "web", "tea"),
    (" \u200f", "2022-05-01", "3", "x", "web", "tea"),
    ("NULL", "2022-05-01", "3", "x", "web", "tea"),
    ("c001", "2022-02-30", "3", "x", "web", "tea"),
    ("c001", "yesterday", "3", "x", "web", "tea"),
    ("c001", "1900-01-01", "3", "x", "web", "tea"),
    ("c001", "9999-12-31", "3", "x", "web", "tea"),
    ("c001", "2022-05-01", "1e999", "x", "web", "tea"),
    ("c001", "2022-05-01", "12.3.4", "x", "web", "tea"),
    ("c001", "2022-05-01", "-99999999", "x", "web", "tea"),
    ("c001", "2022-05-01"),
    ("stranger", "2022-05-01", "€ 5 €", "x", "web", "tea", "more"),
]


def with_orders(frame: pd.DataFrame) -> pd.DataFrame:
    """The small log with a time of day, orders of one or two lines, channels and categories."""
    rng = np.random.default_rng(3)
    n = len(frame)
    minutes = rng.integers(0, 1440, n)
    return frame.reset_index(drop=True).assign(
        ts=[
            datetime.combine(day, datetime.min.time()) + timedelta(minutes=int(minute))
            for day, minute in zip(frame["ts"], minutes, strict=True)
        ],
        order_id=[f"{k // 2:05d}" for k in range(n)],
        channel=rng.choice(["web", "تلفن", "κατάστημα"], n),
        category=rng.choice(["tea", "کتاب", "☕"], n),
    )


def spelt(frame: pd.DataFrame) -> list[list[str]]:
    """Every cell as text, as a CSV file holds it."""
    dated = frame.assign(ts=[moment.isoformat() for moment in frame["ts"]])
    return [[str(cell) for cell in row] for row in dated.itertuples(index=False)]


def to_csv(rows: list[list[str]], path: Path, header: list[str]) -> None:
    text = "".join(",".join(row) + "\n" for row in [header, *rows])
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def shop(small_log: Any) -> pd.DataFrame:
    return with_orders(small_log.frame)


Scored = Callable[..., pa.Table]


@pytest.fixture(scope="module")
def scored(small_log: Any, small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Scored:
    """Scores of a source: a path, or a database; keywords replace keys of section `data`."""

    def run(
        source: Path | Database, landing: Path | None = None, threads: int = 1, **changes: Any
    ) -> pa.Table:
        where = {"path": str(source)} if isinstance(source, Path) else {"database": source, "path": None}
        told = small_log.params.data.model_dump() | where | changes
        told["columns"] = told["columns"] | COLUMNS
        engine = small_log.params.engine.model_copy(update={"threads": threads})
        sections = {"data": Data.model_validate(told), "engine": engine}
        params: Params = small_log.params.model_copy(update=sections)
        out = tmp_path_factory.mktemp("scored")
        return pq.read_table(score_source(Job(params, None, str(small_model), landing), out))

    return run


@pytest.fixture(scope="module")
def clean(shop: pd.DataFrame, scored: Scored, tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """What all others are held against: the scores of one CSV file."""
    path = tmp_path_factory.mktemp("clean") / "shop.csv"
    to_csv(spelt(shop), path, list(shop.columns))
    scores = scored(path)
    assert scores.num_rows == shop["customer_id"].nunique()
    return scores


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path)


def write_jsonl(frame: pd.DataFrame, path: Path) -> None:
    rows = frame.assign(ts=[moment.isoformat() for moment in frame["ts"]]).to_dict("records")
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def write_xlsx(frame: pd.DataFrame, path: Path) -> None:
    book = openpyxl.Workbook()
    for row in [list(frame.columns), *frame.itertuples(index=False)]:
        book.active.append([cell.to_pydatetime() if isinstance(cell, pd.Timestamp) else cell for cell in row])
    book.save(path)


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    to_csv(spelt(frame), path, list(frame.columns))


WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    "csv": write_csv,
    "csv.gz": write_csv,
    "parquet": write_parquet,
    "jsonl": write_jsonl,
    "xlsx": write_xlsx,
}


@pytest.mark.parametrize("ending", ["csv.gz", "parquet", "jsonl", "xlsx"])
def test_the_format_does_not_matter(ending, shop, scored, clean, tmp_path):
    path = tmp_path / f"shop.{ending}"
    WRITERS[ending](shop.sample(frac=1, random_state=1), path)
    assert scored(path).equals(clean)


def test_a_folder_of_all_formats_is_one_table(shop, scored, clean, tmp_path):
    """Lines of one order stand in different files."""
    parts = np.random.default_rng(4).integers(0, len(WRITERS), len(shop))
    for number, (ending, write) in enumerate(WRITERS.items()):
        write(shop[parts == number], tmp_path / f"part-{number}.{ending}")
    assert scored(tmp_path).equals(clean)


@pytest.mark.parametrize("files", [1, 7])
def test_the_order_of_rows_and_the_cutting_of_files_do_not_matter(files, shop, scored, clean, tmp_path):
    shuffled = shop.sample(frac=1, random_state=files)
    for number in range(files):
        write_csv(shuffled.iloc[number::files], tmp_path / f"{number}.csv")
    assert scored(tmp_path).equals(clean)


def test_the_number_of_threads_does_not_matter(shop, scored, clean, tmp_path):
    """Each row group of a Parquet file may be another thread's."""
    table = pa.Table.from_pandas(shop.sample(frac=1, random_state=9), preserve_index=False)
    pq.write_table(table, tmp_path / "shop.parquet", row_group_size=100)
    assert scored(tmp_path / "shop.parquet", threads=4).equals(clean)


def sql_rows(shop: pd.DataFrame) -> list[tuple[Any, ...]]:
    rows = shop.sample(frac=1, random_state=2).itertuples(index=False)
    return [(name, moment.to_pydatetime(), *rest) for name, moment, *rest in rows]


CREATE = "CREATE TABLE sales (customer_id {0}, ts {1}, amount {2}, order_id {0}, channel {0}, category {0})"


def test_sqlite_gives_the_same(shop, scored, clean, tmp_path):
    path = tmp_path / "shop.sqlite"
    with sqlite3.connect(path) as con:
        con.execute(CREATE.format("TEXT", "TEXT", "REAL"))
        rows = [(name, moment.isoformat(" "), *rest) for name, moment, *rest in sql_rows(shop)]
        con.executemany("INSERT INTO sales VALUES (?, ?, ?, ?, ?, ?)", rows)
    con.close()
    assert scored(Database(url=f"sqlite:///{path}", table="sales")).equals(clean)


def test_duckdb_gives_the_same(shop, scored, clean, tmp_path):
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as con:
        frame = shop.sample(frac=1, random_state=2)
        con.register("frame", frame)
        con.execute(CREATE.format("TEXT", "TIMESTAMP", "DECIMAL(12,2)"))
        con.execute("INSERT INTO sales SELECT * FROM frame")
    assert scored(Database(url=f"duckdb:///{path}", table="sales")).equals(clean)


def test_postgresql_gives_the_same(shop, scored, clean, postgres_url, monkeypatch):
    monkeypatch.setenv("SHOP_DATABASE", postgres_url)
    with psycopg.connect(postgres_url) as con, con.cursor() as cursor:
        cursor.execute(CREATE.format("TEXT", "TIMESTAMP", "NUMERIC(12,2)"))
        cursor.executemany("INSERT INTO sales VALUES (%s, %s, %s, %s, %s, %s)", sql_rows(shop))
    source = Database(url_env="SHOP_DATABASE", table="sales", chunk_rows=500)
    assert scored(source).equals(clean)


PERSIAN = str.maketrans("0123456789.", "۰۱۲۳۴۵۶۷۸۹٫")


def test_a_dirty_file_scores_as_its_clean_rows(shop, scored, clean, tmp_path):
    """Refused lines between the others, and cells written in many ways, change not one bit."""
    ways: list[Callable[[str], str]] = [
        str,
        lambda cell: cell.translate(PERSIAN),
        lambda cell: f"\u00a0{cell} \u200f",
        lambda cell: f"({cell[1:]})" if cell.startswith("-") else f"+{cell}",
        lambda cell: f'"$ {cell}"',
        lambda cell: f"{float(cell):e}" if float(f"{float(cell):e}") == float(cell) else cell,
        lambda cell: f'"{float(cell):,.2f}"',
    ]
    rows = spelt(shop)
    for number, row in enumerate(rows):
        row[2] = ways[number % len(ways)](row[2])
        row[1] = row[1].replace("T", " ") + "Z" if number % 2 else row[1].translate(PERSIAN)
    rows += [list(row) for row in JUNK * 20]
    np.random.default_rng(5).shuffle(rows)
    path = tmp_path / "dirty.csv"
    to_csv(rows, path, list(shop.columns))
    assert scored(path).equals(clean)


def test_files_that_drop_in_one_by_one_end_at_the_same_scores(shop, scored, clean, tmp_path):
    """A night per file; one file is first dropped in a wrong state, and restated at the end."""
    drops, landing = tmp_path / "drops", tmp_path / "landing"
    drops.mkdir()
    endings = ["csv", "parquet", "jsonl", "csv.gz"]
    for number, ending in enumerate(endings):
        part = shop.iloc[number :: len(endings)]
        if number == 1:
            part = part.assign(amount=part["amount"] + 1)
        WRITERS[ending](part, drops / f"{number}.{ending}")
        night = scored(drops, landing, incremental=True)
        assert not night.equals(clean)
    WRITERS["parquet"](shop.iloc[1 :: len(endings)], drops / "1.parquet")
    assert scored(drops, landing, incremental=True).equals(clean)
    assert scored(drops).equals(clean)


def test_vintages_that_overlap_are_their_union(shop, scored, clean, tmp_path):
    """Every file repeats a third of the one before it; equal rows of one file count each."""
    own = shop.assign(order_id=[f"{k:05d}" for k in range(len(shop))])
    twice = own.iloc[[5, 5, 900, 900]]
    whole = pd.concat([own, twice])
    write_csv(whole, tmp_path / "whole.csv")
    union = scored(tmp_path / "whole.csv")
    drops = tmp_path / "drops"
    drops.mkdir()
    cuts = np.linspace(0, len(own), 4).astype(int)
    for number, (first, last) in enumerate(pairwise(cuts)):
        part = own.iloc[max(0, first - (last - first) // 3) : last]
        again = twice[twice.index.isin(part.index)]
        WRITERS[["csv", "parquet", "csv"][number]](
            pd.concat([part, again]), drops / f"{number}.{['csv', 'parquet', 'csv'][number]}"
        )
    assert scored(drops, overlapping_rows="quarantine").equals(union)
    assert not scored(drops).equals(union)


def test_hashed_ids_have_the_scores_of_the_raw_ones(shop, scored, clean, tmp_path, monkeypatch):
    """By one model, row by row; what depends on the id itself is the order among equals."""
    key = "a key of the test alone"
    monkeypatch.setenv("SHOP_KEY", key)
    write_csv(shop, tmp_path / "shop.csv")
    privacy = {"hash_ids": True, "key_env": "SHOP_KEY", "forgotten": str(tmp_path / "none.csv")}
    hashed = scored(tmp_path / "shop.csv", privacy=privacy).to_pandas()
    raw = clean.to_pandas()
    raw["customer_id"] = [pseudonym(key.encode(), name) for name in raw["customer_id"]]
    raw = raw.sort_values("customer_id", ignore_index=True)
    by_id = ["priority_rank", "data_version"]
    pd.testing.assert_frame_equal(hashed.drop(columns=by_id), raw.drop(columns=by_id), check_exact=True)
    assert raw["expected_net_benefit"].duplicated().any()
    for scores in (hashed, raw):
        ranked = scores.sort_values("priority_rank")["expected_net_benefit"].to_numpy()
        assert (np.diff(ranked) <= 0).all()
