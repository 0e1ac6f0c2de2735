"""Which tokens are parameters, and the driver text in which each is a placeholder."""

from dataclasses import dataclass, field
from typing import NamedTuple

from nexusql.errors import ParameterError
from nexusql.sql.lexical import Lexical
from nexusql.sql.statement import Assigned, Style
from nexusql.sql.syntax import Syntax
from nexusql.sql.tokens import Token, Tokens, locate, syntax_error
from nexusql.sql.usage import assigned, compared, list_bounds

_OPERAND_ENDS = "w0'\")]:?%@"


@dataclass(slots=True)
class Placed:
    """The parameters of a source: the name of each by its offset, and which value of a sequence it takes."""

    names: dict[int, str] = field(default_factory=dict)
    values: dict[int, int] | None = None
    count: int = 0

    def order(self, starts: tuple[int, ...]) -> tuple[int, ...] | None:
        """For placeholders that come from these offsets the indexes of their values; None where they just follow."""
        if self.values is None:
            return None
        order = tuple([self.values[start] for start in starts])
        return None if order == tuple(range(self.count)) else order


class PlaceholderError(ParameterError):
    """A statement has a placeholder that does not go with the kind of its parameters, whatever their values."""


def parameter_error(sql: str, message: str, offset: int) -> PlaceholderError:
    """The error for a placeholder, told by line and column."""
    line, column = locate(sql, offset)
    error = PlaceholderError(f"{message} (line {line}, column {column})")
    error.sql = sql
    return error


def place(
    tokens: Tokens, syntax: Syntax, rules: Lexical, style: Style, lengths: tuple[int, ...] | None, sql: str
) -> Placed:
    """Decide which tokens are the parameters: all these, and nothing else, are of kind `:` afterwards.

    Raises ParameterError for a placeholder that the style does not serve, and for a count that does not fit.
    """
    names: list[int] = []
    marks: list[int] = []
    for i, token in enumerate(tokens):
        if token.kind == ":":
            names.append(i)
        elif token.kind == "?" or (token.kind == "%" and not _is_modulo(tokens, i, style)):
            marks.append(i)
        elif token.kind == "@" and rules & Lexical.DOLLAR_VARIABLES:
            raise parameter_error(sql, f"{token.text} would be bound behind your back; write :name", token.start)
    if style is Style.SEQUENCE:
        placed, chosen = _positional(tokens, names, marks, syntax, rules, lengths[0] if lengths else 0, sql)
    else:
        # sqlite3 and pyodbc would bind each themselves; to the others one can also be an operator.
        unserved = marks if syntax.placeholder == "?" else [i for i in marks if _stands_for_value(tokens, i)]
        if rules & Lexical.SUBSCRIPTS:
            unserved = [i for i in unserved if not _names_operator(tokens, i)]
        if unserved:
            raise _unserved(tokens[unserved[0]], style, sql)
        if "%(" in sql:
            _refuse_pyformat(tokens, sql)
        placed = Placed({tokens[i].start: tokens[i].text[1:] for i in names})
        chosen = names
    for i in chosen:
        tokens[i].kind = ":"
    for i in range(len(tokens) - 1, -1, -1):
        token = tokens[i]
        if token.kind == "?":
            token.kind = "o"
        elif token.kind == "%":
            tokens[i : i + 1] = [Token("o", "%", token.start), Token("w", "s", token.start + 1)]
    return placed


def _is_modulo(tokens: Tokens, i: int, style: Style) -> bool:
    """True where `%s` is a remainder by a column s: it touches an operand; without a sequence, it follows one."""
    return _ends_operand(tokens, i - 1 if style is Style.SEQUENCE else tokens.prev(i))


def _stands_for_value(tokens: Tokens, i: int) -> bool:
    """True where a `?` or `%s` follows no operand, and is no part of a longer operator, as in PostgreSQL's `@?`."""
    return not _ends_operand(tokens, tokens.prev(i)) and tokens.kind(i - 1) != "o" and tokens.kind(i + 1) != "o"


def _ends_operand(tokens: Tokens, i: int) -> bool:
    kind = tokens.kind(i)
    if kind == "" or kind not in _OPERAND_ENDS:
        return False
    return tokens.word(i) not in _BEFORE_VALUES or tokens.kind(tokens.prev(i)) == "."


def _names_operator(tokens: Tokens, i: int) -> bool:
    """True where PostgreSQL reads the name of an operator at i: in OPERATOR(..), and where one is defined."""
    first = tokens.next(-1)
    if tokens.word(first) in ("CREATE", "ALTER", "DROP") and tokens.word(tokens.next(first)) == "OPERATOR":
        return True
    before = tokens.prev(i)
    while tokens.kind(before) in ("w", '"', "."):
        before = tokens.prev(before)
    return tokens.kind(before) == "(" and tokens.word(tokens.prev(before)) == "OPERATOR"


