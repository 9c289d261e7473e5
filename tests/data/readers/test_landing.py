"""Authority: reading the same folder without landing it, and which files are opened at all."""

import gzip
import json
import os
import shutil
from collections import Counter
from datetime import datetime

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from churnlab.config import CsvFormat, Source
from churnlab.data import sources
from churnlab.data.readers import delimited, landing
from churnlab.errors import DataError

MAPPED = {"customer_id": "id", "ts": "when", "amount": "v"}
TYPED = {"numbers": ("amount",), "moments": ("ts",)}


@pytest.fixture
def shop(tmp_path, con):
    return Shop(tmp_path, con)


class Shop:
    """A folder of drops with its landing, and what each read of it opened."""

    def __init__(self, root, con):
        self.drops, self.landing, self.con = root / "drops", root / "landing", con
        self.drops.mkdir()
        self.source = {"path": str(self.drops), "incremental": True}

    def drop(self, name, *lines, at=None):
        path = self.drops / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(["id,when,v", *lines]) + "\n", encoding="utf-8")
        if at is not None:
            os.utime(path, ns=(at, at))
        return path

    def read(self, mapped=None, **changes):
        table = sources.read(
            self.con, Source(**self.source | changes), mapped or MAPPED, landing=self.landing, **TYPED
        )
        return counted(table)

    def whole(self, mapped=None, **changes):
        keys = self.source | changes | {"incremental": False}
        return counted(sources.read(self.con, Source(**keys), mapped or MAPPED, **TYPED))

    def ledger(self):
        return json.loads((self.landing / "landing.json").read_text(encoding="utf-8"))

    def landed(self):
        return sorted(path.name for path in self.landing.iterdir() if path.name != "landing.json")

    def agree(self):
        """Every file that the ledger names is there, and no other."""
        return self.landed() == sorted(entry["landed"] for entry in self.ledger()["files"])


def counted(table):
    return Counter(str(sorted(row.items())) for row in table.to_pyarrow().to_pylist())


@pytest.fixture
def opened(monkeypatch):
    """The names of the text files that were opened."""
    names = []
    before = delimited.opened

    def spy(path, settings, name="", section="data"):
        names.append(name)
        return before(path, settings, name, section)

    monkeypatch.setattr(delimited, "opened", spy)
    return names


def test_a_read_by_drops_equals_a_read_of_the_whole_for_every_kind_of_file(shop):
    shop.drop("a.csv", "1,2024-01-01,2", "broken", '2,"2024-01-02",x')
    shop.drop("sub/a.csv", "1,2024-01-01,2")
    (shop.drops / "b.csv.gz").write_bytes(gzip.compress(b"id,when,v\n3,x,1\n"))
    (shop.drops / "c.jsonl").write_text('{"id": 9007199254740993, "when": "x", "v": 1.50}\n{\n')
    book = openpyxl.Workbook()
    for row in (["id", "when", "v"], [7, datetime(2024, 3, 1, 10), 2.5]):
        book.active.append(row)
    book.save(shop.drops / "d.xlsx")
    columns = {"id": [2**53 + 1], "when": [datetime(2024, 3, 1, 10)], "v": [1.5]}
    pq.write_table(pa.table(columns), shop.drops / "e.parquet")
    pq.write_table(pa.table(columns | {"id": ["7"], "when": ["x"]}), shop.drops / "f.parquet")
    assert shop.read() == shop.whole() == shop.read()
    assert sum(shop.read().values()) == 3 + 1 + 1 + 2 + 1 + 1 + 1
    assert shop.agree()


def test_parquet_keeps_its_native_moments(shop):
    columns = {"id": ["1"], "when": [datetime(2024, 3, 1, 10)], "v": [1.5]}
    pq.write_table(pa.table(columns), shop.drops / "a.parquet")
    pq.write_table(pa.table(columns), shop.drops / "b.parquet")
    table = sources.read(shop.con, Source(**shop.source), MAPPED, landing=shop.landing, **TYPED)
    assert table.typed_ts.type().is_timestamp()
    assert shop.read() == shop.whole()


def test_what_has_not_changed_is_not_opened(shop, opened):
    shop.drop("a.csv", "1,2024-01-01,2")
    shop.drop("b.csv", "2,2024-01-02,3")
    first = shop.read()
    assert opened == ["a.csv", "b.csv"]
    opened.clear()
    (shop.drops / "a.csv").chmod(0o000)
    assert shop.read() == first
    assert opened == []


def test_a_new_file_is_added_and_it_alone_is_opened(shop, opened):
    shop.drop("a.csv", "1,2024-01-01,2")
    shop.read()
    opened.clear()
    shop.drop("0.csv", "2,2024-01-02,3")
    found = shop.read()
    assert opened == ["0.csv"]
    assert found == shop.whole()
    assert shop.agree()


def test_a_touched_file_is_not_converted_again(shop, opened):
    path = shop.drop("a.csv", "1,2024-01-01,2", at=10**18)
    first = shop.read()
    opened.clear()
    os.utime(path, ns=(2 * 10**18, 2 * 10**18))
    assert shop.read() == first
    assert opened == []
    assert shop.ledger()["files"][0]["mtime_ns"] == 2 * 10**18


