"""INSERT .. ON CONFLICT: its parts, as ON DUPLICATE KEY UPDATE, or with what SQLite's parser needs."""

from dataclasses import dataclass

from nexusql.sql.names import NamedTable, folded, written_table
from nexusql.sql.operands import CLAUSE_WORDS
from nexusql.sql.syntax import Rewrite
from nexusql.sql.templates import copy, fill, put, trimmed
from nexusql.sql.tokens import Token, Tokens

_AFTER_FROM = frozenset(("WHERE", "GROUP", "HAVING", "WINDOW", "ORDER", "LIMIT", "OFFSET", "FETCH", "FOR"))


@dataclass(slots=True)
class Upsert:
    """Positions in an INSERT .. ON CONFLICT; -1 and empty for what is not there."""

    table: NamedTable
    columns: int  # the parenthesis that opens the list
    conflict: int  # the word ON
    target: int  # the parenthesis of (columns), or ON of ON CONSTRAINT
    target_end: int
    action: int  # the word DO
    assignments: list[tuple[list[Token], list[Token]]]  # column, value
    where: int  # the word WHERE of DO UPDATE
    end: int  # behind the clause


def opens_list(tokens: Tokens, i: int) -> bool:
    """True where a parenthesis at i opens a list, of columns or of their values, and no query."""
    return tokens.kind(i) == "(" and tokens.word(tokens.next(i)) not in ("SELECT", "WITH", "VALUES")


def read_upsert(rewrite: Rewrite) -> Upsert | None:
    """The parts of an INSERT .. ON CONFLICT, or None for any other statement."""
    if not rewrite.words.issuperset(("INSERT", "CONFLICT", "DO")):
        return None
    tokens = rewrite.tokens
    insert = tokens.find("INSERT", "INTO")
    conflict = tokens.find("ON", "CONFLICT", start=insert)
    if insert < 0 or conflict < 0:
        return None
    table = written_table(tokens, insert)
    columns = table.behind
    if not opens_list(tokens, columns):
        columns = -1
    target, target_end = -1, -1
    action = tokens.after(conflict, "ON", "CONFLICT")
    if tokens.kind(action) == "(":
        target, target_end = action, tokens.close(action) + 1
        action = tokens.next(target_end - 1)
        if tokens.word(action) == "WHERE":
            action = tokens.find("DO", start=action)
    elif tokens.word(action) == "ON":
        target = action
        target_end = tokens.after(action, "ON", "CONSTRAINT") + 1
        action = tokens.next(target_end - 1)
    if tokens.word(action) != "DO":
        return None
    stop = tokens.find("RETURNING", start=action)
    stop = stop if stop >= 0 else next((i for i in range(action, len(tokens)) if tokens[i].kind == ";"), len(tokens))
    end = tokens.prev(stop) + 1
    upsert = Upsert(table, columns, conflict, target, target_end, action, [], -1, end)
    set_ = tokens.after(action, "DO", "UPDATE", "SET")
    if set_ >= 0:
        where = tokens.find("WHERE", start=set_, end=end)
        upsert.where = where
        for start, stop in tokens.items(set_, where if where >= 0 else end):
            upsert.assignments += assignments(rewrite, start, stop)
    return upsert


def assignments(rewrite: Rewrite, start: int, stop: int) -> list[tuple[list[Token], list[Token]]]:
    """`column = value` as one pair, `(a, b) = (x, y)` as one for each column."""
    tokens = rewrite.tokens
    first = tokens.next(start - 1)
    equals = next((i for i in range(first, stop) if tokens.op(i, "=")), stop)
    if tokens.kind(first) != "(":
        return [(trimmed(tokens, first, equals), trimmed(tokens, equals + 1, stop))]
    left = [trimmed(tokens, *item) for item in tokens.items(first + 1, tokens.close(first))]
    equals = tokens.next(tokens.close(first))
    opening = tokens.next(equals)
    opening = tokens.next(opening) if tokens.word(opening) == "ROW" else opening
    right = []
    if opens_list(tokens, opening):
        right = [trimmed(tokens, *item) for item in tokens.items(opening + 1, tokens.close(opening))]
    if len(left) != len(right):
        raise rewrite.refuse("SET (a, b) = .. needs one value for each column here", first)
    return list(zip(left, right, strict=True))


