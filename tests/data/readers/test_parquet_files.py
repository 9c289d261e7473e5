"""Authority: columns of Arrow types given by hand, and what Python's repr and isoformat make of values."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churnlab.config import Source
from churnlab.data import sources
from churnlab.data.readers import cells
from churnlab.data.readers.parquet_files import scanned
from churnlab.errors import DataError

WHEN = datetime(2024, 3, 1, 10, 0, 0)
TEHRAN = timezone(timedelta(hours=3, minutes=30))
TYPED = {"numbers": ("amount",), "moments": ("ts",)}


@pytest.fixture
def read(tmp_path, con):
    """Raw lines of Parquet files given as columns `id`, `when`, `v`, a file each, as lists by column."""

    def run(*files, **settings):
        for number, columns in enumerate(files):
            pq.write_table(pa.table(columns), tmp_path / f"{number}.parquet")
        mapped = {"customer_id": "id", "ts": "when", "amount": "v"}
        mapped = {word: name for word, name in mapped.items() if name in files[0]}
        table = sources.read(con, Source(path=f"{tmp_path}/*.parquet", **settings), mapped, **TYPED)
        return table.order_by("source_file", "source_row").to_pyarrow()

    return run


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([7, 2**53 + 1, -(2**63)], pa.int64()),
        ([2**64 - 1], pa.uint64()),
        ([0.1, 123.0, 1e15, -2.5e-7, 1e300], pa.float64()),
        ([Decimal("12.50"), Decimal("0.07")], pa.decimal128(10, 2)),
        ([True, False], pa.bool_()),
        (["001", "Ελένη", ""], pa.string()),
        (["a", "b"], pa.dictionary(pa.int8(), pa.string())),
        ([b"\xce\x91"], pa.binary()),
        ([date(2024, 3, 1)], pa.date32()),
        ([WHEN, WHEN.replace(microsecond=500_000)], pa.timestamp("us")),
        ([WHEN, WHEN.replace(microsecond=500_000)], pa.timestamp("ns")),
        ([WHEN], pa.timestamp("s")),
        ([["a", "b"], []], pa.list_(pa.string())),
        ([{"x": 1, "y": "é"}], pa.struct([("x", pa.int64()), ("y", pa.string())])),
    ],
)
def test_text_is_that_of_every_other_source(read, values, kind):
    found = read({"id": pa.array([*values, None], kind)})
    assert found["customer_id"].to_pylist() == [*(cells.text(value) for value in values), None]


def test_instants_are_told_in_utc(read):
    instants = [WHEN.replace(tzinfo=TEHRAN), WHEN.replace(tzinfo=UTC, microsecond=1)]
    found = read({"id": in_zone(instants)})
    assert found["customer_id"].to_pylist() == [cells.text(value) for value in instants]


def in_zone(instants, unit="us"):
    """An Arrow column of aware datetimes; pa.array itself drops offsets once pandera is imported."""
    zone = pa.timestamp(unit, "Asia/Tehran")
    return (
        pa.array([value.astimezone(UTC).replace(tzinfo=None) for value in instants], pa.timestamp(unit))
        .cast(pa.int64())
        .cast(zone)
    )


def test_a_missing_id_in_a_float_column_is_missing_and_a_number_that_is_none_is_told(read):
    nan = float("nan")
    found = read({"id": [7.0, nan], "v": [nan, float("inf")]})
    assert found["customer_id"].to_pylist() == ["7.0", None]
    assert found["amount"].to_pylist() == ["nan", "inf"]
    assert str(found["typed_amount"].to_pylist()) == "[nan, inf]"


@pytest.mark.parametrize(
    ("values", "kind"),
    [([1, 2], pa.int16()), ([1.5], pa.float32()), ([Decimal("1.50")], pa.decimal128(9, 2))],
)
def test_numbers_keep_their_type(read, values, kind):
    found = read({"id": ["a"] * len(values), "v": pa.array(values, kind)})
    assert found.schema.field("typed_amount").type == pa.float64()
    assert found["typed_amount"].to_pylist() == [float(value) for value in values]


def test_moments_keep_their_type_and_are_no_strings(read):
    for kind in (pa.timestamp("us"), pa.date32()):
        found = read({"id": ["a"], "when": pa.array([WHEN], kind)})
        assert found.schema.field("typed_ts").type == kind
    found = read({"id": ["a"], "when": in_zone([WHEN.replace(tzinfo=UTC)])})
    assert found.schema.field("typed_ts").type.tz is not None


def test_text_has_no_typed_column(read):
    found = read({"id": ["a"], "when": ["2024-03-01"], "v": ["1,5"]})
    assert found.column_names == ["source_file", "source_row", "malformed", "customer_id", "ts", "amount"]
    assert "typed_amount" not in read({"id": ["a"], "when": ["x"], "v": [True]}).column_names


def test_ids_of_files_that_differ_in_types_keep_their_digits(read):
    large = 2**53 + 1
    found = read(
        {"id": [large], "v": [1]},
        {"id": [7.5], "v": [2.5]},
        {"id": ["007"], "v": ["3"]},
        {"v": [4], "id": [large]},
    )
    assert found["customer_id"].to_pylist() == [str(large), "7.5", "007", str(large)]
    assert found["amount"].to_pylist() == ["1", "2.5", "3", "4"]
    assert found["typed_amount"].to_pylist() == [1.0, 2.5, None, 4.0]
    assert found["source_file"].to_pylist() == [f"{number}.parquet" for number in range(4)]


def test_moments_of_files_that_differ_in_types_become_text(read):
    columns = [
        pa.array([WHEN], pa.timestamp("us")),
        pa.array([WHEN], pa.date32()),
        in_zone([WHEN.replace(tzinfo=TEHRAN)], "ms"),
        pa.array(["1402/12/11"]),
    ]
    found = read(*({"id": ["a"], "when": column} for column in columns))
    texts = ["2024-03-01T10:00:00", "2024-03-01", "2024-03-01T06:30:00+00:00"]
    assert found["typed_ts"].to_pylist() == [*texts, None]
    assert found["ts"].to_pylist() == [*texts, "1402/12/11"]


def test_columns_that_differ_in_case_or_are_named_like_ours(read, con, tmp_path):
    found = read(
        {"ID": [1], "id": [2], "Id": [3], "filename": ["x"], "source_file": ["y"], "malformed": ["z"]}
    )
    assert found["customer_id"].to_pylist() == ["2"]
    assert found["source_file"].to_pylist() == ["0.parquet"]
    assert found["malformed"].to_pylist() == [None]


def test_a_column_named_like_one_of_the_engine_is_told(read):
    with pytest.raises(DataError, match=r"^0\.parquet: the engine cannot read [^\n]*file_row_number[^\n]*$"):
        read({"id": [1], "file_row_number": [1]})


def test_names_below_a_folder_whose_own_name_is_a_glob(tmp_path, con):
    for folder in ("a[1]*", "a[1]*/ü"):
        (tmp_path / folder).mkdir()
        pq.write_table(pa.table({"id": [folder] * 2}), tmp_path / folder / "x.parquet")
    table = sources.read(con, Source(path=str(tmp_path / "a[1]*")), {"customer_id": "id"})
    found = table.order_by("source_file", "source_row").to_pyarrow().to_pydict()
    assert found["source_file"] == ["x.parquet"] * 2 + ["ü/x.parquet"] * 2
    assert found["source_row"] == [1, 2, 1, 2]
    assert found["customer_id"] == ["a[1]*"] * 2 + ["a[1]*/ü"] * 2


@pytest.mark.parametrize("content", [b"", b"a,b\n", b"PAR1PAR1", b"PAR1" + b"x" * 99 + b"PAR1"])
def test_what_is_no_parquet_is_said_so(tmp_path, con, content):
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"^a\.parquet: is not a readable Parquet file: [^\n]+$"):
        sources.read(con, Source(path=f"{tmp_path}/a.parquet"), {"customer_id": "id"})


@pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip"])
def test_damage_within_the_pages_is_one_line(tmp_path, con, compression):
    path = tmp_path / "a.parquet"
    pq.write_table(
        pa.table({"id": [f"customer {n * 7919 % 10_007}" for n in range(10_000)]}),
        path,
        compression=compression,
    )
    content = bytearray(path.read_bytes())
    content[len(content) // 4 : len(content) // 2] = b"\xa5" * (len(content) // 2 - len(content) // 4)
    path.write_bytes(content)
    table = sources.read(con, Source(path=str(path)), {"customer_id": "id"})
    with (
        pytest.raises(DataError, match=r"^data\.path: a file is damaged [^\n]+$") as caught,
        scanned("data.path"),
    ):
        table.to_pyarrow()
    assert str(tmp_path) not in str(caught.value)


def test_a_file_that_goes_before_it_is_scanned_is_one_line(tmp_path, con, read):
    read({"id": ["a"]})
    table = sources.read(con, Source(path=f"{tmp_path}/0.parquet"), {"customer_id": "id"})
    (tmp_path / "0.parquet").unlink()
    with pytest.raises(DataError, match=r"^data\.path: [^\n]+$"), scanned("data.path"):
        table.to_pyarrow()


def test_nested_cells_are_json(read):
    found = read({"id": pa.array([{"a": [1.5, None], "b": {"c": True}}])})
    assert json.loads(found["customer_id"].to_pylist()[0]) == {"a": [1.5, None], "b": {"c": True}}
