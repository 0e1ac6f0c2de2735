"""From SQL with `:name` to what a driver takes: one statement is read once, translated once, and given placeholders."""

import re
from bisect import bisect
from collections.abc import Collection
from difflib import get_close_matches

from nexusql._speedups import scan
from nexusql.errors import ParameterError, TranslationError
from nexusql.sql.effects import control, effects, is_query, routine
from nexusql.sql.lexical import Lexical, SessionModes
from nexusql.sql.placeholders import Placed, Written, place, write
from nexusql.sql.split import bounds, may_be_run
from nexusql.sql.statement import Effect, NearMiss, Statement, Style
from nexusql.sql.syntax import Rewrite, Syntax, syntax_for
from nexusql.sql.tokens import Token, Tokens, locate, syntax_error, tokenize
from nexusql.sql.translate import receipts
from nexusql.sql.usage import plain_insert

# A name that no other name, cast or escape precedes.
_NAME = re.compile(r"(?<![\w:\\]):([^\W\d]\w*)")
_LINE_END = re.compile(r"\r\n|\r|\n")
_NO_CODE = dict.fromkeys(map(ord, " -{}"))
_PLACES = {"-": "a comment", "'": "a string literal", '"': "a quoted identifier", ":": "the body of a routine"}


def compile_statement(
    sql: str, dialect: str, *, translate: bool = True, modes: SessionModes | None = None
) -> Statement:
    """What a driver is given for one statement of canonical or native SQL.

    `dialect` is "sqlite", "postgresql", "mysql" or "mssql"; `modes` is what the session has set, the server's defaults
    where it is None. `.text` has `?` or `%s` for each `:name`, and `.names` the names in that order. With
    `translate=False` nothing else is changed. Raises SQLSyntaxError for text that cannot be read in one way only or is
    more than one statement, ParameterError for a placeholder of another kind, TranslationError for what cannot be said
    there, NotSupportedError for a transaction statement of an unknown form, ValueError for an unknown dialect.
    """
    return compile_plan(str(sql), syntax_for(dialect), modes or SessionModes(), Style.NAMED, None, translate)


def compile_plan(
    sql: str, syntax: Syntax, modes: SessionModes, style: Style, lengths: tuple[int, ...] | None, translate: bool
) -> Statement:
    """The plan of one statement for a way of binding.

    For Style.NAMED `lengths` is None, or for each of the plan's `lists` its length, -1 where it is no list; for
    Style.SEQUENCE it holds the number of values.
    """
    rules = syntax.lexical(modes)
    tokens = tokenize(sql, rules, modes.version_number)
    rest = _cut_rest(tokens, syntax, sql)
    in_routine = routine(tokens, tokens.next(-1)) != ""
    near_misses = _near_misses([*tokens, *rest], sql, in_routine)
    if in_routine:
        placed = Placed()
        for token in tokens:
            token.kind = "o" if token.kind in ":?%" else token.kind
    else:
        placed = place(tokens, syntax, rules, style, lengths, sql)
    rewrite = Rewrite(sql, tokens, syntax, modes)
    if translate:
        for rule in syntax.rules:
            rule(rewrite)
    tokens = rewrite.tokens
    transaction = control(tokens, syntax, sql)
    verb, effect = effects(tokens, syntax)
    if rewrite.definition:  # of a temporary table, perhaps, which has a # in its name
        verb, effect = rewrite.definition, Effect.DDL | (Effect.SESSION if "#" in sql else Effect(0))
    if "!" in sql and any(may_be_run(token, syntax) for token in (*tokens, *rest)):
        effect = (effect | Effect.SESSION) & ~Effect.READS
    written = write(tokens, placed, syntax, lengths if style is Style.NAMED else None, sql)
    if written.names:
        _check(written, rules, modes, sql)
    tail = rest.text()
    return Statement(
        source=sql,
        text=written.text + (tail.replace("%", "%%") if written.names and syntax.placeholder == "%s" else tail),
        names=written.names,
        order=placed.order(written.starts),
        notes=receipts(rewrite),
        near_misses=near_misses,
        offsets=written.starts,
        verb=verb,
        control=transaction,
        effects=Effect(0) if transaction else effect,
        lists=written.lists if style is Style.NAMED else (),
        whole_lists=written.whole_lists,
        assigned=written.assigned,
        compared=written.compared,
        insert=plain_insert(tokens) if verb == "INSERT" else None,
        tolerate=frozenset(rewrite.tolerate),
        query=is_query(tokens),
        modes=modes,
    )


