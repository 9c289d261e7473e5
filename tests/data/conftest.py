"""A shop's ledger written by hand, and short ways to read and clean one."""

import csv
from datetime import date

import pytest

from churnlab.config import Columns, CsvFormat, Data, Engine
from churnlab.data import cleaning, sources
from churnlab.data.contract import NUMBERS
from churnlab.data.ingestion import mapped_words
from churnlab.engine import connect

LEDGER = """\
customer,when,order,product,kind,pieces,value,off,shop
00001,2024-01-05T10:00:00,A1,p1,tea,2,20.00,0,web
00001,2024-01-05T10:00:00,A1,p2,tea,1,10.10,1.50,web
00001,2024-01-05T18:30:00,A2,p1,tea,1,9.90,,street
00001,2024-01-20T09:00:00,A3,p1,tea,-1,-10.00,0,web
00001,2024-02-01T12:00:00,A4,p3,کتاب,1,0.00,0,web
00001,2024-02-01T12:05:00,A4,p1,tea,-1,9.90,0,street
0001,2024-01-06 23:59:59,B1,p1,tea,1,5.00,0,
0001,2024-01-07 00:00:01,B1,p2,tea,1,6.00,0,web
مریم,2024-03-01,,p9,کتاب,3,1500000000.00,0,تلفن
Ελένη,2024-03-02 08:00,C9,,,1,7.25,0,web
Ελένη,2024-03-02 08:00,R9,p1,tea,1,2.00,0,web
  ,2024-03-02,D1,p1,tea,1,5.00,0,web
00002,2024-02-30,D2,p1,tea,1,5.00,0,web
00002,2024-03-01,D3,p1,tea,one,5.00,0,web
00002,1989-12-31,D4,p1,tea,1,5.00,0,web
00002,2024-03-01,D5,p1
"""

LEDGER_COLUMNS = {
    "customer_id": "customer",
    "ts": "when",
    "order_id": "order",
    "product_id": "product",
    "category": "kind",
    "quantity": "pieces",
    "amount": "value",
    "discount": "off",
    "channel": "shop",
}


@pytest.fixture(scope="session")
def con():
    return connect(Engine(threads=2, memory_limit="1GB"))


@pytest.fixture(scope="session")
def settings():
    """Section `data` for a path; keywords replace keys of it, of its csv and of its columns."""

    def build(path, columns=None, csv=None, **changes):
        form = {"delimiter": ",", "encoding": "utf-8", "decimal": ".", "date_format": None} | (csv or {})
        keys = {
            "dataset": None,
            "path": str(path),
            "format": "auto",
            "timezone": "UTC",
            "as_of": None,
            "earliest_date": date(1990, 1, 1),
            "currency": None,
            "return_order_prefix": None,
            "exact_duplicates": "keep",
        }
        return Data(
            csv=CsvFormat(**form), columns=Columns(**(columns or {"amount": "amount"})), **keys | changes
        )

    return build


@pytest.fixture(scope="session")
def cleaned(con, settings):
    """Reads and cleans in one go."""

    def run(path, columns=None, csv=None, **changes):
        data = settings(path, columns, csv, **changes)
        raw = sources.read(con, data, mapped_words(data), numbers=NUMBERS, moments=("ts",))
        return cleaning.clean(con, raw, data)

    return run


@pytest.fixture(scope="session")
def write_csv():
    """Writes rows under a header by the standard library's writer."""

    def write(path, header, rows, encoding="utf-8", **form):
        with path.open("w", encoding=encoding, newline="") as handle:
            csv.writer(handle, **form).writerows([header, *rows])
        return path

    return write


@pytest.fixture
def ledger_csv(tmp_path):
    path = tmp_path / "ledger.csv"
    path.write_text(LEDGER, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def ledger_columns():
    return dict(LEDGER_COLUMNS)
