"""How numbers are written, by hand."""

import math

import pandas as pd
import pytest

from churnlab.report import formats


@pytest.mark.parametrize(
    ("value", "decimals", "expected"),
    [
        (1234567.891, 0, "1,234,568"),
        (0.5, 2, "0.50"),
        (-3, 0, "−3"),
        (-0.001, 2, "0.00"),
        (None, 0, "–"),
        (math.nan, 0, "–"),
        (pd.NA, 0, "–"),
        (10**15, 0, "1,000,000,000,000,000"),
    ],
)
def test_number(value, decimals, expected):
    assert formats.number(value, decimals) == expected


def test_money_puts_sign_and_symbol_in_front():
    assert formats.money(-12.5, "$", 2).striptags() == "−$12.50"
    assert formats.money(1500, "IRR", 0).endswith("<bdi>IRR</bdi>\u00a01,500</bdi>")


def test_money_escapes_its_symbol():
    assert "<b>" not in formats.money(1, "<b>", 0)


def test_decimals_follow_the_typical_amount():
    assert [formats.money_decimals(v) for v in (40.0, 1e9, None)] == [2, 0, 2]


def test_totals_drop_decimals_from_a_hundred_on():
    assert formats.total(99.5, "$", 2).striptags() == "$99.50"
    assert formats.total(1234.56, "$", 2).striptags() == "$1,235"


def test_absent_cells_are_dashes():
    assert formats.day(pd.NaT) == formats.text(None) == formats.sentences(math.nan) == "–"


def test_day_of_a_timestamp():
    assert formats.day(pd.Timestamp("2024-02-29 13:00")) == "2024-02-29"


def test_sentences_each_get_one_full_stop():
    assert formats.sentences(["One", "Two.", "سه؟"]) == "One. Two. سه؟"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b]0;title\x07c1", " ]0;title c1"),
        ("\u202etxt.exe", " txt.exe"),
        ("two\nlines", "two lines"),
        ("می\u200cخواهم 👩\u200d👧", "می\u200cخواهم 👩\u200d👧"),
    ],
)
def test_a_terminal_is_not_steered(text, expected):
    assert formats.shown(text) == expected
