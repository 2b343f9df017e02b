from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pedcorpus.errors import BuildDirError, DiskFullError
from pedcorpus.llm import cache as module
from pedcorpus.llm.cache import Cache, Reply
from pedcorpus.llm.reading import well_formed
from tests.llm.asking import ran

MONEY = Decimal("0.000123")


def reply(key: str = "k", content: str = "内容", finish: str = "stop", model: str = "m") -> Reply:
    return Reply(key, content, finish, model, "prompt@1", 10, 5, 0.25)


def stored(path: Path, *kept: Reply, request: bytes = b"{}") -> None:
    async def run() -> None:
        with Cache(path) as cache:
            for one in kept:
                number = await cache.begin(one.key, one.prompt, Decimal(1))
                await cache.store(number, one, MONEY, request)

    ran(run)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "llm-cache.sqlite"


def test_what_is_stored_is_there_for_others_at_once(path: Path) -> None:
    async def run() -> None:
        with Cache(path) as cache:
            number = await cache.begin("k", "prompt@1", Decimal("0.5"))
            with Cache(path, write=False) as other:
                assert other.spent() == Decimal("0.5")  # sent, perhaps: it counts
            await cache.store(number, reply(), MONEY, '{"a": "问"}'.encode())
            assert cache.find("k") == reply()
            with Cache(path, write=False) as other:
                assert other.find("k") == reply()
                assert other.spent() == MONEY
                assert other.request_of("k") == '{"a": "问"}'
                assert other.request_of("other") is None and other.find("other") is None
            await cache.settle(await cache.begin("l", "prompt@2", Decimal(2)), Decimal(0), "rate")
            assert cache.spent() == MONEY
            assert cache.spent_by_prompt() == {"prompt@1": (1, 10, 5, MONEY), "prompt@2": (1, 0, 0, Decimal(0))}
            assert cache.pace("m") == (5, 0.25)

    ran(run)
    assert [item.name for item in path.parent.iterdir()] == [path.name]  # the file is all there is to copy


@settings(max_examples=25)
@given(st.text(), st.text(alphabet=st.characters(codec=None)), st.binary(max_size=300))
def test_any_text_comes_back_as_it_was(key: str, content: str, request: bytes) -> None:
    content = well_formed(content)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cache.sqlite"
        one = reply(well_formed(key), content, model=content[:9])
        stored(path, one, request=request)
        with Cache(path) as cache:
            assert cache.find(one.key) == one


@given(st.text(alphabet=st.characters(codec=None)))
def test_well_formed_text_is_left_alone(text: str) -> None:
    made = well_formed(text)
    made.encode()
    try:
        text.encode()
    except UnicodeEncodeError:
        assert "\ufffd" in made or len(made) < len(text)  # two halves may have met
    else:
        assert made == text


def test_a_value_that_cannot_be_written_is_told_and_nobody_waits(path: Path) -> None:
    async def run() -> None:
        with Cache(path) as cache:
            bad = Reply("k", "x", "stop", "m", "p", 10**30, 0, 0.0)
            calls = [cache.store(1, one, MONEY, b"") for one in (reply("a"), bad, reply("b"))]
            found = await asyncio.gather(*calls, return_exceptions=True)
            assert any(isinstance(item, BuildDirError) for item in found)
            with pytest.raises(BuildDirError):
                await cache.begin("k", "p", MONEY)

    ran(run)
    stored(path, reply())  # the file itself is whole


def test_rounds(path: Path) -> None:
    """Cut and refused replies are final for one build; a whole one is for ever, whatever comes after it."""

    async def run() -> None:
        with Cache(path) as cache:
            for key, finish in (("whole", "stop"), ("cut", "length")):
                await cache.store(await cache.begin(key, "p", MONEY), reply(key, finish=finish), MONEY, b"")
        with Cache(path) as cache:
            assert cache.find("whole") and cache.find("cut")
            await cache.close_round()
            assert cache.find("whole") and not cache.find("cut")
        with Cache(path) as cache:
            assert cache.find("whole") and not cache.find("cut")
            assert cache.find("cut", any_finish=True)
            for key in ("whole", "cut"):
                await cache.store(await cache.begin(key, "p", MONEY), reply(key, "new", "refusal"), MONEY, b"")
            assert cache.find("whole") == reply("whole")
            found = cache.find("cut")
            assert found and (found.finish, found.content) == ("refusal", "new")

    ran(run)


