"""Authority: every column that a snapshot can have, over both layouts of data."""

import pytest

from churnlab.features.snapshots import feature_names
from churnlab.features.words import per_year, plain_words


def test_every_feature_has_words_of_its_own(full_spec, lean_spec):
    """order_value_first and first_order_value are one figure, in the behaviour and in the RFM columns."""
    for spec in (full_spec, lean_spec):
        words = {name: plain_words(name) for name in feature_names(spec)}
        assert all(text and "{" not in text and "_" not in text for text in words.values())
        assert words.pop("order_value_first") == words["first_order_value"]
        assert len(set(words.values())) == len(words)


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        ("days_since_last_order", "days since the last order"),
        ("hiatus_of_gap_mean", "silence compared with their usual gap"),
        ("purchases_90d", "purchase days in the last 90 days"),
        ("spend_30d_of_60d", "spend in the last 30 days as a share of the last 60"),
        ("categories_new_share", "share of categories in the basket never bought before"),
    ],
)
def test_words_read_as_staff_would_say_them(feature, words):
    assert plain_words(feature) == words


def test_a_feature_without_words_is_refused():
    with pytest.raises(KeyError, match="phase_of_the_moon: has no plain words"):
        plain_words("phase_of_the_moon")


def test_paces_per_day_are_told_per_year(full_spec):
    """0.003 purchase days per day would be shown as 0.00; a column in words of a year is told as one."""
    for name in feature_names(full_spec):
        assert (per_year(name) == 365.0) == ("per year" in plain_words(name))
