"""Behaviour of each customer up to a cutoff: rhythm, trends, order values, baskets, discounts, returns."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from typing import TYPE_CHECKING

import ibis

from churnlab.features.exact import WEIGHT_ONE, counted, exact, expm1, log1p, ratio, weight, weighted

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from churnlab.features.spec import FeatureSpec

Columns = dict[str, "ir.Value"]
RECENT_HALF_LIFE_DAYS = 60
SHRINK_DAYS = 14  # two weeks' worth of doubt: rates of customers acquired yesterday stay finite
RATIO_HALF_LIVES = ((20, 80), (40, 160))
DISCOUNT_WINDOW_DAYS = 60
RETURN_WINDOWS_DAYS = (90, 365)
LOG_PLACES = "decimal(38, 18)"


def behaviour_columns(visits: ir.Table, cutoff: date, spec: FeatureSpec, money_scale: float) -> Columns:
    """Behaviour as aggregates over one customer's occasions, all float64, null where undefined.

    Parameters
    ----------
    visits
        See :func:`churnlab.features.occasions.occasions`.
    cutoff
        Last day that is known.
    spec
        Windows, half-lives and which optional columns count.
    money_scale
        A typical day's money: logarithms are taken of money / money_scale, so that the currency's unit
        changes no ratio and no logarithm.

    Returns
    -------
    Name to expression, in the order of the groups below. churnlab.features.words says each in words.
    """
    columns = rhythm(visits) | gaps(visits) | windows(visits, spec) | decays(visits, spec)
    columns |= order_value(visits, money_scale)
    if spec.has_items:
        columns |= basket(visits, "items", visits.items)
        columns |= {"price_per_item": ratio(exact(visits.value), exact(visits.items))}
    if spec.has_products:
        columns |= variety(visits, "products", visits.n_products, visits.new_products)
    if spec.has_categories:
        columns |= variety(visits, "categories", visits.n_categories, visits.new_categories)
    if spec.has_discount:
        columns |= discounts(visits)
    columns |= calendar(visits, cutoff, spec.horizon_days)
    if spec.has_channel:
        columns |= channels(visits)
    return columns


def rhythm(visits: ir.Table) -> Columns:
    """How often, how lately."""
    days = _days(visits)
    shrunk = _tenure(visits) + SHRINK_DAYS
    return {
        "hiatus_of_T": _hiatus(visits) / (_tenure(visits) + 1.0),
        "purchase_rate": days / shrunk,
        "repeat_rate": (days - 1.0) / shrunk,
        "orders_per_day": visits.n_orders.sum().cast("float64") / days,
    }


def gaps(visits: ir.Table) -> Columns:
    """Days between neighbouring purchase days, and the present silence against them; null without a gap."""
    gap, hiatus = visits.gap_days, _hiatus(visits)
    n = _days(visits) - 1.0
    total = gap.sum().cast("float64")
    mean = ratio(total, n)
    # integers below 2^53: exact, where mean square minus squared mean is not
    sd = ratio((n * (gap * gap).sum().cast("float64") - total * total).sqrt(), n)
    longest = gap.max().cast("float64")
    in_order = gap.collect().sort()
    middle = (visits.count() > 1).ifelse((visits.count() - 2) // 2, 0)
    median = in_order[middle].cast("float64")
    last = gap.max(where=_is_last(visits)).cast("float64")
    mean_log = ratio(_log_sum(gap.cast("float64")), n)
    as_long = counted((gap >= visits.hiatus_days).fill_null(False))
    return {
        "gap_mean_days": mean,
        "gap_sd_days": sd,
        "gap_cv": ratio(sd, mean),
        "gap_max_days": longest,
        "gap_min_days": gap.min().cast("float64"),
        "gap_last_days": last,
        "gap_median_days": median,
        "hiatus_of_gap_mean": hiatus / _at_least_one(mean),
        "hiatus_of_gap_max": hiatus / _at_least_one(longest),
        "hiatus_of_gap_median": hiatus / _at_least_one(median),
        "hiatus_z": (hiatus - mean) / (sd + 3.0),
        "gap_rank": (as_long + 0.5) / (n + 1.0),
        "gap_last_of_mean": last / _at_least_one(mean),
        "hiatus_log_of_gap": log1p(hiatus) - mean_log,
    }


def windows(visits: ir.Table, spec: FeatureSpec) -> Columns:
    """Purchase days and money in trailing windows, shares of one window in the next, and changes."""
    age = visits.age_days
    count = {w: counted(age < w) for w in spec.windows_days}
    spend = {w: exact(visits.value, where=age < w) for w in spec.windows_days}
    columns: Columns = {}
    for w in spec.windows_days:
        columns |= {f"purchases_{w}d": count[w], f"spend_{w}d": spend[w]}
    for a, b in pairwise(spec.windows_days):
        columns[f"purchases_{a}d_of_{b}d"] = ratio(count[a], count[b])
        columns[f"spend_{a}d_of_{b}d"] = ratio(spend[a], spend[b])
    for w in spec.windows_days:
        if 2 * w <= spec.history_days:
            before = counted((age >= w) & (age < 2 * w))
            columns[f"purchases_change_{w}d"] = (count[w] - before) / (count[w] + before + 1.0).sqrt()
    return columns


def decays(visits: ir.Table, spec: FeatureSpec) -> Columns:
    """Exponentially forgotten purchase days and money, per day of the customer's (also forgotten) tenure."""
    columns: Columns = {}
    for h in spec.half_lives_days:
        weights = weight(visits.age_days, h)
        forgotten = (_tenure(visits) + 1.0) * (-1.0 / h)
        norm = (1.0 - ibis.literal(2.0) ** forgotten) / (1.0 - 2.0 ** (-1.0 / h)) + 3.0
        columns[f"decayed_purchases_{h}d"] = weights.sum().cast("float64") / WEIGHT_ONE / norm
        columns[f"decayed_spend_{h}d"] = weighted(visits.value, weights) / norm
    for a, b in RATIO_HALF_LIVES:
        if {a, b} <= set(spec.half_lives_days):
            name = f"decayed_purchases_{a}d_of_{b}d"
            columns[name] = ratio(columns[f"decayed_purchases_{a}d"], columns[f"decayed_purchases_{b}d"])
    return columns


