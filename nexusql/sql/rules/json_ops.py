"""JSON operators: -> ->> #> #>> by functions, @> and <@ where there is one, and errors for what has none."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from nexusql.sql.lexical import SessionModes
from nexusql.sql.operands import (
    ARITHMETIC,
    aggregates,
    ends_operand,
    operand_end,
    operand_start,
    operator,
    primary_end,
    primary_start,
)
from nexusql.sql.syntax import Rewrite, Rule
from nexusql.sql.templates import fill, put
from nexusql.sql.tokens import Token

ARROWS = frozenset(("->", "->>", "#>", "#>>"))
_PATH = re.compile(
    r'\s*\{\s*((?:[^\s{},"\\]+|"(?:[^"\\]|\\.)*")(?:\s*,\s*(?:[^\s{},"\\]+|"(?:[^"\\]|\\.)*"))*)?\s*\}\s*'
)
_COMMENTED_PATH = re.compile(r"""#>>?\s*[':(]|#>>?\s*ARRAY\b""", re.IGNORECASE)
_PATH_ITEM = re.compile(r'[^\s{},"\\]+|"(?:[^"\\]|\\.)*"')

Key = str | int


@dataclass(frozen=True, slots=True)
class JsonPaths:
    """How a dialect reads inside JSON. Templates: {0} is the JSON, {1} a path, or where `at` is said, a key or index.

    `path` gives the SQL literal of a path, or None where a key cannot stand in one; ValueError says why there is none.
    With `split`, {1} of `element` is the path to what holds the key, and {2} the key. `grouped` is used instead in a
    statement that groups or aggregates; its `grouped_note` tells what that loses. Where `element` finds only objects
    and arrays, `lost` says so, and no chain may end with it.
    """

    element: str  # ->
    text: str  # ->>
    element_at: str
    text_at: str
    path: Callable[[tuple[Key, ...]], str | None]
    subselects: bool = False  # whether the templates with `at` are subselects, in which no aggregate can stand
    split: bool = False
    native_paths: bool = True  # whether a label that starts with $ is a path, and the statement the dialect's own
    grouped: "JsonPaths | None" = None
    grouped_note: str = ""
    lost: str = ""


class _Step(NamedTuple):
    key: Key | None  # None where the label is known only when the statement runs
    label: list[Token]


def json_arrows(choose: Callable[[SessionModes], JsonPaths]) -> Rule:
    """Chains of -> ->> #> #>>, literal labels gathered in one path. A label `'$..'` is native, and left alone."""

    def rule(rewrite: Rewrite) -> None:
        if ">" not in rewrite.words or rewrite.words.isdisjoint("-#"):
            return
        tokens = rewrite.tokens
        paths = choose(rewrite.modes)
        is_grouped = paths.grouped is not None and ("GROUP" in rewrite.words or aggregates(tokens))
        paths = paths.grouped if is_grouped and paths.grouped is not None else paths
        i = 0
        while i < len(tokens):
            if tokens[i].kind == "o" and tokens[i].text in "-#" and operator(tokens, i) in ARROWS:
                if paths.grouped_note:
                    rewrite.note(paths.grouped_note, i)
                try:
                    i = _chain(rewrite, paths, i)
                except ValueError as error:
                    raise rewrite.refuse(str(error), i) from None
            i += 1

    return rule


def _chain(rewrite: Rewrite, paths: JsonPaths, i: int) -> int:
    """Rewrite the chain whose first arrow is at i; gives the position of its last token."""
    tokens = rewrite.tokens
    if not ends_operand(tokens, tokens.prev(i)):
        return i
    start = primary_start(tokens, tokens.prev(i))
    made = tokens[start : tokens.prev(i) + 1]
    steps: list[_Step] = []
    at, end, as_text = i, i, False
    while not as_text and (arrow := operator(tokens, at)) in ARROWS:
        first = tokens.next(at + len(arrow) - 1)
        end = primary_end(tokens, first)
        if first == len(tokens):
            return i
        if paths.native_paths and tokens[first].text.startswith("'$") and arrow.startswith("-"):
            return end - 1
        steps += _steps(rewrite, arrow, tokens[first:end], at)
        at, as_text = tokens.next(end - 1), arrow.endswith(">>")
    if paths.lost and not as_text:
        raise rewrite.refuse(paths.lost, i)
    pending: tuple[Key, ...] = ()
    for step in steps:
        if step.key is not None and paths.path((step.key,)):
            pending = (*pending, step.key)
            continue
        if pending:
            made = _element(paths, made, pending)
        pending = ()
        if paths.subselects and aggregates(made):
            raise rewrite.refuse("an aggregate cannot stand before -> here; compute it in a subselect", i)
        is_last = as_text and step is steps[-1]
        made = fill(paths.text_at if is_last else paths.element_at, made, step.label)
    if pending or not steps:
        made = fill(paths.text, made, [_path(paths, pending)]) if as_text else _element(paths, made, pending)
    return put(tokens, start, end, made) - 1


def _element(paths: JsonPaths, json: list[Token], keys: tuple[Key, ...]) -> list[Token]:
    """The tokens of a literal path's element, as JSON."""
    if not paths.split or not keys:
        return fill(paths.element, json, [_path(paths, keys)])
    key = Token("'", "'" + str(keys[-1]).replace("'", "''") + "'")
    return fill(paths.element, json, [_path(paths, keys[:-1])], [key])


def _path(paths: JsonPaths, keys: tuple[Key, ...]) -> Token:
    return Token("'", paths.path(keys) or "")


