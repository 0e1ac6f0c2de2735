"""Functions: the clock, generated keys, parts of moments, GREATEST and LEAST, STRING_AGG."""

from collections.abc import Callable, Mapping

from nexusql.sql.lexical import SessionModes
from nexusql.sql.operands import AGGREGATES, primary_end
from nexusql.sql.syntax import Rewrite, Rule
from nexusql.sql.templates import MOST_OPERANDS, fill, grouped, put, trimmed
from nexusql.sql.tokens import Token, Tokens

_FIELD_CALLS = frozenset(("EXTRACT", "DATE_PART", "DATE_TRUNC"))


def is_call(tokens: Tokens, i: int, arguments: bool = True) -> bool:
    """True where a function is called at i; with `arguments` False only where it has none."""
    opening = tokens.next(i)
    return (
        tokens.kind(opening) == "("
        and tokens.kind(tokens.prev(i)) != "."
        and (arguments or tokens.kind(tokens.next(opening)) == ")")
    )


def is_default(tokens: Tokens, i: int) -> bool:
    """True for what DEFAULT or ON UPDATE gives a column: definitions of tables have rules of their own."""
    before = tokens.prev(i)
    if tokens.word(before) == "UPDATE":
        return tokens.word(tokens.prev(before)) == "ON"
    return tokens.word(before) == "DEFAULT"


def clock(words: Mapping[str, str], calls: Mapping[str, str], utc: str) -> Rule:
    """The current moment: bare words (CURRENT_TIMESTAMP) and calls without arguments (NOW()) by template.

    With AT TIME ZONE 'UTC' behind it the moment is `utc`; with another zone it is refused.
    """
    names = frozenset((*words, *calls))

    def rule(rewrite: Rewrite) -> None:
        if names.isdisjoint(rewrite.words):
            return
        tokens = rewrite.tokens
        for i in range(len(tokens) - 1, -1, -1):
            word = tokens.word(i)
            if word not in names or is_default(tokens, i) or tokens.kind(tokens.prev(i)) == ".":
                continue
            if word in calls and is_call(tokens, i, arguments=False):
                end = tokens.close(tokens.next(i)) + 1
                template = calls[word]
            elif word in words and tokens.kind(tokens.next(i)) != "(" and tokens.word(tokens.prev(i)) != "AS":
                end = i + 1
                template = words[word]
            else:
                continue
            zone = tokens.after(tokens.next(end - 1), "AT", "TIME", "ZONE")
            if zone >= 0:
                if tokens.text(zone, zone + 1).upper() not in ("'UTC'", "'Z'", "'GMT'"):
                    raise rewrite.refuse("only AT TIME ZONE 'UTC' can be said here", i)
                template, end = utc, zone + 1
            put(tokens, i, end, fill(template))

    return rule


def calls(choose: Callable[[SessionModes], Mapping[str, str]]) -> Rule:
    """Calls without arguments, as GEN_RANDOM_UUID(), by a template for the function's name."""

    def rule(rewrite: Rewrite) -> None:
        if rewrite.words.isdisjoint(templates := choose(rewrite.modes)):
            return
        tokens = rewrite.tokens
        for i in range(len(tokens) - 1, -1, -1):
            template = templates.get(tokens.word(i))
            if template is not None and is_call(tokens, i, arguments=False):
                put(tokens, i, tokens.close(tokens.next(i)) + 1, fill(template))

    return rule


