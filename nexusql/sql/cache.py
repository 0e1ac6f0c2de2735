"""The plan cache: each statement is compiled once for each way it is bound and each reading of the session."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from nexusql.sql.compile import compile_plan
from nexusql.sql.lexical import SessionModes
from nexusql.sql.statement import Statement, Style
from nexusql.sql.syntax import Syntax


class PlanCache:
    """The `size` plans of one manager that were used last. Safe for any number of threads.

    `get(sql, modes, style, lengths)` gives the plan, as compile_plan does; it takes its arguments by position. An error
    is not kept.
    """

    def __init__(self, syntax: Syntax, *, size: int, translate: bool) -> None:
        def plan(sql: str, modes: SessionModes, style: Style, lengths: tuple[int, ...] | None) -> Statement:
            return compile_plan(sql, syntax, modes, style, lengths, translate)

        self._size = size
        self._by_text: dict[tuple[SessionModes, Style], Any] = {}
        # The cache itself, without a method around it: a hit costs one look-up in C.
        self.get = lru_cache(maxsize=size)(plan)

    def by_text(self, modes: SessionModes, style: Style) -> Callable[[str], Statement]:
        """`get` for one reading and style, without lengths: a function of the text alone, whose hash a str keeps."""
        found = self._by_text.get((modes, style))
        if found is None:
            get = self.get
            found = lru_cache(maxsize=self._size)(lambda sql: get(sql, modes, style, None))
            found = self._by_text.setdefault((modes, style), found)
        return found  # type: ignore[no-any-return]

    def clear(self) -> None:
        """Forget all plans."""
        self.get.cache_clear()
        for cached in list(self._by_text.values()):
            cached.cache_clear()

    def info(self) -> Any:
        """`hits`, `misses`, `maxsize` and `currsize`, as functools.lru_cache names them."""
        info = self.get.cache_info()
        return info._replace(hits=info.hits + sum(cached.cache_info().hits for cached in list(self._by_text.values())))
