"""Behaviour of each customer up to a cutoff: rhythm, trends, order values, baskets, discounts, returns."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import exp2, expm1, log1p

from churnlab.features.histories import Histories, plain

if TYPE_CHECKING:
    from churnlab.features.spec import FeatureSpec

Columns = dict[str, np.ndarray]
RECENT_HALF_LIFE_DAYS = 60
SHRINK_DAYS = 14  # two weeks' worth of doubt: rates of customers acquired yesterday stay finite
RATIO_HALF_LIVES = ((20, 80), (40, 160))
DISCOUNT_WINDOW_DAYS = 60
RETURN_WINDOWS_DAYS = (90, 365)
WEIGHT_ONE = 2.0**30
LIKE = 13  # decimals of sums that do not depend on the order of the days
EPOCH = date(1970, 1, 1)
MONDAY = 4  # days from 1 January 1970, a Thursday
NAN = float("nan")


def behaviour_columns(visits: Histories, cutoff: date, spec: FeatureSpec, money_scale: float) -> Columns:
    """Behaviour of every customer with a purchase day, all float64, NaN where undefined.

    Logarithms and powers are those of SciPy, the same on every processor.

    Parameters
    ----------
    visits
        Purchase days: day, age_days (cutoff - day), value, n_orders, and what the spec counts on.
    cutoff
        Last day that is known.
    spec
        Windows, half-lives and which optional columns count.
    money_scale
        A typical day's money: logarithms are taken of money / money_scale, so that the currency's unit
        changes no ratio and no logarithm.

    Returns
    -------
    Name to values, in the order of the groups below. churnlab.features.words says each in words.
    """
    columns = rhythm(visits) | gaps(visits) | windows(visits, spec) | decays(visits, spec)
    columns |= order_value(visits, money_scale)
    if spec.has_items:
        columns |= basket(visits, "items", visits["items"])
        columns |= {"price_per_item": ratio(visits.amount(visits["value"]), visits.amount(visits["items"]))}
    if spec.has_products:
        columns |= variety(visits, "products", visits["n_products"], visits["new_products"])
    if spec.has_categories:
        columns |= variety(visits, "categories", visits["n_categories"], visits["new_categories"])
    if spec.has_discount:
        columns |= discounts(visits)
    columns |= calendar(visits, cutoff, spec.horizon_days)
    if spec.has_channel:
        columns |= channels(visits)
    return columns


def rfm_columns(visits: Histories) -> Columns:
    """What :func:`churnlab.features.rfm.rfm` gives."""
    value, tenure, hiatus = visits["value"], _tenure(visits), _hiatus(visits)
    first, total = visits.first(value), visits.amount(value)
    paid = visits.count(value > 0) - (first > 0)
    return {
        "frequency": visits.lengths - 1.0,
        "recency": tenure - hiatus,
        "T": tenure,
        "monetary_value": np.where(paid > 0, ratio(plain(total - first), paid), 0.0),
        "paid_repeats": paid,
        "days_since_last_order": hiatus,
        "first_order_value": first,
        "total_spend": total,
    }


def rhythm(visits: Histories) -> Columns:
    """How often, how lately."""
    days, tenure = visits.lengths, _tenure(visits)
    return {
        "hiatus_of_T": _hiatus(visits) / (tenure + 1.0),
        "purchase_rate": days / (tenure + SHRINK_DAYS),
        "repeat_rate": (days - 1.0) / (tenure + SHRINK_DAYS),
        "orders_per_day": visits.total(visits["n_orders"]) / days,
    }


def gaps(visits: Histories) -> Columns:
    """Days between neighbouring purchase days, and the present silence against them; NaN without a gap."""
    gap, hiatus, n = gap_days(visits), _hiatus(visits), visits.lengths - 1.0
    total = visits.total(gap)
    mean = ratio(total, n)
    # whole numbers below 2^53: exact, where mean square minus squared mean is not
    sd = ratio(np.sqrt(n * visits.total(gap * gap) - total * total), n)
    longest, shortest, median = _extremes_and_median(visits, gap)
    last = np.where(n > 0, visits.last(gap), NAN)
    logs = log1p(np.arange(gap.max(initial=0) + 1.0))[gap]
    mean_log = ratio(np.round(visits.total(logs), LIKE), n)
    as_long = visits.count((gap >= visits.on_rows(hiatus)) & (gap > 0))
    return {
        "gap_mean_days": mean,
        "gap_sd_days": sd,
        "gap_cv": ratio(sd, mean),
        "gap_max_days": longest,
        "gap_min_days": shortest,
        "gap_last_days": last,
        "gap_median_days": median,
        "hiatus_of_gap_mean": hiatus / np.maximum(mean, 1.0),
        "hiatus_of_gap_max": hiatus / np.maximum(longest, 1.0),
        "hiatus_of_gap_median": hiatus / np.maximum(median, 1.0),
        "hiatus_z": (hiatus - mean) / (sd + 3.0),
        "gap_rank": (as_long + 0.5) / (n + 1.0),
        "gap_last_of_mean": last / np.maximum(mean, 1.0),
        "hiatus_log_of_gap": log1p(hiatus) - mean_log,
    }


def gap_days(visits: Histories) -> np.ndarray:
    """Days since the customer's previous purchase day, 0 on the first; int64."""
    gap = np.diff(visits["day"], prepend=0)
    gap[visits.begins] = 0
    return gap


