"""The scanner on long inputs: it stays linear, and the compiled one is as fast as it is there for."""

import threading
import time
from collections.abc import Callable
from types import ModuleType

import pytest

from readings import MARIA, PG, PG_BACKSLASH, READINGS, SQLITE, Reading, implementation

MEGABYTE = 1 << 20
# Each piece repeated makes a text on which a careless scanner looks for the same far end again and again.
PIECES = {
    "names": (PG, ":v + "),
    "one long name": (PG, None),
    "letters beyond ASCII": (PG, "名前"),
    "a name beyond ASCII": (PG, None),
    "short literals": (MARIA, "'ab',"),
    "escaped literals": (MARIA, r"'a\'b',"),
    "doubled quotes": (MARIA, "'a''b',"),
    "backslashes in one literal": (MARIA, None),
    "quotes in one literal": (PG, None),
    "continued literals": (PG_BACKSLASH, "E'a'\n"),
    "literals and far comments": (PG, "'a' --\n+"),
    "comments ended by CR": (PG, "--\r"),
    "comments ended by LF": (PG, "--\n"),
    "comments": (SQLITE, "/*a*/"),
    "nested comments": (PG, "/*/**/*/"),
    "deep comments": (PG, None),
    "executed comments": (MARIA, "/*! 1 */"),
    "skipped comments": (MARIA, "/*!99999 1 */"),
    "hints": (MARIA, "/*+ `a` */"),
    "dollar quotes": (PG, "$t$ a $t$,"),
    "dollars": (PG, "$t "),
    "brackets": (PG, "[a:b]"),
    "numbers": (PG, "1.5e+3 "),
    "operators": (PG, "<=>"),
    "identifiers": (SQLITE, '"a" [b] `c` '),
}  # fmt: skip


def text_of(name: str, size: int) -> str:
    _, piece = PIECES[name]
    if piece is not None:
        return piece * (size // len(piece))
    return {
        "one long name": lambda: ":" + "v" * size,
        "a name beyond ASCII": lambda: ":" + "名" * size,
        "backslashes in one literal": lambda: "'" + "\\\\" * (size // 2) + "'",
        "quotes in one literal": lambda: "'" + "''" * (size // 2) + "'",
        "deep comments": lambda: "/*" * (size // 4) + "*/" * (size // 4),
    }[name]()


def seconds(call: Callable[[], object]) -> float:
    """Of this thread's own work: the machine may be busy with others."""
    start = time.thread_time()
    call()
    return time.thread_time() - start


@pytest.mark.parametrize("name", PIECES)
def test_scanning_stays_linear(scanner: ModuleType, compiled: bool, name: str) -> None:
    reading = PIECES[name][0]
    small = MEGABYTE // 16 if compiled else MEGABYTE // 128
    args = (int(reading.rules), reading.modes.version_number)
    times = []
    for size in (small, 16 * small):
        text = text_of(name, size)
        times.append(min(seconds(lambda text=text: scanner.scan(text, *args)) for _ in range(3)))  # type: ignore[misc]
    # Linear is 16, quadratic 256; a small floor keeps the clock's grain out.
    assert times[1] < 80 * max(times[0], 1e-4)


@pytest.mark.parametrize("reading", READINGS, ids=lambda reading: reading.name)
def test_ten_megabytes_of_mixed_sql_take_about_a_second(reading: Reading) -> None:
    scanner = implementation("scanner", True)
    line = "INSERT INTO t (a, b) VALUES (:a, 'it''s 5 % :b'), (1.5e3, \"x\") /* c */ -- d\n;\n"
    text = line * (10 * MEGABYTE // len(line))
    args = (text, int(reading.rules), reading.modes.version_number)
    assert min(seconds(lambda: scanner.scan(*args)) for _ in range(2)) < 10


def test_the_compiled_scanner_is_at_least_six_times_faster() -> None:
    sql = (
        "SELECT a.id, a.name, b.total, 'it''s' AS note FROM accounts a JOIN balances b ON b.account_id = a.id -- all\n"
        "WHERE a.region = :region AND a.status IN (:s1, :s2) AND b.total >= :low::numeric AND b.total < :high "
        "AND a.created_at > :since /* recent */ ORDER BY b.total DESC LIMIT :limit OFFSET :offset"
    )
    assert 290 < len(sql) < 310
    compiled, interpreted = implementation("scanner", True), implementation("scanner", False)
    args = (sql, int(PG.rules), 0)

    def best(scanner: ModuleType, rounds: int) -> float:
        return min(seconds(lambda: [scanner.scan(*args) for _ in range(rounds)]) / rounds for _ in range(15))

    # Alternating and the best of many, because the machine may be busy.
    assert max(best(interpreted, 30) / best(compiled, 300) for _ in range(3)) >= 6


def test_threads_scan_at_once_without_disturbing_each_other(scanner: ModuleType) -> None:
    texts = [f"SELECT :a{n}, 'x{n}''', $t{n}$ y $t{n}$ -- {n}\n" * (n + 1) for n in range(8)]
    expected = [scanner.scan(text, int(PG.rules), 0) for text in texts]
    wrong: list[int] = []

    def work(n: int) -> None:
        for k in range(200):
            at = (n + k) % len(texts)
            if scanner.scan(texts[at], int(PG.rules), 0) != expected[at]:
                wrong.append(at)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("sql", [None, b"SELECT", 1])
def test_the_scanner_takes_text_only(scanner: ModuleType, sql: object) -> None:
    with pytest.raises((TypeError, AttributeError)):
        scanner.scan(sql, 0, 0)