def default_values(rewrite: Rewrite) -> None:
    """INSERT INTO t DEFAULT VALUES as () VALUES ()."""
    if rewrite.words.issuperset(("INSERT", "DEFAULT", "VALUES")):
        tokens = rewrite.tokens
        i = tokens.find("DEFAULT", "VALUES", start=max(tokens.find("INSERT", "INTO"), 0))
        if i > 0 and tokens.word(tokens.next(-1)) in ("INSERT", "EXPLAIN"):
            put(tokens, i, tokens.next(i) + 1, fill("() VALUES ()"))


def close_select(rewrite: Rewrite) -> None:
    """WHERE TRUE between SELECT .. FROM and ON CONFLICT, where ON would be read as the condition of a join."""
    upsert = read_upsert(rewrite) if "SELECT" in rewrite.words else None
    if upsert is not None:
        _close_select(rewrite.tokens, upsert)


def _close_select(tokens: Tokens, upsert: Upsert) -> None:
    level, clause = 0, ""
    for i in range(upsert.table.end, upsert.conflict):
        kind = tokens[i].kind
        level += (kind in "([") - (kind in ")]")
        if level == 0 and kind == "w":
            word = tokens.word(i)
            clause = word if word in _AFTER_FROM or word in ("SELECT", "FROM") else clause
    if clause == "FROM":
        at = tokens.prev(upsert.conflict) + 1
        tokens[at:at] = fill(" WHERE TRUE")


def drop_constraint_target(rewrite: Rewrite) -> None:
    """ON CONFLICT ON CONSTRAINT name, without its target where the dialect knows only columns, with a receipt."""
    upsert = read_upsert(rewrite) if "CONSTRAINT" in rewrite.words else None
    if upsert is not None and upsert.target >= 0 and rewrite.tokens.word(upsert.target) == "ON":
        rewrite.note("a conflict with any unique key counts, not only with this constraint", upsert.target)
        put(rewrite.tokens, upsert.target, upsert.action, [])


def on_duplicate_key(rewrite: Rewrite) -> None:
    """ON CONFLICT as ON DUPLICATE KEY UPDATE, which acts on any unique key of the table: a receipt says so.

    Assignments run one after the other there and read what earlier ones have set: where that could be seen, refused.
    """
    upsert = read_upsert(rewrite)
    if upsert is None or not all(column for column, _ in upsert.assignments):
        return  # the server will say so
    tokens = rewrite.tokens
    if upsert.target >= 0:
        rewrite.note("a conflict with any unique key counts, not only with this one", upsert.target)
    table = [token for token in tokens[upsert.table.start : upsert.table.end] if token.kind not in " -"]
    names = {folded(table[-1].text)} | ({folded(tokens[upsert.table.alias].text)} if upsert.table.alias >= 0 else set())
    if upsert.assignments:
        made = _updates(rewrite, upsert, table, names)
    else:
        _note_returning(rewrite, upsert, "the row that was there is returned, too")
        column = _any_column(rewrite, upsert)
        made = [Token("w", column), *fill(" = "), *map(copy, table), Token(".", "."), Token("w", column)]
    put(tokens, upsert.conflict, upsert.end, [*fill("ON DUPLICATE KEY UPDATE "), *made])
    _set_apart(tokens, upsert, folded(table[-1].text))
    _close_select(tokens, upsert)


def _set_apart(tokens: Tokens, upsert: Upsert, table: str) -> None:
    """Make a subselect of a query that reads the table itself, whose columns would be ambiguous behind it."""
    start = tokens.next(tokens.close(upsert.columns) if upsert.columns >= 0 else upsert.table.end - 1)
    end = tokens.prev(upsert.conflict) + 1
    reads_it = any(token.kind in 'w"' and folded(token.text) == table for token in tokens[start:end])
    if tokens.word(start) in ("SELECT", "WITH") and reads_it:
        before = len(tokens)
        tokens[start:end] = fill("SELECT * FROM ({0}) AS nexusql_rows", tokens[start:end])
        upsert.conflict += len(tokens) - before


def _note_returning(rewrite: Rewrite, upsert: Upsert, message: str) -> None:
    returning = rewrite.tokens.find("RETURNING", start=upsert.end)
    if returning >= 0:
        rewrite.note(message, returning)


