"""LIKE with an escape character finds, on every database, what Python finds with `in`."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

import servers
from nexusql import DatabaseManager

# What is special in some database's patterns, in its literals or in ours; no letters, which SQLite and MySQL fold.
texts = st.text("%_!\\[]^-*?'\":;$/ #@0123名本", max_size=12)


@pytest.fixture(scope="module", params=servers.KINDS)
def database(request: pytest.FixtureRequest) -> Iterator[DatabaseManager]:
    """A database that keeps nothing."""
    servers.require(request.param)
    with servers.fresh_database(request.param) as url, DatabaseManager(url) as db:
        yield db


def contains(text: str) -> str:
    """The pattern of texts that hold this one, `!` being the escape character."""
    for special in "!%_":
        text = text.replace(special, f"!{special}")
    return f"%{text}%"


@given(text=texts, part=texts, cut=st.tuples(st.integers(0, 12), st.integers(0, 12)), cuts=st.booleans())
def test_it_finds_what_python_finds(
    database: DatabaseManager, text: str, part: str, cut: tuple[int, int], cuts: bool
) -> None:
    if cuts:
        part = text[slice(*sorted(cut))]
    found = database.fetch_value(
        "SELECT CASE WHEN :text LIKE :pattern ESCAPE '!' THEN 1 ELSE 0 END", {"text": text, "pattern": contains(part)}
    )
    assert found == (part in text)
