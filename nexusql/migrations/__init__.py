"""Versioned migrations in SQL files, and the packaged schema."""

from nexusql.migrations.runner import PACKAGED, MigrationRunner

__all__ = ["PACKAGED", "MigrationRunner"]