def windows(visits: Histories, spec: FeatureSpec) -> Columns:
    """Purchase days and money in trailing windows, shares of one window in the next, and changes."""
    age, value = visits["age_days"], visits["value"]
    count = {w: visits.count(age < w) for w in spec.windows_days}
    spend = {w: visits.amount(value * (age < w)) for w in spec.windows_days}
    columns: Columns = {}
    for w in spec.windows_days:
        columns |= {f"purchases_{w}d": count[w], f"spend_{w}d": spend[w]}
    for a, b in pairwise(spec.windows_days):
        columns[f"purchases_{a}d_of_{b}d"] = ratio(count[a], count[b])
        columns[f"spend_{a}d_of_{b}d"] = ratio(spend[a], spend[b])
    for w in spec.windows_days:
        if 2 * w <= spec.history_days:
            before = visits.count((age >= w) & (age < 2 * w))
            columns[f"purchases_change_{w}d"] = (count[w] - before) / np.sqrt(count[w] + before + 1.0)
    return columns


def decays(visits: Histories, spec: FeatureSpec) -> Columns:
    """Exponentially forgotten purchase days and money, per day of the customer's (also forgotten) tenure."""
    columns: Columns = {}
    for h in spec.half_lives_days:
        weights = decayed(visits["age_days"], h)
        norm = (1.0 - exp2(-(_tenure(visits) + 1.0) / h)) / (1.0 - exp2(-1.0 / h)) + 3.0
        columns[f"decayed_purchases_{h}d"] = visits.total(weights) / norm
        columns[f"decayed_spend_{h}d"] = visits.total(visits["value"] * weights) / norm
    for a, b in RATIO_HALF_LIVES:
        if {a, b} <= set(spec.half_lives_days):
            name = f"decayed_purchases_{a}d_of_{b}d"
            columns[name] = ratio(columns[f"decayed_purchases_{a}d"], columns[f"decayed_purchases_{b}d"])
    return columns


def decayed(age_days: np.ndarray, half_life_days: int) -> np.ndarray:
    """2^(-age / half-life) to a whole number of 2^-30, so that sums of weights are exact."""
    ages = np.arange(age_days.max(initial=0) + 1.0)
    return (np.rint(exp2(-ages / half_life_days) * WEIGHT_ONE) / WEIGHT_ONE)[age_days]


def order_value(visits: Histories, money_scale: float) -> Columns:
    """Level, spread and trend of a purchase day's value."""
    value, days = visits["value"], visits.lengths
    total = visits.amount(value)
    mean = total / days
    spread = _spread(visits, mean)
    last = visits.last(value)
    recent = _recent(visits, value)
    mean_log = np.round(visits.total(log1p(value / money_scale)), LIKE) / days
    return {
        "order_value_mean": mean,
        "order_value_sd": spread,
        "order_value_cv": ratio(spread, mean),
        "order_value_max": visits.greatest(value),
        "order_value_last": last,
        "order_value_first": visits.first(value),
        "order_value_geo": expm1(mean_log) * money_scale,
        "order_value_recent": recent,
        "order_value_trend": ratio(recent, mean),
        "order_value_last_of_mean": ratio(last, mean),
        "spend_rate": total / (_tenure(visits) + SHRINK_DAYS),
        "order_value_log": log1p(mean / money_scale),
    }


def basket(visits: Histories, name: str, amount: np.ndarray) -> Columns:
    """Mean, last and recent size of a basket."""
    return {
        f"{name}_mean": visits.amount(amount) / visits.lengths,
        f"{name}_last": visits.last(amount),
        f"{name}_recent": _recent(visits, amount),
    }


def variety(visits: Histories, name: str, distinct: np.ndarray, new: np.ndarray) -> Columns:
    """Different things in a basket, different things ever, and the share never bought before."""
    return basket(visits, name, distinct) | {
        f"{name}_distinct": visits.total(new),
        f"{name}_new_share": ratio(visits.total(new), visits.total(distinct)),
    }


