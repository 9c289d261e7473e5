"""How a customer's id is recognised in tables and texts."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

OWNER = "customer_id"
"""The column of the customer that a row is about."""

MENTION = "referrer"
"""The column in which another customer's row names one."""

LINES = ("raw", "malformed")
"""Columns that hold a refused line's own text, whoever it was about."""

NOTE = "topic"
"""The column in which people write what they like."""

MOMENT = r"@\d{4}-\d\d-\d\d"
"""What follows the customer's id in the id that churnlab gives to an order without one."""


@dataclass(frozen=True)
class Hits:
    """How often a file names the wanted: rows about them, cells of others' rows, and places elsewhere.

    Rows and cells can be taken out one by one; what is elsewhere goes with the whole file or not at all.
    """

    rows: int = 0
    cells: int = 0
    elsewhere: int = 0

    def __add__(self, other: Hits) -> Hits:
        return Hits(self.rows + other.rows, self.cells + other.cells, self.elsewhere + other.elsewhere)

    @property
    def total(self) -> int:
        return self.rows + self.cells + self.elsewhere


@dataclass(frozen=True)
class Wanted:
    """The ids looked for, in every spelling under which a table may hold them.

    In `customer_id` and `referrer` an id is what the cell holds, no more and no less. In running text it is a
    word of its own; there a short id, or one of few digits, may as well be a figure or a label. So only
    telling ids are looked for: of seven characters and more, or of four and more with a letter.
    """

    ids: frozenset[str]

    @cached_property
    def telling(self) -> list[str]:
        return sorted(i for i in self.ids if len(i) >= 7 or (len(i) >= 4 and not _is_figure(i)))

    @cached_property
    def patterns(self) -> list[str]:
        """Regular expressions of RE2, for Arrow: a telling id in running text."""
        before = r"(^|[^\p{L}\p{N}_.@+-])"
        after = rf"($|[^\p{{L}}\p{{N}}_.@+-]|\.$|\.[^\p{{L}}\p{{N}}_]|{MOMENT})"
        return [f"{before}({any_of}){after}" for any_of in _alternatives(self.telling)]

    @cached_property
    def loose_patterns(self) -> list[str]:
        """Regular expressions of RE2: any id between characters that are neither letters nor digits."""
        before, after = r"(^|[^\p{L}\p{N}_])", r"($|[^\p{L}\p{N}_])"
        return [f"{before}({any_of}){after}" for any_of in _alternatives(self.ids)]

    @cached_property
    def _in_text(self) -> list[re.Pattern[str]]:
        before, after = r"(?<![\w.@+-])", rf"(?=$|[^\w.@+-]|\.(?!\w)|{MOMENT})"
        return [re.compile(f"{before}(?:{any_of}){after}") for any_of in _alternatives(self.telling)]

    @cached_property
    def _as_words(self) -> list[re.Pattern[str]]:
        return [re.compile(rf"(?<!\w)(?:{any_of})(?!\w)") for any_of in _alternatives(self.ids)]

    @cached_property
    def _in_fields(self) -> list[re.Pattern[str]]:
        key = rf'"(?:{OWNER}|{MENTION})"\s*:\s*'
        return [re.compile(f'{key}(?:"(?:{any_of})"|(?:{any_of})\\b)') for any_of in _alternatives(self.ids)]

    @cached_property
    def _in_elements(self) -> list[re.Pattern[str]]:
        return [re.compile(rf">\s*(?:{any_of})\s*<") for any_of in _alternatives(self.ids)]

    def in_text(self, text: str) -> int:
        """How often a text holds a telling id."""
        return _count(self._in_text, text)

    def in_json(self, text: str) -> int:
        """How often JSON names one, as the value of `customer_id` or `referrer` or as a telling word."""
        return max(_count(self._in_fields, text), self.in_text(text))

    def in_html(self, text: str) -> int:
        """How often a page shows one, alone in an element or as a telling word."""
        return max(_count(self._in_elements, text), self.in_text(text))

    def in_refused(self, text: str) -> bool:
        """Whether a refused line is about one of the wanted."""
        return any(pattern.search(text) for pattern in self._as_words) and self.in_raw_line(text)

    def in_raw_line(self, text: str) -> bool:
        """Whether a refused line that holds an id as a word is about one of the wanted.

        A line is JSON of its cells, or the text of a malformed row: there nobody knows which cell is which.
        """
        try:
            cells = json.loads(text)
        except ValueError:
            return True
        if not isinstance(cells, dict) or OWNER not in cells:
            return True
        return bool({str(cells[OWNER]), str(cells.get(MENTION))} & self.ids) or self.in_text(text) > 0


def _is_figure(text: str) -> bool:
    return re.fullmatch(r"[\d.,:/+-]+", text) is not None


def _count(patterns: Iterable[re.Pattern[str]], text: str) -> int:
    return sum(1 for pattern in patterns for _ in pattern.finditer(text))


def _alternatives(ids: Iterable[str]) -> Iterator[str]:
    """The ids as alternatives of a regular expression, as many at a time as RE2 compiles."""
    forms = iter(sorted({form for name in ids for form in _forms(name)}, key=lambda form: (-len(form), form)))
    while some := list(islice(forms, 200)):
        yield "|".join(re.escape(form) for form in some)


def _forms(name: str) -> set[str]:
    """An id as plain text and as JSON, HTML, CSV and SQL write it."""
    page = html.escape(name, quote=False)
    return {
        name,
        json.dumps(name)[1:-1],
        json.dumps(name, ensure_ascii=False)[1:-1],
        html.escape(name),
        page.replace("'", "&#39;").replace('"', "&#34;"),  # as Jinja writes them
        name.replace('"', '""'),
        name.replace("'", "''"),
    }
