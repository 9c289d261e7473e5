"""The profile of a source as one self-contained HTML page."""

from __future__ import annotations

from markupsafe import Markup

from churnlab.features.profile import Profile
from churnlab.report.figures import piece, plotly_script
from churnlab.report.profile_figures import profile_figures
from churnlab.report.templating import environment

HEIGHT_PX = 320


def render(profile: Profile, title: str, currency_symbol: str) -> str:
    """The page as HTML text.

    No file, font or script is loaded from elsewhere, and equal input gives equal text.

    Parameters
    ----------
    profile
        What is shown; no customer is in it.
    title
        Whose data these are.
    currency_symbol
        Printed before money; "" for none.
    """
    shop = profile.shop
    drawn = profile_figures(shop, profile.horizon_days) if shop else {}
    typical = shop.figures.average_order_value if shop else None
    return (
        environment(currency_symbol, typical)
        .get_template("profile.html.j2")
        .render(
            title=title,
            profile=profile,
            rows=profile.rows,
            shop=shop,
            figures={name: piece(figure, name, HEIGHT_PX) for name, figure in drawn.items()},
            plotly_script=plotly_script() if drawn else Markup(""),
        )
    )
