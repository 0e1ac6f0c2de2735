"""The packaged schema on live databases: what it creates, that it can be run again, and what its defaults give."""

import json
import sqlite3
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pymysql
import pyodbc
import pytest

import nexusql
import servers
from ddl import Database, ForeignKey, notes, opened

SCRIPT = (Path(nexusql.__file__).parent / "migrations" / "V001__complete_schema.sql").read_text(encoding="utf-8")
REFUSED = (
    *(sqlite3.IntegrityError, psycopg2.IntegrityError, pymysql.err.IntegrityError, pymysql.err.OperationalError),
    pyodbc.IntegrityError,
)

# name type [key | required | unique | default x | one of ..], as the project's plan has them.
SPECIFICATION = """
pipelines
  id varchar(255); key
  slug varchar(255); unique
  name varchar(500); required
  description text
  version varchar(50); default '1.0'
  pipeline_json text
  config_json text
  file_path varchar(1000)
  content_hash varchar(64)
  is_system boolean; default FALSE
  is_active boolean; default TRUE
  created_at timestamp; default NOW()
  updated_at timestamp; default NOW()
pipeline_templates
  id varchar(255); key
  slug varchar(255); unique
  name varchar(500); required
  description text
  category varchar(100); default 'example'
  pipeline_json text
  config_json text
  is_system boolean; default FALSE
  created_at timestamp; default NOW()
  updated_at timestamp; default NOW()
pipeline_executions
  execution_id varchar(255); key
  pipeline_id varchar(255)
  pipeline_slug varchar(255)
  pipeline_name varchar(500)
  user_id integer
  status varchar(50); required
  started_at timestamp; required
  completed_at timestamp
  total_steps integer; default 0
  completed_steps integer; default 0
  failed_steps integer; default 0
  input_data text
  output_data text
  current_step varchar(255)
  error_message text
  execution_time_ms integer
  duration_seconds real
  metadata_json text
  created_at timestamp; default NOW()
step_executions
  step_execution_id varchar(255); key
  execution_id varchar(255); required
  step_id varchar(255); required
  step_name varchar(500); required
  step_type varchar(100)
  status varchar(50); required
  started_at timestamp
  completed_at timestamp
  duration_seconds real
  input_data text
  output_data text
  result_json text
  error_message text
  execution_time_ms integer
  retry_count integer; default 0
  metadata_json text
  step_order integer
  created_at timestamp; default NOW()
  > execution_id pipeline_executions execution_id
pipeline_logs
  id serial; key
  execution_id varchar(255)
  job_id varchar(255)
  step_id varchar(255)
  step_name varchar(500)
  event_type varchar(100)
  timestamp timestamp; default NOW()
  data text
  duration_ms integer
execution_logs
  id serial; key
  execution_id varchar(255); required
  step_id varchar(255)
  log_level varchar(20); default 'INFO'
  message text; required
  timestamp timestamp; default NOW()
  metadata_json text
  > execution_id pipeline_executions execution_id
pipeline_checkpoints
  checkpoint_id uuid; key; default gen_random_uuid()
  thread_id varchar(255); required
  pipeline_id varchar(255); required
  step_id varchar(255); required
  step_index integer; required
  step_name varchar(255)
  timestamp timestamp; required; default NOW()
  state jsonb; required
  metadata jsonb; default '{}'
  status varchar(50); default 'completed'
  parent_checkpoint_id uuid
  > parent_checkpoint_id pipeline_checkpoints checkpoint_id set null
conversation_messages
  message_id uuid; key; default gen_random_uuid()
  thread_id varchar(255); required
  user_id varchar(255)
  role varchar(50); required
  content text; required
  metadata jsonb; default '{}'
  timestamp timestamp; required; default NOW()
  function_call jsonb
  function_name varchar(255)
memory_messages
  message_id uuid; key; default gen_random_uuid()
  session_id varchar(255); required
  thread_id varchar(255)
  role varchar(50); required
  content text; required
  metadata jsonb; default '{}'
  timestamp timestamp; required; default NOW()
reliability_steps
  id serial; key
  agent_name varchar(255); required
  success boolean; required
  required_compensation boolean; default FALSE
  required_human boolean; default FALSE
  mode varchar(50)
  declared_mode varchar(50)
  mode_violation boolean; default FALSE
  timestamp timestamp; required; default NOW()
reliability_workflows
  id serial; key
  workflow_id varchar(255); required; unique
  steps integer; required
  retries integer; default 0
  success boolean; required
  required_human boolean; default FALSE
  timestamp timestamp; required; default NOW()
reliability_slo_measurements
  id serial; key
  measurement_type varchar(10); required; one of 'mtte', 'rsr'
  thread_id varchar(255); required
  checkpoint_id varchar(255)
  duration_ms integer
  replay_mode varchar(50)
  success boolean; required
  error text
  timestamp timestamp; required; default NOW()
reliability_anomalies
  id serial; key
  anomaly_type varchar(100); required
  metric_name varchar(100); required
  expected_value real
  actual_value real
  deviation real
  severity varchar(20); required; one of 'low', 'medium', 'high', 'critical'
  details text
  timestamp timestamp; required; default NOW()
reliability_costs
  id serial; key
  entity_type varchar(20); required; one of 'agent', 'workflow', 'tool'
  entity_id varchar(255); required
  cost_type varchar(100); required
  amount real; required
  currency varchar(10); default 'USD'
  metadata jsonb
  timestamp timestamp; required; default NOW()
pipeline_step_modules
  id varchar(255); key
  pipeline_id varchar(255); required
  step_id varchar(255); required
  module_path varchar(500); required
  class_name varchar(255); required
  source_code text; required
  file_path varchar(1000)
  content_hash varchar(64)
  is_active boolean; default TRUE
  created_at timestamp; default NOW()
  updated_at timestamp; default NOW()
  > pipeline_id pipelines id cascade
hitl_interactions
  interaction_id varchar(255); key
  execution_id varchar(255); required
  pipeline_id varchar(255); required
  step_id varchar(255); required
  step_name varchar(255); required
  status varchar(50); default 'pending'; one of 'pending', 'completed', 'expired', 'cancelled'
  ui_schema text
  prompt text
  context_data text
  human_input text
  responded_by varchar(255)
  created_at timestamp; default NOW()
  expires_at timestamp
  completed_at timestamp
  > execution_id pipeline_executions execution_id cascade
hitl_assignments
  id serial; key
  interaction_id varchar(255); required
  user_id varchar(255); required
  role varchar(100); default 'reviewer'
  assigned_at timestamp; default NOW()
  notified boolean; default FALSE
  > interaction_id hitl_interactions interaction_id cascade
"""

