"""What a statement is and may do, told from its words: its verb, its effects, the transaction statement it is."""

from nexusql.errors import NotSupportedError
from nexusql.sql.statement import Control, Effect
from nexusql.sql.syntax import Syntax
from nexusql.sql.tokens import Tokens

_QUERIES = frozenset(("SELECT", "VALUES", "TABLE", "SHOW", "DESCRIBE", "DESC", "EXPLAIN"))
_AFTER_WITH = frozenset(("SELECT", "INSERT", "UPDATE", "DELETE", "MERGE", "REPLACE", "VALUES", "TABLE"))
_CURSORS = frozenset(("SELECT", "VALUES", "TABLE"))
_MODIFIES = frozenset(("INSERT", "UPDATE", "DELETE", "MERGE"))
_EXPLAINABLE = _AFTER_WITH | {"WITH", "CREATE", "EXECUTE", "DECLARE", "REFRESH"}
_EXPLAIN_OPTIONS = frozenset(
    "ANALYZE ANALYSE VERBOSE QUERY PLAN EXTENDED PARTITIONS FORMAT JSON TREE TRADITIONAL".split()
)
_DDL = frozenset(
    "ALTER ANALYZE CACHE CHECK CLUSTER COMMENT CREATE DROP FLUSH GRANT IMPORT INSTALL LOCK OPTIMIZE REASSIGN "
    "REFRESH REINDEX RENAME REPAIR REVOKE SECURITY TRUNCATE UNINSTALL UNLOCK VACUUM".split()
)
# Statements that leave nothing behind in their session. Of any other verb that may be so: SET, CALL, EXECUTE, DO, USE,
# compound statements and their labels.
_PASSING = (_QUERIES | _AFTER_WITH | _DDL | frozenset("CHECKPOINT COPY KILL NOTIFY PRAGMA".split())) - frozenset(
    ("FLUSH", "LOCK", "UNLOCK")
)
_TEMPORARY = frozenset(("TEMP", "TEMPORARY", "PG_TEMP"))
_CAN_BE_TEMPORARY = frozenset(("TABLE", "TABLES", "VIEW", "SEQUENCE", "TRIGGER", "RECURSIVE"))
_SESSION_FUNCTIONS = frozenset(
    "DBLINK_CONNECT DBLINK_CONNECT_U GET_LOCK LOAD_EXTENSION OPENDATASOURCE OPENQUERY OPENROWSET PG_ADVISORY_LOCK "
    "PG_ADVISORY_LOCK_SHARED "
    "PG_ADVISORY_UNLOCK PG_ADVISORY_UNLOCK_ALL PG_ADVISORY_UNLOCK_SHARED PG_TRY_ADVISORY_LOCK "
    "PG_TRY_ADVISORY_LOCK_SHARED RELEASE_ALL_LOCKS RELEASE_LOCK SETSEED SET_CONFIG".split()
)
# Words that make a query more than a query, wherever they stand.
_WRITES = frozenset(("INSERT", "UPDATE", "DELETE", "MERGE", "INTO", "LOCK", "PROCEDURE"))
_WRITES_BEFORE = {"FOR": frozenset(("UPDATE", "SHARE", "NO", "KEY")), "NEXT": frozenset(("VALUE",))}
# Words before a parenthesis that call nothing, or nothing that writes on any server.
_PURE = frozenset(
    "ABS ALL AND ANY ARRAY ARRAY_AGG ARRAY_LENGTH ARRAY_POSITION ARRAY_TO_STRING AS ASCII AVG BETWEEN BIT_LENGTH "
    "BOOL_AND BOOL_OR BTRIM BY CARDINALITY CASE CAST CEIL CEILING CHAR CHARACTER_LENGTH CHAR_LENGTH CHR COALESCE "
    "CONCAT CONCAT_WS CONVERT COUNT CUME_DIST CURDATE CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP DATE DATEADD "
    "DATEDIFF DATE_ADD DATE_FORMAT DATE_PART DATE_SUB DATE_TRUNC DECIMAL DENSE_RANK DISTINCT DIV ELSE ESCAPE "
    "EXCEPT EXISTS EXP EXTRACT FILTER FIRST_VALUE FLOOR FORMAT FROM FULL GENERATE_SERIES GREATEST GROUP GROUPING "
    "GROUP_CONCAT HAVING HEX IF IFNULL IIF ILIKE IN INNER INSTR INTERSECT INTERVAL ISNULL JOIN JSONB_AGG "
    "JSONB_ARRAY_ELEMENTS JSONB_ARRAY_LENGTH JSONB_BUILD_OBJECT JSONB_EACH JSONB_OBJECT_KEYS JSONB_TYPEOF JSON_AGG "
    "JSON_ARRAY JSON_BUILD_OBJECT JSON_EACH JSON_EXTRACT JSON_OBJECT JSON_UNQUOTE JSON_VALUE LAG LAST_VALUE "
    "LATERAL LEAD LEAST LEFT LEN LENGTH LIKE LIMIT LN LOG LOWER LPAD LTRIM MATERIALIZED MAX MD5 MIN MOD NOT NOW "
    "NTH_VALUE NTILE NULLIF NUMERIC OCTET_LENGTH OFFSET ON OR OVER OVERLAY PARTITION PERCENTILE_CONT "
    "PERCENTILE_DISC PERCENT_RANK POSITION POWER RANK REGEXP_REPLACE REPEAT REPLACE REVERSE RIGHT ROUND ROW "
    "ROW_NUMBER RPAD RTRIM SELECT SIGN SOME SPLIT_PART SQRT STDDEV STRING_AGG STRPOS SUBSTR SUBSTRING SUM "
    "SYSDATETIME THEN TIMESTAMPDIFF TO_CHAR TO_DATE TO_TIMESTAMP TRIM TRUNC UNION UNNEST UPPER USING VALUES "
    "VARCHAR VARIANCE VERSION WHEN WHERE WITHIN XOR".split()
)
_READING_PRAGMAS = frozenset(
    "COLLATION_LIST COMPILE_OPTIONS DATABASE_LIST FOREIGN_KEY_CHECK FOREIGN_KEY_LIST FREELIST_COUNT FUNCTION_LIST "
    "INDEX_INFO INDEX_LIST INDEX_XINFO INTEGRITY_CHECK MODULE_LIST PAGE_COUNT PRAGMA_LIST QUICK_CHECK TABLE_INFO "
    "TABLE_LIST TABLE_XINFO".split()
)
_WRITING_PRAGMAS = frozenset(("INCREMENTAL_VACUUM", "OPTIMIZE", "SHRINK_MEMORY", "WAL_CHECKPOINT"))

