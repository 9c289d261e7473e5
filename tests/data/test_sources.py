"""Authority: one hand-written ledger in every dress must give the same orders, bit for bit."""

import gzip
from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churnlab.data import sources
from churnlab.errors import DataError

HEADER = ["customer_id", "ts", "amount", "order_id"]
GREEK = [
    ["001", "2024-01-01", "12.50", "Α1"],
    ["001", "2024-01-03 10:30", "0.10", "Α2"],
    ["Ελένη", "2024-01-02T09:15:30", "1234567.25", "Β1"],
    ["Νίκος", "2024-02-01", "-3.75", "Γ1"],
]
MAPPED = {"amount": "amount", "order_id": "order_id"}


@pytest.fixture
def reference(tmp_path, cleaned, write_csv):
    return cleaned(write_csv(tmp_path / "reference.csv", HEADER, GREEK), MAPPED)


def same(one, other):
    return (
        one.orders.to_pyarrow().equals(other.orders.to_pyarrow())
        and one.summary["data_version"] == other.summary["data_version"]
    )


@pytest.mark.parametrize(
    ("encoding", "delimiter"),
    [("utf-8", ";"), ("utf-8-sig", "\t"), ("iso-8859-7", "|"), ("cp1253", ","), ("utf-16", ";")],
)
def test_encodings_and_delimiters(tmp_path, cleaned, write_csv, reference, encoding, delimiter):
    path = write_csv(tmp_path / "other.csv", HEADER, GREEK, encoding=encoding, delimiter=delimiter)
    assert same(cleaned(path, MAPPED, {"encoding": encoding, "delimiter": delimiter}), reference)


def test_decimal_comma(tmp_path, cleaned, write_csv, reference):
    rows = [[id_, ts, amount.replace(".", ","), order] for id_, ts, amount, order in GREEK]
    path = write_csv(tmp_path / "comma.csv", HEADER, rows, delimiter=";")
    assert same(cleaned(path, MAPPED, {"decimal": ",", "delimiter": ";"}), reference)


def test_a_delimiter_of_two_characters(tmp_path, cleaned, reference):
    path = tmp_path / "long.csv"
    path.write_text("\n".join("||".join(row) for row in [HEADER, *GREEK]), encoding="utf-8")
    assert same(cleaned(path, MAPPED, {"delimiter": "||"}), reference)


def test_persian_in_its_windows_encoding(tmp_path, cleaned, write_csv):
    rows = [["فاطمه", "2024-01-01", "1500000000", "۱"]]
    plain = cleaned(write_csv(tmp_path / "a.csv", HEADER, rows), MAPPED)
    text = [[*rows[0][:3], "1"]]
    other = cleaned(write_csv(tmp_path / "b.csv", HEADER, text, "cp1256"), MAPPED, {"encoding": "cp1256"})
    assert (
        plain.orders.customer_id.execute().tolist()
        == other.orders.customer_id.execute().tolist()
        == ["فاطمه"]
    )


def test_gzip_even_without_its_ending(tmp_path, cleaned, reference):
    content = (tmp_path / "reference.csv").read_bytes()
    for name in ("zipped.csv.gz", "zipped.csv"):
        (tmp_path / name).write_bytes(gzip.compress(content))
        assert same(cleaned(tmp_path / name, MAPPED), reference)


@pytest.mark.parametrize("meant_by", ["folder", "glob"])
def test_split_files(tmp_path, cleaned, write_csv, reference, meant_by):
    folder = tmp_path / "parts"
    folder.mkdir()
    write_csv(folder / "b.csv", HEADER, GREEK[:1])
    write_csv(folder / "a.csv", HEADER[::-1], [row[::-1] for row in GREEK[1:]])
    (folder / "_SUCCESS").touch()
    found = cleaned(folder if meant_by == "folder" else folder / "*.csv", MAPPED)
    assert same(found, reference)


def parquet_frames():
    text = pd.DataFrame(GREEK, columns=HEADER)
    typed = text.assign(ts=pd.to_datetime(text.ts, format="ISO8601"), amount=text.amount.astype(float))
    return {
        "text": text,
        "typed": typed,
        "nanoseconds": typed.assign(ts=typed.ts.astype("datetime64[ns]")),
        "aware": typed.assign(ts=typed.ts.dt.tz_localize("UTC").dt.tz_convert("Asia/Tehran")),
        "categorical": typed.astype({"customer_id": "category"}),
    }


@pytest.mark.parametrize("kind", ["text", "typed", "nanoseconds", "aware", "categorical"])
def test_parquet_of_any_types(tmp_path, cleaned, reference, kind):
    path = tmp_path / "lines[1].parquet"  # the brackets are no glob
    parquet_frames()[kind].to_parquet(path, index=False)
    assert same(cleaned(path, MAPPED), reference)


