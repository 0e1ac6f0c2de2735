"""`into=`: every kind of class, filled from every database."""

import asyncio
import copy
import dataclasses
import datetime as dt
import decimal
import pickle
import subprocess
import sys
import uuid
from collections import namedtuple
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

import msgspec
import pydantic
import pytest
from typing_extensions import NotRequired, TypedDict

from nexusql import DatabaseManager, TranslationWarning
from nexusql.models import AT_ONCE, builder
from nexusql.results import Rows

V = TypeVar("V")


@dataclass
class DataclassPart:
    id: int
    name: str
    price: float | None = None


@dataclass(kw_only=True, slots=True, frozen=True)
class FrozenPart:
    id: int
    name: str
    price: float | None = None


class TuplePart(NamedTuple):
    id: int
    name: str
    price: float | None = None


class DictPart(TypedDict):
    id: int
    name: str
    price: NotRequired[float | None]


class StructPart(msgspec.Struct):
    id: int
    name: str
    price: float | None = None


class ArrayPart(msgspec.Struct, array_like=True, tag="part"):
    id: int
    name: str
    price: float | None = None


class ModelPart(pydantic.BaseModel):
    id: int
    name: str
    price: float | None = None


@pydantic.dataclasses.dataclass
class CheckedPart:
    id: int
    name: str
    price: float | None = None


PARTS: list[Any] = [DataclassPart, FrozenPart, TuplePart, DictPart, StructPart, ArrayPart, ModelPart, CheckedPart]
each_kind = pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)


@pytest.fixture
def table(db: DatabaseManager) -> DatabaseManager:
    db.create_table("parts", {"id": "INTEGER PRIMARY KEY", "name": "VARCHAR(50)", "price": "DOUBLE PRECISION"})
    db.execute("INSERT INTO parts (id, name, price) VALUES (1, 'bolt', 0.5), (2, 'nut', NULL)")
    return db


@pytest.fixture(scope="module")
def memory() -> Any:
    with DatabaseManager("sqlite://:memory:") as db:
        yield db


def test_rows_become_instances_of_every_kind_of_class(table: DatabaseManager) -> None:
    for part in PARTS:
        for columns in ("id, name, price", "price, id, name"):
            rows = table.execute(f"SELECT {columns} FROM parts ORDER BY id", into=part)
            assert rows == [part(id=1, name="bolt", price=0.5), part(id=2, name="nut", price=None)]
            assert {type(row) for row in rows} == {type(part(id=1, name=""))}
            assert type(rows) is Rows
            assert (rows.rowcount, rows.columns, rows.data) == (2, tuple(columns.split(", ")), rows)
        rows = table.fetch_all("SELECT name, id FROM parts WHERE id = :id", {"id": 2}, into=part)
        assert rows == [part(id=2, name="nut")]


def test_every_call_takes_into(table: DatabaseManager) -> None:
    bolt, one, sql = DataclassPart(1, "bolt", 0.5), {"id": 1}, "SELECT id, name, price FROM parts WHERE id = :id"
    assert table.execute(sql, one, into=DataclassPart).one() == bolt
    assert table.fetch_all(sql, (1,), into=DataclassPart) == [bolt]
    assert table.fetch_one(sql, one, into=DataclassPart) == bolt
    assert table.fetch_one(sql, {"id": 3}, into=DataclassPart) is None
    assert asyncio.run(table.execute_async(sql, one, into=DataclassPart)) == [bolt]
    with table.transaction() as tx:
        assert tx.execute(sql, one, into=DataclassPart) == [bolt]
        assert tx.fetch_one(sql, one, into=DataclassPart) == bolt
        assert tx.fetch_all(sql, one, into=DataclassPart) == [bolt]
        assert table.execute(sql, one, into=DataclassPart) == [bolt]


def test_a_statement_without_a_result_gives_no_rows(table: DatabaseManager) -> None:
    for into in PARTS:
        rows = table.execute("UPDATE parts SET price = 1 WHERE id > :id", {"id": 0}, into=into)
        assert (rows, rows.columns) == ([], ())
    table.execute("BEGIN", into=DataclassPart)
    assert table.execute("DELETE FROM parts", into=DataclassPart).rowcount == 2
    table.execute("ROLLBACK", into=DataclassPart)
    assert table.fetch_value("SELECT COUNT(*) FROM parts") == 2


