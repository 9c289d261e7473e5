"""What a run tells. Authority: JSON itself, and the promise to be quiet."""

from __future__ import annotations

import json
from datetime import date, datetime

import pytest

from churnlab.errors import DataError, TryLaterError
from churnlab.operations.run_log import RunLog


def lines(capsys) -> list[dict]:
    out, err = capsys.readouterr()
    assert out == ""
    return [json.loads(line) for line in err.splitlines()]


def test_every_line_is_one_object_with_a_moment(capsys):
    log = RunLog("json")
    with log.step("score") as told:
        told(1, 2)
    log.tell("scored", as_of=date(2024, 5, 1), rows={"read": 3})
    found = lines(capsys)
    assert [line["event"] for line in found] == ["step begun", "step", "step done", "scored"]
    assert found[1] | {"time": ""} == {"time": "", "event": "step", "step": "score", "done": 1, "of": 2}
    assert found[2]["seconds"] >= 0 and found[3]["as_of"] == "2024-05-01"
    assert all(datetime.fromisoformat(line["time"]).tzinfo for line in found)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (DataError("orders: end\nearly"), 2, "orders: end early"),
        (TryLaterError("busy"), 75, "busy"),
        (KeyError("maria@example.org"), 1, "a defect of churnlab: KeyError"),
    ],
)
def test_a_failure_is_told_once_and_goes_on(capsys, error, code, message):
    """A defect's message may quote a customer: it is not told."""
    with pytest.raises(type(error)), RunLog("json").failures():
        raise error
    (found,) = lines(capsys)
    assert (found["event"], found["exit_code"], found["message"]) == ("failed", code, message)


def test_a_step_that_fails_is_not_called_done(capsys):
    with pytest.raises(DataError), RunLog("json").step("ingest"):
        raise DataError("none")
    assert [line["event"] for line in lines(capsys)] == ["step begun"]


def test_quiet_is_quiet(capsys):
    log = RunLog.shown()  # pytest's stderr is no terminal
    with log.step("score") as told:
        told(1, 1)
    log.tell("scored")
    assert capsys.readouterr() == ("", "")