def discounts(visits: Histories) -> Columns:
    """Money off, as a share of what the goods would have cost; 0 where nothing was charged."""
    lately = visits["age_days"] < DISCOUNT_WINDOW_DAYS
    off, full = visits["discount"], visits["gross"] + visits["discount"]
    return {
        "discount_share": share(visits.amount(off), visits.amount(full)),
        f"discount_share_{DISCOUNT_WINDOW_DAYS}d": share(
            visits.amount(off * lately), visits.amount(full * lately)
        ),
    }


def return_columns(days: Histories, spec: FeatureSpec) -> Columns:
    """Money given back, as a share of money taken, and days with a return per purchase day.

    Parameters
    ----------
    days
        age_days, gross, returned, is_purchase; returns on days without a purchase count. Of a customer
        without a purchase, the figures mean nothing.
    spec
        Windows longer than its history are left out.
    """
    columns = {"returned_share": share(days.amount(days["returned"]), days.amount(days["gross"]))}
    for w in RETURN_WINDOWS_DAYS:
        if w <= spec.history_days:
            lately = days["age_days"] < w
            given_back, taken = days.amount(days["returned"] * lately), days.amount(days["gross"] * lately)
            columns[f"returned_share_{w}d"] = share(given_back, taken)
    return columns | {
        "return_days_share": ratio(days.count(days["returned"] > 0), days.count(days["is_purchase"]))
    }


def calendar(visits: Histories, cutoff: date, horizon_days: int) -> Columns:
    """Days of the week, and the share of purchase days in the season that the horizon covers.

    The year is a circle of 365 days; 31 December of a leap year shares day 365 with the day before.
    """
    weekday = (visits["day"] - MONDAY) % 7
    start = min(cutoff.timetuple().tm_yday, 365)
    # every day back to the oldest is looked up once: dates are slow
    oldest = int(visits["age_days"].max(initial=0))
    places = [min((cutoff - timedelta(age)).timetuple().tm_yday, 365) for age in range(oldest + 1)]
    in_season = (np.array(places) - start - 1 + 730) % 365 < horizon_days
    return {
        "weekend_share": visits.count(weekday >= 5) / visits.lengths,
        "weekday_last": visits.last(weekday).astype(np.float64),
        "season_share": visits.count(in_season[visits["age_days"]]) / visits.lengths,
    }


def channels(visits: Histories) -> Columns:
    """How many channels, and the share of purchase days through the last one (NaN if that is unknown)."""
    channel, last = visits["channel"], visits.last(visits["channel"])
    told = channel >= 0
    different = np.unique(np.stack([visits.owners()[told], channel[told]]), axis=1)[0]
    through_last = visits.count((channel == visits.on_rows(last)) & told) / visits.lengths
    return {
        "channels_distinct": np.bincount(different, minlength=len(visits.begins)).astype(np.float64),
        "channel_last_share": np.where(last >= 0, through_last, NAN),
    }


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, NaN where below is 0."""
    return np.divide(above, below, out=np.full(len(above), NAN), where=below != 0)


def share(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, 0 where below is 0."""
    return np.divide(above, below, out=np.zeros(len(above)), where=below != 0)


def _tenure(visits: Histories) -> np.ndarray:
    return visits.first(visits["age_days"]).astype(np.float64)


def _hiatus(visits: Histories) -> np.ndarray:
    return visits.last(visits["age_days"]).astype(np.float64)


def _extremes_and_median(visits: Histories, gap: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Longest, shortest and lower median gap; NaN without one."""
    unit = int(gap.max(initial=0)) + 1
    owners = visits.owners()
    # customer by customer, the 0 of the first day before all gaps
    in_order = (np.sort(owners * unit + gap) - owners * unit).astype(np.float64)
    n = visits.lengths - 1
    places = (n, np.minimum(n, 1), (n + 1) // 2)
    longest, shortest, median = (np.where(n > 0, in_order[visits.begins + at], NAN) for at in places)
    return longest, shortest, median


def _spread(visits: Histories, mean: np.ndarray) -> np.ndarray:
    """Population standard deviation, worked out in parts of the greatest value: no square flows over."""
    greatest = visits.greatest(visits["value"])
    unit = np.where(greatest > 0, greatest, 1.0)
    apart = visits["value"] / visits.on_rows(unit) - visits.on_rows(mean / unit)
    return greatest * np.sqrt(np.round(visits.total(apart * apart), LIKE) / visits.lengths)


def _recent(visits: Histories, amount: np.ndarray) -> np.ndarray:
    """Mean that forgets by half in 60 days, counted from the last purchase so that no weight vanishes."""
    since = visits["age_days"] - visits.on_rows(visits.last(visits["age_days"]))
    weights = decayed(since, RECENT_HALF_LIFE_DAYS)
    return visits.total(amount * weights) / visits.total(weights)
