"""Authority: every column that a snapshot can have, over all layouts of data."""

import pytest

from churnlab.features.snapshots import feature_names
from churnlab.features.words import absent, per_year, plain_words


def test_every_feature_has_words_of_its_own(full_spec, lean_spec, told_spec):
    """order_value_first and first_order_value are one figure, in the behaviour and in the RFM columns."""
    for spec in (full_spec, lean_spec, told_spec):
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
        ("complaints_90d", "complaints in the last 90 days"),
        ("days_since_last_contact", "days since the shop last contacted them"),
        ("days_since_signup", "days since they signed up"),
    ],
)
def test_words_read_as_staff_would_say_them(feature, words):
    assert plain_words(feature) == words


def test_a_feature_without_words_is_refused():
    with pytest.raises(KeyError, match="phase_of_the_moon: has no plain words"):
        plain_words("phase_of_the_moon")


def test_paces_per_day_are_told_per_year(told_spec):
    """0.003 purchase days per day would be shown as 0.00; a column in words of a year is told as one."""
    for name in feature_names(told_spec):
        assert (per_year(name) == 365.0) == ("per year" in plain_words(name))


@pytest.mark.parametrize(
    ("feature", "meaning"),
    [
        ("gap_cv", "not known yet"),
        ("days_since_last_complaint", "none so far"),
        ("csat_mean_365d", "no answer yet"),
        ("is_business", "not known"),
    ],
)
def test_no_figure_is_told_as_what_it_means(feature, meaning):
    assert absent(feature) == meaning
