"""How a dialect and a session read SQL text: the modes that matter, and the scanner's rule bits."""

from enum import IntFlag
from typing import NamedTuple


class Lexical(IntFlag):
    """The scanner's rules; each name says what holds where the bit is set (see lexing in docs/SECURITY_MODEL.md)."""

    BACKSLASH_ESCAPES = 0x0001
    E_LITERALS = 0x0002
    DOUBLE_QUOTED_LITERALS = 0x0004
    BACKTICK_IDENTIFIERS = 0x0008
    BRACKET_IDENTIFIERS = 0x0010
    SUBSCRIPTS = 0x0020
    NESTED_COMMENTS = 0x0040
    DOLLAR_LITERALS = 0x0080
    DOLLAR_VARIABLES = 0x0100
    DOLLAR_IDENTIFIERS = 0x0200
    AT_VARIABLES = 0x0400
    EXECUTED_COMMENTS = 0x0800
    MARIADB = 0x1000
    CR_ENDS_COMMENT = 0x2000
    DASHES_NEED_SPACE = 0x4000
    HASH_COMMENTS = 0x8000
    SHARP_IDENTIFIERS = 0x10000


class SessionModes(NamedTuple):
    """What a session has set that changes how its server reads text, and which server it is.

    `flavour` is "mysql" or "mariadb" where the dialect is mysql and the server is known; `version` is the server's, as
    (10, 11, 19), and () where it is not known. The defaults are each server's own.
    """

    standard_conforming_strings: bool = True
    no_backslash_escapes: bool = False
    ansi_quotes: bool = False
    quoted_identifier: bool = True
    flavour: str = ""
    version: tuple[int, ...] = ()

    @property
    def version_number(self) -> int:
        """The version as MySQL and MariaDB write it in a comment: 101119 for 10.11.19, 0 where it is not known."""
        major, minor, patch = (*self.version, 0, 0, 0)[:3]
        return major * 10000 + minor * 100 + patch
