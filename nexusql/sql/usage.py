"""How a statement uses its parameters: which stand alone in IN, which are compared, which are assigned to a column."""

from collections.abc import Iterator

from nexusql.sql.statement import Insert
from nexusql.sql.tokens import Tokens

_COMPARISONS = frozenset(("=", "==", "<>", "!=", "<", ">", "<=", ">=", "<=>"))
_CLAUSE_ENDS = frozenset(("WHERE", "FROM", "RETURNING", "ORDER", "LIMIT", "OUTPUT", "OPTION", "ON"))
_MODIFIERS = frozenset(
    ("OR", "REPLACE", "ABORT", "ROLLBACK", "FAIL", "IGNORE", "LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "INTO", "ONLY")
)
_NOT_AN_UPDATE = frozenset(("FOR", "ON", "OR", "BEFORE", "AFTER", "OF", "NO"))


def list_bounds(tokens: Tokens, i: int) -> tuple[int, int] | None:
    """Bounds of the `[NOT] IN (:name)` whose only item is the placeholder at i; None where it is not one."""
    opening, closing = tokens.prev(i), tokens.next(i)
    if tokens.kind(opening) != "(" or tokens.kind(closing) != ")":
        return None
    start = tokens.prev(opening)
    if tokens.word(start) != "IN":
        return None
    negation = tokens.prev(start)
    return negation if tokens.word(negation) == "NOT" else start, closing + 1


def compared(tokens: Tokens) -> set[int]:
    """Positions of the placeholders that by themselves are an operand of a comparison or BETWEEN, or an item of IN."""
    found: set[int] = set()
    # For each open parenthesis: whether it holds the items of IN; and whether a BETWEEN waits for its AND.
    in_list, between = [False], [False]
    upper = -1
    for i, token in enumerate(tokens):
        kind = token.kind
        if kind in ("(", "["):
            in_list.append(tokens.word(tokens.prev(i)) == "IN")
            between.append(False)
        elif kind in (")", "]") and len(between) > 1:
            in_list.pop()
            between.pop()
        elif kind == "w":
            word = token.text.upper()
            if word == "BETWEEN":
                between[-1] = True
            elif word == "AND" and between[-1]:
                between[-1] = False
                upper = i
        elif kind == ":":
            before, after = tokens.prev(i), tokens.next(i)
            left, right = _operator_ending(tokens, before), _operator_starting(tokens, after)
            beside = (
                left in _COMPARISONS
                or right in _COMPARISONS
                or before == upper
                or tokens.word(before) == "BETWEEN"
                or tokens.word(after if tokens.word(after) != "NOT" else tokens.next(after)) in ("BETWEEN", "IN")
                or (in_list[-1] and tokens.kind(before) in ("(", ",") and tokens.kind(after) in (")", ","))
            )
            # `:day` in `ts > :day - INTERVAL '1 day'` is no operand of the comparison, nor is one that is cast.
            if beside and {left, right} <= _COMPARISONS | {""} and tokens.kind(after) != "t":
                found.add(i)
    return found


def _operator_ending(tokens: Tokens, i: int) -> str:
    end = i + 1
    while tokens.kind(i) == "o":
        i -= 1
    return tokens.text(i + 1, end)


def _operator_starting(tokens: Tokens, i: int) -> str:
    end = i
    while tokens.kind(end) == "o":
        end += 1
    return tokens.text(i, end)


def assigned(tokens: Tokens) -> dict[int, tuple[str, str]]:
    """The placeholders that are a whole value for a column: position -> (table, column), both as written.

    They are items of VALUES directly behind `INSERT INTO t (columns)`, and values of SET in UPDATE and in an upsert.
    """
    found: dict[int, tuple[str, str]] = {}
    table = ""
    for i, token in enumerate(tokens):
        if token.kind != "w" or len(token.text) not in (6, 7):
            continue
        word = token.text.upper()
        after = tokens.next(i)
        if word in ("INSERT", "REPLACE") and tokens.kind(after) != "(":
            table, rows = _inserted(tokens, after)
            found.update(rows)
        elif word == "UPDATE":
            if tokens.word(after) == "SET":
                found.update(_set(tokens, tokens.next(after), table))
            elif tokens.word(tokens.prev(i)) == "KEY":
                found.update(_set(tokens, after, table))
            elif tokens.word(tokens.prev(i)) not in _NOT_AN_UPDATE:
                name, start = _updated(tokens, after)
                found.update(_set(tokens, start, name))
    return found


def plain_insert(tokens: Tokens) -> Insert | None:
    """What a statement inserts where it is a plain INSERT of one row of placeholders; None for any other."""
    i = tokens.after(tokens.next(-1), "INSERT", "INTO")
    if i < 0:
        return None
    end = _name_end(tokens, i)
    table = tokens.text(i, end)
    opening = tokens.next(end - 1)
    if end == i or tokens.kind(opening) != "(":
        return None
    closing = tokens.close(opening)
    columns = [tokens.text(*_trim(tokens, *item)) for item in tokens.items(opening + 1, closing)]
    opening = tokens.after(tokens.next(closing), "VALUES")
    if opening < 0 or tokens.kind(opening) != "(":
        return None
    closing = tokens.close(opening)
    items = [_trim(tokens, *item) for item in tokens.items(opening + 1, closing)]
    lone = all(stop == start + 1 and tokens.kind(start) == ":" for start, stop in items)
    rest = tokens.next(closing)
    if tokens.kind(rest) == ";":
        rest = tokens.next(rest)
    if not columns or not lone or len(items) != len(columns) or rest < len(tokens):
        return None
    return Insert(table, tuple(columns))


def _name_end(tokens: Tokens, i: int) -> int:
    """Position behind the dotted name that starts at i; i where none does, as where the session reads `".."` as text:
    the rules make a name of that, but the catalogue is not asked for it."""
    while tokens.kind(i) in ("w", '"'):
        if tokens.kind(tokens.next(i)) != ".":
            return i + 1
        i = tokens.next(tokens.next(i))
    return i


def _alias_end(tokens: Tokens, i: int) -> int:
    """Position of the first token of code from i that is no alias."""
    i = tokens.next(i - 1)
    if tokens.word(i) == "AS":
        return tokens.next(tokens.next(i))
    named = tokens.kind(i) in ("w", '"') and tokens.word(i) not in ("SET", "VALUES", "VALUE", "OVERRIDING")
    return tokens.next(i) if named else i


def _written(tokens: Tokens, i: int) -> tuple[str, int]:
    """The table, as written, of the statement whose first token behind the verb is at i, and where its rest starts."""
    while tokens.word(i) in _MODIFIERS:
        i = tokens.next(i)
    end = _name_end(tokens, i)
    return tokens.text(i, end), _alias_end(tokens, end)


def _inserted(tokens: Tokens, i: int) -> tuple[str, dict[int, tuple[str, str]]]:
    """The table of the INSERT whose first token behind the verb is at i, and what its VALUES assign."""
    table, i = _written(tokens, i)
    if tokens.kind(i) != "(":
        return table, {}
    closing = tokens.close(i)
    columns = [tokens.text(*_trim(tokens, start, stop)) for start, stop in tokens.items(i + 1, closing)]
    i = tokens.next(closing)
    if tokens.word(i) == "OVERRIDING":
        i = tokens.next(tokens.next(tokens.next(i)))
    if tokens.word(i) not in ("VALUES", "VALUE"):
        return table, {}
    return table, dict(_rows(tokens, tokens.next(i), table, columns))


def _rows(tokens: Tokens, i: int, table: str, columns: list[str]) -> Iterator[tuple[int, tuple[str, str]]]:
    while tokens.kind(i) == "(":
        closing = tokens.close(i)
        for column, (start, stop) in zip(columns, tokens.items(i + 1, closing), strict=False):
            start, stop = _trim(tokens, start, stop)
            if stop == start + 1 and tokens.kind(start) == ":":
                yield start, (table, column)
        i = tokens.next(closing)
        if tokens.kind(i) == ",":
            i = tokens.next(i)


def _updated(tokens: Tokens, i: int) -> tuple[str, int]:
    """The table of the UPDATE whose first token behind the verb is at i, and where its assignments start."""
    table, i = _written(tokens, i)
    return (table, tokens.next(i)) if tokens.word(i) == "SET" else ("", len(tokens))


def _set(tokens: Tokens, i: int, table: str) -> Iterator[tuple[int, tuple[str, str]]]:
    """What the assignments `column = value, ..` that start at i assign."""
    while i < len(tokens):
        end = _name_end(tokens, i)
        operator = tokens.next(end - 1)
        if end == i or not tokens.op(operator, "="):
            return
        value = tokens.next(operator)
        after = tokens.next(value)
        whole = tokens.kind(after) in ("", ",", ")", ";") or tokens.word(after) in _CLAUSE_ENDS
        if whole and tokens.kind(value) == ":":
            yield value, (table, tokens.text(i, end))
        i = tokens.next(_value_end(tokens, value))


def _value_end(tokens: Tokens, i: int) -> int:
    """Position of the comma that ends the assigned value at i; len(tokens) where it is the last."""
    while i < len(tokens):
        kind = tokens.kind(i)
        if kind == ",":
            return i
        if kind in (")", ";") or (kind == "w" and tokens.word(i) in _CLAUSE_ENDS):
            break
        i = tokens.skip(i)
    return len(tokens)


def _trim(tokens: Tokens, start: int, end: int) -> tuple[int, int]:
    """The bounds without the blanks and comments at both ends."""
    first = tokens.next(start - 1)
    return (first, tokens.prev(end) + 1) if first < end else (end, end)
