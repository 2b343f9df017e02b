"""The config file: what it may say, and how it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pedcorpus.config import load_config
from pedcorpus.errors import ConfigError

SOURCE = '[[sources]]\nid = "a"\nkind = "general"\npath = "a.jsonl"\n'


def write(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "pedcorpus.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def message(tmp_path: Path, text: str | bytes) -> str:
    with pytest.raises(ConfigError) as error:
        load_config(write(tmp_path, text))
    return f"{error.value.message}\n{error.value.hint}"


def test_defaults(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, f'[dataset]\nname = "x"\n{SOURCE}')).config
    assert config.dedup.jaccard == 0.8
    assert config.dedup.edit == 0.9
    assert config.decontaminate.ngram == 13
    assert config.split.validation == config.split.test == 0.02
    assert config.shards.rows == 50_000
    assert config.sources[0].license == "unknown"
    assert config.sources[0].publishable is True
    assert config.deidentify.enabled is True


def test_variables_expand_and_leave_the_hash_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = f'[dataset]\nname = "x"\n{SOURCE}'.replace("a.jsonl", "${SOME_DATA:-../data}/a.jsonl")
    monkeypatch.delenv("SOME_DATA", raising=False)
    first = load_config(write(tmp_path, text))
    assert first.resolve(first.config.sources[0].path, "path") == tmp_path / "../data/a.jsonl"
    monkeypatch.setenv("SOME_DATA", "/elsewhere")
    second = load_config(write(tmp_path, text))
    assert second.resolve(second.config.sources[0].path, "path") == Path("/elsewhere/a.jsonl")
    assert first.sha256 == second.sha256


def test_comments_and_order_leave_the_hash_alone(tmp_path: Path) -> None:
    one = load_config(write(tmp_path, f'[dataset]\nname = "x"\nseed = 3\n{SOURCE}')).sha256
    two = load_config(write(tmp_path, f'# hello\n[dataset]\nseed = 3\nname = "x"\n{SOURCE}')).sha256
    three = load_config(write(tmp_path, f'[dataset]\nname = "x"\nseed = 4\n{SOURCE}')).sha256
    assert one == two != three


def test_missing_section_and_empty_list(tmp_path: Path) -> None:
    assert "dataset" in message(tmp_path, SOURCE)
    assert "sources" in message(tmp_path, '[dataset]\nname = "x"\n')
    assert "sources" in message(tmp_path, '[dataset]\nname = "x"\n[sources]\nid = "a"\n')


def test_a_line_number_is_told(tmp_path: Path) -> None:
    text = f'[dataset]\nname = "x"\n{SOURCE}\n[split]\nvalidation = 0.1\ntset = 0.1\n'
    said = message(tmp_path, text)
    assert "line 10" in said or ":10" in said
    assert "test" in said


def test_no_text_and_other_encodings(tmp_path: Path) -> None:
    assert "UTF-8" in message(tmp_path, '[dataset]\nname = "儿科"\n'.encode("gb18030"))
    assert load_config(write(tmp_path, f'\ufeff[dataset]\nname = "x"\n{SOURCE}')).config.dataset.name == "x"


@pytest.mark.parametrize("folder", [True, False])
def test_missing_file(folder: bool, tmp_path: Path) -> None:
    path = tmp_path / "here"
    if folder:
        path.mkdir()
    with pytest.raises(ConfigError, match="here"):
        load_config(path)


@given(st.text(max_size=200))
def test_any_text_is_refused_with_a_message(text: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pedcorpus.toml"
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        with pytest.raises(ConfigError) as error:
            load_config(path)
        assert error.value.message