def test_what_an_insert_returns_can_be_an_instance(table: DatabaseManager) -> None:
    sql = "INSERT INTO parts (id, name) VALUES (:id, :name) RETURNING id, name, price"
    assert table.execute(sql, {"id": 3, "name": "cog"}, into=StructPart) == [StructPart(3, "cog")]


class StructTypes(msgspec.Struct):
    flag: bool
    at: dt.datetime
    day: dt.date
    amount: decimal.Decimal
    code: uuid.UUID
    data: bytes


class ModelTypes(pydantic.BaseModel):
    flag: bool
    at: dt.datetime
    day: dt.date
    amount: decimal.Decimal
    code: uuid.UUID
    data: bytes


def test_msgspec_and_pydantic_make_the_same_of_what_databases_give_differently(db: DatabaseManager) -> None:
    db.create_table(
        "kinds",
        {
            "flag": "BOOLEAN",
            "at": "TIMESTAMP",
            "day": "DATE",
            "amount": "DECIMAL(10, 2)",
            "code": "VARCHAR(40)",
            "data": "BYTEA",
        },
    )
    values: dict[str, Any] = {
        "flag": True,
        "at": dt.datetime(2024, 5, 6, 7, 8, 9, 123456),
        "day": dt.date(2024, 5, 6),
        "amount": decimal.Decimal("12.25"),
        "code": uuid.UUID(int=7),
        "data": b"\x00\xff",
    }
    sql = "INSERT INTO kinds (flag, at, day, amount, code, data) VALUES (:flag, :at, :day, :amount, :code, :data)"
    db.execute(sql, values)
    for into in (StructTypes, ModelTypes):
        rows = db.execute("SELECT flag, at, day, amount, code, data FROM kinds", into=into)
        assert rows == [into(**values)]


@dataclass
class Flagged:
    flag: Any


def test_a_dataclass_takes_values_as_the_driver_gives_them(db: DatabaseManager) -> None:
    db.create_table("flags", {"flag": "BOOLEAN"})
    db.execute("INSERT INTO flags (flag) VALUES (:f)", {"f": True})
    sql = "SELECT flag FROM flags"
    (as_given,) = db.execute(sql)
    (flagged,) = db.execute(sql, into=Flagged)
    assert type(flagged.flag) is type(as_given["flag"])
    assert flagged.flag == as_given["flag"]


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_a_statement_that_needs_more_than_a_plan_gives_instances_too(table: DatabaseManager) -> None:
    @dataclass
    class Setting:
        foreign_keys: int

    assert table.execute("PRAGMA foreign_keys", into=Setting) == [Setting(0)]
    with pytest.warns(TranslationWarning):
        rows = table.execute("SELECT id, name FROM parts WHERE id = 1 FOR UPDATE", into=DataclassPart)
    assert rows == [DataclassPart(1, "bolt")]
    with table.transaction() as tx:
        assert tx.execute("PRAGMA foreign_keys", into=Setting) == [Setting(0)]


# The first column


@each_kind
def test_scalar_is_the_first_column_for_instances_too(memory: DatabaseManager, part: Any) -> None:
    sql = "SELECT 'bolt' AS name, 1 AS id"
    assert memory.execute(sql, into=part).scalar() == "bolt"
    assert memory.execute(f"{sql} WHERE 1 = 0", into=part).scalar() is None


@pytest.mark.parametrize("twin", [copy.copy, copy.deepcopy, lambda rows: pickle.loads(pickle.dumps(rows))])
def test_rows_of_instances_survive_copies_and_pickles(
    memory: DatabaseManager, twin: Callable[[Rows[Any]], Rows[Any]]
) -> None:
    rows = memory.execute("SELECT 'bolt' AS name, 1 AS id", into=DataclassPart)
    again = twin(rows)
    assert again == rows
    assert (again.columns, again.rowcount, again.scalar()) == (rows.columns, 1, "bolt")


def test_rows_of_instances_made_by_hand_have_no_columns() -> None:
    assert Rows([TuplePart(1, "bolt")]).columns == ()
    assert Rows([DataclassPart(1, "bolt")]).columns == ()


# Many rows


