"""The scanner's tokens, kind by kind: what a mutation run over the lexer showed that names alone do not."""

from types import ModuleType

import pytest

from readings import MARIA, MSSQL, PG, SQLITE, Reading

# The tokens of a text, blanks left out, each as its kind and its text.
TOKENS: list[tuple[Reading, str, list[str]]] = [
    (PG, "banana_AZ09$z café", ["wbanana_AZ09$z", "wcafé"]),
    (PG, "SELECT 1'a', 0x1F AS a", ["wSELECT", "01", "''a'", ",,", "00x1F", "wAS", "wa"]),
    (PG, "1e #> x", ["01e", "o#", "o>", "wx"]),
    (PG, "$12 $1a", ["0$12", "0$1", "wa"]),
    (PG, "a ?| b ?& c @? d ? e", ["wa", "o?", "o|", "wb", "o?", "o&", "wc", "o@", "o?", "wd", "??", "we"]),
    (PG, "10 %size %s %t %s", ["010", "o%", "wsize", "%%s", "o%", "wt", "%%s"]),
    (SQLITE, "?12 + ? @ab $cd", ["??12", "o+", "??", "@@ab", "@$cd"]),
    (SQLITE, "x][a :v] + [b]", ["wx", "]]", '"[a :v]', "o+", '"[b]']),
    (MSSQL, "[a\\] + [b]]c] #t @@x", ['"[a\\]', "o+", '"[b]]c]', "w#t", "@@@x"]),
    (MARIA, "/* a */ /*! b */ c", ["-/* a */", "{/*!", "wb", "}*/", "wc"]),
    (MARIA, "5 --é, 6 -- g", ["05", "o-", "o-", "wé", ",,", "06", "--- g"]),
    (MARIA, "a !b @`c` $d", ["wa", "o!", "wb", "o@", '"`c`', "w$d"]),
]  # fmt: skip


@pytest.mark.parametrize(("reading", "sql", "expected"), TOKENS, ids=[sql for _, sql, _ in TOKENS])
def test_tokens_have_these_kinds_and_bounds(
    scanner: ModuleType, reading: Reading, sql: str, expected: list[str]
) -> None:
    kinds, ends = scanner.scan(sql, int(reading.rules), reading.modes.version_number)
    starts = [0, *ends]
    tokens = [kind + sql[start:end] for kind, start, end in zip(kinds, starts, ends, strict=False) if kind != " "]
    assert tokens == expected
    assert ends[-1] == len(sql)