_BEFORE_VALUES = frozenset(
    "ALL AND ANY BETWEEN BY CASE DISTINCT ELSE FROM HAVING ILIKE IN IS LIKE LIMIT NOT OFFSET ON OR RETURNING "
    "SELECT SET THEN VALUES WHEN WHERE".split()
)


def _unserved(token: Token, style: Style, sql: str) -> ParameterError:
    if style is Style.NAMED:
        message = f"{token.text} takes its value by position, but the parameters are named; write :name"
    else:
        message = f"{token.text} has no value; pass a list or a tuple"
    return parameter_error(sql, message, token.start)


def _refuse_pyformat(tokens: Tokens, sql: str) -> None:
    """Refuse the `%(name)s` of drivers where a value must stand; elsewhere it is a remainder with an alias s."""
    for i, token in enumerate(tokens):
        if token.text == "%" and [t.kind for t in tokens[i + 1 : i + 5]] == ["(", "w", ")", "w"]:
            name, after = tokens[i + 2].text, tokens[i + 4].text
            if after == "s" and not _ends_operand(tokens, tokens.prev(i)):
                raise parameter_error(sql, f"%({name})s is a driver's way; write :{name}", token.start)


def _positional(
    tokens: Tokens, names: list[int], marks: list[int], syntax: Syntax, rules: Lexical, count: int, sql: str
) -> tuple[Placed, list[int]]:
    """The parameters for a sequence of `count` values: `%s` and `?`, or `:name` in order of appearance."""
    percents = [i for i in marks if tokens[i].kind == "%"]
    questions = len(marks) - len(percents)
    if rules & Lexical.SUBSCRIPTS and (percents or names or len(marks) != count):
        marks = percents  # PostgreSQL's ? is an operator
    for i in marks:
        if tokens[i].text not in ("?", "%s"):
            raise parameter_error(sql, f"{tokens[i].text} would be bound behind your back; write ?", tokens[i].start)
        if names or 0 < len(percents) < len(marks):
            other = names[0] if names else next(k for k in marks if tokens[k].kind != tokens[marks[0]].kind)
            raise parameter_error(
                sql, f"{tokens[marks[0]].text} and {tokens[other].text} are mixed; use one kind", tokens[other].start
            )
    if marks:
        if len(marks) != count:
            raise _miscounted(sql, len(marks), "", count)
        starts = [tokens[i].start for i in marks]
        return (
            Placed({start: str(n + 1) for n, start in enumerate(starts)}, {s: n for n, s in enumerate(starts)}, count),
            marks,
        )
    by_offset = {tokens[i].start: tokens[i].text[1:] for i in names}
    distinct = list(dict.fromkeys(by_offset.values()))
    if len(names) == count:
        values = {start: n for n, start in enumerate(by_offset)}
    elif len(distinct) == count:
        numbers = {name: n for n, name in enumerate(distinct)}
        values = {start: numbers[name] for start, name in by_offset.items()}
    else:
        repeated = f" of {len(distinct)} names" if len(distinct) != len(names) else ""
        raise _miscounted(sql, len(names) or questions, repeated, count)
    return Placed(by_offset, values, count), names


def _miscounted(sql: str, placeholders: int, repeated: str, count: int) -> ParameterError:
    has = f"{placeholders or 'no'} placeholder{'s' if placeholders > 1 else ''}{repeated}"
    error = ParameterError(f"the statement has {has}, but {count} value{'s were' if count != 1 else ' was'} given")
    error.sql = sql
    return error


class Written(NamedTuple):
    """Driver text and its placeholders; the fields are those of Statement."""

    text: str
    checked: str  # the same text with names for placeholders, and % as it was
    names: tuple[str, ...] = ()
    starts: tuple[int, ...] = ()
    lists: tuple[str, ...] = ()
    whole_lists: frozenset[str] = frozenset()
    assigned: tuple[Assigned, ...] = ()
    compared: frozenset[int] = frozenset()


