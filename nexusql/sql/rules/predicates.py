"""Truth values in T-SQL, which has conditions and BIT columns, and takes neither for the other.

A column, parameter or number where a condition must stand is compared with 1; IS TRUE and its kin become comparisons; a
condition that stands in a SELECT's list becomes a BIT.
"""

from nexusql.sql.operands import (
    CLAUSE_WORDS,
    COMPARISONS,
    ends_operand,
    operand_end,
    operand_start,
    operator,
    primary_end,
)
from nexusql.sql.rules.queries import alias_at, list_end, select_items
from nexusql.sql.rules.quoting import is_native
from nexusql.sql.syntax import Rewrite
from nexusql.sql.templates import fill, put, trimmed
from nexusql.sql.tokens import Token, Tokens

_STARTS = frozenset(("WHERE", "HAVING", "ON", "AND", "OR", "NOT", "WHEN", "CHECK"))
_ENDS = frozenset(
    "AND OR THEN GROUP ORDER HAVING UNION EXCEPT INTERSECT WHEN OUTPUT RETURNING OFFSET LIMIT FETCH FOR INNER LEFT "
    "RIGHT FULL CROSS JOIN WHERE OPTION WINDOW ELSE END".split()
)
# Definitions, and what only T-SQL has.
_UNTOUCHED = frozenset("ALTER BEGIN CREATE DECLARE DROP EXEC EXECUTE GRANT IF REVOKE TRUNCATE WHILE".split())
# What T-SQL takes for conditions: functions, and words before a parenthesis.
_CONDITIONS = frozenset("EXISTS CONTAINS FREETEXT UPDATE REGEXP_LIKE UNIQUE MATCHED".split())
# Words before a parenthesis that holds no values, or not as a function has them.
_NO_VALUES = frozenset(
    "FILTER HAVING IF IIF OPENROWSET OPTION OVER OVERLAY OUTPUT PIVOT POSITION SUBSTRING TRIM UNPIVOT VALUES WHILE "
    "WINDOW".split()
).union(CLAUSE_WORDS, _CONDITIONS)
_TRUTH = {"TRUE": "1", "FALSE": "0"}
_LOGICAL = frozenset(("AND", "OR", "NOT", "LIKE", "IN", "BETWEEN", "IS", "EXISTS"))
_BIT = "CAST(CASE WHEN {0} THEN 1 WHEN NOT ({0}) THEN 0 END AS BIT)"
_CERTAIN_BIT = "CAST(CASE WHEN {0} THEN 1 ELSE 0 END AS BIT)"
# Functions with another result each time, by canonical and by T-SQL's names.
_CHANGING = frozenset(("RAND", "NEWID", "RANDOM", "GEN_RANDOM_UUID", "CRYPT_GEN_RANDOM"))
_CASE_ENDS = frozenset(("WHEN", "ELSE", "END"))
_ORDER_ENDS = frozenset("ASC DESC ROWS RANGE ORDER HAVING UNION EXCEPT INTERSECT OFFSET LIMIT FETCH FOR OPTION".split())
_SET_ENDS = frozenset("FROM WHERE OUTPUT RETURNING WHEN OPTION".split())
_OUTPUT_ENDS = frozenset("INTO FROM WHERE VALUES SELECT WITH DEFAULT".split())
# Words by which a statement is plainly T-SQL.
_NATIVE = frozenset("APPLY GETDATE IIF ISNULL NOLOCK PERCENT TOP TRY_CAST TRY_CONVERT".split())


def conditions(rewrite: Rewrite) -> None:
    """Conditions where T-SQL wants them, values where it wants these. Runs after what makes operators of words."""
    tokens = rewrite.tokens
    first = tokens.next(-1)
    if rewrite.definition or (tokens.word(first) in _UNTOUCHED and tokens.find("VIEW") < 0):
        if rewrite.words.issuperset(("INDEX", "WHERE")):
            _filter(rewrite)
        if rewrite.words.issuperset(("TABLE", "CHECK")) or rewrite.words.issuperset(("INDEX", "WHERE")):
            _terms(tokens, False)
        return
    if "IS" in rewrite.words:
        _tests(rewrite)
    for i in range(len(tokens) - 1, -1, -1):
        for start, stop in reversed(_values(rewrite, i)):
            item = trimmed(tokens, start, stop)
            if item and _is_condition(Tokens(item)):
                put(tokens, tokens.next(start - 1), tokens.prev(stop) + 1, _bit(rewrite, item))
    if not _STARTS.isdisjoint(rewrite.words):
        _terms(tokens, not rewrite.words.isdisjoint(("JOIN", "USING")))


