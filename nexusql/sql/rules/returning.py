"""RETURNING, where the dialect has none or only some."""

from collections.abc import Callable

from nexusql.sql.lexical import SessionModes
from nexusql.sql.syntax import Rewrite, Rule

_VERBS = ("INSERT", "UPDATE", "DELETE", "REPLACE", "MERGE")


def returning(allowed: Callable[[SessionModes], frozenset[str]], advice: str) -> Rule:
    """RETURNING stays where the session's server has it for the statement's verb, and is refused elsewhere."""

    def rule(rewrite: Rewrite) -> None:
        if "RETURNING" not in rewrite.words:
            return
        tokens = rewrite.tokens
        verb = next((word for i in range(len(tokens)) if (word := tokens.word(i)) in _VERBS), "")
        i = tokens.find("RETURNING")
        if i < 0 or not verb or tokens.find(verb, end=i) < 0:
            return
        if verb not in allowed(rewrite.modes):
            raise rewrite.refuse(f"{verb} .. RETURNING cannot be said here; {advice}", i)

    return rule
