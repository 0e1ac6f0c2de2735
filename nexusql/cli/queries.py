"""`nexusql query` and `nexusql translate`."""

import json
import os
import sys
import warnings
from typing import Annotated, Any

import typer

from nexusql.cli.database import AskPassword, Json, connected
from nexusql.cli.output import Format, say, write, write_csv, write_json, write_table
from nexusql.errors import ParameterError
from nexusql.migrations.files import BACKENDS
from nexusql.sql.lexical import SessionModes
from nexusql.sql.split import split_script
from nexusql.sql.syntax import syntax_for
from nexusql.sql.translate import translate as translate_statement

QUERY_EXAMPLES = (
    "Example: nexusql query sqlite:///shop.db 'SELECT * FROM items WHERE id = :id' -p id:=7 --format csv. "
    "A value behind = is text, behind := it is JSON (7, true, null, [1, 2]). SQL given as - is read from stdin. "
    "Where NEXUSQL_URL is set, the URL may be left out."
)
TRANSLATE_EXAMPLES = "Example: nexusql translate 'CREATE TABLE t (id SERIAL PRIMARY KEY)' --to mysql"


def query(
    url: Annotated[str, typer.Argument(metavar="URL", help="The database.", show_default=False)],
    sql: Annotated[str | None, typer.Argument(metavar="SQL", help="One statement.", show_default=False)] = None,
    parameters: Annotated[
        list[str] | None, typer.Option("--param", "-p", metavar="NAME=VALUE", help="A parameter, by name.")
    ] = None,
    output: Annotated[Format, typer.Option("--format", "-f", help="How rows are printed.")] = Format.TABLE,
    ask_password: AskPassword = False,
) -> None:
    """Run one statement and print its rows."""
    if sql is None:
        known = os.environ.get("NEXUSQL_URL")
        if known is None:
            raise typer.BadParameter("two arguments are needed: the URL and the SQL")
        url, sql = known, url
    params = dict(_parameter(text) for text in parameters or ())
    text = sys.stdin.read() if sql == "-" else sql
    with connected(url, ask_password) as database:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            rows = database.execute(text, params)
        for warning in caught:
            say(f"{warning.category.__name__}: {warning.message}")
    if not rows.columns:
        say(f"{rows.rowcount} row{'s' if rows.rowcount != 1 else ''} affected")
        return
    values = ([row[name] for name in rows.columns] for row in rows)
    if output is Format.JSON:
        write_json(rows)
    elif output is Format.CSV:
        write_csv(rows.columns, values)
    else:
        write_table(rows.columns, values)


def _parameter(text: str) -> tuple[str, Any]:
    """A parameter's name and value. Raises ParameterError, without the value, for what is none."""
    name, equals, value = text.partition("=")
    if not equals or not name.rstrip(":").isidentifier():
        raise ParameterError("a parameter is name=value, or name:=JSON")
    if not name.endswith(":"):
        return name, value
    try:
        return name[:-1], json.loads(value)
    except ValueError:
        raise ParameterError(f"the value of {name[:-1]} is not valid JSON") from None


def translate(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="Canonical SQL, or - for stdin.", show_default=False)],
    to: Annotated[str, typer.Option("--to", metavar="DATABASE", help=f"One of {', '.join(BACKENDS)}.")],
    strict: Annotated[bool, typer.Option("--strict", help="Fail where the translation loses something.")] = False,
    as_json: Json = False,
) -> None:
    """Print canonical SQL as another database gets it. What is lost on the way is told on stderr."""
    if to not in BACKENDS or not syntax_for(to).rules:
        known = ", ".join(backend for backend in BACKENDS if syntax_for(backend).rules)
        raise typer.BadParameter(f"{to} is none of {known}", param_hint="--to")
    syntax, modes = syntax_for(to), SessionModes()
    text = sys.stdin.read() if sql == "-" else sql
    translated = []
    for statement in split_script(text, syntax, modes):
        translation = translate_statement(statement, syntax, modes, strict)
        notes = [f"{note.message} (line {note.line}, column {note.column})" for note in translation.notes]
        translated.append({"sql": translation.sql, "notes": notes})
    if as_json:
        write_json(translated)
        return
    for one in translated:
        for note in one["notes"]:
            say(f"loses: {note}")
        write(f"{one['sql']};\n")
