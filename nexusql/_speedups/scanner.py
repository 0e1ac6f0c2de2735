"""The lexer: one left-to-right pass that tiles a SQL text with tokens, by the rules of one dialect and session.

This is a security boundary. psycopg2 and PyMySQL paste values into the text, so a placeholder may stand only where the
server itself reads code. Each rule follows the lexer of the server it is for; where two servers, two versions or two
readings disagree, the text is refused.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nexusql._speedups import _cython_shim as cython
else:
    try:
        import cython
    except ModuleNotFoundError:
        from nexusql._speedups import _cython_shim as cython

# Bits of `rules`; nexusql.sql.lexical.Lexical names them, and says which dialect and mode sets which.
#   0x0001 backslash escapes in '..'          0x0100 $x, #x, :1 and a:x hold variables (SQLite)
#   0x0002 E'..' escapes, literals continue   0x0200 $ may start an identifier (MySQL)
#   0x0004 ".." is a literal                  0x0400 @x is a variable
#   0x0008 `..` is an identifier              0x0800 /*! .. */ may be executed (MySQL, MariaDB)
#   0x0010 [..] is an identifier              0x1000 the server is known to be MariaDB
#   0x0020 [..] is a subscript with slices    0x2000 a carriage return ends a line comment
#   0x0040 /* */ nests                        0x4000 -- starts a comment only before white space
#   0x0080 $tag$ .. $tag$ is a literal        0x8000 # starts a comment
#  0x10000 # and @ belong to identifiers (T-SQL)

# Words after which a `:name` may stand without a blank, because none of them can be an identifier there.
_RESERVED = frozenset(
    "ALL AND ANY AS ASC BETWEEN BY CASE CROSS DEFAULT DESC DISTINCT ELSE END EXCEPT FALSE FETCH FOR FROM GROUP HAVING "
    "IN INNER INSERT INTERSECT INTO IS JOIN LEFT LIKE LIMIT NOT NULL OFFSET ON OR ORDER OUTER RETURNING RIGHT SELECT "
    "SET SOME THEN TOP TRUE UNION UPDATE USING VALUES WHEN WHERE WITH ILIKE ESCAPE DIV MOD REGEXP RLIKE XOR".split()
)
# Of these, the words that end an expression: in `a[NULL:x]` the colon is a slice.
_ENDS_EXPRESSION = frozenset(("END", "FALSE", "NULL", "TRUE"))


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _is_word(c: cython.Py_UCS4) -> cython.bint:
    """True where servers read on in an identifier: letters, digits, _ and $, and all beyond ASCII."""
    return "a" <= c <= "z" or "A" <= c <= "Z" or "0" <= c <= "9" or c == "_" or c == "$" or c >= "\x80"


@cython.cfunc
@cython.boundscheck(False)
@cython.wraparound(False)
@cython.exceptval(check=False)
def _word_end(sql: str, i: cython.Py_ssize_t, n: cython.Py_ssize_t, sharp: cython.bint) -> cython.Py_ssize_t:
    while i < n and (_is_word(sql[i]) or (sharp and (sql[i] == "#" or sql[i] == "@"))):
        i += 1
    return i


@cython.cfunc
def _name_end(sql: str, i: cython.Py_ssize_t, n: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """End of the parameter name that starts at i, or i where none does."""
    start: cython.Py_ssize_t = i
    c: cython.Py_UCS4
    while i < n:
        c = sql[i]
        if "a" <= c <= "z" or "A" <= c <= "Z" or c == "_" or ("0" <= c <= "9" and i > start):
            i += 1
        elif c >= "\x80" and (("_" + c) if i > start else str(c)).isidentifier():
            i += 1
        else:
            break
    return i


@cython.cfunc
@cython.boundscheck(False)
@cython.wraparound(False)
def _quoted_end(
    sql: str, i: cython.Py_ssize_t, n: cython.Py_ssize_t, quote: str, escapes: cython.bint
) -> cython.Py_ssize_t:
    """End of a quoted run whose opener is before i, or -1 where it is not closed; a doubled quote continues it."""
    end: cython.Py_ssize_t = sql.find(quote, i)
    backslash: cython.Py_ssize_t
    while end >= 0:
        backslash = sql.find("\\", i, end) if escapes else -1
        if backslash >= 0:
            i = backslash + 2
            if i > end:
                end = sql.find(quote, i)
        elif end + 1 < n and sql[end + 1] == quote:
            i = end + 2
            end = sql.find(quote, i)
        else:
            return end + 1
    return -1


@cython.cfunc
def _continuation(sql: str, i: cython.Py_ssize_t, n: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """Where PostgreSQL continues a literal that ends at i: past the next opening quote, or -1.

    Between the two stand white space with a line end, and line comments after it (scan.l, `quotecontinue`).
    """
    newline: cython.bint = False
    end: cython.Py_ssize_t
    while i < n:
        c: cython.Py_UCS4 = sql[i]
        if c == "\n" or c == "\r":
            newline = True
            i += 1
        elif c == " " or c == "\t" or c == "\f" or c == "\v":
            i += 1
        elif c == "-" and sql.startswith("--", i):
            end = _line_end(sql, i, n, True)
            if end == n:
                return -1
            i = end
        elif c == "'" and newline:
            return i + 1
        else:
            return -1
    return -1


@cython.cfunc
def _literal_end(
    sql: str, i: cython.Py_ssize_t, n: cython.Py_ssize_t, escapes: cython.bint, continues: cython.bint
) -> cython.Py_ssize_t:
    """End of the literal whose opening quote is at i, with what PostgreSQL continues it by, or -1."""
    i = _quoted_end(sql, i + 1, n, "'", escapes)
    while continues and i >= 0:
        after: cython.Py_ssize_t = _continuation(sql, i, n)
        if after < 0:
            break
        i = _quoted_end(sql, after, n, "'", escapes)
    return i


@cython.cfunc
def _bits_end(sql: str, i: cython.Py_ssize_t, n: cython.Py_ssize_t, continues: cython.bint) -> cython.Py_ssize_t:
    """The same for X'..' and B'..', in which a doubled quote is an end and a beginning."""
    i = sql.find("'", i + 1) + 1
    while continues and i > 0:
        after: cython.Py_ssize_t = _continuation(sql, i, n)
        if after < 0:
            break
        i = sql.find("'", after) + 1
    return i if i > 0 else -1


@cython.cfunc
@cython.boundscheck(False)
@cython.wraparound(False)
def _number_end(sql: str, i: cython.Py_ssize_t, n: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """End of the number at i: a run of digits and letters, with its fraction and the sign of its exponent."""
    c: cython.Py_UCS4
    while i < n:
        c = sql[i]
        if c != "$" and _is_word(c):
            i += 1
        elif i + 1 < n and "0" <= sql[i + 1] <= "9" and (c == "." or (c in "+-" and sql[i - 1] in "eE")):
            i += 1
        else:
            break
    return i


@cython.cfunc
def _line_end(sql: str, i: cython.Py_ssize_t, n: cython.Py_ssize_t, cr: cython.bint) -> cython.Py_ssize_t:
    """End of the line that i is in. Looked for in growing steps: a far \\n costs nothing where a \\r is near."""
    end: cython.Py_ssize_t
    other: cython.Py_ssize_t
    step: cython.Py_ssize_t = 128
    while i < n:
        end = sql.find("\n", i, i + step)
        other = sql.find("\r", i, end if end >= 0 else i + step) if cr else -1
        if other >= 0 or end >= 0:
            return other if other >= 0 else end
        i += step
        step *= 2
    return n


@cython.cfunc
def _comment_end(sql: str, i: cython.Py_ssize_t, nests: cython.bint) -> cython.Py_ssize_t:
    """End of the block comment that opens at i, or -1 where it is not closed."""
    close: cython.Py_ssize_t = sql.find("*/", i + 2)
    if not nests:
        return close + 2 if close >= 0 else -1
    depth: cython.Py_ssize_t = 1
    opener: cython.Py_ssize_t = sql.find("/*", i + 2)
    while close >= 0:
        if 0 <= opener < close:
            depth += 1
            i = opener + 2
        else:
            depth -= 1
            i = close + 2
            if depth == 0:
                return i
        if 0 <= opener < i:
            opener = sql.find("/*", i)
        if close < i:
            close = sql.find("*/", i)
    return -1


@cython.cfunc
def _tag_end(sql: str, i: cython.Py_ssize_t, n: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """End of the dollar-quote opener at i (`$$`, `$tag$`), or -1."""
    j: cython.Py_ssize_t = i + 1
    while j < n:
        c: cython.Py_UCS4 = sql[j]
        if c == "$":
            return j + 1
        if not _is_word(c) or ("0" <= c <= "9" and j == i + 1):
            return -1
        j += 1
    return -1


@cython.cfunc
def _plain_hint(sql: str, i: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
    """True where no quoted name in a `/*+ .. */` hint can hide its end: MySQL lexes hints, other readers skip them."""
    single: cython.Py_ssize_t = sql.count("'", i, end)
    double: cython.Py_ssize_t = sql.count('"', i, end)
    back: cython.Py_ssize_t = sql.count("`", i, end)
    return (single + double + back) % 2 == 0 and (single > 0) + (double > 0) + (back > 0) < 2


@cython.cfunc
def _executes(sql: str, i: cython.Py_ssize_t, mariadb: cython.bint, version: cython.Py_ssize_t) -> tuple[bool, int]:
    """Whether the server at hand provably runs the body of the `/*!` or `/*M!` comment at i, and where the body starts.

    Without a number all do. A number has five or six digits; one of at most 50699 is run by MySQL and MariaDB alike,
    50700 to 99999 by MySQL alone, six digits by a MariaDB at least that new (sql_lex.cc of both).
    """
    marked: cython.bint = sql[i + 2] == "M"
    i += 4 if marked else 3
    if marked and not mariadb:
        return False, i
    digits: cython.Py_ssize_t = 0
    while digits < 6 and i + digits < len(sql) and "0" <= sql[i + digits] <= "9":
        digits += 1
    if digits < 5:
        return True, i
    number: cython.Py_ssize_t = int(sql[i : i + digits])
    if digits == 5 and number < 50700:
        return True, i + 5
    return mariadb and 100000 <= number <= version, i + digits


@cython.boundscheck(False)
@cython.wraparound(False)
def scan(sql: str, rules: cython.Py_ssize_t, version: cython.Py_ssize_t) -> tuple[str, list[int]]:
    """Tile `sql` with tokens: one character a token telling its kind, and the list of where each ends.

    Kinds: space, `-` comment, `'` literal, `"` quoted identifier, `w` word, `0` number, `:` parameter, `?` and `%`
    positional marks, `@` variable, `t` cast, `=` assignment, `{` and `}` ends of an executed comment, `\\` an escaped
    colon, `o` operator, and `( ) [ ] , ; .` themselves. `version` is the server's, 101119 for 10.11.19, 0 if unknown.

    Raises ValueError(message, offset) for what cannot be read in one way only.
    """
    n: cython.Py_ssize_t = len(sql)
    i: cython.Py_ssize_t = 0
    start: cython.Py_ssize_t
    end: cython.Py_ssize_t
    c: cython.Py_UCS4
    d: cython.Py_UCS4
    escapes: cython.bint = rules & 0x0001 != 0
    e_literals: cython.bint = rules & 0x0002 != 0
    slices: cython.bint = rules & 0x0020 != 0
    sharp: cython.bint = rules & 0x10000 != 0
    kinds: list[str] = []
    ends: list[int] = []
    kind: str
    last: cython.Py_UCS4 = " "  # kind of the token just before, blanks and comments counted
    code: cython.Py_UCS4 = " "  # kind of the last token that is neither
    word_start: cython.Py_ssize_t = 0  # bounds of the last word
    word_end: cython.Py_ssize_t = 0
    brackets: cython.Py_ssize_t = 0
    exec_start: cython.Py_ssize_t = -1  # the /*! comment we are in, where it must close, and whether it is run
    exec_close: cython.Py_ssize_t = -1
    exec_runs: cython.bint = False
    exec_token: cython.Py_ssize_t = 0
    reserved: cython.bint

    if "\0" in sql:
        raise ValueError("a statement cannot contain a NUL character; bind it as a value", sql.find("\0"))
    while i < n:
        start = i
        c = sql[i]
        d = sql[i + 1] if i + 1 < n else "\0"
        if c == " " or c == "\n" or c == "\t" or c == "\r" or c == "\f" or c == "\v":
            i += 1
            while i < n and (sql[i] == " " or "\t" <= sql[i] <= "\r"):
                i += 1
            kind = " "
        elif "a" <= c <= "z" or "A" <= c <= "Z" or c == "_" or c >= "\x80":
            i = _word_end(sql, i + 1, n, sharp)
            kind = "w"
            if i == start + 1 and d == "'" and c in "eEnNxXbB":
                if c in "eE":
                    end = _literal_end(sql, i, n, True, True) if e_literals else 0
                elif c in "nN":
                    end = _literal_end(sql, i, n, escapes, False)
                else:
                    end = _bits_end(sql, i, n, e_literals)
                if end < 0:
                    raise ValueError("unterminated string literal", start)
                if end > 0:
                    i = end
                    kind = "'"
            if kind == "w":
                word_start = start
                word_end = i
        elif "0" <= c <= "9":
            i = _number_end(sql, i, n)
            # PostgreSQL reads 1E'..' as a number and an escape string before 15, and as an error since.
            if e_literals and i < n and (sql[i] == "$" or (sql[i] == "'" and not "0" <= sql[i - 1] <= "9")):
                raise ValueError("a number runs into a quote; put a blank between them", i)
            kind = "0"
        elif c == "'":
            i = _quoted_end(sql, i + 1, n, "'", escapes)
            if i < 0:
                raise ValueError("unterminated string literal", start)
            kind = "'"
        elif c == '"':
            i = _quoted_end(sql, i + 1, n, '"', escapes and rules & 0x0004 != 0)
            if i < 0:
                raise ValueError("unterminated double quote", start)
            kind = "'" if rules & 0x0004 else '"'
        elif c == "`" and rules & 0x0008:
            i = _quoted_end(sql, i + 1, n, "`", False)
            if i < 0:
                raise ValueError("unterminated backtick", start)
            kind = '"'
        elif c == "[" and rules & 0x0010:
            # T-SQL doubles a closing bracket; SQLite knows no way to write one.
            i = _quoted_end(sql, i + 1, n, "]", False) if sharp else sql.find("]", i + 1) + 1
            if i <= 0:
                raise ValueError("unterminated [identifier]", start)
            kind = '"'
        elif c == "[" and rules & 0x0800:
            # An operator of neither server, but a quote under MariaDB's sql_mode MSSQL: [], [3] and [a] end alike.
            i = _word_end(sql, i + 1, n, False)
            if i >= n or sql[i] != "]" or (i + 1 < n and sql[i + 1] == "]"):
                raise ValueError("a bracket has no single reading here; quote identifiers with `..`", start)
            i = start + 1
            kind = "["
        elif c == "-" and d == "-" and (not rules & 0x4000 or i + 2 >= n or sql[i + 2] <= " " or sql[i + 2] == "\x7f"):
            i = _line_end(sql, i, n, rules & 0x2000 != 0)
            kind = "-"
        elif c == "#" and rules & 0x8000:
            i = _line_end(sql, i, n, False)
            kind = "-"
        elif c == "/" and d == "*":
            if rules & 0x0800 and (sql.startswith("!", i + 2) or sql.startswith("M!", i + 2)):
                if exec_start >= 0:
                    raise ValueError("an executable comment inside another has no single reading", start)
                exec_start = start
                exec_close = sql.find("*/", i + 2)
                exec_runs, end = _executes(sql, i, rules & 0x1000 != 0, version)
                if exec_close < end:
                    raise ValueError("unterminated comment", start)
                exec_token = len(kinds)
                i = end
                kind = "{"
            else:
                i = _comment_end(sql, i, rules & 0x0040 != 0)
                if i < 0:
                    raise ValueError("unterminated comment", start)
                if rules & 0x0800 and sql[start + 2] == "+" and not _plain_hint(sql, start, i):
                    raise ValueError("an optimizer hint with unbalanced or mixed quotes has no single reading", start)
                kind = "-"
        elif c == "*" and d == "/" and exec_start >= 0:
            if i != exec_close:
                raise ValueError(
                    "this executable comment ends at different places when run and when skipped", exec_start
                )
            i += 2
            kind = "}"
            exec_start = -1
            if not exec_runs:
                del kinds[exec_token:]
                del ends[exec_token:]
                kind = "-"
        elif c == ":":
            if d == ":":
                i += 2
                kind = "t"
            elif d == "=":
                i += 2
                kind = "="
            else:
                end = _name_end(sql, i + 1, n)
                kind = ":" if end > i + 1 else "o"
                if kind == ":":
                    reserved = code == "w" and sql[word_start:word_end].upper() in _RESERVED
                    if last == '"' or last == "0" or last == "@" or (last == "w" and not reserved):
                        kind = "o"
                    elif slices and brackets > 0 and code in "w0'\")]:?%@":
                        if not reserved or sql[word_start:word_end].upper() in _ENDS_EXPRESSION:
                            kind = "o"
                i = end if kind == ":" else i + 1
                if kind == "o" and rules & 0x0100 and _is_word(d):
                    i = _word_end(sql, i, n, sharp)
                    kind = "@"
                elif kind == ":" and i < n and _is_word(sql[i]):
                    raise ValueError("a parameter runs into what follows it; put a blank between them", start)
        elif c == "$" and rules & 0x0080:
            end = _tag_end(sql, i, n)
            if end < 0:
                i += 1
                while i < n and "0" <= sql[i] <= "9":
                    i += 1
                kind = "0" if i > start + 1 else "o"
            else:
                i = sql.find(sql[start:end], end)
                if i < 0:
                    raise ValueError("unterminated dollar quote", start)
                i += end - start
                kind = "'"
        elif ((c == "$" or c == "#") and rules & 0x0100) or (c == "@" and rules & 0x0400):
            i = _word_end(sql, i + 2 if d == "@" else i + 1, n, sharp)
            kind = "@" if i > start + 1 else "o"
        elif (c == "$" and rules & 0x0200) or (c == "#" and sharp):
            i = _word_end(sql, i + 1, n, sharp)
            kind = "w"
            word_start = start
            word_end = i
        elif c == "?":
            i += 1
            if slices and (d == "|" or d == "&" or (start > 0 and sql[start - 1] == "@")):
                kind = "o"
            else:
                kind = "?"
                while i < n and "0" <= sql[i] <= "9":
                    i += 1
        elif c == "%" and d == "s" and not (i + 2 < n and _is_word(sql[i + 2])):
            i += 2
            kind = "%"
        elif c == "\\" and d == ":":
            i += 2
            kind = "\\"
        elif c in "()[],;.":
            i += 1
            kind = sql[start]
            if c == "[":
                brackets += 1
            elif c == "]" and brackets > 0:
                brackets -= 1
            elif c == ";":
                brackets = 0
        else:
            i += 1
            kind = "o"
        kinds.append(kind)
        ends.append(i)
        last = kind
        if last != " " and last != "-":
            code = last
    if exec_start >= 0:
        raise ValueError("this executable comment ends at different places when run and when skipped", exec_start)
    return "".join(kinds), ends