def fields(templates: Mapping[str, str], native: frozenset[str] = frozenset()) -> Rule:
    """EXTRACT(field FROM x), date_part('field', x), date_trunc('field', x); keys are `EXTRACT YEAR`, `DATE_TRUNC DAY`.

    EXTRACT of a `native` field stays as it is. A field without a template is refused.
    """

    def rule(rewrite: Rewrite) -> None:
        if _FIELD_CALLS.isdisjoint(rewrite.words):
            return
        tokens = rewrite.tokens
        for i in range(len(tokens) - 1, -1, -1):
            word = tokens.word(i)
            if word not in _FIELD_CALLS or not is_call(tokens, i):
                continue
            opening = tokens.next(i)
            closing = tokens.close(opening)
            if word == "EXTRACT":
                split = tokens.find("FROM", start=opening + 1, end=closing)
            else:
                split = next(tokens.items(opening + 1, closing), (0, -1))[1]
            field = tokens.next(opening)
            name = tokens.text(field, field + 1).strip("'").upper()
            if not field < split < closing or tokens.next(field) != split or (word == "EXTRACT" and name in native):
                continue
            key = f"{'EXTRACT' if word == 'DATE_PART' else word} {name}"
            if key not in templates:
                raise rewrite.refuse(f"{key} cannot be said here", i)
            made = _field(templates[key], trimmed(tokens, split + 1, closing), key == "EXTRACT EPOCH")
            put(tokens, i, closing + 1, made)

    return rule


def _field(template: str, operand: list[Token], is_linear: bool) -> list[Token]:
    """A field of a moment. Of the difference of two, which is an interval, it is the difference of the fields."""
    inner = Tokens(operand)
    while inner.kind(0) == "(" and inner.close(0) == len(inner) - 1:
        inner = Tokens(trimmed(inner, 1, len(inner) - 1))
    end = primary_end(inner, 0)
    minus = inner.next(end - 1)
    last = inner.next(minus)
    if is_linear and inner.op(minus, "-") and primary_end(inner, last) == len(inner) and inner.word(last) != "INTERVAL":
        return fill("({0} - {1})", fill(template, inner[:end]), fill(template, inner[last:]))
    return fill(template, grouped(operand))


def extremes(names: Mapping[str, str], subselect: str = "") -> Rule:
    """GREATEST and LEAST, which ignore NULL on PostgreSQL, by functions for which one NULL makes the result NULL.

    Each argument that may be NULL falls back on the others. With `subselect`, `names` are those of aggregates, which
    it applies to the arguments as rows: {0} is the aggregate, {1} the rows.
    """

    def rule(rewrite: Rewrite) -> None:
        if rewrite.words.isdisjoint(names):
            return
        tokens = rewrite.tokens
        for i in range(len(tokens) - 1, -1, -1):
            if tokens.word(i) not in names or not is_call(tokens, i):
                continue
            opening = tokens.next(i)
            closing = tokens.close(opening)
            items = [trimmed(tokens, start, end) for start, end in tokens.items(opening + 1, closing)]
            if not items or not all(items):
                continue
            if len(items) > MOST_OPERANDS:
                raise rewrite.refuse(f"{tokens.word(i)} of more than {MOST_OPERANDS} values cannot be said here", i)
            if subselect:
                if _is_aggregated(tokens, i):
                    raise rewrite.refuse(
                        f"{tokens.word(i)} cannot stand inside an aggregate here; aggregate what a subselect gives", i
                    )
                rows = ", ".join(f"({{{n}}})" for n in range(len(items)))
                put(tokens, i, closing + 1, fill(subselect.format(names[tokens.word(i)], rows), *items))
                continue
            firm = [k for k, item in enumerate(items) if len(item) == 1 and item[0].kind in "'0"]
            made: list[str] = []
            for k in range(len(items)):
                others = firm[:1] if firm else [n for n in range(len(items)) if n != k]
                fallbacks = ", ".join(f"{{{n}}}" for n in (k, *others))
                made.append(f"{{{k}}}" if k in firm or not others else f"COALESCE({fallbacks})")
            template = f"{names[tokens.word(i)]}({', '.join(made)})" if len(items) > 1 else "({0})"
            put(tokens, i, closing + 1, fill(template, *items))

    return rule


def _is_aggregated(tokens: Tokens, i: int) -> bool:
    """True where a position is inside the parentheses of an aggregate."""
    opener = tokens.enclosing(i)
    while opener >= 0:
        if tokens.word(tokens.prev(opener)) in AGGREGATES:
            return True
        if tokens.word(tokens.next(opener)) in ("SELECT", "WITH"):
            return False
        opener = tokens.enclosing(opener)
    return False


