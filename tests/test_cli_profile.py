"""`churnlab profile`. Authority: the raw log of the small shop, and the contract of the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml


@pytest.fixture
def params_file(small_log: Any, tmp_path: Path) -> Any:
    """The small shop's parameters with another source and this workspace."""

    def written(path: Path | None = None, **gates: int) -> Path:
        settings = json.loads(json.dumps(small_log.settings | {"workspace": str(tmp_path)}, default=str))
        settings["data"]["path"] = str(path or small_log.csv)
        settings["gates"] |= gates
        file = tmp_path / "params.yaml"
        file.write_text(yaml.safe_dump(settings), encoding="utf-8")
        return file

    return written


def test_writes_a_page_and_the_same_numbers_as_json(
    churnlab: Any, params_file: Any, small_log: Any, tmp_path: Path
) -> None:
    code, out, err = churnlab("profile", "--params", params_file())
    page, numbers = tmp_path / "reports" / "profile.html", tmp_path / "reports" / "profile.json"
    assert (code, err) == (0, "")
    assert out.endswith(f"{page}\n{numbers}\n")
    told = json.loads(numbers.read_text(encoding="utf-8"))
    bought = small_log.frame[small_log.frame["amount"] >= 0]
    assert told["rows"]["read"] == len(small_log.frame)
    assert told["shop"]["figures"]["customers"] == bought["customer_id"].nunique()
    assert told["shop"]["figures"]["returns_only_customers"] == len(small_log.RETURNS_ONLY)
    assert told["shop"]["figures"]["revenue"] == pytest.approx(small_log.frame["amount"].sum())
    html = page.read_text(encoding="utf-8")
    assert f"{told['shop']['figures']['customers']:,} customers" in html
    assert not (tmp_path / "data").exists()  # nothing else is written
    for name in small_log.frame["customer_id"].unique():
        assert name not in out.split()


def test_another_folder(churnlab: Any, params_file: Any, tmp_path: Path) -> None:
    code, _, _ = churnlab("profile", "--params", params_file(), "--out", tmp_path / "new" / "place")
    assert code == 0
    assert sorted(file.name for file in (tmp_path / "new" / "place").iterdir()) == [
        "profile.html",
        "profile.json",
    ]
    assert not (tmp_path / "reports").exists()


def test_rows_without_one_that_can_be_used(churnlab: Any, params_file: Any, tmp_path: Path) -> None:
    """Everything is refused: that is what the profile is asked for, and no mistake."""
    csv = tmp_path / "bad.csv"
    csv.write_text("customer_id,ts,amount\nمریم,yesterday,5\nΕλένη,2024-01-01,five\n", encoding="utf-8")
    code, out, err = churnlab("profile", "--params", params_file(csv))
    assert (code, err) == (0, "")
    assert "2 rows read, 0 accepted, 2 set aside (100.0%)" in out
    assert "bad.csv, row 1" in out and "bad.csv, row 2" in out
    page = (tmp_path / "reports" / "profile.html").read_text(encoding="utf-8")
    for text in (out, page):
        assert "مریم" not in text and "Ελένη" not in text  # what a refused row holds is not shown


def test_a_source_that_is_not_there_is_one_line(churnlab: Any, params_file: Any, tmp_path: Path) -> None:
    code, out, err = churnlab("profile", "--params", params_file(tmp_path / "none.csv"))
    assert (code, out) == (2, "")
    assert err.startswith("data.path: nothing to read") and err.count("\n") == 1


def test_features_refuses_what_no_model_can_learn_from(
    churnlab: Any, params_file: Any, tmp_path: Path
) -> None:
    """Everybody bought once: the stage stops before any fit, says why, and leaves the gates to be read."""
    csv = tmp_path / "once.csv"
    csv.write_text("customer_id,ts,amount\n" + "".join(f"c{k},2024-01-0{1 + k % 9},5\n" for k in range(50)))
    file = params_file(csv, fewest_repeat_customers=1)
    assert churnlab("ingest", "--params", file)[0] == 0
    code, out, err = churnlab("features", "--params", file)
    assert (code, out) == (2, "")
    assert err.startswith("orders: 0 of 50 customers bought on a second day") and err.count("\n") == 1
    told = json.loads((tmp_path / "reports" / "gates.json").read_text(encoding="utf-8"))["gates"]
    assert told[0]["fatal"]
    assert not (tmp_path / "data" / "plan.json").exists()
    words = ["--cutoff", "2024-01-09", "--horizon", 5, "--out", tmp_path / "f.parquet"]
    code, _, again = churnlab("backtest", "--params", file, *words)
    assert (code, again) == (2, err)


def test_features_tells_what_is_missing(
    churnlab: Any, params_file: Any, small_log: Any, tmp_path: Path
) -> None:
    """60 days of horizon, 40 of history: a sentence per model that goes short, and the stage goes on."""
    csv = tmp_path / "short.csv"
    frame = small_log.frame
    frame[frame["ts"] <= small_log.FIRST_DAY.replace(month=2, day=9)].to_csv(csv, index=False)
    file = params_file(csv)
    churnlab("ingest", "--params", file)
    code, _, err = churnlab("features", "--params", file)
    assert code == 0
    told = json.loads((tmp_path / "reports" / "gates.json").read_text(encoding="utf-8"))["gates"]
    assert err.splitlines() == [f"{gate['model']}: {gate['sentence']}" for gate in told if not gate["passes"]]
    assert "churn and value learners (LightGBM, regressions)" in err
    assert (tmp_path / "data" / "plan.json").is_file()