_ROUTINES = frozenset(("TRIGGER", "FUNCTION", "PROCEDURE", "PROC", "EVENT", "PACKAGE"))
_ROUTINE_MODIFIERS = frozenset(("OR", "REPLACE", "ALTER", "TEMP", "TEMPORARY", "CONSTRAINT", "AGGREGATE", "DEFINER"))
_ISOLATION = ("READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE", "SNAPSHOT")
_CONTROLS = frozenset(
    ("BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "SAVE", "RELEASE", "PREPARE")
)
_TRANSACTION = frozenset(("WORK", "TRANSACTION", "TRAN"))


def routine(tokens: Tokens, i: int) -> str:
    """TRIGGER, FUNCTION, PROCEDURE, EVENT or PACKAGE where the statement at i creates or alters one, else ""."""
    i = _enter(tokens, i - 1)
    if tokens.word(i) not in ("CREATE", "ALTER"):
        return ""
    i = _code(tokens, i)
    while tokens.word(i) in _ROUTINE_MODIFIERS:
        i = _code(tokens, i)
        if tokens.op(i, "="):  # DEFINER = user, or user@host
            i = _code(tokens, _code(tokens, i))
            at = tokens.op(i, "@")
            if at:
                i = _code(tokens, i)
            if at or tokens.kind(i) in ("@", "("):
                i = _code(tokens, tokens.close(i) if tokens.kind(i) == "(" else i)
    return tokens.word(i) if tokens.word(i) in _ROUTINES else ""


def _code(tokens: Tokens, i: int) -> int:
    """Position of the first token of code after i; a dump has the words of one statement in several `/*! .. */`."""
    i = tokens.next(i)
    while tokens.kind(i) in ("{", "}"):
        i = tokens.next(i)
    return i


def main_verb(tokens: Tokens) -> tuple[str, int, bool]:
    """The verb in upper case ("" for none), its position, and whether it is only explained, not run.

    Looks through leading parentheses, EXPLAIN and the common table expressions of WITH.
    """
    explained = False
    i = _enter(tokens, -1)
    word = tokens.word(i)
    if word in ("EXPLAIN", "DESCRIBE", "DESC", "ANALYZE"):
        inner, runs = _explained(tokens, i)
        if tokens.word(inner) not in _EXPLAINABLE or tokens.after(i, "ANALYZE", "TABLE") >= 0:
            return word, i, False
        i = inner
        explained = word != "ANALYZE" and not runs
    if tokens.word(i) == "WITH":
        i = behind_with(tokens, i)
    return tokens.word(i), i, explained


def _enter(tokens: Tokens, i: int) -> int:
    """Position of the first token after i that is no opening parenthesis."""
    i = tokens.next(i)
    while tokens.kind(i) in ("(", "{", "}"):
        i = tokens.next(i)
    return i


def _explained(tokens: Tokens, i: int) -> tuple[int, bool]:
    """Position of the statement that EXPLAIN at i is about, and whether it is run for it."""
    runs = False
    while True:
        after = tokens.next(i)
        if tokens.kind(after) == "(" and tokens.word(tokens.next(after)) not in _EXPLAINABLE:
            end = tokens.close(after)
            runs = runs or any(tokens.word(k) in ("ANALYZE", "ANALYSE") for k in range(after, end))
            i = end
        elif tokens.word(after) in _EXPLAIN_OPTIONS or tokens.op(after, "="):
            runs = runs or tokens.word(after) in ("ANALYZE", "ANALYSE")
            i = after
        else:
            return _enter(tokens, i), runs


def behind_with(tokens: Tokens, i: int) -> int:
    """Position of the verb behind the common table expressions of the WITH at i; len(tokens) where there is none."""
    while i < len(tokens):
        if tokens.word(i) in _AFTER_WITH:
            return i
        if tokens.kind(i) == "(":
            if tokens.kind(tokens.prev(i)) == ")":
                return _enter(tokens, i)
            i = tokens.close(i)
        i = tokens.next(i)
    return len(tokens)


def effects(tokens: Tokens, syntax: Syntax) -> tuple[str, Effect]:
    """The verb of a statement and what it may do."""
    verb, position, explained = main_verb(tokens)
    if explained:
        return verb, Effect.READS
    effect = Effect(0)
    if verb in _DDL:
        effect |= Effect.DDL
    if verb and verb not in _PASSING:
        effect |= Effect.SESSION
    after = tokens.word(tokens.next(position))
    if verb in ("CREATE", "DROP"):
        if _is_temporary(tokens, position):
            effect |= Effect.SESSION
    elif verb == "SET":
        if after == "CONSTRAINTS":
            effect = Effect(0)
        elif after == "PASSWORD":
            effect |= Effect.DDL
    elif verb == "LOAD" and after == "INDEX":
        effect |= Effect.DDL
    elif verb == "PRAGMA":
        effect |= _pragma(tokens, position)
    reads = verb in _QUERIES
    for i, token in enumerate(tokens):
        if token.kind == "w":
            word = token.text.upper()
            if word in _WRITES or (word in _WRITES_BEFORE and tokens.word(tokens.next(i)) in _WRITES_BEFORE[word]):
                reads = False
                target = tokens.next(i)
                if word == "INTO" and target < len(tokens):
                    if tokens.word(target) in _TEMPORARY or tokens[target].text[0] in "#@":
                        effect |= Effect.SESSION
        elif token.kind == "=":
            reads = False
            effect |= Effect.SESSION
        if token.kind in 'w"' and tokens.kind(tokens.next(i)) == "(":
            name = token.text.strip('"`[]').upper()
            if name in _SESSION_FUNCTIONS:
                reads = False
                effect |= Effect.SESSION
            elif reads and not syntax.functions_read and not _calls_nothing(tokens, i, name):
                reads = False
    return verb, effect | Effect.READS if reads else effect


def is_query(tokens: Tokens) -> bool:
    """True where a cursor can be declared for the statement: a query that is run, neither stores its rows nor modifies
    any in WITH (https://www.postgresql.org/docs/current/sql-declare.html)."""
    i = _enter(tokens, -1)
    verb = behind_with(tokens, i) if tokens.word(i) == "WITH" else i
    if tokens.word(verb) not in _CURSORS:
        return False
    for k in range(i, len(tokens)):
        if tokens.word(k) == "INTO":
            return False
        if tokens.kind(k) == "(" and tokens.word(tokens.prev(k)) in ("AS", "MATERIALIZED"):
            body = _enter(tokens, k)
            if tokens.word(behind_with(tokens, body) if tokens.word(body) == "WITH" else body) in _MODIFIES:
                return False
    return True


def _calls_nothing(tokens: Tokens, i: int, name: str) -> bool:
    """True where the name at i, with a parenthesis behind it, is no function, or one known to write nothing."""
    if tokens[i].kind == "w" and name in _PURE and tokens.kind(tokens.prev(i)) != ".":
        return True
    if tokens.word(tokens.prev(i)) == "AS":  # the column list of a table alias
        return True
    behind = tokens.next(tokens.close(tokens.next(i)))
    if tokens.word(behind) != "AS":
        return False
    body = tokens.next(behind)
    while tokens.word(body) in ("NOT", "MATERIALIZED"):
        body = tokens.next(body)
    # The column list of a common table expression; behind a call, AS gives a name, or a list of columns.
    return tokens.kind(body) == "(" and tokens.word(_enter(tokens, body)) in _CURSORS | {"WITH"}


def _is_temporary(tokens: Tokens, i: int) -> bool:
    i = tokens.next(i)
    while tokens.kind(i) in ("w", '"', ".") and tokens.word(i) != "AS":
        after = tokens.next(i)
        # Not a table whose own name is temp.
        temporary = tokens.word(i) in _TEMPORARY and (
            tokens.kind(after) == "." or tokens.word(after) in _CAN_BE_TEMPORARY
        )
        if temporary or tokens[i].text.startswith("#"):
            return True
        i = after
    return False


def _pragma(tokens: Tokens, i: int) -> Effect:
    """A PRAGMA that sets something changes the session; one that only asks reads."""
    name = tokens.next(i)
    if tokens.kind(tokens.next(name)) == ".":
        name = tokens.next(tokens.next(name))
    after = tokens.next(name)
    asks = tokens.word(name) in _READING_PRAGMAS
    if tokens.op(after, "=") or (tokens.kind(after) == "(" and not asks):
        return Effect.SESSION
    return Effect(0) if tokens.word(name) in _WRITING_PRAGMAS else Effect.READS


def control(tokens: Tokens, syntax: Syntax, sql: str) -> Control | None:
    """The transaction statement that these tokens are, else None.

    Raises NotSupportedError for a form that would leave the transaction in a state nobody tracks.
    """
    code: list[str] = []
    i = tokens.next(-1)
    first = tokens.word(i)
    if first not in _CONTROLS:
        return None
    while i < len(tokens):
        code.append(tokens[i].text if tokens[i].kind == '"' else tokens[i].text.upper())
        i = tokens.next(i)
    second = code[1] if len(code) > 1 else ""
    if _is_something_else(first, second, syntax):
        return None
    name = tokens[tokens.prev(len(tokens))].text
    found = _begin(code, syntax.batches) if first in ("BEGIN", "START") else _end(code, name, syntax.batches)
    if found is None and not (syntax.batches and first in ("BEGIN", "END")):
        error = NotSupportedError(
            f"this form of {first} is not supported, because nexusql could not tell what state it leaves; "
            "transaction() offers isolation levels, read-only and nesting"
        )
        error.sql = sql
        raise error
    return found


def _is_something_else(first: str, second: str, syntax: Syntax) -> bool:
    """True for BEGIN NOT ATOMIC, two-phase commands outside a transaction, PREPARE of a statement, START REPLICA, .."""
    if first == "BEGIN":
        return second == "NOT"
    if first in ("START", "PREPARE"):
        return second != "TRANSACTION"
    if first == "SAVE":
        return not (syntax.batches and second in _TRANSACTION)
    return first in ("COMMIT", "ROLLBACK") and second == "PREPARED"


def _begin(code: list[str], batches: bool) -> Control | None:
    """BEGIN and START TRANSACTION; `batches` tells T-SQL, where the transaction may bear a name."""
    rest = code[1:]
    mode = ""
    if code[0] == "BEGIN" and rest and rest[0] in ("DEFERRED", "IMMEDIATE", "EXCLUSIVE"):
        mode = rest.pop(0)
    if rest and rest[0] in _TRANSACTION:
        rest.pop(0)
        if batches and len(rest) == 1:
            rest.pop(0)
    isolation: str | None = None
    read_only = False
    words = [word for word in rest if word != ","]
    while words:
        if words[:2] == ["ISOLATION", "LEVEL"]:
            isolation = next((name for name in _ISOLATION if words[2 : 2 + len(name.split())] == name.split()), None)
            if isolation is None:
                return None
            del words[: 2 + len(isolation.split())]
        elif words[:2] in (["READ", "ONLY"], ["READ", "WRITE"]):
            read_only = words[1] == "ONLY"
            del words[:2]
        elif words[:2] == ["NOT", "DEFERRABLE"]:  # the default
            del words[:2]
        else:
            return None
    return Control("begin", "", isolation, read_only, mode)


def _end(code: list[str], name: str, batches: bool) -> Control | None:
    """COMMIT, ROLLBACK and the savepoint statements; `batches` tells T-SQL, where TRANSACTION may bear a name."""
    first, rest = code[0], code[1:]
    if first == "SAVEPOINT":
        return Control("savepoint", name) if len(rest) == 1 else None
    if first == "RELEASE":
        return Control("release", name) if len(rest) == 1 or (len(rest) == 2 and rest[0] == "SAVEPOINT") else None
    if first == "SAVE":
        return Control("savepoint", name) if len(rest) == 2 else None
    if first == "PREPARE":
        return None
    whole = Control("commit" if first in ("COMMIT", "END") else "rollback")
    named = bool(rest) and rest[0] in _TRANSACTION
    if named:
        rest.pop(0)
    if rest in ([], ["AND", "NO", "CHAIN"], ["NO", "RELEASE"], ["AND", "NO", "CHAIN", "NO", "RELEASE"]):
        return whole
    if first == "ROLLBACK":
        if rest[0] == "TO" and (len(rest) == 2 or (len(rest) == 3 and rest[1] == "SAVEPOINT")):
            return Control("rollback_to", name)
        if batches and named and len(rest) == 1:
            return Control("rollback_to", name)
    return whole if batches and named and len(rest) == 1 else None
