"""DuckDB's functions and regular expressions in Spark's words."""

from __future__ import annotations

import re
from typing import Any

import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.pyspark import PySparkCompiler
from ibis.backends.sql.datatypes import PySparkType

from churnlab.errors import ConfigError
from churnlab.spark.functions import FUNCTIONS

PIECE = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]])*\]|\(\?i\)|\$", re.DOTALL)
ISO_PATTERNS = {"%Y-%m-%dT%H:%M:%S.%f": "yyyy-MM-dd'T'HH:mm:ss.SSSSSS"}
TINY = r"^-?[5-9][0-9.]*[eE]-([0-9]+)$"
JAVA = {"(?i)": "(?iu)", "$": r"\z"}


class Types(PySparkType):  # type: ignore[misc]
    """A moment is the reading of a clock, an instant has a time zone."""

    @classmethod
    def _from_ibis_Timestamp(cls, dtype: dt.Timestamp) -> sge.DataType:
        kind = sge.DataType.Type
        return sge.DataType(this=kind.TIMESTAMPNTZ if dtype.timezone is None else kind.TIMESTAMPLTZ)


class Compiler(PySparkCompiler):  # type: ignore[misc]
    """Expressions of churnlab as Spark's SQL, with the answers that DuckDB gives."""

    __slots__ = ()
    type_mapper = Types

    def visit_RegexSearch(self, op: Any, *, arg: Any, pattern: Any) -> Any:
        """Whether the pattern is found."""
        return self.f.anon.regexp_like(arg, _java(op.pattern))

    def visit_RegexReplace(self, op: Any, *, arg: Any, pattern: Any, replacement: Any) -> Any:
        """All that the pattern finds, replaced."""
        new = re.sub(r"\\(\d)", r"$\1", op.replacement.value.replace("$", r"\$"))
        return self.f.anon.regexp_replace(arg, _java(op.pattern), sge.convert(new))

    def visit_RegexExtract(self, op: Any, *, arg: Any, pattern: Any, index: Any) -> Any:
        """The first that the pattern finds; "" if nothing, as in DuckDB."""
        return self.f.anon.regexp_extract(arg, _java(op.pattern), index)

    def visit_Hash(self, op: Any, *, arg: Any) -> Any:
        """Of 64 bits: with 32 some of 100,000 lines would be alike by chance."""
        return self.f.anon.xxhash64(arg)

    def visit_ArrayIndex(self, op: Any, *, arg: Any, index: Any) -> Any:
        """Null beyond the end; Spark counts from 1, in 32 bits."""
        return self.f.anon.try_element_at(arg, self.cast(index + 1, dt.int32))

    def visit_GroupConcat(self, op: Any, *, arg: Any, sep: Any, where: Any, order_by: Any) -> Any:
        """In the order of the texts themselves, the one order that churnlab asks for."""
        if not order_by:
            return super().visit_GroupConcat(op, arg=arg, sep=sep, where=where, order_by=order_by)
        assert where is None and [key.arg for key in op.order_by] == [op.arg]
        return self.f.anon.array_join(self.f.anon.array_sort(self.f.anon.collect_list(arg)), sep)

    def visit_Cast(self, op: Any, *, arg: Any, to: Any) -> Any:
        """As JSON every field is told, null or not."""
        if to.is_json() and not op.arg.dtype.is_string():
            keep = self.f.anon.map(sge.convert("ignoreNullFields"), sge.convert("false"))
            return self.f.anon.to_json(arg, keep)
        if to.is_decimal() and op.arg.dtype.is_string():
            number = op.arg.arg if isinstance(op.arg, ops.Cast) else None
            plain = number is not None and number.dtype.is_floating()  # then any spelling of it will do
            return self._decimal(self.cast(arg.expressions[0], dt.string) if plain else arg, to)
        if to.is_string() and op.arg.dtype.is_floating():
            return self.f.anon.duckdb_spelt(arg)
        return super().visit_Cast(op, arg=arg, to=to)

    def visit_Strftime(self, op: Any, *, arg: Any, format_str: Any) -> Any:
        """The T of ISO 8601 is a letter of Spark's patterns as well."""
        known = ISO_PATTERNS.get(format_str.this)
        if known is None:
            return super().visit_Strftime(op, arg=arg, format_str=format_str)
        return self.f.anon.date_format(arg, sge.convert(known))

    def visit_TryCast(self, op: Any, *, arg: Any, to: Any) -> Any:
        """Null where the text is none of the kind."""
        return self._tried(arg, to)

    def _tried(self, arg: Any, to: Any) -> Any:
        return sge.TryCast(this=arg, to=self.type_mapper.from_ibis(to), safe=True)

    def _decimal(self, text: Any, to: Any) -> Any:
        """DuckDB makes one unit of the last place of 5e-20 too: it rounds by the first digit, wherever."""
        places = self.f.anon.regexp_extract(text, sge.convert(TINY), 1)
        unit = self.cast(sge.convert(f"1E-{to.scale}"), to)
        signed = self.if_(self.f.left(text, 1).eq("-"), -unit, unit)
        is_tiny = self._tried(places, dt.int32) > to.scale + 1
        return self.if_(is_tiny, signed, self.cast(text, to))

    def visit_ScalarUDF(self, op: Any, **arguments: Any) -> Any:
        """DuckDB's functions: by Spark's own where that gives the same, else by DuckDB in Spark's workers."""
        name, told = op.__func_name__, list(arguments.values())
        if name == "timezone" and op.dtype.timezone is None:  # an instant has one reading on any clock
            return self.cast(self.f.anon.from_utc_timestamp(told[1], told[0]), op.dtype)
        if name in FUNCTIONS:
            return self.f.anon[f"duckdb_{name}"](*told)
        return super().visit_ScalarUDF(op, **arguments)


def _java(pattern: Any) -> sge.Expression:
    """A pattern of RE2 as one of Java: `$` is the very end, and (?i) holds for every script.

    Raises
    ------
    ConfigError
        The pattern is not written in the expression.
    """
    if not isinstance(pattern, ops.Literal):
        raise ConfigError(
            "engine.backend: spark cannot search for patterns that stand in a table: use duckdb"
        )
    java = PIECE.sub(lambda found: JAVA.get(found[0], found[0]), pattern.value)
    return sge.convert(java)


compiler = Compiler()