INDEXES = """
idx_pipelines_slug pipelines slug
idx_pipelines_active pipelines is_active
idx_pipeline_templates_slug pipeline_templates slug
idx_pipeline_logs_execution pipeline_logs execution_id
idx_pipeline_executions_pipeline_id pipeline_executions pipeline_id
idx_pipeline_executions_status pipeline_executions status
idx_step_executions_execution_id step_executions execution_id
idx_step_executions_status step_executions status
idx_execution_logs_execution_id execution_logs execution_id
idx_checkpoint_thread_id pipeline_checkpoints thread_id
idx_checkpoint_pipeline_id pipeline_checkpoints pipeline_id
idx_checkpoint_timestamp pipeline_checkpoints timestamp
idx_msg_thread_id conversation_messages thread_id
idx_msg_timestamp conversation_messages timestamp
idx_memory_msg_session_id memory_messages session_id
idx_memory_msg_timestamp memory_messages timestamp
idx_reliability_steps_agent reliability_steps agent_name
idx_reliability_steps_timestamp reliability_steps timestamp
idx_reliability_workflows_timestamp reliability_workflows timestamp
idx_slo_measurements_type reliability_slo_measurements measurement_type
idx_anomalies_timestamp reliability_anomalies timestamp
idx_costs_entity reliability_costs entity_type, entity_id
idx_step_modules_pipeline pipeline_step_modules pipeline_id
idx_step_modules_step_id pipeline_step_modules step_id
idx_step_modules_module_path pipeline_step_modules module_path, class_name
idx_step_modules_active pipeline_step_modules is_active
idx_step_modules_lookup pipeline_step_modules pipeline_id, step_id, is_active
idx_hitl_execution hitl_interactions execution_id
idx_hitl_pipeline hitl_interactions pipeline_id
idx_hitl_status hitl_interactions status
idx_hitl_expires hitl_interactions expires_at
idx_hitl_created hitl_interactions created_at
idx_hitl_assignments_user hitl_assignments user_id
idx_hitl_assignments_interaction hitl_assignments interaction_id
"""

