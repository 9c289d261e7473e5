"""The messages of the workspace on their way to a webhook."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from churnlab.engine import read_parquet
from churnlab.errors import DataError
from churnlab.operations.handing_over import Message, Outgoing, read_lines
from churnlab.pipelines._run import Workspace


def outgoing(work: Workspace) -> Outgoing:
    """Messages and date of the newest list.

    Raises
    ------
    DataError
        Messages, list and scores are not of one run, or a file is missing or damaged.
    """
    listed, newcomers = read_parquet(work.priority_list), read_parquet(work.potential)
    as_of = _as_of(work, listed)
    treated = _pairs(listed[listed["group"] == "treated"])
    treated |= _pairs(newcomers[newcomers["decision"] == "treated"])
    messages = _read(work)
    if any((message["customer_id"], message["action"]) not in treated for message in messages):
        raise DataError(f"{work.messages}: is not of the list beside it: run the stage prioritise again")
    return Outgoing(as_of, messages, work.sent / f"{as_of}.jsonl")


def _as_of(work: Workspace, listed: pd.DataFrame) -> date:
    """The date of the scores, if the list is made from them."""
    scores = read_parquet(work.scores, ["customer_id", "as_of", "churn_probability"])
    own = scores.set_index("customer_id")["churn_probability"].reindex(listed["customer_id"])
    if scores.empty or not np.allclose(own, listed["churn_probability"], rtol=0.0, atol=1e-9):
        raise DataError(f"{work.priority_list}: is not of the scores beside it: run the stage prioritise")
    day: date = scores["as_of"].iloc[0]
    return day


def _pairs(rows: pd.DataFrame) -> set[tuple[str, str]]:
    return set(zip(rows["customer_id"], rows["action"], strict=True))


def _read(work: Workspace) -> list[Message]:
    try:
        messages = read_lines(work.messages)
        return [message for message in messages if message["customer_id"] and message["action"]]
    except FileNotFoundError as error:
        raise DataError(f"{work.messages}: is not there: run the stage prioritise") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{work.messages}: is damaged: run the stage prioritise again") from error
