"""A statement as a list of tokens that rules can read and edit without ever touching a literal or a comment."""

from collections.abc import Iterator

from nexusql._speedups import scan
from nexusql.errors import SQLSyntaxError
from nexusql.sql.lexical import Lexical

OPENERS = {"(": ")", "[": "]"}
CLOSERS = {")": "(", "]": "["}


class Token:
    """A piece of the text. `kind` is the scanner's character for it, `start` its offset in the source, or -1."""

    __slots__ = ("kind", "start", "text")

    def __init__(self, kind: str, text: str, start: int = -1) -> None:
        self.kind = kind
        self.text = text
        self.start = start

    def __repr__(self) -> str:
        return f"Token({self.kind!r}, {self.text!r}, {self.start})"


def locate(sql: str, offset: int) -> tuple[int, int]:
    """Line and column of an offset, both from 1; CR, LF and CRLF each end a line."""
    before = sql[:offset].replace("\r\n", "\n").replace("\r", "\n")
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def syntax_error(sql: str, message: str, offset: int) -> SQLSyntaxError:
    """The error for what stands at an offset, told by line and column."""
    line, column = locate(sql, offset)
    error = SQLSyntaxError(f"{message} (line {line}, column {column})")
    error.sql = sql
    return error


def tokenize(sql: str, rules: Lexical, version: int = 0) -> "Tokens":
    """The tokens that tile `sql`. Raises SQLSyntaxError, with line and column, where it has no single reading."""
    try:
        kinds, ends = scan(sql, int(rules), version)
    except ValueError as error:
        message, offset = error.args
        raise syntax_error(sql, message, offset) from None
    tokens = Tokens()
    start = 0
    for kind, end in zip(kinds, ends, strict=True):
        tokens.append(Token(kind, sql[start:end], start))
        start = end
    return tokens


class Tokens(list[Token]):
    """Tokens of one statement. Positions are indexes into the list; -1 and len(self) stand for the ends."""

    def next(self, i: int) -> int:
        """Position of the first token after i that is neither blank nor comment."""
        i += 1
        while i < len(self) and self[i].kind in " -":
            i += 1
        return i

    def prev(self, i: int) -> int:
        """Position of the last token before i that is neither blank nor comment."""
        i -= 1
        while i >= 0 and self[i].kind in " -":
            i -= 1
        return i

    def word(self, i: int) -> str:
        """The word at i in upper case, or "" where there is none."""
        return self[i].text.upper() if 0 <= i < len(self) and self[i].kind == "w" else ""

    def kind(self, i: int) -> str:
        """The kind of the token at i, or "" outside."""
        return self[i].kind if 0 <= i < len(self) else ""

    def op(self, i: int, operator: str) -> bool:
        """True where the characters of `operator` stand at i, next to each other."""
        return all(self.kind(i + k) == "o" and self[i + k].text == c for k, c in enumerate(operator))

    def after(self, i: int, *words: str) -> int:
        """Position behind the given run of words when it starts at i, else -1; "" matches nothing."""
        for word in words:
            if self.word(i) != word:
                return -1
            i = self.next(i)
        return i

    def find(self, *words: str, start: int = 0, end: int | None = None, depth: int | None = 0) -> int:
        """Position where the run of words starts, between two positions, at a nesting depth from there; -1 if nowhere.

        `depth=None` looks at every depth.
        """
        level = 0
        for i in range(start, len(self) if end is None else end):
            kind = self[i].kind
            if kind in OPENERS:
                level += 1
            elif kind in CLOSERS:
                level -= 1
            elif kind == "w" and (depth is None or level == depth) and self.after(i, *words) >= 0:
                return i
        return -1

    def close(self, i: int) -> int:
        """Position of the bracket that closes the one at i; len(self) where none does."""
        opener, closer = self[i].kind, OPENERS[self[i].kind]
        level = 0
        for j in range(i, len(self)):
            if self[j].kind == opener:
                level += 1
            elif self[j].kind == closer:
                level -= 1
                if level == 0:
                    return j
        return len(self)

    def open(self, i: int) -> int:
        """Position of the bracket that opens what the one at i closes; -1 where none does."""
        closer, opener = self[i].kind, CLOSERS[self[i].kind]
        level = 0
        for j in range(i, -1, -1):
            if self[j].kind == closer:
                level += 1
            elif self[j].kind == opener:
                level -= 1
                if level == 0:
                    return j
        return -1

    def enclosing(self, i: int) -> int:
        """Position of the parenthesis that opens around a position, the innermost; -1 where there is none."""
        level = 0
        for j in range(i - 1, -1, -1):
            kind = self[j].kind
            level += (kind == ")") - (kind == "(")
            if level < 0:
                return j
        return -1

    def enclosing_case(self, i: int) -> int:
        """Position of the CASE that a position is inside of, the innermost; -1 where there is none."""
        level = 0
        for j in range(i - 1, -1, -1):
            word = self.word(j)
            level += (word == "END") - (word == "CASE")
            if level < 0:
                return j
        return -1

    def case_end(self, i: int) -> int:
        """Position of the END of the CASE at i; len(self) where there is none."""
        level = 0
        for j in range(i, len(self)):
            word = self.word(j)
            level += (word == "CASE") - (word == "END")
            if level == 0:
                return j
        return len(self)

    def skip(self, i: int) -> int:
        """Position of the first token of code after i, or after what opens at i: a bracket or a CASE."""
        if self.kind(i) in OPENERS:
            i = self.close(i)
        elif self.word(i) == "CASE":
            i = self.case_end(i)
        return self.next(i)

    def skip_back(self, i: int) -> int:
        """Position of the last token of code before i, or before what ends at i: brackets or a CASE."""
        if self.kind(i) in CLOSERS:
            i = self.open(i)
        elif self.word(i) == "END" and (case := self.enclosing_case(i)) >= 0:
            i = case
        return self.prev(i)

    def items(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The comma-separated items between two positions, each as its own start and end, blanks included."""
        level, first = 0, start
        for i in range(start, end):
            kind = self[i].kind
            if kind in OPENERS:
                level += 1
            elif kind in CLOSERS:
                level -= 1
            elif kind == "," and level == 0:
                yield first, i
                first = i + 1
        if first < end:
            yield first, end

    def text(self, start: int = 0, end: int | None = None) -> str:
        """The text between two positions."""
        return "".join(token.text for token in self[start:end])

    def replace(self, start: int, end: int, *pieces: "str | Token") -> None:
        """Put pieces in the place of what stands between two positions; a string becomes one token of code."""
        self[start:end] = [piece if isinstance(piece, Token) else Token("o", piece) for piece in pieces]