# What each canonical type is in the catalogue, by database.
TYPES: dict[str, dict[str, set[str]]] = {
    "sqlite": {
        "boolean": {"BOOLEAN"},
        "integer": {"INTEGER"},
        "jsonb": {"TEXT"},
        "real": {"REAL"},
        "serial": {"INTEGER"},
        "text": {"TEXT"},
        "timestamp": {"TIMESTAMP"},
        "uuid": {"TEXT"},
    },
    "postgresql": {
        "boolean": {"boolean"},
        "integer": {"integer"},
        "jsonb": {"jsonb"},
        "real": {"real"},
        "serial": {"integer"},
        "text": {"text"},
        "timestamp": {"timestamp without time zone"},
        "uuid": {"uuid"},
    },
    "mysql": {
        "boolean": {"tinyint(1)"},
        "integer": {"int(11)", "int"},
        "jsonb": {"longtext", "json"},
        "real": {"double"},
        "serial": {"int(11)", "int"},
        "text": {"longtext"},
        "timestamp": {"datetime(6)"},
        "uuid": {"char(36)"},
    },
    "mssql": {
        "boolean": {"bit"},
        "integer": {"int"},
        "jsonb": {"nvarchar"},
        "real": {"real"},
        "serial": {"int"},
        "text": {"nvarchar"},
        "timestamp": {"datetime2"},
        "uuid": {"uniqueidentifier"},
    },
}


class Column:
    """A column as the plan has it."""

    def __init__(self, line: str) -> None:
        self.name, kind, *_ = line.replace(";", " ").split()
        self.kind, _, length = kind.partition("(")
        self.length = length.rstrip(")")
        said = [part.strip() for part in line.partition("; ")[2].split(";")]
        self.key = "key" in said
        self.unique = "unique" in said
        self.required = "required" in said or self.key
        self.default = next((part[8:] for part in said if part.startswith("default ")), None)
        self.choices = next((part[7:].split(", ") for part in said if part.startswith("one of ")), [])

    def types(self, kind: str) -> set[str]:
        if self.kind != "varchar":
            return TYPES[kind][self.kind]
        if kind == "mssql":
            return {"nvarchar"}
        return {f"character varying({self.length})" if kind == "postgresql" else f"varchar({self.length})"}

    def sample(self, database: Database) -> Any:
        """A value that the column takes."""
        if self.choices:
            return self.choices[0].strip("'")
        return {
            "boolean": database.kind == "postgresql" or 1,
            "integer": 7,
            "real": 0.5,
            "jsonb": '{"a": [1, "x"]}',
            "timestamp": "2026-01-02 03:04:05.000006",
            "uuid": str(uuid.uuid4()),
        }.get(self.kind, f"{self.name} 1")


def _read() -> tuple[dict[str, list[Column]], dict[str, set[ForeignKey]]]:
    tables: dict[str, list[Column]] = {}
    keys: dict[str, set[ForeignKey]] = {}
    table = ""
    for line in SPECIFICATION.strip().splitlines():
        if not line.startswith(" "):
            table = line
            tables[table], keys[table] = [], set()
        elif line.startswith("  >"):
            column, other, referenced, *action = line[4:].split()
            keys[table].add(ForeignKey((column,), other, (referenced,), " ".join(action).upper()))
        else:
            tables[table].append(Column(line))
    return tables, keys


