"""OpenTelemetry spans for what a manager does; needs the extra `[otel]`.

Names and attributes follow the semantic conventions for databases:
https://opentelemetry.io/docs/specs/semconv/database/database-spans/
"""

from typing import TYPE_CHECKING, Any

from nexusql.errors import ConfigError
from nexusql.events import Event

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

# By the first word of what a server calls itself.
SYSTEMS = {
    "SQLite": "sqlite",
    "PostgreSQL": "postgresql",
    "MySQL": "mysql",
    "MariaDB": "mariadb",
    "SQL": "microsoft.sql_server",
}


class OpenTelemetry:
    """An observer that makes a span of each event, below the span that is current where the call was made.

    The text of a statement is in it as the caller wrote it, with `:names` for parameters; literals in that text are not
    taken out, and `text=False` leaves all of it away. Raises ConfigError where opentelemetry-api is not installed.
    """

    def __init__(self, provider: "TracerProvider | None" = None, *, text: bool = True) -> None:
        try:
            from opentelemetry import trace
        except ImportError:
            raise ConfigError("OpenTelemetry needs opentelemetry-api; install nexusql[otel]") from None
        self._tracer = trace.get_tracer("nexusql", tracer_provider=provider)
        self._client = trace.SpanKind.CLIENT
        self._failed = trace.StatusCode.ERROR
        self._text = text

    def __call__(self, event: Event) -> None:
        config = event.config
        target = event.table or (config.database_name if config.path is None else None) or ""
        name = f"{event.operation} {target}".strip()
        span = self._tracer.start_span(
            name, kind=self._client, attributes=self._attributes(event), start_time=event.started
        )
        if event.error is not None:
            span.set_status(self._failed, type(event.error).__name__)
        span.end(event.started + round(event.seconds * 1e9))

    def _attributes(self, event: Event) -> dict[str, Any]:
        config, error = event.config, event.error
        found = {
            "db.system.name": SYSTEMS.get(event.server.partition(" ")[0], "other_sql"),
            "db.namespace": config.database_name,
            "db.collection.name": event.table,
            "db.operation.name": event.operation,
            "db.operation.batch.size": event.batch,
            "db.query.text": event.sql if self._text else None,
            "db.response.returned_rows": event.rows if event.rows >= 0 else None,
            "server.address": config.host,
            "server.port": config.port,
        }
        if error is not None:
            code = getattr(error, "sqlstate", None) or getattr(error, "code", None)
            found["error.type"] = type(error).__name__
            found["db.response.status_code"] = None if code is None else str(code)
        return {key: value for key, value in found.items() if value not in (None, "")}