def order_value(visits: ir.Table, money_scale: float) -> Columns:
    """Level, spread and trend of a purchase day's value."""
    value, days = visits.value, _days(visits)
    total = exact(value)
    mean = total / days
    greatest = value.max().cast("float64")
    variance = visits.deviation_squared.sum().cast("float64").fill_null(0.0) / days
    spread = greatest * variance.sqrt()
    last = exact(value, where=_is_last(visits))
    recent = _recent(visits, value)
    mean_log = _log_sum(value.cast("float64") / money_scale) / days
    return {
        "order_value_mean": mean,
        "order_value_sd": spread,
        "order_value_cv": ratio(spread, mean),
        "order_value_max": greatest,
        "order_value_last": last,
        "order_value_first": exact(value, where=visits.number == 0),
        "order_value_geo": expm1(mean_log) * money_scale,
        "order_value_recent": recent,
        "order_value_trend": ratio(recent, mean),
        "order_value_last_of_mean": ratio(last, mean),
        "spend_rate": total / (_tenure(visits) + SHRINK_DAYS),
        "order_value_log": log1p(mean / money_scale),
    }


def basket(visits: ir.Table, name: str, amount: ir.NumericValue) -> Columns:
    """Mean, last and recent size of a basket."""
    return {
        f"{name}_mean": exact(amount) / _days(visits),
        f"{name}_last": exact(amount, where=_is_last(visits)),
        f"{name}_recent": _recent(visits, amount),
    }