def test_a_restated_file_replaces_its_rows(shop, opened):
    shop.drop("a.csv", "1,2024-01-01,2", at=10**18)
    shop.drop("b.csv", "2,2024-01-01,2")
    shop.read()
    opened.clear()
    shop.drop("a.csv", "1,2024-01-01,5", "3,2024-01-05,1", at=2 * 10**18)
    found = shop.read()
    assert opened == ["a.csv"]
    assert found == shop.whole()
    assert sum(shop.read().values()) == 3
    assert shop.agree()


def test_ledger(shop):
    path = shop.drop("sub/../sub/ü.csv", "1,2024-01-01,2", "x")
    shop.read()
    entry = shop.ledger()["files"][0]
    assert (entry["file"], entry["rows"], entry["size"]) == ("sub/ü.csv", 2, path.stat().st_size)
    assert entry["mtime_ns"] == path.stat().st_mtime_ns
    assert len(entry["sha256"]) == 64
    assert entry["landed"].removesuffix(".parquet").isalnum()
    assert "ü" not in entry["landed"]


@pytest.mark.parametrize(
    "change",
    [
        {"csv": CsvFormat(encoding="cp1252")},
        {"csv": CsvFormat(delimiter=";")},
        {"format": "csv"},
        {"excel_sheet": "x"},
        {"mapped": MAPPED | {"amount": "id"}},
    ],
)
def test_other_settings_have_everything_read_again(shop, opened, change):
    shop.drop("a.csv", "1,2024-01-01,2,é")
    (shop.drops / "a.csv").write_text('id,when,v,"id;when;v"\n1,2024-01-01,2,é\n', encoding="utf-8")
    if "csv" in change and change["csv"].delimiter == ";":
        (shop.drops / "a.csv").write_text("id,when,v\n")
        shop.read()
        (shop.drops / "a.csv").write_text("id;when;v\n")
    else:
        shop.read()
    opened.clear()
    found = shop.read(**change)
    assert opened == ["a.csv"]
    assert found == shop.whole(**change)
    assert shop.agree()


def test_settings_that_do_not_touch_the_reading_do_not(shop, opened):
    shop.drop("a.csv", "1,2024-01-01,2")
    shop.read()
    opened.clear()
    shop.read(csv=CsvFormat(decimal=",", date_format="%d"), vanished_files="keep")
    assert opened == []


def test_a_vanished_file_is_refused_by_name(shop):
    shop.drop("a.csv", "1,2024-01-01,2")
    shop.drop("sub/b.csv", "2,2024-01-01,2")
    shop.drop("sub/c.csv", "2,2024-01-01,2")
    shop.read()
    before = shop.ledger(), shop.landed()
    shutil.rmtree(shop.drops / "sub")
    with pytest.raises(
        DataError,
        match=r"^sub/b\.csv and 1 more: was read before and is no longer there: "
        r"put it back, or set data\.vanished_files to keep or forget$",
    ):
        shop.read()
    assert (shop.ledger(), shop.landed()) == before


def test_a_vanished_file_may_be_kept(shop):
    shop.drop("a.csv", "1,2024-01-01,2")
    shop.drop("b.csv", "2,2024-01-01,2")
    first = shop.read()
    (shop.drops / "b.csv").unlink()
    shop.drop("c.csv", "3,2024-01-01,2")
    assert sum(shop.read(vanished_files="keep").values()) == 3
    for path in shop.drops.iterdir():
        path.unlink()
    found = shop.read(vanished_files="keep")
    assert sum(found.values()) == 3
    assert first - found == Counter()
    with pytest.raises(
        DataError, match=r"^a\.csv and 2 more: is no longer there to be read by changed settings"
    ):
        shop.read(vanished_files="keep", format="csv")


def test_a_vanished_file_may_be_forgotten(shop):
    shop.drop("a.csv", "1,2024-01-01,2")
    shop.drop("b.csv", "2,2024-01-01,2")
    shop.read()
    (shop.drops / "b.csv").unlink()
    assert shop.read(vanished_files="forget") == shop.whole()
    assert shop.agree()
    assert [entry["file"] for entry in shop.ledger()["files"]] == ["a.csv"]
    (shop.drops / "a.csv").unlink()
    with pytest.raises(DataError, match=r"^data\.path: nothing to read at "):
        shop.read(vanished_files="forget")