def _any_column(rewrite: Rewrite, upsert: Upsert) -> str:
    """A column that the statement names, for an update that changes nothing."""
    tokens = rewrite.tokens
    for opening in (upsert.columns, upsert.target):
        if opening >= 0 and tokens.kind(opening) == "(":
            return _column(tokens[tokens.next(opening)])
    raise rewrite.refuse("ON CONFLICT DO NOTHING needs the list of columns here: INSERT INTO t (..)", upsert.conflict)


def _column(token: Token) -> str:
    """A column's name as MySQL reads it in every session."""
    if token.text.startswith('"'):
        return "`" + token.text[1:-1].replace('""', '"').replace("`", "``") + "`"
    return token.text


def _updates(rewrite: Rewrite, upsert: Upsert, table: list[Token], names: set[str]) -> list[Token]:
    """The assignments of ON DUPLICATE KEY UPDATE."""
    tokens = rewrite.tokens
    condition = Tokens(trimmed(tokens, upsert.where + 1, upsert.end)) if upsert.where >= 0 else Tokens()
    tested = reads(condition, names)
    pairs = [(folded(column[-1].text), column[-1], Tokens(value)) for column, value in upsert.assignments]
    # What the condition reads must be assigned last: until then it sees the old row.
    pairs.sort(key=lambda pair: pair[0] in tested)
    if len([name for name, _, _ in pairs if name in tested]) > 1:
        raise rewrite.refuse("WHERE reads more than one of the columns that SET assigns", upsert.where)
    if condition:
        _note_returning(rewrite, upsert, "a row that WHERE leaves as it was is returned, too")
        condition = _on_row(condition, table, names)
    made: list[Token] = []
    assigned: set[str] = set()
    for name, column, value in pairs:
        seen = reads(value, names) & assigned
        if seen:
            position = next(i for i in range(len(tokens)) if tokens[i] is column)
            told = ", ".join(sorted(seen))
            raise rewrite.refuse(f"SET reads {told} after assigning it, and would see the new value", position)
        assigned.add(name)
        text = _column(column)
        value = _on_row(value, table, names)
        if condition:
            if len(value) == 1 and value.word(0) == "DEFAULT":
                value = Tokens(fill(f"DEFAULT({text})"))
            old = [*map(copy, table), Token(".", "."), Token("w", text)]
            value = Tokens(fill("IF({0}, {1}, {2})", [copy(t) for t in condition] if made else condition, value, old))
        made += [*(fill(", ") if made else []), Token("w", text), *fill(" = "), *value]
    return made


def references(value: Tokens, names: set[str]) -> list[tuple[int, int, str]]:
    """Columns named in an expression: where the reference starts, where its column stands, and "row" or "excluded"."""
    found: list[tuple[int, int, str]] = []
    for i, token in enumerate(value):
        before, after = value.prev(i), value.next(i)
        is_name = token.kind == '"' or (token.kind == "w" and token.text.upper() not in CLAUSE_WORDS)
        is_type = value.kind(before) == "t" or value.word(before) == "AS"
        if value.kind(before) == "." and token.kind in "w\"'":
            owner = value.prev(before)
            qualifier = folded(value[owner].text) if owner >= 0 else ""
            if qualifier == "excluded":
                found.append((owner, i, "excluded"))
            elif qualifier in names:
                start = owner
                while value.kind(value.prev(start)) == ".":
                    start = value.prev(value.prev(start))
                found.append((start, i, "row"))
        elif is_name and not is_type and value.kind(after) not in ("(", "."):
            found.append((i, i, "row"))
    return found


def reads(value: Tokens, names: set[str]) -> set[str]:
    """The columns of the existing row that an expression may read."""
    return {folded(value[i].text) for _, i, source in references(value, names) if source == "row"}


def _on_row(value: Tokens, table: list[Token], names: set[str]) -> Tokens:
    """An expression with EXCLUDED.c as VALUES(c), and the table's alias as the table."""
    value = Tokens(value)
    for start, i, source in reversed(references(value, names)):
        column = Token("w", _column(value[i]), value[i].start)
        if source == "excluded":
            put(value, start, i + 1, fill("VALUES({0})", [column]))
        elif start != i:
            put(value, start, i + 1, [*map(copy, table), Token(".", "."), column])
    return value
