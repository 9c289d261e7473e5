"""Authority: the recipe a log was made by; the same features by other means; a run of the runner itself."""

import json
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from churnlab.config import Engine
from churnlab.data.orders import order_table
from churnlab.engine import connect
from churnlab.features.snapshots import feature_spec, snapshot
from churnlab.models.purchase_fits import fit_family

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))

import _logs
import speed
import worth
from _floor import floor_features
from _logs import Recipe, histories, write_log
from _measure import child
from _tasks import PARAMS
from churnlab.config import read_params

SMALL = Recipe(300)


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> tuple[Path, Path]:
    return write_log(SMALL, tmp_path_factory.mktemp("log"))


def test_the_purchase_model_finds_the_recipe():
    """Orders of one day count once, so rates come out some percent lower."""
    made = Recipe(20_000)
    found = fit_family(histories(made), "mbgnbd", [0.0]).model.params
    assert found["r"] == pytest.approx(made.r, rel=0.1)
    assert found["r"] / found["alpha"] / 7 == pytest.approx(made.r / made.alpha, rel=0.1)
    leaving = made.a / (made.a + made.b)
    assert found["a"] / (found["a"] + found["b"]) == pytest.approx(leaving, rel=0.1)


def test_a_block_does_not_depend_on_the_blocks_after_it(log, tmp_path, monkeypatch):
    monkeypatch.setattr(_logs, "BLOCK_CUSTOMERS", 100)
    parts = [write_log(Recipe(n), tmp_path / str(n), by_day=False) for n in (100, 300)]
    few, many = (pq.read_table(lines) for lines, _ in parts)
    assert many.slice(0, few.num_rows).equals(few)


def test_the_same_recipe_gives_the_same_bytes(log, tmp_path):
    again = write_log(SMALL, tmp_path)
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in log]


def test_lines_of_an_order_share_customer_and_moment(log):
    lines = pd.read_parquet(log[0])
    assert len(lines[["order_id", "customer_id", "ts"]].drop_duplicates()) == lines["order_id"].nunique()
    assert lines["ts"].is_monotonic_increasing
    assert lines["ts"].max() < pd.Timestamp(SMALL.last_day + timedelta(days=1))


def test_the_truth_is_what_a_longer_log_holds(log, tmp_path):
    longer = Recipe(300, days=SMALL.days + SMALL.horizon_days, horizon_days=0)
    later = pd.read_parquet(write_log(longer, tmp_path)[0])
    later = later[later["ts"] >= pd.Timestamp(SMALL.last_day + timedelta(days=1))]
    counted = later.groupby("customer_id")["order_id"].nunique()
    truth = pd.read_parquet(log[1]).set_index("customer_id")["orders_after"]
    assert counted.sum() > 100
    pd.testing.assert_series_equal(
        counted.reindex(truth.index, fill_value=0), truth, check_names=False, check_index_type=False
    )


def test_the_floor_has_the_features_numbers(log):
    """Weights are kept to 2^-30, so what has decayed almost to nothing agrees to 10^-6 in all."""
    con, cutoff = connect(Engine(threads=2, memory_limit="1GB")), SMALL.last_day
    lines = con.read_parquet(log[0])
    orders = order_table(lines.mutate(ts=lines.ts.cast("timestamp"), is_return=False)).cache()
    spec = feature_spec(orders, read_params(PARAMS).features, 400, 90)
    ours = snapshot(orders, cutoff, spec, 100.0)
    floor = floor_features(log[0], cutoff, spec, 100.0, threads=2)
    assert list(floor.columns) == list(ours.columns)
    assert floor["customer_id"].tolist() == ours["customer_id"].tolist()
    for name in ours.columns[1:]:
        expected = ours[name].to_numpy()
        np.testing.assert_allclose(floor[name].to_numpy(float), expected, 1e-6, 1e-6, err_msg=name)