def write(tokens: Tokens, placed: Placed, syntax: Syntax, lengths: tuple[int, ...] | None, sql: str) -> Written:
    """Put a placeholder in the place of each parameter, or as many as its list has items."""
    positions = [i for i, token in enumerate(tokens) if token.kind == ":"]
    if not positions:
        text = tokens.text()
        return Written(text, text)
    _refuse_neighbours(tokens, syntax, sql)
    name_at = {i: placed.names[tokens[i].start] for i in positions}
    bounds_of = {i: found for i in positions if (found := list_bounds(tokens, i)) is not None}
    lists = tuple(dict.fromkeys(name_at[i] for i in bounds_of))
    length_of = dict(zip(lists, lengths, strict=True)) if lengths is not None else {}
    whole = _whole(length_of, [name_at[i] for i in bounds_of], len(positions), syntax)
    columns = assigned(tokens)
    beside = compared(tokens) - columns.keys()

    pieces: list[str | None] = []  # None for a placeholder
    names: list[str] = []
    starts: list[int] = []
    found_assigned: list[Assigned] = []
    found_compared: list[int] = []
    spans: dict[int, tuple[int, int]] = {}  # where text of the dialect takes the place of IN (..)
    for i, (start, end) in bounds_of.items():
        if length_of.get(name_at[i]) == 0 or name_at[i] in whole:
            spans[start] = (end, i)

    def add(name: str, position: int, whole_list: bool = False) -> None:
        if pieces and (pieces[-1] is None or _would_join(pieces[-1][-1:])):
            pieces.append(" ")
        if position in columns:
            found_assigned.append(Assigned(len(names), *columns[position]))
        if position in beside and not whole_list:
            found_compared.append(len(names))
        pieces.append(None)
        names.append(name)
        starts.append(tokens[position].start)

    i = 0
    while i < len(tokens):
        token = tokens[i]
        if i in spans:
            end, position = spans[i]
            name = name_at[position]
            negated = token.text.upper() == "NOT"
            texts = syntax.lists
            if name in whole:
                before, after = (texts.whole_negated if negated else texts.whole).split("{}")
                pieces.append(before)
                add(name, position, whole_list=True)
                pieces.append(after)
            else:
                pieces.append(texts.empty_negated if negated else texts.empty)
            i = end
            continue
        if token.kind == ":":
            name = name_at[i]
            length = length_of.get(name, -1) if i in bounds_of else -1
            if length < 0:
                add(name, i)
            for k in range(length):
                if k:
                    pieces.append(", ")
                add(f"{name}[{k}]", i)
        elif token.text:
            if pieces and pieces[-1] is None and _would_join(token.text[0]):
                pieces.append(" ")
            pieces.append(token.text)
        i += 1
    mark = syntax.placeholder
    doubled = mark == "%s" and bool(names)
    return Written(
        text="".join([mark if p is None else p.replace("%", "%%") if doubled else p for p in pieces]),
        checked="".join([":p" if p is None else p for p in pieces]),
        names=tuple(names),
        starts=tuple(starts),
        lists=lists,
        whole_lists=frozenset(whole),
        assigned=tuple(found_assigned),
        compared=frozenset(found_compared),
    )


def _would_join(character: str) -> bool:
    """True for what would run into a value: THEN5 is a name, and U&'..' a literal with escapes."""
    return character.isalnum() or character in ("_", "$", "&") or character >= "\x80"


def _whole(lengths: dict[str, int], occurrences: list[str], placeholders: int, syntax: Syntax) -> set[str]:
    """The lists to be bound as one value, the longest first, so that the placeholders keep to the driver's limit."""
    whole: set[str] = set()
    limit = syntax.max_parameters
    if limit is None or not syntax.lists.whole:
        return whole
    times = {name: occurrences.count(name) for name in lengths}
    total = placeholders + sum((length - 1) * times[name] for name, length in lengths.items() if length >= 0)
    for name in sorted(lengths, key=lambda name: -lengths[name] * times[name]):
        if total <= limit or lengths[name] <= 1:
            break
        total -= (lengths[name] - 1) * times[name]
        whole.add(name)
    return whole


def _refuse_neighbours(tokens: Tokens, syntax: Syntax, sql: str) -> None:
    """Refuse what a value would become one with: a literal or another value beside it, a dot, the @ of a variable. And
    a list without brackets, to which psycopg2 would add them."""
    last, previous = "", 0
    for i, token in enumerate(tokens):
        kind = token.kind
        if kind in " -{}":
            continue
        if last == ":" or kind == ":":
            if last and last in ":'" and kind in ":'":
                beside = "another parameter" if last == kind else "a string literal"
                raise _refusal(tokens, previous, i, f"a parameter stands beside {beside}, which would continue it", sql)
            if kind == ":" and tokens.word(previous) == "IN" and not _in_position(tokens, previous):
                shown = token.text if token.text.startswith(":") else ":name"  # a list in a sequence is one value
                raise _refusal(tokens, previous, i, f"a list stands in brackets: IN ({shown})", sql)
            if last == "." or kind == ".":
                raise _refusal(tokens, previous, i, "a parameter is a value, it cannot be part of a name", sql)
            if previous == i - 1 and tokens.op(previous, "@") and syntax.placeholder == "%s":
                # 'user'@'host' is a value each; a lone @'..' is a variable of that name.
                if tokens.kind(previous - 1) not in ("'", '"', ":", "w") and syntax.delimiters:
                    raise _refusal(tokens, previous, i, "a parameter cannot name a variable", sql)
        last, previous = kind, i


def _in_position(tokens: Tokens, i: int) -> bool:
    """True where the IN at i is that of POSITION(x IN y), which takes one value."""
    opener = tokens.enclosing(i)
    return opener >= 0 and tokens.word(tokens.prev(opener)) == "POSITION"


def _refusal(tokens: Tokens, first: int, second: int, message: str, sql: str) -> Exception:
    parameter = tokens[second if tokens[second].kind == ":" else first]
    return syntax_error(sql, message, max(parameter.start, 0))
