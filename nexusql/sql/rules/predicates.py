"""Truth values in T-SQL, which has conditions and BIT columns, and takes neither for the other.

A column, parameter or number where a condition must stand is compared with 1; IS TRUE and its kin become comparisons; a
condition that stands in a SELECT's list becomes a BIT.
"""

from nexusql.sql.operands import COMPARISONS, ends_operand, operand_end, operand_start, operator, primary_end
from nexusql.sql.syntax import Rewrite
from nexusql.sql.templates import fill, put, trimmed
from nexusql.sql.tokens import Token, Tokens

_STARTS = frozenset(("WHERE", "HAVING", "ON", "AND", "OR", "NOT", "WHEN"))
_ENDS = frozenset(
    "AND OR THEN GROUP ORDER HAVING UNION EXCEPT INTERSECT WHEN OUTPUT RETURNING OFFSET LIMIT FETCH FOR INNER LEFT "
    "RIGHT FULL CROSS JOIN WHERE OPTION WINDOW ELSE END".split()
)
_DEFINES = frozenset(("CREATE", "ALTER", "DROP", "GRANT", "REVOKE", "TRUNCATE", "IF", "DECLARE"))
# What T-SQL takes for conditions: functions, and words before a parenthesis.
_CONDITIONS = frozenset("EXISTS CONTAINS FREETEXT UPDATE REGEXP_LIKE UNIQUE MATCHED".split())
_TRUTH = {"TRUE": "1", "FALSE": "0"}
_LOGICAL = frozenset(("AND", "OR", "NOT", "LIKE", "IN", "BETWEEN", "IS", "EXISTS"))
_BIT = "CAST(CASE WHEN {0} THEN 1 WHEN NOT ({0}) THEN 0 END AS BIT)"


def conditions(rewrite: Rewrite) -> None:
    """Conditions where T-SQL wants them, values where it wants these. Runs after what makes operators of words."""
    tokens = rewrite.tokens
    first = tokens.next(-1)
    if rewrite.definition or (tokens.word(first) in _DEFINES and tokens.find("VIEW") < 0):
        return
    if "IS" in rewrite.words and ("TRUE" in rewrite.words or "FALSE" in rewrite.words):
        _tests(tokens)
    if "SELECT" in rewrite.words:
        for i in range(len(tokens) - 1, -1, -1):
            if tokens.word(i) == "SELECT":
                _select_list(rewrite, i)
    if _STARTS.isdisjoint(rewrite.words):
        return
    i = 0
    joins = not rewrite.words.isdisjoint(("JOIN", "USING"))  # else ON says where something is done
    while i < len(tokens):
        if tokens.word(i) in _STARTS and (joins or tokens.word(i) != "ON") and _starts_condition(tokens, i):
            _term(tokens, tokens.next(i))
        i += 1


def truth_words(rewrite: Rewrite) -> None:
    """TRUE and FALSE as 1 and 0."""
    if not rewrite.words.isdisjoint(_TRUTH):
        tokens = rewrite.tokens
        for i, token in enumerate(tokens):
            if tokens.word(i) in _TRUTH and "." not in (tokens.kind(tokens.prev(i)), tokens.kind(tokens.next(i))):
                tokens[i] = Token("0", _TRUTH[tokens.word(i)], token.start)


def _tests(tokens: Tokens) -> None:
    """x IS [NOT] TRUE and FALSE."""
    for i in range(len(tokens) - 1, -1, -1):
        if tokens.word(i) != "IS":
            continue
        negated = tokens.word(tokens.next(i)) == "NOT"
        last = tokens.next(tokens.next(i)) if negated else tokens.next(i)
        if tokens.word(last) not in _TRUTH:
            continue
        start = operand_start(tokens, i)
        operand = Tokens(trimmed(tokens, start, i))
        wanted, other = ("1", "0") if tokens.word(last) == "TRUE" else ("0", "1")
        value = _BIT if _is_condition(operand) else "{0}"
        template = f"ISNULL({value}, {other}) = {other}" if negated else f"{value} = {wanted}"
        put(tokens, start, last + 1, fill(template, operand))


