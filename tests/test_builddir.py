"""The build directory: whatever stops a write, what stood there before stands there after."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pedcorpus.builddir import (
    BuildDir,
    Parts,
    atomic,
    open_build,
    read_batches,
    read_count,
    read_json,
    read_table,
    stored_schema,
    total,
    write_json,
    write_table,
    write_text,
)
from pedcorpus.errors import BuildDirError, DiskFullError
from pedcorpus.records import Reject

ROOT = Path(__file__).resolve().parent.parent
TABLE = pa.table({"text": ["甲", "乙", None], "number": [1, 2, 3]})


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# --- atomic writes ----------------------------------------------------------------------------------


def test_text_json_and_tables_come_back(tmp_path: Path) -> None:
    write_text(tmp_path / "deep" / "a.txt", "儿科\n")
    write_json(tmp_path / "a.json", {"b": "儿", "a": [1]})
    write_table(tmp_path / "a.parquet", TABLE)
    assert (tmp_path / "deep" / "a.txt").read_text(encoding="utf-8") == "儿科\n"
    assert (tmp_path / "a.json").read_text(encoding="utf-8").startswith('{\n  "b": "儿",')
    assert read_json(tmp_path / "a.json") == {"b": "儿", "a": [1]}
    assert read_table(tmp_path / "a.parquet").equals(TABLE)
    assert read_table(tmp_path / "a.parquet", ["number"]).column_names == ["number"]
    assert stored_schema(tmp_path / "a.parquet").names == ["text", "number"]
    assert read_count(tmp_path / "a.parquet") == 3
    assert files(tmp_path) == ["a.json", "a.parquet", "deep/a.txt"]


def test_equal_tables_give_equal_bytes(tmp_path: Path) -> None:
    write_table(tmp_path / "a", TABLE)
    write_table(tmp_path / "b", pa.concat_tables([TABLE.slice(0, 1), TABLE.slice(1)]).combine_chunks())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


class StopError(Exception):
    """What is raised in the middle of a write."""


@pytest.mark.parametrize("error", [StopError(), KeyboardInterrupt(), OSError(errno.EIO, "Input/output error")])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(BuildDirError if isinstance(error, OSError) else type(error)), atomic(path) as temporary:
        temporary.write_text("half")
        assert path.read_text() == "old"
        raise error
    assert files(tmp_path) == ["a.txt"]
    assert path.read_text() == "old"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_space_at_fsync_is_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def full(_: int) -> None:
        raise OSError(number, os.strerror(number))

    write_text(tmp_path / "a.txt", "old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError, match="no space left"):
        write_text(tmp_path / "a.txt", "new")
    with pytest.raises(DiskFullError, match="no space left"):
        write_table(tmp_path / "b.parquet", TABLE)
    assert files(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


@pytest.mark.parametrize("what", ["text", "table", "shards"])
def test_a_file_system_that_takes_no_more_is_a_full_disk(tmp_path: Path, what: str) -> None:
    done = python(
        """
        import resource, sys
        from pathlib import Path
        import pyarrow as pa
        from pedcorpus.builddir import write_table, write_text
        from pedcorpus.shards import write_tables
        from pedcorpus.errors import DiskFullError
        folder, what = Path(sys.argv[1]), sys.argv[2]
        table = pa.table({"text": [str(number) * 9 for number in range(20000)]})
        write_text(folder / "a", "old")
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        try:
            if what == "text":
                write_text(folder / "a", "x" * 20000)
            elif what == "table":
                write_table(folder / "a", table)
            else:
                write_tables(folder / "shards", "train", [table], 20000, 20000, table.schema)
        except DiskFullError as error:
            print(error, "|", error.hint)
        """,
        tmp_path,
        what,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("no space left while writing under") and "free some space" in done.stdout
    assert (tmp_path / "a").read_text() == "old"
    assert [name for name in files(tmp_path) if not name.startswith("shards/")] == ["a"]


def test_a_kill_in_the_middle_of_a_write_leaves_the_old_file(tmp_path: Path) -> None:
    done = python(
        """
        import os, signal, sys
        from pathlib import Path
        from pedcorpus.builddir import atomic, write_text
        path = Path(sys.argv[1]) / "a.txt"
        write_text(path, "old")
        with atomic(path) as temporary:
            temporary.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
        """,
        tmp_path,
    )
    assert done.returncode == -9
    assert (tmp_path / "a.txt").read_text() == "old"
    assert all(name.startswith(".") or name == "a.txt" for name in files(tmp_path))


# --- reading ----------------------------------------------------------------------------------------


@pytest.fixture(params=["missing", "empty", "text", "cut", "zeros", "folder"])
def damaged(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "a.parquet"
    write_table(path, pa.table({"text": ["x" * 50] * 400}))
    content = path.read_bytes()
    if request.param == "missing":
        path.unlink()
    elif request.param == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(
            {"empty": b"", "text": b"no parquet", "cut": content[:-20], "zeros": bytes(len(content))}[request.param]
        )
    return path


def test_a_damaged_table_is_a_build_dir_error_with_advice(damaged: Path) -> None:
    parts = Parts(damaged.parent)
    reads: tuple[Callable[[], object], ...] = (
        lambda: read_table(damaged),
        lambda: list(read_batches(damaged)),
        lambda: stored_schema(damaged),
        lambda: read_count(damaged),
        lambda: parts.kept("a"),
        lambda: parts.count("a"),
        lambda: total(parts, ["a"]),
    )
    for number, read in enumerate(reads):
        if damaged.is_dir() and number in (0, 4):
            continue  # pyarrow reads an empty folder as an empty table
        with pytest.raises(BuildDirError, match=r"a\.parquet") as caught:
            read()
        assert "--fresh" in caught.value.hint


def test_a_column_that_is_not_there_is_told(tmp_path: Path) -> None:
    write_table(tmp_path / "a", TABLE)
    with pytest.raises(BuildDirError):
        read_table(tmp_path / "a", ["other"])


def test_batches_are_small_and_whole(tmp_path: Path) -> None:
    write_table(tmp_path / "a", pa.table({"number": list(range(12_345))}))
    batches = list(read_batches(tmp_path / "a", rows=1000))
    assert max(batch.num_rows for batch in batches) <= 1000
    assert pa.concat_tables(batches).column("number").to_pylist() == list(range(12_345))


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'"a"', b"\xff\xfe{}", None])
def test_json_that_is_no_object_is_told(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(BuildDirError, match=r"a\.json"):
        read_json(tmp_path / "a.json")


# --- parts ------------------------------------------------------------------------------------------

REJECTS = [
    Reject("filter", "safety.dose", "5mg"),
    Reject("filter", "safety.dose", "6mg"),
    Reject("filter", "quality.empty", ""),
]


def test_parts(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "filter")
    assert not parts.has("a")
    parts.write("a", TABLE, REJECTS)
    parts.write("b", TABLE.slice(0, 1), [])
    assert parts.has("a") and parts.has("b") and not parts.has("c")
    assert parts.kept("a", ["number"]).to_pydict() == {"number": [1, 2, 3]}
    assert parts.rejects("a").column("reason").to_pylist() == ["safety.dose", "safety.dose", "quality.empty"]
    assert parts.rejects("b").num_rows == 0
    assert not parts.rejects_path("b").exists()
    assert parts.reasons("a") == {"safety.dose": 2, "quality.empty": 1}
    assert parts.reasons("b") == {}
    assert (parts.count("a"), parts.count("b")) == (3, 1)
    assert total(parts, ["a", "b", "a"]) == (7, {"safety.dose": 4, "quality.empty": 2})
    assert total(parts, []) == (0, {})


def test_the_ledger_is_written_before_the_mark_that_a_part_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = Parts(tmp_path)
    order: list[str] = []
    replace = Path.replace

    def watched(self: Path, target: Any) -> Path:
        order.append(Path(target).name)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    parts.write("a", TABLE, REJECTS)
    assert order == ["a.rejects.parquet", "a.parquet"]


def test_a_part_whose_kept_items_cannot_be_written_is_not_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = Parts(tmp_path)
    replace = Path.replace

    def refuses(self: Path, target: Any) -> Path:
        if Path(target).name == "a.parquet":
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refuses)
    with pytest.raises(DiskFullError):
        parts.write("a", TABLE, REJECTS)
    assert not parts.has("a")
    assert files(tmp_path) == ["a.rejects.parquet"]


# --- the directory ----------------------------------------------------------------------------------


def test_open_makes_the_folder_and_leaves_only_its_state(tmp_path: Path) -> None:
    with BuildDir(tmp_path / "deep" / "build") as home:
        assert home.parts("filter").folder == home.state / "parts" / "filter"
    assert files(tmp_path) == ["deep/build/state/lock"]


def test_a_second_build_in_one_folder_ends_with_a_clear_error(tmp_path: Path) -> None:
    with (
        BuildDir(tmp_path),
        pytest.raises(BuildDirError, match="another build is running") as caught,
        BuildDir(tmp_path),
    ):
        pass
    assert "--output" in caught.value.hint
    with BuildDir(tmp_path):
        pass


def test_a_build_of_another_process_holds_the_folder_until_it_ends(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys\nfrom pathlib import Path\nfrom pedcorpus.builddir import BuildDir\n"
         "with BuildDir(Path(sys.argv[1])):\n    print('held', flush=True)\n    sys.stdin.read()", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        with pytest.raises(BuildDirError, match="another build is running"), BuildDir(tmp_path):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with BuildDir(tmp_path):
        pass


@pytest.mark.parametrize("error", [StopError(), KeyboardInterrupt()])
def test_the_lock_goes_with_a_build_that_fails(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), BuildDir(tmp_path):
        raise error
    with BuildDir(tmp_path):
        pass


def test_the_lock_goes_when_the_folder_turns_out_full(tmp_path: Path) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(DiskFullError), BuildDir(tmp_path):
            pass
    with BuildDir(tmp_path):
        pass


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("x")
    (tmp_path / "data").mkdir()
    with pytest.raises(BuildDirError, match="holds other files") as caught, BuildDir(tmp_path):
        pass
    assert "thesis.docx" in str(caught.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "thesis.docx"]


@pytest.mark.parametrize("name", ["dataset", "records", "state"])
def test_a_folder_that_is_only_named_like_ours_is_left_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis.txt").write_text("mine")
    with pytest.raises(BuildDirError, match="holds other files"), BuildDir(tmp_path):
        pass
    assert (tmp_path / name / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize(("name", "content"), [(".gitkeep", ""), ("manifest.json", '{"config_sha256": "0"}')])
def test_files_of_a_build_and_hidden_ones_are_no_others(tmp_path: Path, name: str, content: str) -> None:
    """``state`` may be deleted, and a kill may hit before the lock is there."""
    (tmp_path / name).write_text(content)
    with BuildDir(tmp_path):
        pass
    (tmp_path / "other" / "state").mkdir(parents=True)
    with BuildDir(tmp_path / "other"):
        pass


def test_a_build_goes_on_beside_files_that_came_later(tmp_path: Path) -> None:
    with BuildDir(tmp_path):
        pass
    (tmp_path / "notes.txt").write_text("x")
    with BuildDir(tmp_path):
        pass


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "build").write_text("x")
    with pytest.raises(BuildDirError, match="cannot write under"), BuildDir(tmp_path / "build"):
        pass


def test_only_used_parts_stay(tmp_path: Path) -> None:
    with BuildDir(tmp_path) as home:
        home.keep_only({"filter": ["a"]})
        for stage in ("filter", "gone"):
            for key in ("a", "b"):
                home.parts(stage).write(key, TABLE, REJECTS)
        home.keep_only({"filter": ["a"]})
        assert files(home.state / "parts") == ["filter/a.parquet", "filter/a.rejects.parquet"]
        home.forget_parts()
        assert not (home.state / "parts").exists()
        home.forget_parts()


def test_events_are_lines_of_json(tmp_path: Path) -> None:
    with BuildDir(tmp_path) as home:
        home.event("start", stage="提取")
        home.event("end")
        lines = [json.loads(line) for line in (home.state / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["event"] for line in lines] == ["start", "end"]
    assert lines[0]["stage"] == "提取"
    assert lines[1]["seconds"] >= lines[0]["seconds"]


@pytest.mark.parametrize(
    ("made", "message"),
    [((), "no such folder"), (("build",), "no build directory"), (("build", "build/state"), "has not finished")],
)
def test_what_is_no_finished_build(tmp_path: Path, made: tuple[str, ...], message: str) -> None:
    for name in made:
        (tmp_path / name).mkdir()
    with pytest.raises(BuildDirError, match=message):
        open_build(tmp_path / "build")


def test_a_finished_build_gives_its_manifest(tmp_path: Path) -> None:
    write_json(tmp_path / "manifest.json", {"rows": 3})
    assert open_build(tmp_path) == {"rows": 3}
