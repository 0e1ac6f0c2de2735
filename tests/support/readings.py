"""The dialects in each of their modes, and pieces of SQL text of which random statements are made."""

import importlib
from types import ModuleType
from typing import NamedTuple

import pytest

import servers
from nexusql.sql.compile import compile_plan
from nexusql.sql.lexical import Lexical, SessionModes
from nexusql.sql.statement import Statement, Style
from nexusql.sql.syntax import Syntax, syntax_for


class Reading(NamedTuple):
    """One way in which a server reads text."""

    name: str
    dialect: str
    modes: SessionModes

    @property
    def syntax(self) -> Syntax:
        return syntax_for(self.dialect)

    @property
    def rules(self) -> Lexical:
        return self.syntax.lexical(self.modes)

    def compile(self, sql: str, style: Style = Style.NAMED, lengths: tuple[int, ...] | None = None) -> Statement:
        """The plan of a statement, untranslated."""
        return compile_plan(sql, self.syntax, self.modes, style, lengths, False)


MARIADB = SessionModes(flavour="mariadb", version=(10, 11, 19))

SQLITE = Reading("sqlite", "sqlite", SessionModes())
PG = Reading("postgresql", "postgresql", SessionModes())
PG_BACKSLASH = Reading("postgresql-backslash", "postgresql", SessionModes(standard_conforming_strings=False))
MYSQL = Reading("mysql-unknown", "mysql", SessionModes())
MYSQL_8 = Reading("mysql-8", "mysql", SessionModes(flavour="mysql", version=(8, 0, 39)))
MARIA = Reading("mariadb", "mysql", MARIADB)
MARIA_NO_BACKSLASH = Reading("mariadb-no-backslash", "mysql", MARIADB._replace(no_backslash_escapes=True))
MARIA_ANSI = Reading("mariadb-ansi", "mysql", MARIADB._replace(ansi_quotes=True))
MARIA_ANSI_NO_BACKSLASH = Reading(
    "mariadb-ansi-no-backslash", "mysql", MARIADB._replace(ansi_quotes=True, no_backslash_escapes=True)
)
MSSQL = Reading("mssql", "mssql", SessionModes())
MSSQL_QUOTED = Reading("mssql-quoted-literals", "mssql", SessionModes(quoted_identifier=False))

READINGS = (
    SQLITE,
    PG,
    PG_BACKSLASH,
    MYSQL,
    MYSQL_8,
    MARIA,
    MARIA_NO_BACKSLASH,
    MARIA_ANSI,
    MARIA_ANSI_NO_BACKSLASH,
    MSSQL,
    MSSQL_QUOTED,
)
ALL_PG = (PG, PG_BACKSLASH)
ALL_MARIADB = (MARIA, MARIA_NO_BACKSLASH, MARIA_ANSI, MARIA_ANSI_NO_BACKSLASH)
ALL_MYSQL = (MYSQL, MYSQL_8, *ALL_MARIADB)
ALL_MSSQL = (MSSQL, MSSQL_QUOTED)

# What opens, closes, escapes, continues or confuses something on one of the servers.
FRAGMENTS = (
    *r"""' '' " "" ` `` [ ] ]] E' e' N' n' X' x' B' U&' U&" _utf8mb4' \ \' \" \\ $$ $t$ $t $1 $x $""".split(),
    *"-- - # @ @a @@ @? /* */ /** **/ /*! /*!50000 /*!50700 /*!99999 /*!100000 /*!101119 /*!101120".split(),
    *"/*M! /*M!100100 /*+".split(),
    *r"/ * ! M :v :v :v :w :é :1 :: : := \: ? ?1 ?| ?& ?? % %% %s %x = < > || && & | ~ + ( ) [ ] { } , ; . ..".split(),
    *"a select SELECT then THEN in end NULL begin BEGIN case END trigger GO é ß _ 名 {d UESCAPE text".split(),
    *"1 1e 1e- 1. 0x1 0xE 1_0".split(),
    *(" ", "  ", "\n", "\r", "\r\n", "\t", "\f", "\v", "\x1c", "\x7f", "\x85", "\xa0", "\u2028", "\ufeff", "-- "),
    "--\x01",
)

HOSTILE = (
    "",
    "'",
    "''",
    '"',
    "`",
    "\\",
    "\\'",
    "\\\\'",
    "x' OR '1'='1",
    "'; DROP TABLE canary; --",
    "\\'; DROP TABLE canary; --",
    "*/ ; DROP TABLE canary; /*",
    "\n; DROP TABLE canary; --",
    "\r; DROP TABLE canary; --",
    "$$; DROP TABLE canary; --",
    "$t$; DROP TABLE canary; --",
    '"; DROP TABLE canary; --',
    "`; DROP TABLE canary; --",
    "]; DROP TABLE canary; --",
    "%s %(x)s %% %",
    ":v ? @x $1",
    "\u2019 \u02bc \uff07 \xbf\x27",
    "日本語 \U0001f600",
    "\x1a\x08\x7f\x85\u2028",
    "-1",
    " ",
)


def implementation(module: str, compiled: bool) -> ModuleType:
    """A module of the core, compiled or interpreted; skipped where it is not built, or failed where it must be."""
    if not compiled:
        return importlib.import_module(f"nexusql._speedups.{module}")
    try:
        return importlib.import_module(f"nexusql._speedups._{module}_c")
    except ImportError:
        if servers.flag("NEXUSQL_REQUIRE_SPEEDUPS"):
            pytest.fail(f"_{module}_c is not built", pytrace=False)
        pytest.skip(f"_{module}_c is not built")