def _is_condition(operand: Tokens) -> bool:
    """True where an expression compares, as far as its own level, or that of the parentheses around it, shows."""
    while operand.kind(0) == "(" and operand.close(0) == len(operand) - 1:
        operand = Tokens(trimmed(operand, 1, len(operand) - 1))
    if operand.word(0) in ("SELECT", "WITH"):
        return False
    level = case = 0
    for i, token in enumerate(operand):
        level += (token.kind in "([") - (token.kind in ")]")
        word = operand.word(i)
        case += (word == "CASE") - (word == "END")
        if level == 0 and case == 0:
            starts = token.kind == "o" and operand.kind(i - 1) != "o"
            if word in _LOGICAL or (starts and operator(operand, i) in COMPARISONS):
                return True
    return False


def _select_list(rewrite: Rewrite, select: int) -> None:
    """Make a BIT of each item of a SELECT that is a condition."""
    tokens = rewrite.tokens
    first = tokens.next(select)
    while tokens.word(first) in ("DISTINCT", "ALL"):
        first = tokens.next(first)
    if tokens.word(first) == "TOP":
        number = tokens.next(first)
        first = tokens.next(tokens.close(number) if tokens.kind(number) == "(" else number)
    end = first
    while end < len(tokens) and tokens.kind(end) not in (")", ";") and tokens.word(end) not in _LIST_ENDS:
        end = tokens.next(tokens.close(end) if tokens.kind(end) in ("(", "[") else end)
    for start, stop in reversed(list(tokens.items(first, min(end, len(tokens))))):
        begin = tokens.next(start - 1)
        alias = tokens.find("AS", start=begin, end=stop)
        until = alias if alias >= 0 else stop
        item = Tokens(trimmed(tokens, begin, until))
        if not item or not _is_condition(item):
            continue
        if (
            len(item) > 1
            and item[0].kind in 'w"@'
            and item.op(item.next(0), "=")
            and operator(item, item.next(0)) == "="
        ):
            # T-SQL reads `name = value` as a name for the value, or an assignment to a variable.
            if item[0].kind != "@":
                rewrite.note("name = value gives the value a name here; a comparison wants parentheses", begin)
            continue
        put(tokens, begin, tokens.prev(until) + 1, fill(_BIT, item))


_LIST_ENDS = frozenset("FROM INTO WHERE GROUP HAVING ORDER UNION EXCEPT INTERSECT OFFSET OPTION FOR".split())


def _starts_condition(tokens: Tokens, i: int) -> bool:
    """True where a condition stands behind the word at i."""
    word, after = tokens.word(i), tokens.word(tokens.next(i))
    if tokens.kind(tokens.prev(i)) == "." or tokens.kind(tokens.next(i)) in (".", "", ";", ")", ","):
        return False
    if word == "WHEN":
        return after not in ("MATCHED", "NOT") and _is_searched(tokens, i)
    if word == "NOT":
        return after not in ("NULL", "MATCHED", "IN", "LIKE", "BETWEEN", "EXISTS") and not ends_operand(
            tokens, tokens.prev(i)
        )
    if word == "AND":
        return not _is_between(tokens, i)
    if word == "ON":
        return after not in ("CONFLICT", "DELETE", "UPDATE", "COMMIT")
    return True


def _is_searched(tokens: Tokens, i: int) -> bool:
    """True for WHEN of CASE WHEN condition, not of CASE value WHEN value."""
    level = 0
    for j in range(i - 1, -1, -1):
        word = tokens.word(j)
        level += (word == "END") - (word == "CASE")
        if level < 0:
            return tokens.word(tokens.next(j)) == "WHEN"
    return False


def _is_between(tokens: Tokens, i: int) -> bool:
    """True for the AND of BETWEEN a AND b."""
    j = tokens.prev(i)
    while j >= 0 and tokens.kind(j) not in ("(", ","):
        word = tokens.word(j)
        if word == "BETWEEN":
            return True
        if word in _STARTS or word in ("THEN", "ELSE"):
            return False
        j = tokens.prev(tokens.open(j) if tokens.kind(j) == ")" else j)
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
