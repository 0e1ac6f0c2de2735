"""Versioned migrations in SQL files, and the packaged schema."""

from nexusql.migrations.place import PACKAGED
from nexusql.migrations.runner import Applied, MigrationRunner

__all__ = ["PACKAGED", "Applied", "MigrationRunner"]
