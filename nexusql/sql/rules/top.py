"""LIMIT and OFFSET in T-SQL: TOP (n) behind SELECT, or ORDER BY .. OFFSET .. ROWS FETCH NEXT .. ROWS ONLY.

https://learn.microsoft.com/sql/t-sql/queries/select-order-by-clause-transact-sql
"""

from nexusql.sql.rules.limits import Clause, read_clauses, starts_clause
from nexusql.sql.rules.queries import query_before
from nexusql.sql.syntax import Rewrite
from nexusql.sql.templates import fill, put
from nexusql.sql.tokens import Token, Tokens

_CLAUSES = frozenset(("LIMIT", "OFFSET", "FETCH"))


def top_or_fetch(rewrite: Rewrite) -> None:
    """LIMIT alone as TOP, which needs no order; with OFFSET, or behind a UNION, as OFFSET .. FETCH."""
    if _CLAUSES.isdisjoint(rewrite.words):
        return
    tokens = rewrite.tokens
    i = 0
    while i < len(tokens):
        if tokens[i].kind == "w" and starts_clause(tokens, i):
            i = _limit(rewrite, i)
        else:
            i += 1


def _limit(rewrite: Rewrite, start: int) -> int:
    """Rewrite the clauses that stand together at `start`; gives the position behind them."""
    tokens = rewrite.tokens
    clauses, end = read_clauses(tokens, start)
    if not clauses:
        return start + 1
    limit, offset = clauses.get("LIMIT"), clauses.get("OFFSET")
    query = query_before(tokens, start)
    if query.ordered and offset is not None and _is_native(tokens, start, offset, limit):
        return end
    if query.select < 0:
        raise rewrite.refuse("LIMIT belongs to a SELECT here", start)
    if limit is not None and limit.number and (not _skips(offset) or _is_zero(limit)) and not query.combined:
        before = start - 1 if tokens[start - 1].kind == " " and tokens.kind(start - 2) != "-" else start
        behind = put(tokens, before, end, [])
        made = fill(" TOP ({0})", _bare(limit.number))
        at = query.select + 1
        if tokens.word(tokens.next(query.select)) in ("DISTINCT", "ALL"):
            at = tokens.next(query.select) + 1
        tokens[at:at] = made
        return behind + len(made)
    made = []
    if offset is not None or (limit is not None and limit.number):
        if not query.ordered:
            distinct = tokens.word(tokens.next(query.select)) == "DISTINCT"
            made = fill("ORDER BY 1 " if distinct or query.combined else "ORDER BY (SELECT NULL) ")
        made += fill("OFFSET {0} ROWS", _operand(offset.number if offset is not None else [Token("0", "0")]))
        if limit is not None and limit.number:
            made += fill(" FETCH NEXT {0} ROWS ONLY", _operand(limit.number))
    return put(tokens, start, end, made)


def _is_native(tokens: Tokens, start: int, offset: Clause, limit: Clause | None) -> bool:
    """True for OFFSET n ROWS FETCH NEXT m ROWS ONLY, which PostgreSQL knows, too."""
    says_rows = tokens.word(start) == "OFFSET" and tokens.word(offset.end - 1) in ("ROW", "ROWS")
    return says_rows and (limit is None or tokens.word(tokens.next(offset.end - 1)) == "FETCH")


def _skips(offset: Clause | None) -> bool:
    return offset is not None and not (len(offset.number) == 1 and offset.number[0].text == "0")


def _is_zero(limit: Clause) -> bool:
    """True for LIMIT 0, which FETCH does not take."""
    return len(limit.number) == 1 and limit.number[0].text == "0"


def _bare(number: list[Token]) -> list[Token]:
    """A number without the parentheses around it."""
    tokens = Tokens(number)
    return tokens[1:-1] if tokens.kind(0) == "(" and tokens.close(0) == len(tokens) - 1 else tokens


def _operand(number: list[Token]) -> list[Token]:
    return number if len(number) == 1 else fill("({0})", _bare(number))


def ordered_subselects(rewrite: Rewrite) -> None:
    """ORDER BY inside parentheses gets OFFSET 0 ROWS, without which T-SQL takes it only beside TOP and FOR XML."""
    if "ORDER" not in rewrite.words or "SELECT" not in rewrite.words:
        return
    tokens = rewrite.tokens
    for i in range(len(tokens) - 1, -1, -1):
        if tokens[i].kind != "(" or tokens.word(tokens.next(i)) not in ("SELECT", "WITH"):
            continue
        close = tokens.close(i)
        order = tokens.find("ORDER", "BY", start=i + 1, end=close)
        if order < 0 or close == len(tokens) or tokens.find("OFFSET", start=order, end=close) >= 0:
            continue
        if tokens.find("FOR", start=order, end=close) >= 0:
            continue
        select = query_before(tokens, order).select
        if select >= 0 and "TOP" not in (tokens.word(k) for k in range(select, min(select + 5, close))):
            at = tokens.prev(close) + 1
            tokens[at:at] = fill(" OFFSET 0 ROWS")
