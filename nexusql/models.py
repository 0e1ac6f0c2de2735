"""`into=`: the rows of a result as instances of the caller's class.

A dataclass, a NamedTuple and a TypedDict take values as the driver gives them; pydantic and msgspec check and convert
them. Neither is imported unless a class of theirs is given.
"""

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, MutableSequence, Sequence
from dataclasses import is_dataclass
from functools import lru_cache, partial
from itertools import chain, starmap
from operator import itemgetter
from types import SimpleNamespace
from typing import Any, Generic, NamedTuple, TypeVar, get_origin

from nexusql._speedups import extend_dicts
from nexusql.errors import ConfigError, DataError, Error, ProgrammingError
from nexusql.results import Record, Rows

T = TypeVar("T")

AT_ONCE = 100  # rows that are dicts at a time on their way into instances: few enough for the processor's cache

Keys = tuple[str, ...]
Make = Callable[[Sequence[Any]], Iterator[Any]]  # raw rows -> instances, one by one
Convert = Callable[[list[Record]], list[Any]]
Faults = list[tuple[str, str]]  # (key of the value to blame, "" where it is not known; what is wrong)


class Recipe(NamedTuple):
    """What instances of a class are made from.

    `keys` has every name that a column may have, and what its value is given as: a parameter, a field or its alias;
    `required` are those of these that must be given. `extras` is True where the class itself says what becomes of other
    columns. `make` prepares, for the keys of a result's columns, what makes instances of its rows; `faults` reads an
    error of that.
    """

    keys: dict[str, str]
    required: set[str]
    extras: bool
    make: Callable[[Keys], Make]
    faults: Callable[[Exception, Keys], Faults]


class Builder(Generic[T]):
    """Builds instances of one class; see `builder`."""

    def __init__(self, into: type[T]) -> None:
        self._name = _type_name(into)
        self._recipe = self._recipe_for(into)
        self._plan = lru_cache(maxsize=64)(self._make_plan)

    def build(self, rows: Rows[Any], sql: str, *, after: int = 0) -> Rows[T]:
        """Replace raw rows by instances, each in its place, so that a row is freed when its instance is there.

        `after` is the number of the result's rows that came before these.

        Raises ProgrammingError where the columns do not fit the class, and DataError for the first row that does not.
        """
        try:
            if rows.columns or rows:  # neither: the statement gives no rows at all
                self._replace(rows, *self._plan(rows.columns), after)
        except Error as error:
            error.sql = sql
            raise
        return rows

    def _replace(self, rows: Rows[Any], keys: Keys, make: Make, after: int) -> None:
        rows.first_value = rows[0][0] if rows and keys else None
        done = 0
        try:
            for done, instance in enumerate(make(rows), 1):
                rows[done - 1] = instance
            if done < len(rows):
                raise RuntimeError("StopIteration was raised")  # which ends an iteration as if there were no more rows
        except Exception as error:
            faults = []
            for key, reason in self._recipe.faults(error, keys):
                if key in keys:
                    at = len(keys) - 1 - keys[::-1].index(key)
                    key = f"column {rows.columns[at]} ({type(rows[done][at]).__name__})"
                faults.append(f"{key}: {reason}" if key else reason)
            raise DataError(f"row {after + done + 1} does not fit {self._name}: {'; '.join(faults)}") from error

    def _make_plan(self, columns: Keys) -> tuple[Keys, Make]:
        """For a result's columns: their keys, and what makes instances of the rows."""
        recipe = self._recipe
        keys = tuple([recipe.keys.get(column, column) for column in columns])
        wrong = []
        unknown = [column for column in dict.fromkeys(columns) if column not in recipe.keys]
        if unknown and not recipe.extras:
            wrong.append(f"it takes no column {' and no column '.join(unknown)}")
        lacking = sorted(recipe.required.difference(keys))
        if lacking:
            wrong.append(f"it needs {' and '.join(lacking)}, which the result lacks")
        for key in dict.fromkeys(keys):
            rivals = sorted({column for column, its in zip(columns, keys, strict=True) if its == key})
            if len(rivals) > 1:
                wrong.append(f"{' and '.join(rivals)} are the same field of it")
        if wrong:
            raise ProgrammingError(
                f"the columns do not fit {self._name}: {'; '.join(wrong)}. The result has {', '.join(columns)}, "
                f"{self._name} takes {', '.join(dict.fromkeys(recipe.keys.values())) or 'none'}; AS renames a column"
            )
        return keys, recipe.make(keys)

    def _recipe_for(self, into: Any) -> Recipe:
        cls = get_origin(into) or into
        recipe_for = next((recipe_for for is_one, recipe_for in _KINDS if is_one(cls)), None)
        if recipe_for is None:
            raise _refusal(f"the class {self._name}")
        try:
            return recipe_for(into)
        except Exception as error:  # such as an annotation that cannot be resolved
            raise ConfigError(f"into={self._name} cannot be used: {type(error).__name__}: {error}") from error


