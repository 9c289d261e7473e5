"""The profile of a source in a few lines on a terminal."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from churnlab.features.profile import Profile, Rows, Shop


def show(profile: Profile, console: Console) -> None:
    """Rows, customers, period, what was set aside, the proposed horizon and why; no id of a customer."""
    rows, shop = profile.rows, profile.shop
    console.print(
        f"{rows.read:,} rows read, {rows.accepted:,} accepted, {rows.quarantined:,} set aside "
        f"({rows.share_quarantined:.1%})",
        soft_wrap=True,
    )
    if rows.refused:
        console.print(_set_aside(rows))
    if shop is None:
        console.print("No purchase is among the accepted rows: nothing more can be said.", soft_wrap=True)
        return
    _show_shop(shop, console)
    for sentence in profile.cautions:
        console.print(f"Caution: {sentence}", markup=False, soft_wrap=True)


def _set_aside(rows: Rows) -> Table:
    table = Table(title="Set aside", title_justify="left", box=SIMPLE_HEAD)
    for name, side in (("reason", "left"), ("rows", "right"), ("share", "right"), ("first place", "left")):
        table.add_column(name, justify="right" if side == "right" else "left")
    for found in rows.refused:
        place = f"{found.first_file}, row {found.first_row:,}"
        table.add_row(escape(found.reason), f"{found.rows:,}", f"{found.share:.2%}", escape(place))
    return table


def _show_shop(shop: Shop, console: Console) -> None:
    found, proposed = shop.figures, shop.suggestion
    console.print(
        f"{found.customers:,} customers placed {found.orders:,} orders from {shop.first_day} to "
        f"{shop.last_day}; {found.repeat_customer_rate:.0%} of them more than one",
        soft_wrap=True,
    )
    if proposed.horizon_days is None:
        console.print("No horizon is proposed:", soft_wrap=True)
    else:
        sure = "" if proposed.certain else " (with reservations)"
        console.print(f"Proposed features.horizon_days: {proposed.horizon_days}{sure}", soft_wrap=True)
    for sentence in proposed.reasoning:
        console.print(f"  - {sentence}", markup=False, soft_wrap=True)
