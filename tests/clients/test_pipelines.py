"""ia_modules' PipelineImportService and DatabaseStepLoader: pipelines and the code of their steps in the database."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from ia_modules.pipeline.db_step_loader import DatabaseStepLoader, load_step_class_from_db
from ia_modules.pipeline.importer import PipelineImportService

from nexusql import DatabaseManager, ProgrammingError

SOURCE = '''
from ia_modules.pipeline.core import Step

class Double(Step):
    """it's :not a parameter, 100% \\\\ and ? neither."""

    async def run(self, data):
        return {"n": data["n"] * FACTOR}
'''


def write_pipeline(folder: Path, name: str, factor: int = 2, version: str = "1.0") -> None:
    """A pipeline of one step, as a person writes it."""
    (folder / "steps").mkdir(parents=True, exist_ok=True)
    (folder / "steps" / "__init__.py").touch()
    (folder / "steps" / "double.py").write_text(SOURCE.replace("FACTOR", str(factor)))
    step = {"id": "double", "step_class": "Double", "module": f"{folder.name}.steps.double"}
    described = {"name": name, "description": "it's :so", "version": version, "steps": [step]}
    (folder / "pipeline.json").write_text(json.dumps(described))


@pytest.fixture
def service(db: DatabaseManager, tmp_path: Path) -> PipelineImportService:
    write_pipeline(tmp_path / "one", "The One & Only")
    write_pipeline(tmp_path / "two", "Another", factor=3)
    return PipelineImportService(db, str(tmp_path))


@pytest.fixture
def loader(db: DatabaseManager) -> DatabaseStepLoader:
    return DatabaseStepLoader(db, enable_cache=False)


def counts(result: dict[str, Any]) -> tuple[int, ...]:
    """How many pipelines were imported, updated, skipped and refused."""
    return tuple(result[name] for name in ("imported", "updated", "skipped", "errors"))


def test_pipelines_are_imported_skipped_and_updated(service: PipelineImportService, tmp_path: Path) -> None:
    async def run() -> None:
        first = await service.import_all_pipelines()
        assert counts(first) == (2, 0, 0, 0)
        assert counts(await service.import_all_pipelines()) == (0, 0, 2, 0)
        write_pipeline(tmp_path / "two", "Another", version="2.0")
        (tmp_path / "broken").mkdir()
        (tmp_path / "broken" / "pipeline.json").write_text("[]")
        assert counts(await service.import_all_pipelines()) == (0, 1, 1, 1)

        slugs = {detail["slug"] for detail in first["details"]}
        listed = await service.list_imported_pipelines()
        assert [(row["name"], row["version"]) for row in listed] == [("Another", "2.0"), ("The One & Only", "1.0")]
        assert {row["slug"] for row in listed} == slugs

        found = await service.get_pipeline_by_slug(listed[1]["slug"])
        assert (found["description"], found["file_path"]) == ("it's :so", str(Path("one") / "pipeline.json"))
        assert found["pipeline_config"]["steps"][0]["module"] == "one.steps.double"
        assert await service.get_pipeline_by_slug("none") is None
        assert await service.validate_pipeline_config(found["pipeline_config"]) is True

    asyncio.run(run())


def test_steps_are_loaded_from_the_database_and_run(
    service: PipelineImportService, loader: DatabaseStepLoader, db: DatabaseManager
) -> None:
    async def run() -> None:
        result = await service.import_all_pipelines()
        for detail in result["details"]:
            pipeline = await service.get_pipeline_by_slug(detail["slug"])
            module, factor = ("one.steps.double", 2) if pipeline["name"] != "Another" else ("two.steps.double", 3)
            for step_class in (
                await loader.load_step_class(module, "Double"),
                await loader.load_step_class(module, "Double", detail["pipeline_id"]),
                await load_step_class_from_db(db, module, "Double", detail["pipeline_id"], enable_cache=False),
            ):
                assert await step_class("double", {}).run({"n": 7}) == {"n": 7 * factor}
        with pytest.raises(ImportError, match="Cannot import module"):
            await loader.load_step_class("one.steps.double", "Double", "another-pipeline")

    asyncio.run(run())
    hashes = db.execute("SELECT content_hash, source_code FROM pipeline_step_modules ORDER BY module_path")
    assert [len(row["content_hash"]) for row in hashes] == [32, 32]
    assert hashes[0]["source_code"] == SOURCE.replace("FACTOR", "2")


def test_a_step_that_is_not_active_is_not_loaded(
    service: PipelineImportService, loader: DatabaseStepLoader, db: DatabaseManager
) -> None:
    async def run() -> None:
        await service.import_all_pipelines()
        await loader.load_step_class("one.steps.double", "Double")
        db.execute("UPDATE pipeline_step_modules SET is_active = :no", {"no": False})
        with pytest.raises(ImportError, match="Cannot import module"):
            await loader.load_step_class("one.steps.double", "Double")

    asyncio.run(run())


def test_the_code_of_a_step_is_replaced_and_the_cache_cleared(
    service: PipelineImportService, db: DatabaseManager
) -> None:
    cached = DatabaseStepLoader(db)

    async def run() -> None:
        await service.import_all_pipelines()
        first = await cached.load_step_class("one.steps.double", "Double")
        sql = "UPDATE pipeline_step_modules SET source_code = :code WHERE module_path = 'one.steps.double'"
        assert db.execute(sql, {"code": SOURCE.replace("FACTOR", "5")}).rowcount == 1
        assert await cached.load_step_class("one.steps.double", "Double") is first
        cached.clear_cache()
        second = await cached.load_step_class("one.steps.double", "Double")
        assert await second("double", {}).run({"n": 2}) == {"n": 10}

    try:
        asyncio.run(run())
    finally:
        cached.clear_cache()


@pytest.mark.parametrize("kind", ["sqlite", "mysql"], indirect=True)
def test_imported_pipelines_are_cleared(service: PipelineImportService, db: DatabaseManager, kind: str) -> None:
    async def run() -> None:
        await service.import_all_pipelines()
        db.execute("UPDATE pipelines SET is_system = :yes WHERE name = 'Another'", {"yes": True})
        assert await service.clear_all_imported_pipelines() == 0  # the client counts no rows of a list
        assert db.execute("SELECT name FROM pipelines") == [{"name": "Another"}]
        # SQLite's foreign keys are off where the URL does not say `?foreign_keys=on`.
        assert db.fetch_value("SELECT COUNT(*) FROM pipeline_step_modules") == (2 if kind == "sqlite" else 1)
        assert counts(await service.import_all_pipelines(clear_existing=True)) == (1, 0, 1, 0)

    asyncio.run(run())


# A gap of ia_modules: it compares a BOOLEAN with 0, which PostgreSQL refuses.


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_postgresql_does_not_clear_what_is_compared_with_zero(
    service: PipelineImportService, db: DatabaseManager
) -> None:
    async def run() -> None:
        await service.import_all_pipelines()
        with pytest.raises(ProgrammingError, match="boolean = integer"):
            await service.clear_all_imported_pipelines()
        with pytest.raises(ProgrammingError, match="boolean = integer"):
            await service.import_all_pipelines(clear_existing=True)
        assert db.execute("DELETE FROM pipelines WHERE is_system = FALSE").rowcount == 2  # the line that it needs

    asyncio.run(run())