def _cut_rest(tokens: Tokens, syntax: Syntax, sql: str) -> Tokens:
    """Cut off what stands around the one statement, so that rules may append to it; give what stood behind it.

    Of several semicolons one is kept: for sqlite3 each further one is a statement.
    """
    statements = bounds(tokens, syntax)
    start, end = next(statements, (0, 0))
    second = next(statements, None)
    if second is not None:
        offset = tokens[tokens.next(second[0] - 1)].start
        raise syntax_error(sql, "a second statement starts here; run_script takes more than one", offset)
    end = tokens.prev(end) + 1
    rest = Tokens(tokens[end:])
    del tokens[end:]
    del tokens[:start]
    for token in [token for token in rest if token.kind == ";"][1:]:
        rest.remove(token)
    return rest


def _near_misses(tokens: list[Token], sql: str, in_routine: bool) -> tuple[NearMiss, ...]:
    """Each `:name` in a literal, a comment or a quoted identifier, or anywhere in a routine."""
    found: list[NearMiss] = []
    line_ends: list[int] | None = None
    for token in tokens:
        if ":" not in token.text or token.kind not in _PLACES or (token.kind == ":" and not in_routine):
            continue
        for match in _NAME.finditer(token.text):
            if line_ends is None:
                line_ends = [0, *(end.end() for end in _LINE_END.finditer(sql))]
            offset = token.start + match.start()
            line = bisect(line_ends, offset)
            found.append(NearMiss(match[1], line, offset - line_ends[line - 1] + 1, _PLACES[token.kind]))
    return tuple(found)


def _check(written: Written, rules: Lexical, modes: SessionModes, sql: str) -> None:
    """Read the finished text again: whatever the rules did, each placeholder stands in code, beside no literal."""
    try:
        kinds, _ = scan(written.checked, int(rules), modes.version_number)
    except ValueError:
        kinds = ""
    code = kinds.translate(_NO_CODE)
    if code.count(":") != len(written.names) or any(pair in code for pair in ("::", ":'", "':", ":.", ".:")):
        error = TranslationError("the translation would put a parameter where the server reads text")
        error.sql = sql
        raise error


def missing_error(statement: Statement, missing: Collection[str], given: Collection[object]) -> ParameterError:
    """The error for names of a statement without a value: its place, the nearest given, its near misses."""
    names = [name for name in given if isinstance(name, str)]
    parts = []
    for name in missing:
        hints = []
        nearest = get_close_matches(name, names, 1)
        if nearest:
            hints.append(f"did you mean :{nearest[0]}?")
        hints += [
            f":{name} at line {miss.line} is inside {miss.where} and is not bound"
            for miss in statement.near_misses
            if miss.name == name
        ]
        line, column = locate(statement.source, statement.offsets[statement.names.index(name)])
        part = f":{name} at line {line}, column {column}"
        parts.append(f"{part} ({'; '.join(hints)})" if hints else part)
    error = ParameterError(f"missing parameter{'s' if len(parts) > 1 else ''}: {', '.join(parts)}")
    error.sql = statement.source
    return error


def value_error(statement: Statement, index: int, reason: str) -> ParameterError:
    """The error for the value of one placeholder, by its index into `statement.names`; `reason` must not show it."""
    name = statement.names[index]
    label = f"parameter {name}" if name.isdigit() else f"parameter :{name}"
    line, column = locate(statement.source, statement.offsets[index])
    error = ParameterError(f"{label} (line {line}, column {column}): {reason}")
    error.sql = statement.source
    return error