@each_kind
@pytest.mark.parametrize("count", [0, 1, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE - 1])
def test_no_row_is_lost_or_comes_twice(memory: DatabaseManager, part: Any, count: int) -> None:
    numbers = "WITH RECURSIVE n(id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 1000) "
    rows = memory.execute(f"{numbers} SELECT 'n' || id AS name, id FROM n LIMIT :count", {"count": count}, into=part)
    assert rows == [part(id=number, name=f"n{number}") for number in range(1, count + 1)]


# What classes can say of their fields


def test_a_field_with_a_default_may_lack_a_column(memory: DatabaseManager) -> None:
    @dataclass
    class Defaults:
        a: int = 1
        b: list[int] = field(default_factory=list)
        c: int = 3

    rows = memory.execute("SELECT 5 AS c UNION ALL SELECT 6", into=Defaults)
    assert rows == [Defaults(c=5), Defaults(c=6)]
    assert rows[0].b is not rows[1].b
    assert memory.execute("SELECT 7 AS b, 5 AS a", into=Defaults) == [Defaults(5, 7)]  # type: ignore[arg-type]


def test_a_field_that_init_does_not_take_is_set_by_the_class(memory: DatabaseManager) -> None:
    @dataclass
    class Total:
        price: int
        count: InitVar[int]
        total: int = field(init=False)

        def __post_init__(self, count: int) -> None:
            self.total = self.price * count

    rows = memory.execute("SELECT 3 AS count, 5 AS price", into=Total)
    assert [row.total for row in rows] == [15]
    assert rows.scalar() == 3


def test_an_init_written_by_hand_says_what_the_class_takes(memory: DatabaseManager) -> None:
    @dataclass(init=False)
    class Open:
        id: int
        more: dict[str, Any]

        def __init__(self, id: int, **more: Any) -> None:
            self.id, self.more = id, more

    rows = memory.execute("SELECT 1 AS id, 2 AS x, 3 AS y", into=Open)
    assert [(row.id, row.more) for row in rows] == [(1, {"x": 2, "y": 3})]


def test_a_namedtuple_with_a_new_of_its_own_is_called(memory: DatabaseManager) -> None:
    class Upper(namedtuple("Upper", "name")):
        __slots__ = ()

        def __new__(cls, name: str) -> "Upper":
            return super().__new__(cls, name.upper())

    assert memory.execute("SELECT 'a' AS name", into=Upper) == [("A",)]


def test_generic_classes_can_be_given_with_their_parameters(memory: DatabaseManager) -> None:
    @dataclass
    class Box(Generic[V]):
        value: V

    class StructBox(msgspec.Struct, Generic[V]):
        value: V

    class ModelBox(pydantic.BaseModel, Generic[V]):
        value: V

    @pydantic.dataclasses.dataclass
    class CheckedBox(Generic[V]):
        value: V

    sql = "SELECT '5' AS value"
    assert memory.execute(sql, into=Box[str]).one() == Box("5")
    assert memory.execute(sql, into=Box).one() == Box("5")
    for box in (StructBox[int], ModelBox[int], CheckedBox[int]):
        assert memory.execute(sql, into=box).one() == box(value=5)


def test_a_typed_dict_knows_what_is_required_also_where_annotations_are_text(memory: DatabaseManager) -> None:
    typed_dict: Any = TypedDict
    whole = typed_dict("whole", {"a": int, "b": "NotRequired[int]"})
    partial = typed_dict("partial", {"a": "Required[int]", "b": int}, total=False)
    for into in (whole, partial):
        assert memory.execute("SELECT 1 AS a", into=into) == [{"a": 1}]
        with pytest.raises(Exception, match="needs a"):
            memory.execute("SELECT 1 AS b", into=into)


def test_a_field_of_a_struct_is_filled_by_its_name_or_its_name_when_encoded(memory: DatabaseManager) -> None:
    class Camel(msgspec.Struct, rename="camel"):
        user_id: int
        full_name: str = "?"

    for columns in ("1 AS userId, 'a' AS fullName", "'a' AS full_name, 1 AS user_id", "1 AS userId, 'a' AS full_name"):
        assert memory.execute(f"SELECT {columns}", into=Camel) == [Camel(1, "a")]


def test_a_tagged_struct_may_have_its_tag_in_a_column(memory: DatabaseManager) -> None:
    class Tagged(msgspec.Struct, tag="t", tag_field="kind"):
        a: int

    assert memory.execute("SELECT 1 AS a", into=Tagged) == [Tagged(1)]
    assert memory.execute("SELECT 't' AS kind, 1 AS a", into=Tagged) == [Tagged(1)]


