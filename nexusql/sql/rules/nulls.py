"""ORDER BY .. NULLS FIRST and LAST, where NULL is simply the least value: by a key of its own before the item."""

from nexusql.sql.operands import ends_operand
from nexusql.sql.rules.queries import aliased, query_before
from nexusql.sql.syntax import Rewrite, Rule
from nexusql.sql.templates import copy, fill, put, trimmed
from nexusql.sql.tokens import Tokens

_KEY = "CASE WHEN {{0}} IS NULL THEN {} ELSE {} END, {{1}}"


def null_order(expressions_of_columns: bool) -> Rule:
    """NULLS FIRST and LAST; where the server does so of itself, the words go.

    With `expressions_of_columns` an expression in ORDER BY sees columns only, not names that the SELECT gives, and
    none beside DISTINCT. What has no name to be asked for, as `ORDER BY 1`, is refused.
    """

    def rule(rewrite: Rewrite) -> None:
        if "NULLS" not in rewrite.words:
            return
        tokens = rewrite.tokens
        for i in range(len(tokens) - 1, -1, -1):
            if tokens.word(i) == "NULLS" and tokens.word(tokens.next(i)) in ("FIRST", "LAST"):
                _rewrite(rewrite, i, expressions_of_columns)

    return rule


def _rewrite(rewrite: Rewrite, i: int, expressions_of_columns: bool) -> None:
    """Rewrite the item of ORDER BY whose word NULLS is at i."""
    tokens = rewrite.tokens
    order, start = _item_start(tokens, i)
    last = tokens.prev(i)
    descending = tokens.word(last) == "DESC"
    if order < 0 or not (tokens.word(last) in ("ASC", "DESC") or ends_operand(tokens, last)):
        return
    nulls_last = tokens.word(tokens.next(i)) == "LAST"
    stop = tokens.prev(last) + 1 if tokens.word(last) in ("ASC", "DESC") else last + 1
    tested = trimmed(tokens, start, stop)
    item = trimmed(tokens, start, i)
    end = tokens.next(i) + 1
    if nulls_last == descending:
        put(tokens, tokens.prev(i) + 1, end, [])
        return
    if len(tested) == 1 and tested[0].kind == "0":
        raise rewrite.refuse("NULLS FIRST and LAST need the column itself here, not its number", i)
    query = query_before(tokens, order)
    if query.combined:
        raise rewrite.refuse("NULLS FIRST and LAST cannot stand behind UNION here; order an outer SELECT", i)
    if expressions_of_columns and query.select >= 0:
        if tokens.word(tokens.next(query.select)) == "DISTINCT":
            raise rewrite.refuse("NULLS FIRST and LAST cannot stand beside DISTINCT here; order an outer SELECT", i)
        if len(tested) == 1:
            tested = aliased(tokens, query.select, tested[0].text) or tested
    key = _KEY.format(1, 0) if nulls_last else _KEY.format(0, 1)
    put(tokens, tokens.next(start - 1), end, fill(key, [copy(token) for token in tested], item))


def _item_start(tokens: Tokens, i: int) -> tuple[int, int]:
    """Position of the word ORDER that an item belongs to, -1 for none, and where the item starts."""
    by = tokens.prev(i)
    while by >= 0 and tokens.kind(by) not in ("(", "[") and tokens.word(by) != "BY":
        by = tokens.skip_back(by)
    order = tokens.prev(by)
    if tokens.word(by) != "BY" or tokens.word(order) != "ORDER":
        return -1, -1
    *_, (start, _) = tokens.items(by + 1, i)
    return order, start
