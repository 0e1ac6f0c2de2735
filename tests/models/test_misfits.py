"""`into=`: what does not fit is refused, by an error that says which row and column, and shows no value."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

import msgspec
import pydantic
import pytest
from typing_extensions import TypedDict

from nexusql import ConfigError, DatabaseManager, DataError, DuplicateColumnWarning, ProgrammingError
from nexusql.models import AT_ONCE

SECRET = "Zq1-secret"


@dataclass
class DataclassPart:
    id: int
    name: str
    price: float = 0.0


class TuplePart(NamedTuple):
    id: int
    name: str
    price: float = 0.0


class DictPart(TypedDict, total=False):
    id: int
    name: str
    price: float


class StructPart(msgspec.Struct):
    id: int
    name: str
    price: float = 0.0


class ArrayPart(msgspec.Struct, array_like=True):
    id: int
    name: str
    price: float = 0.0


class ModelPart(pydantic.BaseModel):
    id: int
    name: str
    price: float = 0.0


@pydantic.dataclasses.dataclass
class CheckedPart:
    id: int
    name: str
    price: float = 0.0


PARTS = [DataclassPart, TuplePart, DictPart, StructPart, ArrayPart, ModelPart, CheckedPart]
each_kind = pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
each_checked_kind = pytest.mark.parametrize("part", PARTS[3:], ids=lambda part: part.__name__)


@pytest.fixture(scope="module")
def memory() -> Iterator[DatabaseManager]:
    with DatabaseManager("sqlite://:memory:") as db:
        yield db


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all that a traceback shows with it."""
    shown: BaseException | None = error
    while shown is not None:
        yield shown
        shown = shown.__cause__ or (None if shown.__suppress_context__ else shown.__context__)


def check_hidden(error: BaseException, *values: object) -> None:
    for link in chain(error):
        for value in values:
            assert str(value) not in f"{link} {link!r} {link.args}"


# Classes


class Plain:
    def __init__(self, id: int) -> None:
        self.id = id


class Ids(pydantic.RootModel[list[int]]):
    pass


@pytest.mark.parametrize(
    ("into", "named"),
    [
        (Plain, "not the class Plain"),
        (int, "not the class int"),
        (dict, "not the class dict"),
        (dict[str, Any], "not the class dict"),
        (tuple, "not the class tuple"),
        (Ids, "not the class Ids"),
        (DataclassPart | None, "not the class "),
        (DataclassPart(1, SECRET), "not an object of type DataclassPart"),
        ({"id": SECRET}, "not an object of type dict"),
        ("DataclassPart", "not an object of type str"),
        (len, "not an object of type builtin_function_or_method"),
    ],
)
def test_what_is_no_such_class_is_refused_before_anything_is_sent(
    memory: DatabaseManager, into: Any, named: str
) -> None:
    memory.create_table("untouched", {"id": "INTEGER"})
    accepted = "into= takes a dataclass, TypedDict, NamedTuple, pydantic model or dataclass, or msgspec Struct, "
    with pytest.raises(ConfigError, match=re.escape(accepted + named)) as caught:
        memory.execute("INSERT INTO untouched (id) VALUES (1)", into=into)
    check_hidden(caught.value, SECRET)
    with memory.transaction() as tx, pytest.raises(ConfigError):
        tx.execute("INSERT INTO untouched (id) VALUES (1)", into=into)
    assert memory.fetch_value("SELECT COUNT(*) FROM untouched") == 0


def test_a_class_that_its_library_cannot_use_is_refused_with_the_reason(memory: DatabaseManager) -> None:
    class Struct(msgspec.Struct):
        a: "Nowhere"  # type: ignore[name-defined]  # noqa: F821

    class Ambiguous(msgspec.Struct):
        a: StructPart | ArrayPart

    class Model(pydantic.BaseModel):
        a: "Nowhere"  # type: ignore[name-defined]  # noqa: F821

    for into, reason in ((Struct, "NameError: .*Nowhere"), (Ambiguous, "TypeError: "), (Model, "not fully defined")):
        with pytest.raises(ConfigError, match=f"into={into.__name__} cannot be used: .*{reason}"):
            memory.execute("SELECT 1 AS a", into=into)