TABLES, FOREIGN_KEYS = _read()


@pytest.fixture(scope="module", params=servers.KINDS)
def schema(request: pytest.FixtureRequest) -> Iterator[Database]:
    """The packaged schema, created once on a fresh database of each kind."""
    servers.require(request.param)
    with servers.fresh_database(request.param) as url, opened(request.param, url) as database:
        database.script(SCRIPT)
        yield database


@pytest.fixture
def database(schema: Database) -> Iterator[Database]:
    """The packaged schema without rows."""
    yield schema
    for table in reversed(TABLES):
        schema.native(f"DELETE FROM {table}")


def _insert(database: Database, table: str, **given: Any) -> None:
    """Write a row that has only what must be given, and what is given here."""
    row = {
        column.name: column.sample(database)
        for column in TABLES[table]
        if column.required and not column.default and column.kind != "serial"
    }
    row.update(given)
    if not row:
        database.native(f"INSERT INTO {table} " + ("() VALUES ()" if database.kind == "mysql" else "DEFAULT VALUES"))
        return
    marks = ", ".join("?" * len(row))
    database.native(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", *row.values())


def _parents(database: Database, table: str) -> dict[str, Any]:
    """Write the rows that a row of a table must refer to; gives the values that refer to them."""
    given: dict[str, Any] = {}
    for key in FOREIGN_KEYS[table]:
        column = next(column for column in TABLES[table] if column.name == key.columns[0])
        if column.required:
            given[column.name] = f"parent of {table}"
            _insert(database, key.table, **{key.referenced[0]: given[column.name]}, **_parents(database, key.table))
    return given


def test_the_plan_is_read_whole() -> None:
    assert len(TABLES) == 17
    assert sum(len(columns) for columns in TABLES.values()) == 176
    assert len(INDEXES.strip().splitlines()) == 34
    assert sum(len(keys) for keys in FOREIGN_KEYS.values()) == 6


def test_the_schema_is_said_without_a_loss_on_every_database(database: Database) -> None:
    said = [note for part in SCRIPT.split(";\n") for note in notes(part, database.kind, database.modes)]
    # Which the script accepts.
    own = ["ON DELETE SET NULL is NO ACTION here: the key refers to the table itself"]
    assert said == (own if database.kind == "mssql" else [])


def test_it_creates_exactly_the_tables_of_the_plan(database: Database) -> None:
    assert database.tables() == set(TABLES)


def test_columns_types_and_nullability_are_those_of_the_plan(database: Database) -> None:
    for table, expected in TABLES.items():
        found = database.columns(table)
        assert list(found) == [column.name for column in expected]
        for column in expected:
            kind, nullable = found[column.name]
            assert kind in column.types(database.kind) or kind.lower() in column.types(database.kind), (
                table,
                column.name,
            )
            rowid = database.kind == "sqlite" and column.kind == "serial"  # never NULL, though it does not say so
            assert nullable == (not column.required or rowid), (table, column.name)


def test_keys_are_those_of_the_plan(database: Database) -> None:
    for table, columns in TABLES.items():
        assert database.primary_key(table) == tuple(column.name for column in columns if column.key)
        assert database.unique_keys(table) == {(column.name,) for column in columns if column.unique}


def test_foreign_keys_are_those_of_the_plan(database: Database) -> None:
    for table, keys in FOREIGN_KEYS.items():
        if database.kind == "mssql":
            keys = {key._replace(on_delete="") if key.table == table else key for key in keys}
        assert database.foreign_keys(table) == keys


def test_indexes_are_those_of_the_plan(database: Database) -> None:
    expected: dict[str, dict[str, tuple[bool, tuple[str, ...]]]] = {table: {} for table in TABLES}
    for line in INDEXES.strip().splitlines():
        name, table, *columns = line.replace(",", "").split()
        expected[table][name] = (False, tuple(columns))
    for table, indexes in expected.items():
        found = {name: index for name, index in database.indexes(table).items() if name.startswith("idx_")}
        assert found == indexes


def test_a_second_run_changes_nothing(database: Database) -> None:
    def everything() -> list[Any]:
        return [
            (table, database.columns(table), sorted(database.indexes(table)), sorted(database.foreign_keys(table)))
            for table in sorted(database.tables())
        ]

    _insert(database, "pipelines", id="kept")
    before = everything()
    database.script(SCRIPT)
    database.script(SCRIPT)
    assert everything() == before
    assert database.native("SELECT id FROM pipelines") == [("kept",)]


def test_a_run_that_stopped_half_way_is_completed(database: Database) -> None:
    for index in ("idx_hitl_status", "idx_hitl_created"):
        database.native(
            f"DROP INDEX {index}" + (" ON hitl_interactions" if database.kind in ("mysql", "mssql") else "")
        )
    database.native("DROP TABLE hitl_assignments")
    database.native("DROP TABLE reliability_costs")
    database.script(SCRIPT)
    assert database.tables() == set(TABLES)
    assert {"idx_hitl_status", "idx_hitl_created"} <= set(database.indexes("hitl_interactions"))


def _is_default(database: Database, column: Column, value: Any, now: datetime) -> bool:
    if column.default == "NOW()":
        if database.kind == "sqlite":
            assert len(value) == len("2026-01-02 03:04:05.000006")
            value = datetime.strptime(value, "%Y-%m-%d %H:%M:%S.%f")
        return bool(abs(value - now) < timedelta(minutes=1))
    if column.default == "gen_random_uuid()":
        made = uuid.UUID(str(value))
        return made.version == 4 and made.variant == uuid.RFC_4122 and str(made) == str(value)
    if column.default == "'{}'":
        return bool((json.loads(value) if isinstance(value, str) else value) == {})
    if column.default in ("TRUE", "FALSE"):
        return value in ((True, 1) if column.default == "TRUE" else (False, 0)) and value is not None
    return str(value) == str(column.default).strip("'")


def test_a_row_with_only_required_columns_gets_the_defaults(database: Database) -> None:
    clocks = {"sqlite": "strftime('%Y-%m-%d %H:%M:%S', 'now')", "mssql": "SYSDATETIME()"}
    ((now,),) = database.native(f"SELECT {clocks.get(database.kind, 'localtimestamp')}")
    now = datetime.strptime(now, "%Y-%m-%d %H:%M:%S") if isinstance(now, str) else now
    for table, columns in TABLES.items():
        required = {column.name for column in columns if column.required}
        parents = {
            key.columns[0]: database.native(f"SELECT {key.referenced[0]} FROM {key.table}")[0][0]
            for key in FOREIGN_KEYS[table]
            if key.columns[0] in required
        }
        _insert(database, table, **parents)
        ((*row,),) = database.native(f"SELECT {', '.join(column.name for column in columns)} FROM {table}")
        for column, value in zip(columns, row, strict=True):
            if column.kind == "serial":
                assert value > 0
            elif column.default:
                assert _is_default(database, column, value, now), (table, column.name, value)
            else:
                assert (value is not None) == column.required, (table, column.name, value)


def test_every_row_gets_a_uuid_of_its_own(database: Database) -> None:
    for _ in range(50):
        _insert(database, "pipeline_checkpoints")
    made = {str(row[0]) for row in database.native("SELECT checkpoint_id FROM pipeline_checkpoints")}
    assert len(made) == 50
    assert {text[14] for text in made} == {"4"}
    assert {text[19] for text in made} <= set("89ab")
    assert len({text[19] for text in made}) > 1


def test_serial_keys_count_on_and_take_explicit_ids(database: Database) -> None:
    for name in ("a", "b"):
        _insert(database, "reliability_steps", agent_name=name)
    _insert(database, "reliability_steps", agent_name="c", id=100_000)
    (first, a), (second, b), (third, c) = database.native("SELECT id, agent_name FROM reliability_steps ORDER BY id")
    assert (a, b, c) == ("a", "b", "c")
    assert (second, third) == (first + 1, 100_000)


def test_json_comes_back_as_it_was_written(database: Database) -> None:
    for state in ('{"a": [1, 2.5, null, true], "b": "x\'\\"\\u00e9"}', "1.0", '"1.0"', "[]"):
        _insert(database, "pipeline_checkpoints", thread_id=state, state=state)
        ((found,),) = database.native("SELECT state FROM pipeline_checkpoints WHERE thread_id = ?", state)
        assert (json.loads(found) if isinstance(found, str) and database.kind != "postgresql" else found) == json.loads(
            state
        )


def test_a_row_without_its_parent_is_refused(database: Database) -> None:
    for table, keys in FOREIGN_KEYS.items():
        for key in keys:
            with pytest.raises(REFUSED):
                _insert(database, table, **{key.columns[0]: str(uuid.uuid4())})


def test_deleting_a_parent_cascades(database: Database) -> None:
    _insert(database, "pipeline_executions", execution_id="e")
    _insert(database, "hitl_interactions", interaction_id="i", execution_id="e")
    _insert(database, "hitl_assignments", interaction_id="i")
    _insert(database, "pipelines", id="p")
    _insert(database, "pipeline_step_modules", pipeline_id="p")
    database.native("DELETE FROM pipeline_executions WHERE execution_id = 'e'")
    database.native("DELETE FROM pipelines WHERE id = 'p'")
    for table in ("hitl_interactions", "hitl_assignments", "pipeline_step_modules"):
        assert database.native(f"SELECT * FROM {table}") == []


def test_deleting_a_parent_that_does_not_cascade_is_refused(database: Database) -> None:
    _insert(database, "pipeline_executions", execution_id="e")
    _insert(database, "step_executions", execution_id="e")
    with pytest.raises(REFUSED):
        database.native("DELETE FROM pipeline_executions WHERE execution_id = 'e'")


def test_deleting_a_checkpoint_frees_its_children(database: Database) -> None:
    parent, child = str(uuid.uuid4()), str(uuid.uuid4())
    _insert(database, "pipeline_checkpoints", checkpoint_id=parent)
    _insert(database, "pipeline_checkpoints", checkpoint_id=child, parent_checkpoint_id=parent)
    if database.kind == "mssql":  # where they come first
        with pytest.raises(REFUSED):
            database.native("DELETE FROM pipeline_checkpoints WHERE checkpoint_id = ?", parent)
        return
    database.native("DELETE FROM pipeline_checkpoints WHERE checkpoint_id = ?", parent)
    found = database.native("SELECT checkpoint_id, parent_checkpoint_id FROM pipeline_checkpoints")
    assert [(str(key), other) for key, other in found] == [(child, None)]


def test_a_value_outside_the_choices_is_refused(database: Database) -> None:
    for table, columns in TABLES.items():
        for column in columns:
            given = _parents(database, table) if column.choices else {}
            for choice in column.choices:
                more = {"interaction_id": choice} if table == "hitl_interactions" else {}
                _insert(database, table, **given, **more, **{column.name: choice.strip("'")})
            if column.choices:
                with pytest.raises(REFUSED):
                    _insert(database, table, **given, **{column.name: "another"})


def test_a_second_row_with_a_unique_value_is_refused(database: Database) -> None:
    for table, columns in TABLES.items():
        for column in columns:
            if column.unique:
                _insert(
                    database, table, **{column.name: "once"}, **({"id": "1"} if columns[0].kind == "varchar" else {})
                )
                with pytest.raises(REFUSED):
                    _insert(database, table, **{column.name: "once"})


def test_a_null_key_is_refused(database: Database) -> None:
    for table, columns in TABLES.items():
        if columns[0].kind == "varchar":
            with pytest.raises(REFUSED):
                _insert(database, table, **{columns[0].name: None})