def test_a_field_of_a_model_is_filled_by_its_aliases_or_its_name(memory: DatabaseManager) -> None:
    class Aliased(pydantic.BaseModel):
        user_id: int = pydantic.Field(alias="userId")
        name: str = pydantic.Field("?", validation_alias=pydantic.AliasChoices("title", "label"))

    for columns in ("1 AS userId, 'a' AS title", "'a' AS label, 1 AS user_id", "1 AS userId, 'a' AS name"):
        (made,) = memory.execute(f"SELECT {columns}", into=Aliased)
        assert (made.user_id, made.name) == (1, "a")


def test_a_model_can_ask_for_fields_by_name_only(memory: DatabaseManager) -> None:
    class ByName(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(validate_by_name=True, validate_by_alias=False)
        user_id: int = pydantic.Field(alias="userId")

    assert memory.execute("SELECT 1 AS user_id", into=ByName).one().user_id == 1
    with pytest.raises(Exception, match="takes no column userId"):
        memory.execute("SELECT 1 AS userId", into=ByName)


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_model_can_take_a_part_of_a_column(db: DatabaseManager) -> None:
    class Inside(pydantic.BaseModel):
        first: int = pydantic.Field(validation_alias=pydantic.AliasPath("doc", "first"))
        doc: Annotated[Any, pydantic.BeforeValidator(lambda value: value)]

    assert db.execute("SELECT '{\"first\": 5}'::jsonb AS doc", into=Inside).one().first == 5


def test_a_model_that_sees_a_row_first_may_fill_its_fields_itself(memory: DatabaseManager) -> None:
    class Joined(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="ignore")
        name: str

        @pydantic.model_validator(mode="before")
        @classmethod
        def join(cls, values: dict[str, Any]) -> dict[str, Any]:
            return {"name": f"{values['first']} {values['last']}"}

    rows = memory.execute("SELECT 'Ursula' AS first, 'Le Guin' AS last", into=Joined)
    assert [row.name for row in rows] == ["Ursula Le Guin"]


def test_a_model_can_take_further_columns(memory: DatabaseManager) -> None:
    class Keeps(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="allow")
        a: int

    class Leaves(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="ignore")
        a: int

    assert memory.execute("SELECT 1 AS a, 2 AS b", into=Keeps).one().model_extra == {"b": 2}
    assert memory.execute("SELECT 1 AS a, 2 AS b", into=Leaves).one() == Leaves(a=1)


def test_a_plain_dataclass_that_inherits_from_one_of_pydantic_is_a_plain_one(memory: DatabaseManager) -> None:
    @dataclass
    class More(CheckedPart):
        colour: str = ""

    rows = memory.execute("SELECT 1 AS id, 'a' AS name, 'red' AS colour", into=More)
    assert [dataclasses.astuple(row) for row in rows] == [(1, "a", None, "red")]


# How it is done


def test_a_class_is_looked_at_once() -> None:
    assert builder(DataclassPart) is builder(DataclassPart)


def test_code_of_the_class_may_run_statements(database_url: str) -> None:
    with DatabaseManager(database_url, pool_max=1, pool_timeout=5.0) as db:

        @dataclass
        class Asking:
            a: int

            def __post_init__(self) -> None:
                self.a = db.fetch_value("SELECT :a + 1", {"a": self.a})

        assert db.execute("SELECT 1 AS a", into=Asking).one().a == 2
        with db.transaction() as tx:
            assert tx.execute("SELECT 2 AS a", into=Asking).one().a == 3


def test_neither_pydantic_nor_msgspec_is_imported_for_a_class_of_python() -> None:
    code = (
        "import sys, dataclasses, typing; from nexusql import DatabaseManager\n"
        "made = dataclasses.make_dataclass('D', ['a']), typing.NamedTuple('N', [('a', int)])\n"
        "with DatabaseManager('sqlite://:memory:') as db:\n"
        "    print(*[db.execute('SELECT 1 AS a', into=cls) for cls in (*made, typing.TypedDict('T', {'a': int}))])\n"
        "assert not {'pydantic', 'msgspec'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[D(a=1)] [N(a=1)] [{'a': 1}]\n"
