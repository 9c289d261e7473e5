"""Authority: the law that no row is lost, and a small export of a gift shop worked out by hand."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from churnlab.config import Params, read_params
from churnlab.errors import DataError
from churnlab.pipelines import ingest
from churnlab.pipelines._run import main

ROOT = Path(__file__).parents[2]

# One invoice of two products, one given back, a line without a customer and one that is cut.
EXPORT = """\
InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,"HOLDER, WHITE",6,12/1/2010 8:26,2.55,17850,United Kingdom
536365,71053,CAFÉ LANTERN,8,12/1/2010 8:26,2.75,17850,United Kingdom
C536379,71053,CAFÉ LANTERN,-2,12/1/2010 9:41,2.75,17850,United Kingdom
536414,22139,,56,12/1/2010 11:52,0,,United Kingdom
536415,22952,CAKE CASES,10,12/1/20
"""


@pytest.fixture
def shop(tmp_path) -> Params:
    export = tmp_path / "online_retail.csv"
    export.write_text(EXPORT, encoding="cp1252")
    params = read_params(ROOT / "params" / "gift_shop.yaml")
    data = params.data.model_copy(update={"path": str(export)})
    return params.model_copy(update={"workspace": str(tmp_path / "run"), "data": data})


def read(params, name):
    return pq.read_table(Path(params.workspace) / "data" / name).to_pylist()


def test_a_gift_shop(shop):
    ingest.run(shop)
    bought, returned = read(shop, "orders.parquet")
    assert (bought["order_id"], bought["amount"], bought["items"], bought["n_products"]) == (
        "536365",
        37.30,
        14.0,
        2,
    )
    assert (returned["order_id"], returned["amount"], returned["is_purchase"]) == ("C536379", -5.50, False)
    reasons = [(row["source_row"], row["reason"]) for row in read(shop, "quarantine.parquet")]
    assert reasons == [(4, "customer_id_missing"), (5, "malformed_row")]
    summary = json.loads((Path(shop.workspace) / "data" / "ingest.json").read_text())
    assert (summary["rows_read"], summary["rows_accepted"], summary["rows_quarantined"]) == (5, 3, 2)


def test_the_same_source_gives_the_same_bytes(shop):
    ingest.run(shop)
    folder = Path(shop.workspace) / "data"
    first = {file.name: file.read_bytes() for file in folder.iterdir()}
    ingest.run(shop)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == first
    assert sorted(first) == [
        "contacts.parquet",
        "customers.parquet",
        "ingest.json",
        "interactions.parquet",
        "orders.parquet",
        "quarantine.parquet",
    ]
    assert shop.workspace not in first["ingest.json"].decode()


def test_a_source_without_one_usable_line(shop):
    Path(shop.data.path).write_text("".join(EXPORT.splitlines(keepends=True)[i] for i in (0, 4, 5)))
    with pytest.raises(
        DataError, match=r"^data: none of 2 lines can be used \(1 customer_id_missing, 1 malformed_row\)"
    ):
        ingest.run(shop)
    assert len(read(shop, "quarantine.parquet")) == 2
    assert not (Path(shop.workspace) / "data" / "orders.parquet").exists()


def test_a_mistake_of_the_user_is_one_line_and_exit_code_2(shop, tmp_path, capsys):
    Path(shop.data.path).unlink()
    params = tmp_path / "params.yaml"
    params.write_text(yaml.safe_dump(json.loads(shop.model_dump_json())))
    with pytest.raises(SystemExit) as stopped:
        main(ingest.run, ["--params", str(params)])
    message = capsys.readouterr().err
    assert stopped.value.code == 2
    assert message.startswith("data.path: nothing to read at ")
    assert message.count("\n") == 1


@pytest.mark.parametrize("name", ["complete_journey.yaml", "gift_shop.yaml"])
def test_the_examples_have_every_key_of_params(name):
    def keys(section):
        return {key: keys(value) if isinstance(value, dict) else None for key, value in section.items()}

    example, shipped = (
        yaml.safe_load(path.read_text()) for path in (ROOT / "params" / name, ROOT / "params.yaml")
    )
    assert keys(example) == keys(shipped)
    assert read_params(ROOT / "params" / name).workspace == f"runs/{name.removesuffix('.yaml')}"