def test_a_class_that_was_refused_is_taken_once_it_is_complete(memory: DatabaseManager) -> None:
    class Model(pydantic.BaseModel):
        a: "Later"  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(ConfigError):
        memory.execute("SELECT 1 AS a", into=Model)
    Model.model_rebuild(_types_namespace={"Later": int})
    assert memory.execute("SELECT 1 AS a", into=Model).one() == Model(a=1)


# Columns


@each_kind
@pytest.mark.parametrize("where", ["", " WHERE 1 = 0"])
def test_columns_that_do_not_fit_are_told_with_rows_and_without(memory: DatabaseManager, part: Any, where: str) -> None:
    needs = "" if part is DictPart else "; it needs name, which the result lacks"
    text = (
        f"the columns do not fit {part.__name__}: it takes no column nane and no column weight{needs}. "
        f"The result has id, nane, weight, {part.__name__} takes id, name, price; AS renames a column"
    )
    sql = f"SELECT 1 AS id, '{SECRET}' AS nane, 2 AS weight{where}"
    with pytest.raises(ProgrammingError) as caught:
        memory.execute(sql, into=part)
    assert str(caught.value) == text
    assert caught.value.sql == sql
    check_hidden(caught.value, SECRET)


@each_kind
def test_a_required_field_needs_a_column(memory: DatabaseManager, part: Any) -> None:
    sql = "SELECT 2.5 AS price"
    if part is DictPart:
        assert memory.execute(sql, into=part) == [{"price": 2.5}]
        return
    with pytest.raises(ProgrammingError, match=f"{part.__name__}: it needs id and name, which the result lacks"):
        memory.execute(sql, into=part)


def test_a_field_that_init_does_not_take_takes_no_column(memory: DatabaseManager) -> None:
    @dataclass
    class Total:
        price: int
        total: int = field(init=False, default=0)

    @pydantic.dataclasses.dataclass
    class Checked:
        price: int
        total: int = field(init=False, default=0)

    for into in (Total, Checked):
        with pytest.raises(ProgrammingError, match="takes no column total"):
            memory.execute("SELECT 1 AS price, 2 AS total", into=into)


