"""Where one statement ends and the next begins."""

from collections.abc import Iterator

from nexusql.sql.effects import routine
from nexusql.sql.lexical import SessionModes
from nexusql.sql.syntax import Syntax
from nexusql.sql.tokens import Token, Tokens, tokenize

# Words that open what an END closes. In T-SQL IF and WHILE have no END of their own.
_BLOCKS = frozenset(("BEGIN", "CASE", "FOR", "IF", "LOOP", "REPEAT", "WHILE"))
_T_SQL_BLOCKS = frozenset(("BEGIN", "CASE"))
_COMPOUND = _BLOCKS - {"BEGIN"}
# Words behind which `IF (` is the function.
_EXPRESSION_AFTER = frozenset(
    "AND AS BETWEEN BY CASE DISTINCT DIV ELSEIF HAVING IF IN LIKE MOD NOT ON OR RETURN SELECT UNTIL VALUES WHEN "
    "WHERE WHILE XOR".split()
)
_BLANKS = " \t\n\v\f\r"
_TRANSACTION = frozenset(("TRAN", "TRANSACTION", "WORK", "DISTRIBUTED"))


def split_script(script: str, syntax: Syntax, modes: SessionModes) -> list[str]:
    """The statements of a script: stripped, without the semicolon, none empty; a comment belongs to what follows it.

    Bodies of triggers and routines stay whole; GO ends a batch of T-SQL; the mysql client's DELIMITER is honoured.
    Raises SQLSyntaxError where the text cannot be read.
    """
    script = script.removeprefix("\ufeff")
    tokens = tokenize(script, syntax.lexical(modes), modes.version_number)
    if syntax.delimiters and any(token.kind == "w" and token.text.upper() == "DELIMITER" for token in tokens):
        return list(_delimited(script, tokens, syntax))
    # MariaDB's reading is known; elsewhere a comment alone may be a statement.
    keep = "!" in script and modes.flavour != "mariadb"
    return [tokens.text(start, end).strip(_BLANKS) for start, end in bounds(tokens, syntax, keep)]


def may_be_run(token: Token, syntax: Syntax) -> bool:
    """True for a comment `/*!80000 .. */` that was read as one, although some MySQL servers run it."""
    return token.kind == "-" and syntax.delimiters and token.text.startswith(("/*!", "/*M!"))


def bounds(tokens: Tokens, syntax: Syntax, keep: bool = False) -> Iterator[tuple[int, int]]:
    """The statements: where each begins, and where the semicolon or the GO that ends it stands.

    What holds nothing but blanks and comments is no statement, unless `keep` is set and the server may run a comment.
    """
    start = 0
    while start < len(tokens):
        end = statement_end(tokens, syntax, start)
        if tokens.next(start - 1) < end or (keep and any(may_be_run(token, syntax) for token in tokens[start:end])):
            yield start, end
        start = end + 1


def statement_end(tokens: Tokens, syntax: Syntax, start: int) -> int:
    """Position of the semicolon or GO that ends the statement which starts at a position; len(tokens) for the last."""
    first = tokens.next(start - 1)
    kind_of_routine = routine(tokens, first)
    # T-SQL knows blocks outside routines too, and MariaDB does behind BEGIN NOT ATOMIC or with a word of its own.
    compound = syntax.delimiters and (tokens.word(first) in _COMPOUND or tokens.after(first, "BEGIN", "NOT") >= 0)
    words = _T_SQL_BLOCKS if syntax.batches else _BLOCKS if kind_of_routine or compound else frozenset[str]()
    fills_batch = syntax.batches and kind_of_routine != ""
    depth = 1 if kind_of_routine == "PACKAGE" else 0
    level = 0
    for i in range(first, len(tokens)):
        kind = tokens[i].kind
        if kind == "(":
            level += 1
        elif kind == ")":
            level = max(level - 1, 0)
        elif kind == ";":
            if depth <= 0 and level == 0 and not fills_batch:
                return i
        elif kind == "w":
            word = tokens[i].text.upper()
            if word in words:
                depth += _opens(tokens, i, word)
            elif word == "END" and words and tokens.word(tokens.next(i)) != "CONVERSATION":
                depth -= 1
            elif word == "GO" and syntax.batches and _is_alone(tokens, i):
                return i
    return len(tokens)