def builder(into: type[T]) -> Builder[T]:
    """What builds instances of `into`. Raises ConfigError where that is not a class that can be built."""
    if not isinstance(get_origin(into) or into, type):
        raise _refusal(f"an object of type {type(into).__name__}")
    return _builders(into)


def keep_rows(out: MutableSequence[Any], rows: Iterable[Any], names: Keys) -> bool:
    """`extend_dicts` without the dicts: append the rows as they are; True where two names are equal."""
    out.extend(rows)
    return len(out) > 0 and len(set(names)) < len(names)


_builders: Callable[[Any], Builder[Any]] = lru_cache(maxsize=256)(Builder)


def _refusal(given: str) -> ConfigError:
    return ConfigError(
        f"into= takes a dataclass, TypedDict, NamedTuple, pydantic model or dataclass, or msgspec Struct, not {given}"
    )


def _records(keys: Keys, rows: Sequence[Any]) -> Iterator[list[Record]]:
    """The rows as dicts, some at a time."""
    for start in range(0, len(rows), AT_ONCE):
        records: list[Record] = []
        extend_dicts(records, rows[start : start + AT_ONCE], keys)
        yield records


def _converted(convert: Convert, keys: Keys) -> Make:
    """What makes instances by a call for many rows, and by a call a row where that fails: then it is known which."""

    def some(records: list[Record]) -> Iterable[Any]:
        try:
            return convert(records)
        except Exception:
            return (convert([_with_bytes(record)])[0] for record in records)

    return lambda rows: chain.from_iterable(map(some, _records(keys, rows)))


def _with_bytes(record: Record) -> Record:
    """A record with bytes for memoryviews: psycopg2 gives the latter, pydantic wants the former."""
    return {key: bytes(value) if isinstance(value, memoryview) else value for key, value in record.items()}


def _type_name(of: Any) -> str:
    return of.__name__ if isinstance(of, type) else str(of)


def _class_of_error(error: Exception, _: Keys) -> Faults:
    return [("", type(error).__name__)]


# The kinds of classes


def _is_called(cls: type) -> bool:
    return is_dataclass(cls) or (issubclass(cls, tuple) and hasattr(cls, "_fields"))


def _called_recipe(into: Any) -> Recipe:
    """A dataclass or NamedTuple: called with values, in order where the columns have the order of the parameters."""
    cls = get_origin(into) or into
    # Not of the class itself: a `__signature__` there may be inherited from a dataclass of pydantic's.
    called = inspect.signature(cls.__new__ if issubclass(cls, tuple) else cls.__init__)
    parameters = list(called.parameters.values())[1:]
    in_order = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]

    def make(keys: Keys) -> Make:
        places = {key: place for place, key in enumerate(keys)}  # of a key that is there twice, the last
        first = in_order[: len(places)]
        if first == list(keys):
            return partial(starmap, into)
        if places.keys() == set(first) and len(first) > 1:
            pick = itemgetter(*[places[name] for name in first])
            return lambda rows: starmap(into, map(pick, rows))
        return lambda rows: (into(**record) for record in chain.from_iterable(_records(keys, rows)))

    return Recipe(
        {p.name: p.name for p in named},
        {p.name for p in named if p.default is p.empty},
        any(p.kind is p.VAR_KEYWORD for p in parameters),
        make,
        _class_of_error,
    )


def _is_typed_dict(cls: type) -> bool:
    return issubclass(cls, dict) and hasattr(cls, "__required_keys__")


def _typed_dict_recipe(into: Any) -> Recipe:
    cls = get_origin(into) or into
    required = set(cls.__required_keys__)
    for name, annotation in cls.__annotations__.items():
        # Of an annotation that is text, as after `from __future__ import annotations`, Python's own sets know nothing.
        qualifier = re.search(r"\b(Not)?Required\[", str(annotation))
        if qualifier is not None:
            (required.discard if qualifier[1] else required.add)(name)

    def make(keys: Keys) -> Make:
        return lambda rows: chain.from_iterable(_records(keys, rows))

    return Recipe({name: name for name in cls.__annotations__}, required, False, make, _class_of_error)