def _terms(tokens: Tokens, joins: bool) -> None:
    """Make conditions of the values where conditions stand; unless it `joins`, ON says where something is done."""
    i = 0
    while i < len(tokens):
        if tokens.word(i) in _STARTS and (joins or tokens.word(i) != "ON") and _starts_condition(tokens, i):
            _term(tokens, tokens.next(tokens.next(i)) if tokens.word(i) == "CHECK" else tokens.next(i))
        i += 1


def _filter(rewrite: Rewrite) -> None:
    """NOT and tests of truth in the WHERE of an index, which takes comparisons of columns with constants, and AND
    (https://learn.microsoft.com/sql/t-sql/statements/create-index-transact-sql, filter_predicate)."""
    tokens = rewrite.tokens
    i = tokens.find("WHERE")
    while 0 <= i < len(tokens):
        column, test = tokens.next(i), -1
        if tokens.word(i) == "NOT" and tokens.word(tokens.prev(i)) != "IS" and not ends_operand(tokens, tokens.prev(i)):
            if not _ends_condition(tokens, tokens.next(column)) or tokens.kind(column) not in ("w", '"'):
                raise rewrite.refuse("NOT cannot stand here in the WHERE of an index; turn the condition round", i)
            test = put(tokens, i, column + 1, fill("{0} = 0", [tokens[column]])) - 1
        elif tokens.word(i) == "IS" and tokens.word(column) in _TRUTH:
            test = put(tokens, i, column + 1, fill(f"= {_TRUTH[tokens.word(column)]}")) - 1
        elif tokens.word(i) == "IS" and tokens.word(tokens.next(column)) in _TRUTH:
            raise rewrite.refuse("IS NOT with a truth value cannot stand here in the WHERE of an index", i)
        i = max(test, i) + 1


def truth_words(rewrite: Rewrite) -> None:
    """TRUE and FALSE as 1 and 0."""
    if not rewrite.words.isdisjoint(_TRUTH):
        tokens = rewrite.tokens
        for i, token in enumerate(tokens):
            if tokens.word(i) in _TRUTH and "." not in (tokens.kind(tokens.prev(i)), tokens.kind(tokens.next(i))):
                tokens[i] = Token("0", _TRUTH[tokens.word(i)], token.start)


def _tests(rewrite: Rewrite) -> None:
    """x IS [NOT] TRUE and FALSE; IS [NOT] NULL where x is a condition."""
    tokens = rewrite.tokens
    i = 0
    while i < len(tokens):
        negated = tokens.word(tokens.next(i)) == "NOT"
        last = tokens.next(tokens.next(i)) if negated else tokens.next(i)
        said = tokens.word(last)
        if tokens.word(i) == "IS" and (said in _TRUTH or said == "NULL"):
            start = _test_start(rewrite, i)
            operand = Tokens(trimmed(tokens, start, i))
            is_condition = _is_condition(operand)
            value = _bit(rewrite, operand) if is_condition else list(operand)
            if said in _TRUTH:
                # With NULL taken for the other truth value, the test has an answer for it, and NOT turns that round.
                instead, wanted = ("0" if said == "TRUE" else "1"), ("1" if (said == "TRUE") != negated else "0")
                i = put(tokens, start, last + 1, fill(f"ISNULL({{0}}, {instead}) = {wanted}", value)) - 1
            elif is_condition:
                i = put(tokens, start, tokens.prev(i) + 1, value)
        i += 1


def _test_start(rewrite: Rewrite, i: int) -> int:
    """Start of what the IS at i tests: it binds less than comparisons and LIKE (PostgreSQL manual, 4.1.6)."""
    tokens = rewrite.tokens
    start = operand_start(tokens, i)
    while True:
        last = before = tokens.prev(start)
        if tokens.word(before) == "NOT" and tokens.word(tokens.prev(before)) == "IS":
            before = tokens.prev(before)
        word = tokens.word(before)
        if word in ("LIKE", "IN", "IS", "ESCAPE"):
            at = tokens.prev(before) if tokens.word(tokens.prev(before)) == "NOT" else before
        elif word in ("ANY", "ALL", "SOME") and tokens.kind(tokens.prev(before)) == "o":
            raise rewrite.refuse(f"write (a = {word} (..)) in parentheses before IS here", i)
        elif word == "AND" and _is_between(tokens, before):
            raise rewrite.refuse("write (a BETWEEN b AND c) in parentheses before IS here", i)
        elif tokens.kind(last) == "o" and not _assigns(rewrite, start):
            at = _before(tokens, last) + 1
        else:
            return start
        if not ends_operand(tokens, tokens.prev(at)):
            return start
        start = operand_start(tokens, at)


def _assigns(rewrite: Rewrite, start: int) -> bool:
    """True where the value of an assignment starts, in front of which = compares nothing."""
    tokens = rewrite.tokens
    if "SET" not in rewrite.words:
        return False
    values = [value for i in range(start) if tokens.word(i) == "SET" for value, _ in _values(rewrite, i)]
    return start in [tokens.next(value - 1) for value in values]


