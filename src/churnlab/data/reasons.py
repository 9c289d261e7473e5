"""Why a line of a table is refused, and how to mend it."""

from __future__ import annotations

from dataclasses import dataclass

ERASED = '{"erased": true}'
"""Stands in the quarantine for the content of a line that may not be kept."""


@dataclass(frozen=True)
class Reason:
    """Why a line is refused.

    Attributes
    ----------
    code
        Word of the quarantine table.
    remedy
        What is wrong and how to mend it, in one line.
    example
        A cell, or a line, that gets it.
    """

    code: str
    remedy: str
    example: str


MALFORMED = Reason(
    "malformed_row",
    "more or fewer cells than the header, a stray quote, no JSON object, or over a million characters: "
    "mend the row or export it again",
    "c1,2024-03-01",
)
ID_MISSING = Reason(
    "customer_id_missing",
    "a line without a customer cannot be used: fill the id in the source, or take what stands there off "
    "data.missing_ids",
    "NaN",
)
ID_NOT_WHOLE = Reason(
    "customer_id_not_whole",
    "is no whole number, which data.customer_ids: integer calls for: correct it, or choose text",
    "1.23E+05",
)
EXCLUDED = Reason(
    "customer_excluded", "is on the list data.exclude_customers: take it off that list to count it", "test-1"
)
FORGOTTEN = Reason(
    "customer_forgotten",
    "asked to be forgotten (data.privacy.forgotten); its content is not kept: delete the line in the source",
    "",
)
DATE_UNREADABLE = Reason(
    "date_unreadable",
    "is no day of the calendar in the form asked for: write ISO 8601, or set data.csv.date_format (and "
    "data.calendar) to the source's",
    "2024-02-30",
)
DATE_MIXED = Reason(
    "date_order_mixed",
    "the column has day/month and month/day, so 03/04 may be either: write one order, or set "
    "data.ambiguous_cells: keep",
    "03/04/2024",
)
DATE_EARLY = Reason(
    "date_too_early",
    "is before data.earliest_date: correct it, lower that key, or set data.calendar: jalali for years "
    "about 1400",
    "1900-01-01",
)
DATE_FAR = Reason(
    "date_far_ahead",
    "lies far after all other dates: correct it, or set data.as_of to the last day that counts",
    "2099-12-31",
)
DATE_AFTER = Reason(
    "date_after_as_of", "is after data.as_of: raise that key to count it", "the day after data.as_of"
)
CURRENCY_OTHER = Reason(
    "currency_other",
    "is not in data.currency: name a table of rates in data.rates, or what the sign means in "
    "data.currency_symbols",
    "USD",
)
CURRENCY_CONFLICT = Reason(
    "currency_conflict",
    "the sign beside the money and the currency column disagree: mend the line",
    "€5 | USD",
)
CURRENCY_NO_RATE = Reason(
    "currency_no_rate", "data.rates has no rate of this currency up to this day: add one", "XAF"
)
MARK_MIXED = Reason(
    "decimal_mark_mixed",
    "the column has numbers with the other decimal mark, so 1,234 may be a thousand or one: write one "
    "mark, or set data.ambiguous_cells: keep",
    "1,234",
)
OUT_OF_RANGE = Reason(
    "number_out_of_range",
    "a number is infinite, or 10^15 and more: correct it, or count in a larger unit",
    "1e999",
)
DUPLICATE = Reason(
    "duplicate_line",
    "equals an earlier line in every mapped column: data.exact_duplicates: keep counts it",
    "the same line again",
)
OVERLAP = Reason(
    "overlapping_row",
    "the same row stands in a later file too, and counts there: data.overlapping_rows: keep counts it twice",
    "a row of May in both files",
)
RESTATED = Reason(
    "order_restated",
    "a later file states this order again, and that one counts: data.order_conflicts: keep counts both",
    "A1 in May.csv and June.csv",
)
CONFLICT = Reason(
    "order_conflict",
    "this order id belongs to several customers, or two files tell it differently: mend it, or set "
    "data.order_conflicts to newest_file or keep",
    "A1 of c1 and of c2",
)
EXCESS_RETURN = Reason(
    "return_exceeds_purchases",
    "gives back more than the customer had bought by then, or, of nothing, than ten times the dearest "
    "line: correct it, or set data.excess_returns: keep",
    "-900 after purchases of 50",
)
FLAG_UNREADABLE = Reason("flag_unreadable", "is neither yes nor no: write true or false", "maybe")
KIND_UNKNOWN = Reason(
    "kind_unknown",
    "is none of complaint, ticket, csat, nps, intent, wish: say which it means in data.interactions.kinds",
    "chat",
)
SCORE_OUTSIDE = Reason(
    "score_out_of_range",
    "is not on the scale: nps and intent go from 0 to 10, csat as data.interactions.csat_range says",
    "11",
)
SCORE_MISSING = Reason("score_missing", "csat, nps and intent need a score: fill it in the source", "")
ENDED_EARLY = Reason(
    "ended_before_start", "the response or resolution is before the interaction: correct it", "-2 hours"
)
CRITERION_OUTSIDE = Reason(
    "criterion_out_of_range",
    "paid_late_share goes from 0 to 1, referrals from 0 on: mend it in the source",
    "-1",
)
GROUP_UNKNOWN = Reason(
    "group_unknown", "is neither treated nor control: say which it means in data.contacts.groups", "B"
)
CUSTOMER_TWICE = Reason(
    "customer_twice",
    "the table tells this customer differently elsewhere, for the same moment: keep one line, or map "
    "known_from",
    "c1 twice",
)


def unreadable(word: str) -> Reason:
    """The cell holds no number."""
    if word == "discount":
        return Reason(
            "discount_unreadable",
            "write a number, or leave the cell empty where there was no discount",
            "some",
        )
    return Reason(
        f"{word}_unreadable",
        "write a number, with data.csv.decimal as its mark; a money sign may stand beside it",
        "12.3.4",
    )
