"""Each feature in plain words, for the reasons shown to staff."""

from __future__ import annotations

import re

WORDS = {
    "frequency": "repeat purchase days so far",
    "recency": "days from the first to the last purchase",
    "T": "days since the first purchase",
    "monetary_value": "average value of a repeat purchase",
    "paid_repeats": "repeat purchase days that brought money",
    "days_since_last_order": "days since the last order",
    "first_order_value": "value of the first purchase day",
    "total_spend": "total spend so far",
    "hiatus_of_T": "silence compared with their time as a customer",
    "purchase_rate": "purchase days per year as a customer",
    "repeat_rate": "repeat purchase days per year as a customer",
    "orders_per_day": "orders per purchase day",
    "gap_mean_days": "their usual gap between purchases",
    "gap_sd_days": "how much their gaps between purchases vary",
    "gap_cv": "irregularity of their gaps between purchases",
    "gap_max_days": "their longest gap between purchases",
    "gap_min_days": "their shortest gap between purchases",
    "gap_last_days": "the gap before the last purchase",
    "gap_median_days": "their typical gap between purchases",
    "hiatus_of_gap_mean": "silence compared with their usual gap",
    "hiatus_of_gap_max": "silence compared with their longest gap",
    "hiatus_of_gap_median": "silence compared with their typical gap",
    "hiatus_z": "silence beyond the usual spread of their gaps",
    "gap_rank": "share of their gaps that were as long as the present silence",
    "gap_last_of_mean": "the last gap compared with their usual gap",
    "hiatus_log_of_gap": "silence compared with their usual gap (log scale)",
    "order_value_mean": "average value of a purchase day",
    "order_value_sd": "how much the value of a purchase day varies",
    "order_value_cv": "irregularity of the value of a purchase day",
    "order_value_max": "value of the dearest purchase day",
    "order_value_last": "value of the last purchase day",
    "order_value_first": "value of the first purchase day",
    "order_value_geo": "typical value of a purchase day",
    "order_value_recent": "value of recent purchase days",
    "order_value_trend": "value of recent purchase days compared with their average",
    "order_value_last_of_mean": "value of the last purchase day compared with their average",
    "order_value_log": "average value of a purchase day (log scale)",
    "spend_rate": "spend per year as a customer",
    "price_per_item": "average price per item",
    "discount_share": "share of the price taken off by discounts",
    "returned_share": "share of purchases given back",
    "return_days_share": "days with a return per purchase day",
    "weekend_share": "share of purchase days at the weekend",
    "weekday_last": "weekday of the last purchase",
    "season_share": "share of purchase days in the coming season of the year",
    "channels_distinct": "number of channels used",
    "channel_last_share": "share of purchase days through the last channel",
    "complaint_open": "complaints still open",
    "days_since_last_complaint": "days since the last complaint",
    "csat_last": "satisfaction in the last survey answer",
    "csat_mean": "average satisfaction in survey answers",
    "nps_last": "readiness to recommend the shop, 0 to 10, in the last answer",
    "nps_mean": "average readiness to recommend the shop, 0 to 10",
    "intent_last": "readiness to buy again, 0 to 10, in the last answer",
    "intent_mean": "average readiness to buy again, 0 to 10",
    "days_since_last_wish": "days since they last put something on the wish list",
    "response_hours_mean": "average hours until the shop responded",
    "resolution_hours_mean": "average hours until a matter was resolved",
    "days_since_last_contact": "days since the shop last contacted them",
    "days_since_signup": "days since they signed up",
    "days_from_signup_to_first_order": "days from signing up to the first order",
    "is_business": "buys for a business",
    "is_referred": "referred by another customer",
    "referrals": "customers they referred",
    "consents": "channels on which they agreed to be contacted",
}

PATTERNS = {
    r"purchases_(\d+)d": "purchase days in the last {0} days",
    r"spend_(\d+)d": "spend in the last {0} days",
    r"purchases_(\d+)d_of_(\d+)d": "purchase days in the last {0} days as a share of the last {1}",
    r"spend_(\d+)d_of_(\d+)d": "spend in the last {0} days as a share of the last {1}",
    r"purchases_change_(\d+)d": "change in purchase days against the {0} days before",
    r"decayed_purchases_(\d+)d": "recent purchase days, as a pace per year (half-life {0} days)",
    r"decayed_spend_(\d+)d": "recent spend, as a pace per year (half-life {0} days)",
    r"decayed_purchases_(\d+)d_of_(\d+)d": "purchase pace lately against before (half-lives {0}, {1} days)",
    r"discount_share_(\d+)d": "share of the price taken off by discounts in the last {0} days",
    r"returned_share_(\d+)d": "share of purchases given back in the last {0} days",
    r"items_mean": "average items per purchase day",
    r"items_last": "items on the last purchase day",
    r"items_recent": "items on recent purchase days",
    r"(products|categories)_mean": "average different {0} per purchase day",
    r"(products|categories)_last": "different {0} on the last purchase day",
    r"(products|categories)_recent": "different {0} on recent purchase days",
    r"(products|categories)_distinct": "different {0} ever bought",
    r"(products|categories)_new_share": "share of {0} in the basket never bought before",
    r"complaints_(\d+)d": "complaints in the last {0} days",
    r"tickets_(\d+)d": "support tickets in the last {0} days",
    r"wishes_(\d+)d": "things put on the wish list in the last {0} days",
    r"contacted_(\d+)d": "contacts by the shop in the last {0} days",
    r"csat_mean_(\d+)d": "average satisfaction in survey answers of the last {0} days",
    r"nps_mean_(\d+)d": "average readiness to recommend the shop, 0 to 10, in the last {0} days",
    r"intent_mean_(\d+)d": "average readiness to buy again, 0 to 10, in the last {0} days",
    r"response_hours_mean_(\d+)d": "average hours until the shop responded, in the last {0} days",
    r"resolution_hours_mean_(\d+)d": "average hours until a matter was resolved, in the last {0} days",
}

# What no figure means, where it is not that nobody knows yet.
ABSENT = {
    r"days_since_last_(complaint|wish)": "none so far",
    r"days_since_last_contact": "never so far",
    r"(csat|nps|intent)_.*": "no answer yet",
    r"(response|resolution)_hours_.*": "no case yet",
    r"days_since_signup|days_from_signup_to_first_order|is_.*|consents": "not known",
}


def plain_words(feature: str) -> str:
    """A short English noun phrase for a column of a snapshot.

    Raises
    ------
    KeyError
        The feature has no words yet: add them to this module.
    """
    if feature in WORDS:
        return WORDS[feature]
    for pattern, words in PATTERNS.items():
        if match := re.fullmatch(pattern, feature):
            return words.format(*match.groups())
    raise KeyError(f"{feature}: has no plain words: add them to churnlab/features/words.py")


def absent(feature: str) -> str:
    """What it means that a customer has no figure."""
    return next((told for pattern, told in ABSENT.items() if re.fullmatch(pattern, feature)), "not known yet")


def per_year(feature: str) -> float:
    """What to multiply a feature's value by so that it is told as :func:`plain_words` says: 365 for paces."""
    return (
        365.0
        if re.fullmatch(r"(purchase|repeat|spend)_rate|decayed_(purchases|spend)_\d+d", feature)
        else 1.0
    )