def _bit(rewrite: Rewrite, condition: list[Token]) -> list[Token]:
    """A condition as a BIT, which is NULL where the condition is unknown.

    Raises TranslationError where it would be computed twice, and not be the same both times.
    """
    tokens = Tokens(condition)
    if _is_certain(tokens):
        return fill(_CERTAIN_BIT, condition)
    for k in range(len(tokens)):
        if tokens.word(k) in _CHANGING and tokens.kind(tokens.next(k)) == "(":
            raise rewrite.refuse(
                f"a condition with {tokens.word(k)}() would be computed twice here; write CASE WHEN .. THEN 1 ELSE 0"
                " END",
                rewrite.tokens.index(tokens[k]),
            )
    return fill(_BIT, condition)


def _is_certain(condition: Tokens) -> bool:
    """True for what is never unknown: EXISTS, IS [NOT] NULL, and what IS [NOT] TRUE and FALSE have become."""
    while True:
        if condition.kind(0) == "(" and condition.close(0) == len(condition) - 1:
            condition = Tokens(trimmed(condition, 1, len(condition) - 1))
        elif condition.word(0) == "NOT":
            condition = Tokens(trimmed(condition, 1, len(condition)))
        else:
            break
    end = len(condition)
    opening = condition.next(0)
    behind = condition.next(condition.close(opening)) if condition.kind(opening) == "(" else end
    if condition.word(0) == "EXISTS":
        return behind == end
    if condition.word(0) == "ISNULL" and condition.op(behind, "=") and condition.kind(end - 1) == "0":
        instead = condition.prev(condition.close(opening))
        is_number = condition.kind(instead) == "0" and condition.kind(condition.prev(instead)) == ","
        return is_number and condition.next(behind) == end - 1
    if condition.word(end - 1) != "NULL":
        return False
    before = condition.prev(end - 1)
    before = condition.prev(before) if condition.word(before) == "NOT" else before
    return condition.word(before) == "IS" and operand_start(condition, before) == 0


def _is_condition(operand: Tokens) -> bool:
    """True where an expression compares, as far as its own level, or that of the parentheses around it, shows."""
    while operand.kind(0) == "(" and operand.close(0) == len(operand) - 1:
        operand = Tokens(trimmed(operand, 1, len(operand) - 1))
    if operand.word(0) in ("SELECT", "WITH"):
        return False
    i = operand.next(-1)
    while i < len(operand):
        starts = operand.kind(i) == "o" and operand.kind(i - 1) != "o"
        if operand.word(i) in _LOGICAL or (starts and operator(operand, i) in COMPARISONS):
            return True
        i = operand.skip(i)
    return False


def _values(rewrite: Rewrite, i: int) -> list[tuple[int, int]]:
    """Bounds of the values that stand behind the word or the parenthesis at i."""
    tokens = rewrite.tokens
    word = tokens.word(i)
    if tokens.kind(i) == "(":
        return _in_parentheses(tokens, i)
    if word == "" or tokens.kind(tokens.prev(i)) == ".":
        return []
    first = tokens.next(i)
    if word == "SELECT":
        listed = ((start, alias_at(tokens, start, stop), stop) for start, stop in select_items(tokens, i))
        return [(start, end) for start, end, stop in listed if not _names_value(rewrite, start, end, stop)]
    if word in ("THEN", "ELSE") and tokens.enclosing_case(i) >= 0:
        return [(first, list_end(tokens, first, _CASE_ENDS))]
    if word == "BY":
        items = list(tokens.items(first, list_end(tokens, first, _ORDER_ENDS - {"ASC", "DESC"})))
        return [(start, min(list_end(tokens, start, _ORDER_ENDS), stop)) for start, stop in items]
    if word == "OUTPUT":
        items = list(tokens.items(first, list_end(tokens, first, _OUTPUT_ENDS)))
        return [(start, alias_at(tokens, start, stop)) for start, stop in items]
    if word == "SET" and "UPDATE" in rewrite.words and tokens.next(-1) != i:
        return _assigned(tokens, first)
    if word == "VALUES":
        return _rows(tokens, first)
    return []


def _in_parentheses(tokens: Tokens, opening: int) -> list[tuple[int, int]]:
    """The arguments of a call; what stands in parentheses of its own beside a comparison."""
    before, close = tokens.prev(opening), tokens.close(opening)
    if tokens.word(tokens.next(opening)) in ("SELECT", "WITH"):
        return []
    if tokens.kind(before) in ("w", '"') and tokens.word(before) not in _NO_VALUES:
        first = tokens.next(opening)
        if tokens.word(first) in ("DISTINCT", "ALL"):
            opening = first
        return [(start, alias_at(tokens, start, stop)) for start, stop in tokens.items(opening + 1, close)]
    compared = (
        tokens.kind(before) == "o" and tokens[before].text in "=<>" and ends_operand(tokens, _before(tokens, before))
    )
    if compared or operator(tokens, tokens.next(close)) in COMPARISONS:
        return [(opening + 1, close)]
    return []