def _steps(rewrite: Rewrite, arrow: str, label: list[Token], position: int) -> list[_Step]:
    """The steps that an arrow takes: one for -> and ->>, one for each item of the path of #> and #>>."""
    literal = label[0].text if len(label) == 1 and label[0].text.startswith("'") else None
    if arrow.startswith("#"):
        found = _PATH.fullmatch(literal[1:-1].replace("''", "'")) if literal else None
        if found is None:
            raise rewrite.refuse(
                f"{arrow} takes only a literal path here, as '{{a,b}}'; chain -> and ->> otherwise", position
            )
        keys = [_path_key(item) for item in _PATH_ITEM.findall(found[1] or "")]
        return [_Step(key, [Token("'", "'" + str(key).replace("'", "''") + "'")]) for key in keys]
    if literal is not None:
        return [_Step(literal[1:-1].replace("''", "'"), label)]
    number = "".join(token.text for token in label if token.kind not in " -")
    return [_Step(int(number) if re.fullmatch(r"[+-]?\d+", number) else None, label)]


def _path_key(item: str) -> Key:
    if item.startswith('"'):
        return re.sub(r"\\(.)", r"\1", item[1:-1])
    return int(item) if re.fullmatch(r"-?\d+", item) else item


def refuse_commented_paths(rewrite: Rewrite) -> None:
    """#> and #>> are refused where # starts a comment: the rest of the line would be lost without a word.

    Such a comment may also stand behind the last token.
    """
    if "#>" not in rewrite.source:
        return
    tokens = rewrite.tokens
    end = max((token.start + len(token.text) for token in tokens if token.start >= 0), default=0)
    behind = Token("-", rewrite.source[end:].lstrip())
    for i, token in enumerate((*tokens, behind)):
        if token.kind == "-" and _COMMENTED_PATH.match(token.text) and ends_operand(tokens, tokens.prev(i)):
            raise rewrite.refuse("#> starts a comment here; chain -> and ->> instead", i)


def refuse_named_paths(rewrite: Rewrite) -> None:
    """#> and #>> are refused where # is a part of names."""
    tokens = rewrite.tokens
    if ">" not in rewrite.words:
        return
    for i, token in enumerate(tokens):
        if token.kind == "w" and token.text.endswith("#") and tokens.op(i + 1, ">"):
            label = tokens.next(i + 2 if tokens.op(i + 1, ">>") else i + 1)
            if tokens.kind(label) == ":" or tokens.text(label, label + 1).startswith("'{"):
                raise rewrite.refuse("#> reads as the end of a name here; chain -> and ->> instead", i)


def json_containment(contains: str | None) -> Rule:
    """@> and <@ by a template of the outer and the inner JSON, or refused."""

    def rule(rewrite: Rewrite) -> None:
        tokens = rewrite.tokens
        if "@" not in rewrite.words:
            return
        for i in range(len(tokens) - 1, -1, -1):
            if tokens[i].kind != "o" or tokens.kind(i - 1) == "o" or operator(tokens, i) not in ("@>", "<@"):
                continue
            if contains is None:
                raise rewrite.refuse(f"{operator(tokens, i)} (JSON containment) cannot be said here", i)
            right = tokens.next(i + 1)
            start, end = operand_start(tokens, i), operand_end(tokens, right, ARITHMETIC)
            if not (0 <= start < i and right < end):
                continue  # without two operands it is the server's to refuse
            sides = [tokens[start : tokens.prev(i) + 1], tokens[right:end]]
            if operator(tokens, i) == "<@":
                sides.reverse()
            put(tokens, start, end, fill(contains, *sides))

    return rule


def refuse_json_operators(rewrite: Rewrite) -> None:
    """? ?| ?& and || of jsonb are refused. Runs before casts, which show what is jsonb."""
    if "JSONB" in rewrite.words and "|" in rewrite.words:
        _refuse_jsonb_union(rewrite)
    if any(token.text == "?" for token in rewrite.tokens):
        _refuse_key_tests(rewrite)


def _refuse_jsonb_union(rewrite: Rewrite) -> None:
    """Refuse || beside a cast to jsonb: it merges there, and joins texts here."""
    tokens = rewrite.tokens
    for i in range(len(tokens)):
        if tokens.word(i) != "JSONB":
            continue
        before, last = tokens.prev(i), i
        if tokens.kind(before) == "t":
            start = primary_start(tokens, tokens.prev(before))
        elif tokens.word(before) == "AS" and tokens.kind(tokens.next(i)) == ")":
            last = tokens.next(i)
            start = primary_start(tokens, last)
        else:
            continue
        if tokens.op(tokens.prev(start) - 1, "||") or tokens.op(tokens.next(last), "||"):
            raise rewrite.refuse("|| of jsonb cannot be said here; merge in the program", i)


def _refuse_key_tests(rewrite: Rewrite) -> None:
    """Refuse ? between a value and a literal, ?| and ?&: they test for keys, and here would be placeholders."""
    tokens = rewrite.tokens
    for i in range(len(tokens)):
        after = tokens.next(i)
        if tokens[i].kind not in "?o" or tokens[i].text != "?" or not ends_operand(tokens, tokens.prev(i)):
            continue
        if tokens.kind(after) == "'" or (after == i + 1 and tokens.kind(after) == "o" and tokens[after].text in "|&"):
            raise rewrite.refuse("? (does a key exist) cannot be said here; test ->> .. IS NOT NULL", i)
