"""DEFAULT: moments, random UUIDs, booleans, casts of literals, and the brackets that a target wants around the rest."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from nexusql.sql.lexical import SessionModes
from nexusql.sql.rules.casts import hexadecimal
from nexusql.sql.rules.ddl_reader import ColumnType, Table
from nexusql.sql.rules.ddl_text import Edits, code
from nexusql.sql.syntax import Rewrite
from nexusql.sql.tokens import Tokens

_NOW = frozenset(
    "NOW CURRENT_TIMESTAMP LOCALTIMESTAMP STATEMENT_TIMESTAMP TRANSACTION_TIMESTAMP CLOCK_TIMESTAMP".split()
)
_MOMENTS = {**dict.fromkeys(_NOW, "NOW"), "CURRENT_DATE": "DATE", "CURRENT_TIME": "TIME", "LOCALTIME": "TIME"}
_WORDS = frozenset("CURRENT_TIMESTAMP LOCALTIMESTAMP CURRENT_DATE CURRENT_TIME LOCALTIME".split())  # need no brackets
_COMMON = frozenset(("CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME"))  # words that all databases know
_TIMESTAMPS = frozenset(("TIMESTAMP", "TIMESTAMPTZ"))
_TIMES = frozenset(("TIME", "TIMETZ"))
_UUIDS = frozenset(("GEN_RANDOM_UUID", "UUID_GENERATE_V4"))
_REFUSED = frozenset("CURRENT_USER SESSION_USER USER CURRENT_ROLE CURRENT_CATALOG CURRENT_SCHEMA NEXTVAL".split())
_BOOLEANS = {
    **dict.fromkeys(("'true'", "'t'", "'yes'", "'y'", "'on'", "'1'", "true"), True),
    **dict.fromkeys(("'false'", "'f'", "'no'", "'n'", "'off'", "'0'", "false"), False),
}
_CASTS = re.compile(r"""(?:::\ *[\w."]+(?:\ \w+)*(?:\ *\([\d, ]+\))?(?:\ \w+)*(?:\ *\[\d*\])*\ *)+""")


@dataclass(frozen=True, slots=True)
class Defaults:
    """The pass for defaults.

    `moments` has the target's text for NOW, UTC (now, in UTC), DATE, TIME and MIDNIGHT (today, as a timestamp), and may
    have one for a type, `NOW TIMESTAMPTZ`; in it, `{precision}` stands for the digits that the column keeps of a
    second. `uuid` gives an expression for a random UUID; `false_true` has the words for FALSE and TRUE where these are
    none;
    `bracketed` are canonical types whose literals need brackets; `bytes_of` makes bytes of a string where one does not
    by itself, and `hexadecimal` of one in hexadecimal. `native_now` says that NOW() is the target's own too, so that a
    native column may mean that.
    """

    moments: Mapping[str, str]
    uuid: Callable[[SessionModes], str]
    false_true: tuple[str, str] | None = None
    bracketed: frozenset[str] = frozenset()
    bytes_of: str = ""
    hexadecimal: Callable[[str], str | None] = hexadecimal
    native_now: bool = False

    def __call__(self, rewrite: Rewrite, table: Table, edits: Edits) -> None:
        """Rewrite the defaults of the columns that a statement defines."""
        for column in table.columns:
            for clause in column.clauses:
                if table.native and self.native_now and clause.kind in ("DEFAULT", "ON UPDATE"):
                    edits.freeze(clause.body, clause.end)
                elif clause.kind == "DEFAULT":
                    start = rewrite.tokens.next(clause.body)
                    self.rewrite(rewrite, edits, start, clause.end, column.type, native=table.native)

    def rewrite(
        self, rewrite: Rewrite, edits: Edits, start: int, end: int, kind: ColumnType, *, native: bool = False
    ) -> None:
        """Rewrite the value between two positions for a column of a type.

        In a `native` statement, or for a native type, what may be the target's own stays.
        """
        tokens = rewrite.tokens
        first, last = _without_brackets(tokens, start, end)
        value_end = _without_cast(tokens, first, last)
        moment = _moment(tokens, first, value_end)
        # PostgreSQL has no DATETIME: who writes it means what the target means by it, and by NOW() beside it.
        native = native or kind.name == "DATETIME"
        if moment and native and (self.native_now or tokens.word(first) in _COMMON):
            edits.freeze(start, end)
            return
        said = self._said(rewrite, first, value_end, kind, moment, native=native)
        if said is not None:
            if said != tokens.text(start, end):
                edits.swap(start, end, said)
            edits.freeze(start, end)
        elif _is_constant(tokens, first, value_end):
            if value_end < last:
                edits.drop(value_end, last)
            bracketed = kind.name in self.bracketed and kind.arguments < 0
            if first == start and bracketed and tokens.word(first) != "NULL":
                edits.insert(start, "(")
                edits.insert(end, ")")
        elif first == start and not (first + 1 == end and tokens.kind(first) == "w"):
            edits.insert(start, "(")
            edits.insert(end, ")")

    def _said(
        self, rewrite: Rewrite, start: int, end: int, kind: ColumnType, moment: str | None, *, native: bool
    ) -> str | None:
        """The target's text for a value that it says in another way, else None."""
        tokens = rewrite.tokens
        word, text = tokens.word(start), tokens.text(start, end)
        if word in _REFUSED:
            raise rewrite.refuse(f"DEFAULT {text} has no equivalent here", start)
        if kind.array:
            return self._array(rewrite, start, end)
        if moment is not None:
            return self._moment(moment, _precision(tokens, kind), kind)
        if word in _UUIDS and _is_call(tokens, start, end):
            return f"({self.uuid(rewrite.modes)})"
        if native:
            return None
        if kind.name == "BYTEA" and tokens.kind(start) == "'" and start + 1 == end:
            return self._bytes(rewrite, start)
        if text.lower() in _BOOLEANS and (kind.name == "BOOLEAN" if not word else self.false_true is not None):
            return (self.false_true or ("FALSE", "TRUE"))[_BOOLEANS[text.lower()]]
        return None

    def _moment(self, moment: str, precision: str, kind: ColumnType) -> str:
        """The text for a moment at a column of a type, which decides how much of it is kept."""
        if kind.name == "DATE":
            moment = "DATE"
        elif kind.name in _TIMES:
            moment = "TIME"
        elif kind.name in _TIMESTAMPS and moment == "DATE":
            moment = "MIDNIGHT"
        said = self.moments.get(f"{moment} {kind.name}", self.moments[moment]).format(precision=precision)
        # MySQL takes CURRENT_TIMESTAMP without brackets at a timestamp only.
        return f"({said})" if said[-1] == ")" and said[0] != "(" and kind.name not in _TIMESTAMPS else said

    def _bytes(self, rewrite: Rewrite, position: int) -> str | None:
        """The text for bytes, which PostgreSQL writes as a string, in hexadecimal or as they are."""
        text = rewrite.tokens[position].text
        if text[0] != "'":
            return None
        said = self.hexadecimal(text)
        if said is None:
            if "\\" in text:
                raise rewrite.refuse("give these bytes in hexadecimal, as '\\x0aff'", position)
            return f"({self.bytes_of.format(text)})" if self.bytes_of else None
        return f"({said})" if "BYTEA" in self.bracketed else said

    def _array(self, rewrite: Rewrite, start: int, end: int) -> str | None:
        """The text for an array, which is JSON here; only the empty one can be told for sure."""
        tokens = rewrite.tokens
        text = "".join(token.text for token in tokens[start:end] if token.kind not in " -").upper()
        if text == "NULL":
            return None
        if text in ("'{}'", "ARRAY[]"):
            return "('[]')" if "ARRAY" in self.bracketed else "'[]'"
        raise rewrite.refuse("an array is JSON here; give this default natively, as '[1, 2]'", start)


def _without_brackets(tokens: Tokens, start: int, end: int) -> tuple[int, int]:
    """The bounds of what stands in brackets that hold all of an expression, or the expression's own."""
    while tokens.kind(start) == "(" and tokens.close(start) == end - 1:
        start, end = tokens.next(start), tokens.prev(end - 1) + 1
    return start, end


def _without_cast(tokens: Tokens, start: int, end: int) -> int:
    """Where a constant ends that is cast between two positions (`'{}'::jsonb`), or the end itself."""
    cast = next((i for i in range(start, end) if tokens.kind(i) == "t"), end)
    value_end = tokens.prev(cast) + 1
    if cast == end or not (_is_constant(tokens, start, value_end) or tokens.word(start) == "ARRAY"):
        return end
    return value_end if _CASTS.fullmatch("".join(token.text for token in code(tokens, cast, end))) else end


def _is_constant(tokens: Tokens, start: int, end: int) -> bool:
    """True for a literal, a signed number, NULL, TRUE and FALSE."""
    if tokens.kind(start) == "o" and tokens[start].text in "+-":
        start = tokens.next(start)
        return start + 1 == end and tokens.kind(start) == "0"
    return start + 1 == end and (tokens.kind(start) in "'0" or tokens.word(start) in ("NULL", "TRUE", "FALSE"))


def _is_call(tokens: Tokens, start: int, end: int) -> bool:
    """True for a function's name and its arguments, and nothing else."""
    opener = tokens.next(start)
    return opener < end and tokens.kind(opener) == "(" and tokens.close(opener) == end - 1


def _moment(tokens: Tokens, start: int, end: int) -> str | None:
    """Which moment an expression is: NOW, UTC, DATE or TIME; None for anything else."""
    if tokens.word(start) == "TIMEZONE" and _is_call(tokens, start, end):
        opener = tokens.next(start)
        parts = list(tokens.items(opener + 1, end - 1))
        if len(parts) == 2 and _is_utc(tokens, *parts[0]):
            inner = tokens.next(parts[1][0] - 1), tokens.prev(parts[1][1]) + 1
            return "UTC" if _moment(tokens, *inner) == "NOW" else None
        return None
    zone = tokens.find("AT", "TIME", "ZONE", start=start, end=end)
    if zone >= 0:
        inner = _without_brackets(tokens, start, tokens.prev(zone) + 1)
        utc = _is_utc(tokens, tokens.after(zone, "AT", "TIME", "ZONE"), end)
        return "UTC" if utc and _moment(tokens, *inner) == "NOW" else None
    word = tokens.word(start)
    return _MOMENTS.get(word) if (start + 1 == end and word in _WORDS) or _is_call(tokens, start, end) else None


def _is_utc(tokens: Tokens, start: int, end: int) -> bool:
    return tokens.text(start, end).strip().lower() == "'utc'"


def _precision(tokens: Tokens, kind: ColumnType) -> str:
    """Digits of a second that a column keeps."""
    if kind.arguments < 0 or kind.name not in _TIMESTAMPS | _TIMES:
        return "6"
    digits = tokens.next(kind.arguments)
    return tokens.text(digits, digits + 1)