def _before(tokens: Tokens, i: int) -> int:
    """Position of what stands before the operator that ends at i."""
    while tokens.kind(i) == "o":
        i = tokens.prev(i)
    return i


def _assigned(tokens: Tokens, first: int) -> list[tuple[int, int]]:
    """The values of SET; an assignment to a variable is T-SQL's own."""
    found = []
    for start, stop in tokens.items(first, list_end(tokens, first, _SET_ENDS)):
        column = tokens.next(start - 1)
        equals = next((k for k in range(column, stop) if tokens.kind(k) == "o"), stop)
        if tokens.kind(column) != "@" and operator(tokens, equals) == "=":
            found.append((equals + 1, stop))
    return found


def _rows(tokens: Tokens, opening: int) -> list[tuple[int, int]]:
    """The values of VALUES (..), (..)."""
    found: list[tuple[int, int]] = []
    while tokens.kind(opening) == "(":
        close = tokens.close(opening)
        found += tokens.items(opening + 1, close)
        after = tokens.next(close)
        opening = tokens.next(after) if tokens.kind(after) == "," else after
    return found


def _names_value(rewrite: Rewrite, start: int, end: int, stop: int) -> bool:
    """True for `name = value` and `@variable = value` in a SELECT's list, which T-SQL does not take for comparisons.

    Raises TranslationError where that is not what it looks like: PostgreSQL's comparison would be lost.
    """
    tokens = rewrite.tokens
    first = tokens.next(start - 1)
    if tokens.kind(first) not in ("w", '"', "@") or operator(tokens, tokens.next(first)) != "=":
        return False
    if tokens.kind(first) == "@":
        return True
    if end < stop:  # it has a name behind AS already
        return False
    if is_native(rewrite) or not rewrite.words.isdisjoint(_NATIVE) or any(map(_is_of_t_sql, tokens)):
        return True
    raise rewrite.refuse(
        "name = value gives the value a name here; write (name = value) for a comparison, value AS name for a name",
        first,
    )


def _is_of_t_sql(token: Token) -> bool:
    """True for a name in brackets and a variable, as they stand in the source."""
    return token.start >= 0 and token.kind in '"@' and token.text[0] in "[@"


def _starts_condition(tokens: Tokens, i: int) -> bool:
    """True where a condition stands behind the word at i."""
    word, after = tokens.word(i), tokens.word(tokens.next(i))
    if tokens.kind(tokens.prev(i)) == "." or tokens.kind(tokens.next(i)) in (".", "", ";", ")", ","):
        return False
    if word == "WHEN":
        case = tokens.enclosing_case(i)  # of CASE WHEN condition, not of CASE value WHEN value
        return after not in ("MATCHED", "NOT") and case >= 0 and tokens.word(tokens.next(case)) == "WHEN"
    if word == "NOT":
        return after not in ("NULL", "FOR", "MATCHED", "IN", "LIKE", "BETWEEN", "EXISTS") and not ends_operand(
            tokens, tokens.prev(i)
        )
    if word == "CHECK":
        return tokens.kind(tokens.next(i)) == "("
    if word == "AND":
        return not _is_between(tokens, i)
    if word == "ON":
        return after not in ("CONFLICT", "DELETE", "UPDATE", "COMMIT")
    return True


def _is_between(tokens: Tokens, i: int) -> bool:
    """True for the AND of BETWEEN a AND b."""
    j = tokens.prev(i)
    while j >= 0 and tokens.kind(j) not in ("(", ","):
        word = tokens.word(j)
        if word == "BETWEEN":
            return True
        if word in _STARTS or word in ("THEN", "ELSE"):
            return False
        j = tokens.skip_back(j)
    return False


def _term(tokens: Tokens, start: int) -> None:
    """Compare the value at a place for a condition with 1, if it is one; inside of parentheses, too."""
    if tokens.word(start) in ("NOT", *_CONDITIONS):
        return
    if tokens.kind(start) == "(":
        close = tokens.close(start)
        inner = tokens.next(start)
        if not _ends_condition(tokens, tokens.next(close)):
            inner = -1
        elif tokens.word(inner) not in ("SELECT", "WITH"):
            _term(tokens, inner)
            return
        if inner < 0 and primary_end(tokens, start) != close + 1:
            return
    end = operand_end(tokens, start)
    if _ends_condition(tokens, tokens.next(end - 1)) and not _is_condition(Tokens(tokens[start:end])):
        tokens[end:end] = fill(" = 1")


def _ends_condition(tokens: Tokens, i: int) -> bool:
    return tokens.kind(i) in ("", ")", ";", ",") or tokens.word(i) in _ENDS