def test_notes(path: Path) -> None:
    async def run() -> None:
        with Cache(path) as cache:
            assert cache.noted("limit") is None
            await cache.note("limit", "one")
            await cache.note("limit", "two")
        with Cache(path, write=False) as cache:
            assert cache.noted("limit") == "two"
            assert cache.noted("round") is None

    ran(run)


def test_reading_only_makes_no_file(path: Path) -> None:
    with Cache(path, write=False) as cache:
        assert cache.find("k") is None and cache.spent() == 0
    assert not path.exists()
    path.touch()  # left by a build that was killed as it began
    with Cache(path, write=False) as cache:
        assert cache.find("k") is None
    stored(path, reply())


def test_a_file_of_another_version_is_left_as_it_is(path: Path) -> None:
    with closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
        made.execute("INSERT INTO meta VALUES ('version', '99')")
        made.commit()
    for write in (True, False):
        with pytest.raises(BuildDirError, match="format 99"), Cache(path, write=write):
            pass
    with closing(sqlite3.connect(path)) as made:
        assert made.execute("SELECT COUNT(*) FROM sqlite_master WHERE name = 'replies'").fetchone() == (0,)


@pytest.mark.parametrize("write", [True, False])
def test_no_database(path: Path, write: bool) -> None:
    path.write_bytes(b"no database at all, " * 500)
    with pytest.raises(BuildDirError, match="holds every reply that was paid for") as caught, Cache(path, write=write):
        pass
    assert "recover" in caught.value.hint


def test_a_damaged_page_is_told_wherever_it_is_met(path: Path) -> None:
    stored(path, *(reply(f"key-{number}", "很长的内容" * 200) for number in range(50)))
    size = path.stat().st_size
    with path.open("rb+") as file:
        file.seek(8 * 4096)
        file.write(os.urandom(size - 10 * 4096))

    async def run() -> None:
        with Cache(path) as cache:
            for number in range(50):
                cache.find(f"key-{number}")
            list(cache.rows("SELECT * FROM replies"))

    with pytest.raises(BuildDirError, match="holds every reply"):
        ran(run)


def test_a_locked_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOCKED", 0.2)
    stored(path, reply())

    async def run() -> None:
        with Cache(path) as cache, closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            assert cache.find("k") == reply()
            with pytest.raises(BuildDirError, match="locked by another program"):
                await cache.begin("l", "p", MONEY)
            other.execute("ROLLBACK")

    ran(run)


def test_a_full_disk_loses_nothing_that_was_told_to_be_kept(path: Path) -> None:
    told = []

    async def run() -> None:
        with Cache(path) as cache:
            await cache.write([("PRAGMA max_page_count = 40", ())])
            for number in range(1000):
                one = reply(f"key-{number}", os.urandom(2000).hex())
                await cache.store(await cache.begin(one.key, "p", MONEY), one, MONEY, b"")
                told.append(one)

    with pytest.raises(DiskFullError, match="no space left"):
        ran(run)
    assert told
    with Cache(path) as cache:
        assert [cache.find(one.key) for one in told] == told


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_that_may_not_be_written(path: Path) -> None:
    stored(path, reply())
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        with Cache(path, write=False) as cache:
            assert cache.find("k") == reply()
        with pytest.raises(BuildDirError, match="check the permissions"), Cache(path):
            pass
    finally:
        path.parent.chmod(0o700)


def test_calls_of_a_killed_build_count_as_spent(path: Path) -> None:
    async def run() -> int:
        with Cache(path) as cache:
            return await cache.begin("k", "p", MONEY)

    assert [ran(run) for _ in range(3)] == [1, 2, 3]
    with Cache(path) as cache:
        assert cache.spent() == 3 * MONEY


def test_many_writers_share_a_transaction(path: Path) -> None:
    async def run() -> None:
        with Cache(path) as cache:
            await asyncio.gather(*(cache.store(n, reply(str(n)), MONEY, b"") for n in range(2000)))
            assert all(cache.find(str(n)) for n in range(2000))

    ran(run)
