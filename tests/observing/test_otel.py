"""OpenTelemetry spans, as the SDK collects them."""

import asyncio
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from nexusql import AsyncDatabaseManager, ConnectionConfig, DatabaseManager, OpenTelemetry, UndefinedTable

SYSTEMS = {
    "sqlite": {"sqlite"},
    "postgresql": {"postgresql"},
    "mysql": {"mysql", "mariadb"},
    "mssql": {"microsoft.sql_server"},
}


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> Iterator[TracerProvider]:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider
    provider.shutdown()


def one(exporter: InMemorySpanExporter, operation: str) -> ReadableSpan:
    spans = exporter.get_finished_spans()
    (found,) = [span for span in spans if (span.attributes or {})["db.operation.name"] == operation]
    return found


def test_a_statement_is_a_client_span(
    kind: str, database_url: str, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    with DatabaseManager(database_url, observers=[OpenTelemetry(provider)]) as db:
        assert db.fetch_value("SELECT :a", {"a": "a secret"}) == "a secret"
    span = one(exporter, "SELECT")
    assert span.kind is SpanKind.CLIENT
    assert span.status.status_code is StatusCode.UNSET
    attributes = dict(span.attributes or {})
    assert attributes.pop("db.system.name") in SYSTEMS[kind]
    assert str(attributes.pop("db.namespace")) in database_url
    assert attributes.pop("db.query.text") == "SELECT :a"
    assert attributes.pop("db.response.returned_rows") == 1
    assert (attributes.pop("server.address", None) is None) is (kind == "sqlite")
    assert attributes.pop("server.port", None) == ConnectionConfig.from_url(database_url).port
    assert attributes == {"db.operation.name": "SELECT"}
    assert span.start_time is not None
    assert span.end_time is not None
    assert 0 < span.end_time - span.start_time < 60 * 10**9


def test_an_error_has_its_type_and_code(
    kind: str, database_url: str, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    with DatabaseManager(database_url, observers=[OpenTelemetry(provider, text=False)]) as db:
        with pytest.raises(UndefinedTable):
            db.execute("SELECT * FROM nowhere")
    span = one(exporter, "SELECT")
    attributes = dict(span.attributes or {})
    assert span.status.status_code is StatusCode.ERROR
    assert attributes["error.type"] == "UndefinedTable"
    assert "db.query.text" not in attributes
    if kind != "sqlite":
        assert attributes["db.response.status_code"] in ("42P01", "42S02")


def test_a_bulk_write_names_its_table_and_size(
    database_url: str, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    with DatabaseManager(database_url, observers=[OpenTelemetry(provider)]) as db:
        db.execute("CREATE TABLE notes (id INTEGER)")
        db.bulk_insert("notes", [{"id": n} for n in range(7)])
    span = one(exporter, "BULK INSERT")
    assert span.name == "BULK INSERT notes"
    attributes = span.attributes or {}
    assert (attributes["db.collection.name"], attributes["db.operation.batch.size"]) == ("notes", 7)


def test_spans_of_awaited_calls_have_the_callers_span_as_parent(
    database_url: str, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    tracer = provider.get_tracer("test")

    async def run() -> int:
        async with AsyncDatabaseManager(database_url, observers=[OpenTelemetry(provider)]) as db:
            with tracer.start_as_current_span("request") as request:
                await db.execute("SELECT 1 AS one")
                return request.get_span_context().span_id

    parent = asyncio.run(run())
    spans = {span.name.partition(" ")[0]: span for span in exporter.get_finished_spans()}
    assert spans["SELECT"].parent is not None
    assert spans["SELECT"].parent.span_id == parent