def test_a_model_that_does_not_say_what_becomes_of_further_columns_takes_none(memory: DatabaseManager) -> None:
    class Strict(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(extra="forbid")
        a: int

    for into in (ModelPart, Strict):
        with pytest.raises(ProgrammingError, match="takes no column b"):
            memory.execute("SELECT 1 AS b", into=into)


def test_two_columns_for_one_field_are_refused(memory: DatabaseManager) -> None:
    class Struct(msgspec.Struct, rename="camel"):
        user_id: int

    class Model(pydantic.BaseModel):
        user_id: int = pydantic.Field(validation_alias=pydantic.AliasChoices("userId", "uid"))

    with pytest.raises(ProgrammingError, match="userId and user_id are the same field"):
        memory.execute("SELECT 1 AS userId, 2 AS user_id", into=Struct)
    with pytest.raises(ProgrammingError, match="uid and userId and user_id are the same field"):
        memory.execute("SELECT 1 AS userId, 2 AS user_id, 3 AS uid", into=Model)


@each_kind
def test_of_columns_with_one_name_the_last_wins_as_in_a_dict(part: Any) -> None:
    sql = "SELECT 1 AS id, 'a' AS name, 2 AS id"
    with DatabaseManager("sqlite://:memory:") as db:
        with pytest.warns(DuplicateColumnWarning):
            (row,) = db.execute(sql, into=part)
        assert row == part(id=2, name="a")
    with DatabaseManager("sqlite://:memory:", duplicate_columns="raise") as db:
        with pytest.raises(ProgrammingError, match="more than one column named id"):
            db.execute(sql, into=part)
    with DatabaseManager("sqlite://:memory:", duplicate_columns="suffix") as db:
        with pytest.raises(ProgrammingError, match="takes no column id_2"):
            db.execute(sql, into=part)


def test_one_field_given_twice_is_given_once(memory: DatabaseManager) -> None:
    @dataclass
    class Single:
        id: int

    with pytest.warns(DuplicateColumnWarning):
        assert memory.execute("SELECT 1 AS id, 2 AS id", into=Single) == [Single(2)]


# Rows


NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "


@each_checked_kind
@pytest.mark.parametrize("bad", [1, 2, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE + 7])
def test_a_value_that_does_not_fit_is_told_by_row_and_column(memory: DatabaseManager, part: Any, bad: int) -> None:
    sql = f"{NUMBERS} SELECT 'n' AS name, CASE WHEN i >= :bad THEN '{SECRET}' ELSE i END AS id FROM n"
    reason = "ValidationError, the field is int" if part in (StructPart, ArrayPart) else "int_parsing"
    with pytest.raises(DataError) as caught:
        memory.execute(sql, {"bad": bad}, into=part)
    assert str(caught.value) == f"row {bad} does not fit {part.__name__}: column id (str): {reason}"
    assert caught.value.sql == sql
    assert isinstance(caught.value.__cause__, (pydantic.ValidationError, msgspec.ValidationError))
    check_hidden(caught.value.__cause__, SECRET)


def test_every_column_that_pydantic_refuses_is_told(memory: DatabaseManager) -> None:
    with pytest.raises(DataError) as caught:
        memory.execute("SELECT 'x' AS price, NULL AS name, 1.5 AS id", into=ModelPart)
    assert str(caught.value) == (
        "row 1 does not fit ModelPart: column id (float): int_from_float; column name (NoneType): string_type; "
        "column price (str): float_parsing"
    )


def test_the_column_is_the_one_of_the_result_where_the_field_has_another_name(memory: DatabaseManager) -> None:
    class Struct(msgspec.Struct, rename={"user": "a.b", "user_id": "a"}):
        user: int
        user_id: int

    class Model(pydantic.BaseModel):
        user: int = pydantic.Field(alias="a.b")
        user_id: int = pydantic.Field(alias="a")

    for into in (Struct, Model):
        for columns in ("'x' AS user, 1 AS a", "1 AS a, 'x' AS user"):
            with pytest.raises(DataError, match=r": column user \(str\): "):
                memory.execute(f"SELECT {columns}", into=into)
        with pytest.raises(DataError, match=r": column user_id \(str\): "):
            memory.execute("SELECT 1 AS \"a.b\", 'x' AS user_id", into=into)


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_a_value_inside_a_column_is_told_by_the_column(db: DatabaseManager) -> None:
    class Struct(msgspec.Struct):
        inner: dict[str, StructPart]

    class Model(pydantic.BaseModel):
        inner: dict[str, ModelPart]

    sql = """SELECT '{"Zq1-secret": {"id": "Zq1-secret", "name": 5}}'::jsonb AS inner"""
    for into in (Struct, Model):
        with pytest.raises(DataError, match=rf"row 1 does not fit {into.__name__}: column inner \(dict\): ") as caught:
            db.execute(sql, into=into)
        assert SECRET not in str(caught.value)


def test_a_constraint_that_does_not_hold_is_told(memory: DatabaseManager) -> None:
    class Struct(msgspec.Struct):
        count: Annotated[int, msgspec.Meta(ge=0)]

    class Model(pydantic.BaseModel):
        count: Annotated[int, pydantic.Field(ge=0)]

    with pytest.raises(DataError, match=r"column count \(int\): ValidationError, the field is .*Meta\(ge=0\)"):
        memory.execute("SELECT -4711 AS count", into=Struct)
    with pytest.raises(DataError, match=r"column count \(int\): greater_than_equal$"):
        memory.execute("SELECT -4711 AS count", into=Model)


def refuse(value: object) -> None:
    if value == 5:
        raise LookupError("not this one") from OSError("as it was closed")


@dataclass
class RefusingDataclass:
    a: int

    def __post_init__(self) -> None:
        refuse(self.a)


@dataclass(kw_only=True)
class RefusingKeywords:
    a: int

    def __post_init__(self) -> None:
        refuse(self.a)


class RefusingStruct(msgspec.Struct):
    a: int

    def __post_init__(self) -> None:
        refuse(self.a)


class RefusingModel(pydantic.BaseModel):
    a: int

    @pydantic.model_validator(mode="after")
    def check(self) -> "RefusingModel":
        refuse(self.a)
        return self


@pytest.mark.parametrize("into", [RefusingDataclass, RefusingKeywords, RefusingStruct, RefusingModel])
@pytest.mark.parametrize("before", [0, 1, AT_ONCE])
def test_an_error_of_the_class_itself_is_told_by_the_row_and_stays_the_cause(
    memory: DatabaseManager, into: type[Any], before: int
) -> None:
    sql = f"{NUMBERS} SELECT i - :before + 4 AS a FROM n"
    with pytest.raises(DataError) as caught:
        memory.execute(sql, {"before": before}, into=into)
    assert str(caught.value) == f"row {before + 1} does not fit {into.__name__}: LookupError"
    assert isinstance(caught.value.__cause__, LookupError)
    # The place where the class raised it can be seen.
    trace = caught.value.__cause__.__traceback__
    names = []
    while trace is not None:
        names.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    assert names[-1] == "refuse"


def test_rows_are_not_cut_off_by_a_class_that_lets_a_stop_iteration_out(memory: DatabaseManager) -> None:
    @dataclass
    class Stopping:
        a: int

        def __post_init__(self) -> None:
            if self.a == 2:
                next(iter([]))

    @dataclass(kw_only=True)
    class Keywords:
        a: int

        def __post_init__(self) -> None:
            Stopping(self.a)

    for into in (Stopping, Keywords):
        with pytest.raises(DataError, match=f"^row 2 does not fit {into.__name__}: RuntimeError$"):
            memory.execute("SELECT 1 AS a UNION ALL SELECT 2 UNION ALL SELECT 3", into=into)


def test_a_value_error_that_msgspec_or_pydantic_wraps_is_told_by_its_class(memory: DatabaseManager) -> None:
    class Struct(msgspec.Struct):
        a: int

        def __post_init__(self) -> None:
            raise ValueError(f"no {self.a} - at `$[0].a`")

    class Model(pydantic.BaseModel):
        a: int

        @pydantic.model_validator(mode="after")
        def check(self) -> "Model":
            raise ValueError(f"no {self.a}")

    for into, reason in ((Struct, "ValueError"), (Model, "value_error")):
        with pytest.raises(DataError, match=f"^row 1 does not fit {into.__name__}: {reason}$"):
            memory.execute("SELECT 4711 AS a", into=into)


# What stays


def test_a_transaction_goes_on_after_rows_that_did_not_fit(db: DatabaseManager) -> None:
    db.create_table("parts", {"id": "INTEGER", "name": "VARCHAR(20)"})

    def work(tx: Any) -> None:
        tx.execute("INSERT INTO parts (id, name) VALUES (1, 'bolt')")
        with pytest.raises(DataError):
            tx.execute("SELECT name AS id, name FROM parts", into=ModelPart)
        with pytest.raises(ProgrammingError):
            tx.execute("SELECT name FROM parts", into=ModelPart)
        assert tx.fetch_all("SELECT id, name FROM parts", into=DataclassPart) == [DataclassPart(1, "bolt")]

    db.run_in_transaction(work)
    assert db.fetch_value("SELECT COUNT(*) FROM parts") == 1


def test_what_a_statement_wrote_stays_where_its_rows_do_not_fit(db: DatabaseManager) -> None:
    db.create_table("parts", {"id": "INTEGER", "name": "VARCHAR(20)"})
    sql = "INSERT INTO parts (id, name) VALUES (1, 'bolt') RETURNING name AS id, name"
    with pytest.raises(DataError, match=r"^row 1 does not fit StructPart: column id \(str\): "):
        db.execute(sql, into=StructPart)
    assert db.fetch_value("SELECT COUNT(*) FROM parts") == 1