def variety(visits: ir.Table, name: str, distinct: ir.NumericValue, new: ir.NumericValue) -> Columns:
    """Different things in a basket, different things ever, and the share never bought before."""
    return basket(visits, name, distinct) | {
        f"{name}_distinct": exact(new),
        f"{name}_new_share": ratio(exact(new), exact(distinct)),
    }


def discounts(visits: ir.Table) -> Columns:
    """Money off, as a share of what the goods would have cost; 0 where nothing was charged."""
    lately = visits.age_days < DISCOUNT_WINDOW_DAYS
    full = visits.gross + visits.discount.fill_null(0)
    return {
        "discount_share": ratio(exact(visits.discount), exact(full)).fill_null(0.0),
        f"discount_share_{DISCOUNT_WINDOW_DAYS}d": ratio(
            exact(visits.discount, where=lately), exact(full, where=lately)
        ).fill_null(0.0),
    }


def return_columns(days: ir.Table, cutoff: date, spec: FeatureSpec) -> Columns:
    """Money given back, as a share of money taken, and days with a return per purchase day.

    `days` is :func:`churnlab.features.occasions.customer_days`: returns on days without a purchase count.
    """
    age = ibis.literal(cutoff).delta(days.day, unit="day")
    columns = {"returned_share": ratio(exact(days.returned), exact(days.gross)).fill_null(0.0)}
    for w in RETURN_WINDOWS_DAYS:
        if w <= spec.history_days:
            given_back, taken = exact(days.returned, where=age < w), exact(days.gross, where=age < w)
            columns[f"returned_share_{w}d"] = ratio(given_back, taken).fill_null(0.0)
    return columns | {"return_days_share": ratio(counted(days.returned > 0), counted(days.is_purchase))}


def calendar(visits: ir.Table, cutoff: date, horizon_days: int) -> Columns:
    """Days of the week, and the share of purchase days in the season that the horizon covers.

    The year is a circle of 365 days; 31 December of a leap year shares day 365 with the day before.
    """
    weekday = visits.day.day_of_week.index()
    start = min(cutoff.timetuple().tm_yday, 365)
    place = ibis.least(visits.day.day_of_year().cast("int64"), 365)
    in_season = (place - start - 1 + 730) % 365 < horizon_days
    return {
        "weekend_share": counted(weekday >= 5) / _days(visits),
        "weekday_last": weekday.max(where=_is_last(visits)).cast("float64"),
        "season_share": counted(in_season) / _days(visits),
    }


def channels(visits: ir.Table) -> Columns:
    """How many channels, and the share of purchase days through the last one (null if that is unknown)."""
    known = visits.channel_last.max().notnull()
    share = counted((visits.channel == visits.channel_last).fill_null(False)) / _days(visits)
    return {
        "channels_distinct": visits.channel.nunique().cast("float64"),
        "channel_last_share": known.ifelse(share, ibis.null("float64")),
    }


def _days(visits: ir.Table) -> ir.FloatingValue:
    return visits.count().cast("float64")


def _tenure(visits: ir.Table) -> ir.FloatingValue:
    return visits.age_days.max().cast("float64")


def _hiatus(visits: ir.Table) -> ir.FloatingValue:
    return visits.age_days.min().cast("float64")


def _is_last(visits: ir.Table) -> ir.BooleanValue:
    return visits.age_days == visits.hiatus_days


def _at_least_one(days: ir.FloatingValue) -> ir.FloatingValue:
    """max(days, 1), null for null: engines differ on greatest(null, 1)."""
    return (days < 1.0).ifelse(1.0, days)


def _log_sum(x: ir.FloatingValue) -> ir.FloatingValue:
    return log1p(x).cast(LOG_PLACES).sum().cast("float64")


def _recent(visits: ir.Table, amount: ir.NumericValue) -> ir.FloatingValue:
    """Mean that forgets by half in 60 days, counted from the last purchase so that no weight vanishes."""
    weights = weight(visits.age_days - visits.hiatus_days, RECENT_HALF_LIFE_DAYS)
    return weighted(amount, weights) / (weights.sum().cast("float64") / WEIGHT_ONE)