def _opens(tokens: Tokens, i: int, word: str) -> bool:
    """True where the word at i opens what an END closes."""
    before, after = tokens.prev(i), tokens.next(i)
    if tokens.word(before) == "END":
        return False
    if word == "BEGIN":
        return tokens.kind(after) not in ("", ";") and tokens.word(after) not in _TRANSACTION
    if word == "IF":
        return not _is_call_of_if(tokens, i)
    if word == "FOR":
        return tokens.word(tokens.next(after)) == "IN"
    return word != "REPEAT" or tokens.kind(after) != "("


def _is_call_of_if(tokens: Tokens, i: int) -> bool:
    """True where IF at i is the function, or belongs to IF EXISTS: it has no THEN of its own."""
    before, after = tokens.prev(i), tokens.next(i)
    if tokens.word(after) == "EXISTS" or tokens.after(after, "NOT", "EXISTS") >= 0:
        return True
    if tokens.kind(after) == "(" and (
        tokens.kind(before) in ("o", ",", "(") or tokens.word(before) in _EXPRESSION_AFTER
    ):
        return True
    while (i := tokens.next(i)) < len(tokens) and tokens.kind(i) != ";":
        if tokens.kind(i) == "(":
            i = tokens.close(i)
        elif tokens.word(i) in ("THEN", "WHEN", "ELSE", "END"):
            return tokens.word(i) != "THEN"
    return True


def _is_alone(tokens: Tokens, i: int) -> bool:
    """True where nothing but comments stands on the line of the word at i."""
    before, after = i - 1, i + 1
    while tokens.kind(before) == " " and "\n" not in tokens[before].text:
        before -= 1
    while tokens.kind(after) in ("-", " ") and "\n" not in tokens[after].text:
        after += 1
    opens_line = before < 0 or (tokens.kind(before) == " " and "\n" in tokens[before].text)
    return opens_line and (after >= len(tokens) or (tokens.kind(after) in (" ", "-")))


def _delimited(script: str, tokens: Tokens, syntax: Syntax) -> Iterator[str]:
    """The statements of a script for the mysql client, in which DELIMITER changes what ends a statement."""
    delimiter = ";"
    i = 0
    while i < len(tokens):
        first = tokens.next(i - 1)
        if first >= len(tokens):
            return
        if tokens.word(first) == "DELIMITER":
            start = tokens[first].start
            end = script.find("\n", start)
            end = len(script) if end < 0 else end
            delimiter = script[start + len("DELIMITER") : end].strip() or ";"
            i = _from_offset(tokens, first, end)
        elif delimiter == ";":
            end = statement_end(tokens, syntax, i)
            piece = tokens.text(i, end).strip(_BLANKS)
            if piece:
                yield piece
            i = end + 1
        else:
            end = _find_delimiter(script, tokens, first, delimiter)
            piece = script[tokens[i].start : end].strip(_BLANKS)
            if piece:
                yield piece
            i = _from_offset(tokens, first, end + len(delimiter))


def _find_delimiter(script: str, tokens: Tokens, i: int, delimiter: str) -> int:
    """Offset of the next delimiter that stands in code, from position i; the script's length where there is none."""
    for k in range(i, len(tokens)):
        token = tokens[k]
        if token.kind not in "'\"- ":
            # A word may run into the delimiter: END$$.
            if token.kind == "w":
                at = token.text.find(delimiter)
            else:
                at = 0 if script.startswith(delimiter, token.start) else -1
            if at >= 0:
                return token.start + at
    return len(script)


def _from_offset(tokens: Tokens, i: int, offset: int) -> int:
    """Position of the first token from i on that starts at or behind an offset; what runs across it is cut."""
    while i < len(tokens) and tokens[i].start < offset:
        if tokens[i].start + len(tokens[i].text) > offset:
            cut = offset - tokens[i].start
            tokens[i].text = tokens[i].text[cut:]
            tokens[i].start = offset
            return i
        i += 1
    return i