def test_the_runner_prints_and_keeps_positive_ratios(tmp_path, capsys):
    """All parts but `growth`, which is the one of `score` at ten times the size."""
    shared = ["--data", str(tmp_path), "--out", str(tmp_path / "speed.json"), "--repeats", "1"]
    shared += ["--model-customers", "500"]
    for name in ("rfm", "features", "score", "bgnbd"):
        speed.main([*shared, "--lines", "44000", "--only", name])
    speed.main([*shared, "--lines", "2000", "--only", "training"])
    kept = json.loads((tmp_path / "speed.json").read_text(encoding="utf-8"))
    assert set(kept) == {"machine", "parts"}
    assert set(kept["parts"]) == {"rfm", "features", "score", "bgnbd", "training"}
    assert all(figures["ratio"] > 0 for figures in kept["parts"].values())
    assert abs(kept["parts"]["bgnbd"]["log_likelihood_apart_per_million"]) < 100
    told = capsys.readouterr().out
    assert all(words.split(" / ")[0] in " ".join(told.split()) for words in ("churnlab score / bare",))


def test_a_child_that_fails_is_not_timed():
    with pytest.raises(AssertionError, match="no such thing"):
        child([sys.executable, "-c", "raise SystemExit('no such thing')"])


def test_a_childs_peak_of_memory_is_its_own():
    held = [child([sys.executable, "-c", f"b'x' * {size}"]).peak_mb for size in (1, 200_000_000)]
    assert held[1] - held[0] == pytest.approx(200_000_000 / 2**20, abs=20)


def test_made_up_shops_buy_as_the_published_models_say():
    """Repeat purchases in 39 weeks, Pareto/NBD: Schmittlein, Morrison & Colombo (1987), equation 17."""
    shop, weeks = worth.Shop("", 0.553, 10.578, 0.606, 11.669, customers=40_000, days=2, arrival_days=0), 39
    lines, truth = worth.made(shop, (7 * weeks - 2 - 7) // 2, seed=1)
    grown = (shop.beta / (shop.beta + weeks)) ** (shop.s - 1)
    expected = shop.r * shop.beta / (shop.alpha * (shop.s - 1)) * (1 - grown)
    assert len(lines) / shop.customers - 1 == pytest.approx(expected, rel=0.03)
    assert (truth["leaves"] < 7 * weeks).mean() == pytest.approx(
        1 - (shop.beta / (shop.beta + weeks)) ** shop.s, rel=0.03
    )
    each = lines.groupby("customer_id")["amount"].mean()
    assert each.mean() == pytest.approx(shop.p * shop.v / (shop.q - 1), rel=0.03)


def test_a_made_up_log_can_begin_late():
    shop = worth.Shop("", 1.5, 4.0, 0.8, 30.0, customers=200)
    whole, truth = worth.made(shop, 30, seed=1)
    late, same_truth = worth.made(replace(shop, seen_days=240), 30, seed=1)
    cutoff = pd.Timestamp(worth.FIRST_DAY) + pd.Timedelta(days=shop.days - 1)
    pd.testing.assert_frame_equal(late, whole[whole["ts"] > cutoff - pd.Timedelta(days=240)])
    assert late["ts"].min() < cutoff - pd.Timedelta(days=230) < whole["ts"].max()
    pd.testing.assert_frame_equal(same_truth, truth)


def test_what_is_truly_there_to_keep_by_hand():
    """Known until day 100, the horizon lasts 30 days: gone at 90, leaving at 110, staying until 200."""
    known = {"spend_last_year": [1.0, 2.0, 3.0], "days_since_last_order": [9, 4, 1], "usual_gap_days": 2.0}
    rows = pd.DataFrame({"customer_id": list("abc"), **known, "spend_afterwards": [0.0, 5.0, 6.0]})
    truth = pd.DataFrame({"customer_id": list("cba"), "leaves": [200.0, 110.0, 90.0], "yearly": [7.0, 8, 9]})
    found = worth.worth(rows, truth, 100, 30)
    spent = {name: frame["yearly_spend"].tolist() for name, frame in found.items()}
    assert spent == {
        "spent_afterwards": [0, 5, 6],
        "not_long_silent": [0, 2, 3],
        "bought_in_the_year": [1, 2, 3],
        "half_the_value": [0.5, 1, 1.5],
        "alive": [0, 8, 7],
        "leaving": [0, 8, 0],
    }