@pytest.mark.parametrize("stop_at", ["first file", "second file", "ledger", "sweep"])
def test_a_run_that_stops_anywhere_is_made_good_by_the_next(shop, monkeypatch, stop_at):
    shop.drop("a.csv", "1,2024-01-01,2", at=10**18)
    shop.read()
    shop.drop("a.csv", "1,2024-01-01,9", at=2 * 10**18)
    shop.drop("b.csv", "2,2024-01-01,3")

    class Stop(BaseException):
        pass

    def stop(*_, **__):
        raise Stop

    whole = shop.whole()
    with monkeypatch.context() as broken:
        if stop_at == "sweep":
            broken.setattr(landing, "_sweep", stop)
        elif stop_at == "ledger":
            broken.setattr(landing, "write_text", stop)
        else:
            calls = iter([stop] if stop_at == "first file" else [delimited.rows, stop])

            def reader(*given):
                return next(calls)(*given)

            broken.setitem(sources.READERS, "csv", reader)
        with pytest.raises(Stop):
            shop.read()
    (shop.landing / f".{'0' * 64}.parquet.1.tmp").touch()
    (shop.landing / "mine.txt").touch()
    assert shop.read() == whole
    (shop.landing / "mine.txt").unlink()
    assert shop.agree()


def test_a_landed_file_that_is_gone_or_damaged_is_made_again(shop):
    shop.drop("a.csv", "1,2024-01-01,2")
    shop.drop("b.csv", "2,2024-01-01,2")
    first = shop.read()
    one, two = (shop.landing / name for name in shop.landed())
    one.unlink()
    two.write_bytes(b"PAR1")
    assert shop.read() == first
    assert shop.agree()


def test_a_kept_file_whose_rows_are_gone_is_not_silently_empty(shop):
    shop.drop("a.csv", "1,2024-01-01,2")
    shop.drop("b.csv", "2,2024-01-01,2")
    shop.read()
    entry = next(entry for entry in shop.ledger()["files"] if entry["file"] == "b.csv")
    (shop.landing / entry["landed"]).unlink()
    (shop.drops / "b.csv").unlink()
    with pytest.raises(DataError, match=r"^b\.csv: [^\n]+$"):
        shop.read(vanished_files="keep")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"files": [{}], "fingerprint": ""}', '{"files": 1}'])
def test_a_damaged_ledger_is_one_line(shop, content):
    shop.drop("a.csv", "1,2024-01-01,2")
    shop.read()
    (shop.landing / "landing.json").write_text(content)
    with pytest.raises(DataError, match=r"landing\.json: is not a readable ledger: [^\n]+$"):
        shop.read()


def test_a_ledger_cannot_lead_out_of_its_folder(shop):
    shop.drop("a.csv", "1,2024-01-01,2")
    first = shop.read()
    outside = shop.landing.parent / "outside.parquet"
    shutil.copy(shop.landing / shop.landed()[0], outside)
    ledger = shop.ledger()
    ledger["files"][0]["landed"] = "../outside.parquet"
    (shop.landing / "landing.json").write_text(json.dumps(ledger))
    assert shop.read() == first
    assert outside.exists()
    assert shop.agree()


def test_a_damaged_file_leaves_the_ledger_as_it_was(shop):
    shop.drop("a.csv", "1,2024-01-01,2")
    shop.read()
    before = shop.ledger()
    (shop.drops / "b.csv").write_bytes(b"id,when,v\n\xff,x,y\n")
    (shop.drops / "c.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=r"^b\.csv: holds bytes that are not utf-8: "):
        shop.read()
    assert shop.ledger() == before


def test_damage_within_a_parquet_file_is_found_when_it_lands(shop):
    path = shop.drops / "a.parquet"
    ids = [f"customer {n * 7919 % 10_007}" for n in range(10_000)]
    pq.write_table(pa.table({"id": ids, "when": ids, "v": ids}), path, compression="zstd")
    content = bytearray(path.read_bytes())
    content[1_000:20_000] = b"\xa5" * 19_000
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"^a\.parquet: a file is damaged [^\n]+$"):
        shop.read()


def test_a_file_that_grows_while_it_is_read_is_refused(shop, monkeypatch):
    path = shop.drop("a.csv", "1,2024-01-01,2")

    def growing(*given):
        yield from delimited.rows(*given)
        path.write_text("id,when,v\n1,2024-01-01,2\n3,2024-01-01,2\n")

    monkeypatch.setitem(sources.READERS, "csv", growing)
    with pytest.raises(DataError, match=r"^a\.csv: changed while it was read: [^\n]+$"):
        shop.read()


def test_what_an_interrupted_run_has_converted_is_not_converted_again(shop, opened):
    shop.drop("a.csv", "1,2024-01-01,2")
    (shop.drops / "b.csv").write_bytes(b"\xff")
    with pytest.raises(DataError, match=r"^b\.csv: "):
        shop.read()
    opened.clear()
    shop.drop("b.csv", "2,2024-01-01,2")
    found = shop.read()
    assert opened == ["b.csv"]
    assert found == shop.whole()


def test_the_landing_is_not_landed(shop):
    shop.drop("a.csv", "1,2024-01-01,2")
    shop.landing = shop.drops / "landing"
    shop.read()
    with pytest.raises(DataError, match=r"^data\.path: holds the folder in which churnlab keeps [^\n]+$"):
        shop.read()


def test_without_a_landing_folder_the_whole_is_read(shop):
    shop.drop("a.csv", "1,2024-01-01,2")
    table = sources.read(shop.con, Source(**shop.source), MAPPED, **TYPED)
    assert counted(table) == shop.whole()