# Tokens of an aggregate from its parts: DISTINCT or not, value, separator, ORDER BY clause (empty without one).
Aggregate = Callable[[Rewrite, int, bool, list[Token], list[Token], list[Token]], list[Token]]


def string_agg(build: Aggregate) -> Rule:
    """STRING_AGG([DISTINCT] value, separator [ORDER BY ..]), by what the dialect builds of its parts."""

    def rule(rewrite: Rewrite) -> None:
        if "STRING_AGG" not in rewrite.words:
            return
        tokens = rewrite.tokens
        for i in range(len(tokens) - 1, -1, -1):
            if tokens.word(i) != "STRING_AGG" or not is_call(tokens, i):
                continue
            opening = tokens.next(i)
            closing = tokens.close(opening)
            order = tokens.find("ORDER", "BY", start=opening + 1, end=closing)
            items = list(tokens.items(opening + 1, order if order > 0 else closing))
            if len(items) != 2:
                continue
            first = tokens.next(opening)
            distinct = tokens.word(first) == "DISTINCT"
            value = trimmed(tokens, first + 1 if distinct else first, items[0][1])
            separator = trimmed(tokens, *items[1])
            if not value or not separator:
                continue
            ordering = trimmed(tokens, order, closing) if order > 0 else []
            put(tokens, i, closing + 1, build(rewrite, i, distinct, value, separator, ordering))

    return rule


def renamed(templates: Mapping[str, str]) -> Rule:
    """Calls of functions that have another name or form, by templates of their arguments; keys are `SUBSTR(3)`, with
    the number of arguments."""
    names = frozenset(key.partition("(")[0] for key in templates)

    def rule(rewrite: Rewrite) -> None:
        if rewrite.words.isdisjoint(names):
            return
        tokens = rewrite.tokens
        for i in range(len(tokens) - 1, -1, -1):
            if tokens.word(i) not in names or not is_call(tokens, i):
                continue
            opening = tokens.next(i)
            closing = tokens.close(opening)
            items = [trimmed(tokens, *item) for item in tokens.items(opening + 1, closing)]
            template = templates.get(f"{tokens.word(i)}({len(items)})")
            if template is not None and all(items):
                put(tokens, i, closing + 1, fill(template, *items))

    return rule


def filtered(rewrite: Rewrite) -> None:
    """aggregate(x) FILTER (WHERE condition) as the aggregate of CASE WHEN condition THEN x END, since all of them leave
    NULL out. Runs before what rewrites aggregates."""
    if "FILTER" not in rewrite.words:
        return
    tokens = rewrite.tokens
    for i in range(len(tokens) - 1, -1, -1):
        opening = tokens.next(i)
        if tokens.word(i) != "FILTER" or tokens.kind(opening) != "(" or tokens.kind(tokens.prev(i)) != ")":
            continue
        where, closing = tokens.after(tokens.next(opening), "WHERE"), tokens.close(opening)
        last = tokens.prev(i)
        start = tokens.open(last)
        name = tokens.word(tokens.prev(start))
        if where < 0 or start < 0 or name in ("", "ARRAY_AGG"):
            continue
        if name not in AGGREGATES:
            raise rewrite.refuse(f"{name} .. FILTER cannot be said here; write CASE inside of the aggregate", i)
        condition = trimmed(tokens, where, closing)
        first = tokens.next(start)
        first = tokens.next(first) if tokens.word(first) in ("DISTINCT", "ALL") else first
        stop = next(tokens.items(first, last), (first, first))[1]
        order = tokens.find("ORDER", "BY", start=first, end=stop)
        value = trimmed(tokens, first, order if order >= 0 else stop)
        whole = len(value) == 1 and value[0].text == "*"
        put(tokens, tokens.prev(i) + 1, closing + 1, [])
        made = fill("CASE WHEN {0} THEN {1} END", condition, [Token("0", "1")] if whole else value)
        put(tokens, first, first + len(value), made)
