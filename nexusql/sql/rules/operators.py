"""Operators: ILIKE, IS [NOT] DISTINCT FROM, IS [NOT] UNKNOWN."""

from nexusql.sql.operands import ARITHMETIC, CLAUSE_WORDS, ends_operand, operand_end, operand_start
from nexusql.sql.syntax import Rewrite, Rule
from nexusql.sql.templates import fill, put, trimmed
from nexusql.sql.tokens import Token


def ilike(fold: str = "", escape: str = "") -> Rule:
    """ILIKE as LIKE. With `fold`, a function's name, both sides go through it; `escape` is what PostgreSQL implies.

    ILIKE ANY (..) stays as it is.
    """

    def rule(rewrite: Rewrite) -> None:
        tokens = rewrite.tokens
        if "ILIKE" not in rewrite.words:
            return
        for i in range(len(tokens) - 1, -1, -1):
            pattern = tokens.next(i)
            if tokens.word(i) != "ILIKE" or tokens.word(pattern) in ("ANY", "ALL", "SOME"):
                continue
            end = operand_end(tokens, pattern)
            behind = tokens.next(end - 1)
            escaped = tokens.word(behind) == "ESCAPE"
            character = tokens.text(tokens.next(behind), tokens.next(behind) + 1) if escaped else ""
            if escape and not escaped:
                tokens[end:end] = fill(f" ESCAPE {escape}")
            # An escape that is a letter would be folded in the pattern only.
            if fold and not any(map(str.isalpha, character)):
                put(tokens, pattern, end, fill(f"{fold}({{0}})", tokens[pattern:end]))
                last = tokens.prev(i) if tokens.word(tokens.prev(i)) == "NOT" else i
                start = operand_start(tokens, last)
                tokens[i] = Token("w", "LIKE", tokens[i].start)
                put(tokens, start, tokens.prev(last) + 1, fill(f"{fold}({{0}})", trimmed(tokens, start, last)))
            else:
                tokens[i] = Token("w", "LIKE", tokens[i].start)

    return rule


def distinct_from(same: str, different: str) -> Rule:
    """a IS [NOT] DISTINCT FROM b, by templates of both sides for NOT DISTINCT and for DISTINCT."""

    def rule(rewrite: Rewrite) -> None:
        if "DISTINCT" not in rewrite.words or "IS" not in rewrite.words:
            return
        tokens = rewrite.tokens
        for i in range(len(tokens) - 1, -1, -1):
            template, right = same, tokens.after(i, "IS", "NOT", "DISTINCT", "FROM")
            if right < 0:
                template, right = different, tokens.after(i, "IS", "DISTINCT", "FROM")
            if right < 0 or tokens.word(tokens.prev(i)) in CLAUSE_WORDS:
                continue
            start, end = operand_start(tokens, i), operand_end(tokens, right)
            put(tokens, start, end, fill(template, trimmed(tokens, start, i), tokens[right:end]))

    return rule


def is_unknown(rewrite: Rewrite) -> None:
    """x IS [NOT] UNKNOWN as IS [NOT] NULL."""
    tokens = rewrite.tokens
    if "UNKNOWN" in rewrite.words:
        for i in range(len(tokens)):
            behind = max(tokens.after(i, "IS", "UNKNOWN"), tokens.after(i, "IS", "NOT", "UNKNOWN"))
            if behind >= 0:
                last = tokens.prev(behind)
                tokens[last] = Token("w", "NULL", tokens[last].start)


def concatenation(text_of: str, plus: str) -> Rule:
    """a || b as `a plus b`, each but a literal by the template `text_of`, which makes a text of it.

    Runs after what stands for operators of the same rank, as ->>.
    """

    def rule(rewrite: Rewrite) -> None:
        tokens = rewrite.tokens
        if "|" not in rewrite.words:
            return
        i = 0
        while i < len(tokens):
            if tokens.op(i, "||") and ends_operand(tokens, tokens.prev(i)):
                start, at = operand_start(tokens, i, ARITHMETIC), i
                made = _text(trimmed(tokens, start, i), text_of)
                end = i
                while tokens.op(at, "||"):
                    first = tokens.next(at + 1)
                    end = operand_end(tokens, first, ARITHMETIC)
                    made += [*fill(plus), *_text(tokens[first:end], text_of)]
                    at = tokens.next(end - 1)
                i = put(tokens, start, end, made) - 1
            i += 1

    return rule


def _text(operand: list[Token], text_of: str) -> list[Token]:
    is_literal = len(operand) == 1 and operand[0].kind == "'"
    return list(operand) if is_literal else fill(text_of, operand)