def test_parquet_folder_whose_files_differ_in_types(tmp_path, cleaned, reference):
    folder = tmp_path / "parts"
    folder.mkdir()
    parquet_frames()["typed"].iloc[:2].to_parquet(folder / "a.parquet", index=False)
    parquet_frames()["text"].iloc[2:].to_parquet(folder / "b.parquet", index=False)
    assert same(cleaned(folder, MAPPED), reference)


def test_rows_are_numbered_from_1_in_each_file(tmp_path, con, settings, write_csv):
    for name in ("a.csv", "b.csv"):
        write_csv(tmp_path / name, HEADER, GREEK[:2])
    pq.write_table(
        pa.table(dict(zip(HEADER, zip(*GREEK[:2], strict=True), strict=True))), tmp_path / "c.parquet"
    )
    text = sources.read(con, settings(tmp_path / "*.csv", MAPPED)).to_pyarrow().to_pydict()
    assert text["source_file"] == ["a.csv", "a.csv", "b.csv", "b.csv"]
    assert text["source_row"] == [1, 2, 1, 2]
    parquet = sources.read(con, settings(tmp_path / "c.parquet", MAPPED)).to_pyarrow().to_pydict()
    assert parquet["source_file"] == ["c.parquet", "c.parquet"]
    assert parquet["source_row"] == [1, 2]


def test_more_rows_than_one_chunk_keep_their_numbers(tmp_path, con, settings, write_csv):
    n = sources.ROWS_PER_CHUNK + 2
    path = write_csv(tmp_path / "long.csv", HEADER, [["c", "2024-01-01", i, i] for i in range(1, n + 1)])
    raw = sources.read(con, settings(path, MAPPED))
    assert raw.filter(raw.source_row.cast("string") != raw.amount).count().execute() == 0
    assert raw.source_row.max().execute() == n


def test_a_missing_id_in_a_float_column_is_missing(tmp_path, cleaned):
    ts = [datetime(2024, 1, 1, tzinfo=UTC)] * 2
    pd.DataFrame({"customer_id": [7.0, None], "ts": ts, "amount": [1.0, 2.0]}).to_parquet(
        tmp_path / "f.parquet"
    )
    assert cleaned(tmp_path / "f.parquet").summary["quarantined_by_reason"] == {"customer_id_missing": 1}


def test_nothing_at_the_path(tmp_path, con, settings):
    for path in ("no.csv", "*.csv", ""):
        with pytest.raises(DataError, match=r"^data\.path: nothing to read at [^\n]*$"):
            sources.read(con, settings(tmp_path / path, MAPPED))


def test_a_missing_column_is_named_beside_those_there_are(tmp_path, con, settings, write_csv):
    path = write_csv(tmp_path / "a.csv", HEADER, GREEK)
    pq.write_table(
        pa.table({"customer_id": ["1"], "ts": ["2024-01-01"], "amount": [1.0]}), tmp_path / "a.parquet"
    )
    with pytest.raises(
        DataError, match=r"^a\.csv: column 'price' is not there: [^\n]*customer_id, ts, amount, order_id$"
    ):
        sources.read(con, settings(path, {"amount": "price"}))
    with pytest.raises(
        DataError, match=r"^a\.parquet: column 'order_id' is not there: [^\n]*customer_id, ts, amount$"
    ):
        sources.read(con, settings(tmp_path / "a.parquet", MAPPED))


def test_a_column_that_is_there_twice_is_refused(tmp_path, con, settings, write_csv):
    path = write_csv(
        tmp_path / "a.csv", ["customer_id", "ts", "amount", "amount"], [["1", "2024-01-01", "1", "2"]]
    )
    with pytest.raises(DataError, match="'amount' is there twice"):
        sources.read(con, settings(path))


def test_what_is_no_parquet_is_said_so(tmp_path, con, settings):
    (tmp_path / "a.parquet").write_text("a,b\n")
    with pytest.raises(DataError, match=r"^a\.parquet: is not a readable Parquet file: "):
        sources.read(con, settings(tmp_path / "a.parquet"))


def test_two_kinds_of_files_in_one_folder(tmp_path, cleaned, con, settings, write_csv, reference):
    parquet_frames()["typed"].to_parquet(tmp_path / "b.parquet", index=False)
    with pytest.raises(DataError, match="Parquet and text"):
        sources.read(con, settings(tmp_path, MAPPED))
    assert same(cleaned(tmp_path, MAPPED, format="parquet"), reference)
    assert same(cleaned(tmp_path, MAPPED, format="csv"), reference)
