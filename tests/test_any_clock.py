"""Lines stand on the right business day, in scores too. Authority: zoneinfo, and days counted by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from churnlab.engine import read_parquet
from churnlab.operations.nightly import Job, score_source

OFFSETS = [
    timedelta(0),
    timedelta(hours=3.5),
    timedelta(hours=-5),
    timedelta(hours=5.75),
    timedelta(hours=14),
]
WEEKS = timedelta(weeks=104)

Score = Callable[..., pd.DataFrame]


@pytest.fixture(scope="module")
def score(small_log: Any, small_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Score:
    """Scores of lines; keywords replace keys of section `data`."""

    def run(lines: pd.DataFrame, **changes: Any) -> pd.DataFrame:
        folder = tmp_path_factory.mktemp("clock")
        lines.to_csv(folder / "log.csv", index=False)
        data = small_log.params.data.model_copy(update={"path": str(folder / "log.csv"), **changes})
        params = small_log.params.model_copy(update={"data": data})
        return read_parquet(score_source(Job(params, None, str(small_model)), folder))

    return run


def instants(frame: pd.DataFrame) -> list[datetime]:
    """Any time of the day in UTC; every tenth in the hours in which clocks change."""
    rng = np.random.default_rng(8)
    minutes = rng.integers(0, 1440, len(frame))
    days = [datetime.combine(day, datetime.min.time(), UTC) for day in frame["ts"]]
    found = [day + timedelta(minutes=int(minute)) for day, minute in zip(days, minutes, strict=True)]
    changes = [
        datetime(2022, 3, 27, tzinfo=UTC),
        datetime(2022, 10, 30, tzinfo=UTC),
        datetime(2023, 3, 12, tzinfo=UTC),
    ]
    found[::10] = [changes[k % 3] + timedelta(minutes=int(minutes[k]) % 600) for k in range(len(found[::10]))]
    return found


@pytest.mark.parametrize("zone", ["Europe/Athens", "America/New_York", "Asia/Tehran"])
def test_mixed_offsets_score_as_the_clock_on_the_wall(zone, small_log, score):
    """Peer: the standard library moves every instant to the shop's clock."""
    moments = instants(small_log.frame)
    wall = [moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for moment in moments]
    assert any(ours.date() != theirs.date() for ours, theirs in zip(moments, wall, strict=True))
    told = [
        moment.astimezone(timezone(OFFSETS[k % len(OFFSETS)])).isoformat() for k, moment in enumerate(moments)
    ]
    found = score(small_log.frame.assign(ts=told), timezone=zone)
    expected = score(small_log.frame.assign(ts=[moment.isoformat() for moment in wall]), timezone=zone)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)


def test_a_source_in_utc_scores_as_the_clock_on_the_wall(small_log, score):
    moments = instants(small_log.frame)
    zone = ZoneInfo("Asia/Tehran")
    naive = [moment.replace(tzinfo=None).isoformat() for moment in moments]
    wall = [moment.astimezone(zone).replace(tzinfo=None).isoformat() for moment in moments]
    found = score(small_log.frame.assign(ts=naive), timezone="Asia/Tehran", source_timezone="UTC")
    pd.testing.assert_frame_equal(
        found, score(small_log.frame.assign(ts=wall), timezone="Asia/Tehran"), check_exact=True
    )


# Of customers who bought at two or three moments, by hand: recency, T and days since the last order on
# 2025-05-12, and repeat purchase days. Clocks went from 2:00 to 3:00 in New York on 2024-03-10, whose next
# midnight was at 4:00 UTC; and in Athens from 4:00 back to 3:00 on 2024-10-27, a day of 25 hours.
BY_HAND = {
    "UTC": [
        (["2024-02-28", "2024-02-29", "2024-03-01"], (2, 439, 437, 2)),
        (["2024-02-28T23:59:59Z", "2024-02-29T00:00:00Z"], (1, 439, 438, 1)),
    ],
    "Asia/Tehran": [
        (["2024-02-28T20:29:59Z", "2024-02-29T20:30:00Z"], (2, 439, 437, 1)),
        (["2024-02-29 00:00", "2024-02-29T20:29:59Z"], (0, 438, 438, 0)),
    ],
    "America/New_York": [
        (["2024-03-10T04:59:59Z", "2024-03-11T03:59:59Z"], (1, 429, 428, 1)),
        (["2024-03-10T05:00:00Z", "2024-03-11T04:00:00Z"], (1, 428, 427, 1)),
        (["2024-03-10T05:00:00Z", "2024-03-11T03:59:59Z"], (0, 428, 428, 0)),
    ],
    "Europe/Athens": [
        (["2024-10-26T21:00:00Z", "2024-10-27T21:59:59Z"], (0, 197, 197, 0)),
        (["2024-10-27T00:30:00+03:00", "2024-10-28T00:00:00+02:00"], (1, 197, 196, 1)),
        (["2024-02-29T23:00:00+01:00", "2024-02-28T17:00:00-05:00"], (1, 438, 437, 1)),
    ],
}


@pytest.mark.parametrize("zone", list(BY_HAND))
def test_leap_days_and_changes_of_the_clock_are_counted_by_hand(zone, small_log, score):
    rest = small_log.frame.assign(ts=[f"{day + WEEKS:%Y-%m-%d} 12:00" for day in small_log.frame["ts"]])
    ours = [
        pd.DataFrame({"customer_id": f"by hand {k}", "ts": moments, "amount": 10.0})
        for k, (moments, _) in enumerate(BY_HAND[zone])
    ]
    scores = score(pd.concat([rest, *ours]), timezone=zone).set_index("customer_id")
    assert set(scores["as_of"]) == {date(2025, 5, 12)}
    counts = scores[["recency", "T", "days_since_last_order", "frequency"]].astype(int)
    for k, (_, counted) in enumerate(BY_HAND[zone]):
        assert tuple(counts.loc[f"by hand {k}"]) == counted