def _is_pydantic(cls: type) -> bool:
    # Looked for in the class itself: a plain dataclass that inherits from pydantic's is a plain one.
    return "__pydantic_validator__" in vars(cls) and not getattr(cls, "__pydantic_root_model__", False)


def _pydantic_recipe(into: Any) -> Recipe:
    """A pydantic model or dataclass; a field can be filled by its alias or by its name.

    A model that sees a row before its fields do may fill fields itself, so none is required of the columns then.
    """
    from pydantic import AliasChoices, TypeAdapter, ValidationError

    cls = get_origin(into) or into
    config = getattr(cls, "model_config", None) or getattr(cls, "__pydantic_config__", None) or {}
    by_name = config.get("validate_by_name") or config.get("populate_by_name")
    names: dict[str, str] = {}
    aliases: dict[str, str] = {}
    required: set[str] = set()
    for name, field in cls.__pydantic_fields__.items():
        if field.init is False:
            continue
        alias = field.validation_alias if config.get("validate_by_alias", True) else None
        choices = [] if alias is None else alias.choices if isinstance(alias, AliasChoices) else [alias]
        plain = [choice for choice in choices if isinstance(choice, str)]
        inside = [str(choice.path[0]) for choice in choices if not isinstance(choice, str)]
        if by_name or not choices:
            plain.append(name)
        if plain:
            names[name] = plain[0]
            aliases.update(dict.fromkeys(plain, plain[0]))
            if field.is_required() and not inside:
                required.add(plain[0])
        aliases.update({column: column for column in inside})
    if any(validator.info.mode != "after" for validator in cls.__pydantic_decorators__.model_validators.values()):
        required.clear()

    several: Any = list.__class_getitem__(into)
    # What pydantic's own text of an error would show of a row is left out of it.
    convert = TypeAdapter(several, config={"hide_input_in_errors": True}).validate_python
    convert([])

    def faults(error: Exception, keys: Keys) -> Faults:
        if not isinstance(error, ValidationError):
            return _class_of_error(error, keys)
        found = [(detail["loc"][1:], detail["type"]) for detail in error.errors(include_url=False)]
        known = {**names, **aliases}
        return list(dict.fromkeys((known.get(str(at[0]), str(at[0])) if at else "", kind) for at, kind in found))

    extras = config.get("extra") in ("allow", "ignore")  # "ignore" as a default, which is not said, is no leave
    return Recipe({**names, **aliases}, required, extras, partial(_converted, convert), faults)


def _is_msgspec(cls: type) -> bool:
    return hasattr(cls, "__struct_fields__")


def _msgspec_recipe(into: Any) -> Recipe:
    """A msgspec Struct; a field can be filled by its name when encoded or by its own."""
    import msgspec

    config = (get_origin(into) or into).__struct_config__
    fields = msgspec.structs.fields(into)
    # An array_like Struct is an array in msgspec's formats, but made of an object it has its fields' own names.
    key_of = {field.name: field.name if config.array_like else field.encode_name for field in fields}
    keys = {**key_of, **{field.encode_name: key_of[field.name] for field in fields}}
    types = {key_of[field.name]: _type_name(field.type) for field in fields}
    if config.tag is not None and not config.array_like:
        keys[config.tag_field] = config.tag_field

    several: Any = list.__class_getitem__(into)
    many = partial(msgspec.convert, type=several, strict=False, from_attributes=config.array_like)

    def convert(records: list[Record]) -> list[Any]:
        made: list[Any] = many([SimpleNamespace(**record) for record in records] if config.array_like else records)
        return made

    convert([])

    def faults(error: Exception, keys: Keys) -> Faults:
        if not isinstance(error, msgspec.ValidationError):
            return _class_of_error(error, keys)
        where = re.search(r" - at `\$\[0\]\.([^`]*)`$", str(error))
        path = where[1] if where else ""
        key = max((key for key in keys if re.match(rf"{re.escape(key)}(?![^.\[])", path)), key=len, default="")
        if not key:  # a ValueError of the class itself is wrapped
            return [("", type(error.__cause__ or error).__name__)]
        return [(key, f"{type(error).__name__}, the field is {types.get(key, 'the tag')}")]

    required = {key_of[field.name] for field in fields if field.required}
    return Recipe(keys, required, False, partial(_converted, convert), faults)


_KINDS: tuple[tuple[Callable[[type], bool], Callable[[Any], Recipe]], ...] = (
    (_is_pydantic, _pydantic_recipe),
    (_is_msgspec, _msgspec_recipe),
    (_is_called, _called_recipe),
    (_is_typed_dict, _typed_dict_recipe),
)
