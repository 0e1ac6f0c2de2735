"""`into=` types the rows: type checkers hold what `assert_type` says, and the tests that it is true."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
import pydantic
import pytest
from typing_extensions import TypedDict, assert_type

from nexusql import DatabaseManager, Row, Rows
from nexusql.results import Record

V = TypeVar("V")
SQL = "SELECT 1 AS id, 'a' AS name"


@dataclass
class DataclassPart:
    id: int
    name: str


class TuplePart(NamedTuple):
    id: int
    name: str


class DictPart(TypedDict):
    id: int
    name: str


class StructPart(msgspec.Struct):
    id: int
    name: str


class ModelPart(pydantic.BaseModel):
    id: int
    name: str


@pydantic.dataclasses.dataclass
class CheckedPart:
    id: int
    name: str


@dataclass
class GenericPart(Generic[V]):
    id: V
    name: str


def with_a_dataclass(db: DatabaseManager) -> None:
    rows = assert_type(db.execute(SQL, into=DataclassPart), Rows[DataclassPart])
    assert_type(rows[0], DataclassPart)
    assert_type(rows.one(), DataclassPart)
    assert_type(rows.data, Rows[DataclassPart])
    assert_type([row.name for row in rows], list[str])
    assert_type(db.fetch_all(SQL, {}, into=DataclassPart), Rows[DataclassPart])
    assert_type(db.fetch_one(SQL, {}, into=DataclassPart), DataclassPart | None)
    assert {type(row) for row in rows} == {DataclassPart}


def with_a_namedtuple(db: DatabaseManager) -> None:
    rows = assert_type(db.execute(SQL, into=TuplePart), Rows[TuplePart])
    assert_type(rows.one().name, str)
    assert_type(db.fetch_one(SQL, into=TuplePart), TuplePart | None)
    assert {type(row) for row in rows} == {TuplePart}


def with_a_typed_dict(db: DatabaseManager) -> None:
    rows = assert_type(db.execute(SQL, into=DictPart), Rows[DictPart])
    assert_type(rows.one()["name"], str)
    assert_type(db.fetch_one(SQL, into=DictPart), DictPart | None)
    assert {type(row) for row in rows} == {dict}


def with_a_struct(db: DatabaseManager) -> None:
    rows = assert_type(db.execute(SQL, into=StructPart), Rows[StructPart])
    assert_type(rows.one().name, str)
    assert_type(db.fetch_one(SQL, into=StructPart), StructPart | None)
    assert {type(row) for row in rows} == {StructPart}


def with_a_model(db: DatabaseManager) -> None:
    rows = assert_type(db.execute(SQL, into=ModelPart), Rows[ModelPart])
    assert_type(rows.one().name, str)
    assert_type(db.fetch_one(SQL, into=ModelPart), ModelPart | None)
    assert {type(row) for row in rows} == {ModelPart}


def with_a_dataclass_of_pydantic(db: DatabaseManager) -> None:
    rows = assert_type(db.execute(SQL, into=CheckedPart), Rows[CheckedPart])
    assert_type(db.fetch_one(SQL, into=CheckedPart), CheckedPart | None)
    assert {type(row) for row in rows} == {CheckedPart}


def with_a_generic_class(db: DatabaseManager) -> None:
    rows = assert_type(db.execute(SQL, into=GenericPart[int]), Rows[GenericPart[int]])
    assert_type(rows.one().id, int)
    assert {type(row) for row in rows} == {GenericPart}


def without(db: DatabaseManager) -> None:
    rows = assert_type(db.execute(SQL), Rows[Record])
    bare: Rows = assert_type(db.fetch_all(SQL), Rows)
    assert_type(rows.one(), dict[str, Any])
    assert_type(db.fetch_one(SQL), Row | None)
    assert_type(db.execute(SQL, into=None), Rows[Record])
    assert [type(row) for row in (*rows, *bare)] == [dict, dict]


def in_a_transaction(db: DatabaseManager) -> None:
    with db.transaction() as tx:
        rows = assert_type(tx.execute(SQL, into=StructPart), Rows[StructPart])
        assert_type(tx.execute(SQL), Rows[Record])
        assert_type(tx.fetch_all(SQL, into=StructPart), Rows[StructPart])
        assert_type(tx.fetch_one(SQL, into=StructPart), StructPart | None)
    assert {type(row) for row in rows} == {StructPart}


def awaited(db: DatabaseManager) -> None:
    async def run() -> None:
        rows = assert_type(await db.execute_async(SQL, into=StructPart), Rows[StructPart])
        assert_type(await rows, Rows[StructPart])
        assert_type(await db.execute_async(SQL), Rows[Record])
        assert {type(row) for row in rows} == {StructPart}

    asyncio.run(run())


def through_a_function_of_the_caller(db: DatabaseManager) -> None:
    def load(into: type[V]) -> list[V]:
        return db.fetch_all(SQL, into=into)

    rows = assert_type(load(ModelPart), list[ModelPart])
    assert {type(row) for row in rows} == {ModelPart}


CASES = (
    *(with_a_dataclass, with_a_namedtuple, with_a_typed_dict, with_a_struct),
    *(with_a_model, with_a_dataclass_of_pydantic, with_a_generic_class),
    *(without, in_a_transaction, awaited, through_a_function_of_the_caller),
)


@pytest.mark.parametrize("check", CASES, ids=lambda check: check.__name__)
def test_rows_are_what_their_type_says(check: Callable[[DatabaseManager], None]) -> None:
    with DatabaseManager("sqlite://:memory:") as db:
        check(db)
