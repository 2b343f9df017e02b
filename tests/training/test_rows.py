"""Rows of a dataset as token ids: what is taken, what is cut or left out, and that packing keeps documents apart."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs the [train] extra")
pytest.importorskip("transformers", reason="training needs the [train] extra")
trl = pytest.importorskip("trl", reason="training needs the [train] extra")

import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

from pedcorpus.errors import BuildDirError, ConfigError  # noqa: E402
from pedcorpus.run import BuildResult  # noqa: E402
from pedcorpus.training import rows as rows_module  # noqa: E402
from pedcorpus.training.masking import IGNORED, encode, encode_answer, encode_prompt, set_template  # noqa: E402
from pedcorpus.training.recipe import RandomModel  # noqa: E402
from pedcorpus.training.rows import (  # noqa: E402
    card_facts,
    config_hashes,
    cpt_rows,
    dataset_folder,
    load_rows,
    need,
    preference_rows,
    sft_rows,
    shards_of,
)
from pedcorpus.training.tiny import write_random_model  # noqa: E402

TASKS = ["medkqa", "evidiag", "trerecom"]


@pytest.fixture(scope="module")
def dataset(sample_build: tuple[Path, BuildResult]) -> Path:
    return dataset_folder(sample_build[0])


@pytest.fixture(scope="module")
def place(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two layers and its tokenizer."""
    target = tmp_path_factory.mktemp("base")
    write_random_model(dataset, target, RandomModel(vocabulary=400, hidden=32, heads=2, intermediate=48), seed=5)
    return target


@pytest.fixture(scope="module")
def tokenizer(place: Path) -> Any:
    found = AutoTokenizer.from_pretrained(place)
    set_template(found, "chatml")
    return found


@pytest.fixture(scope="module")
def plain(place: Path) -> Any:
    """The tokenizer as the base model has it, for texts."""
    return AutoTokenizer.from_pretrained(place)


def table(folder: Path, config: str, rows: list[dict[str, Any]], name: str = "train-00000-of-00001") -> Path:
    """Write a shard; the dataset's folder."""
    path = folder / "data" / config / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
    return folder


def document(text: str, instruction: bool = False) -> dict[str, Any]:
    return {"text": text, "provenance": {"generator": "instruction" if instruction else "passage"}}


def dialogue(*said: str) -> dict[str, Any]:
    return {"messages": [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(said)]}


# --- continued pre-training -------------------------------------------------------------------------


def test_every_document_is_taken_and_ends_with_the_end_token(dataset: Path, plain: Any) -> None:
    texts = list(load_rows(dataset, "cpt")["text"])

    prepared = cpt_rows(dataset, plain, None, None, seed=1)

    ids = list(prepared.rows["input_ids"])
    end = plain.eos_token_id
    assert [plain.decode(row[:-1]) for row in ids] == texts
    assert all(row[-1] == end and row.count(end) == 1 for row in ids)
    assert prepared.given == len(texts)
    assert prepared.tokens == prepared.supervised == sum(map(len, ids))
    assert (prepared.cut, prepared.left_out) == (0, 0)
    assert texts[0].startswith(prepared.sample.removesuffix(plain.eos_token)[:20])


@pytest.mark.parametrize(
    ("share", "instructions", "passages"),
    [(None, 12, 8), (0.0, 0, 8), (1.0, 12, 0), (0.25, 3, 8), (0.5, 8, 8), (0.75, 12, 4), (0.6, 12, 8), (1e-6, 0, 8)],
)
def test_the_mix_has_the_share_that_was_asked_for(
    tmp_path: Path, plain: Any, share: float | None, instructions: int, passages: int
) -> None:
    texts = [document(f"文{n}", instruction=n % 5 < 3) for n in range(20)]
    folder = table(tmp_path, "cpt", texts)

    prepared = cpt_rows(folder, plain, share, None, seed=1)

    kept = [plain.decode(row[:-1]) for row in prepared.rows["input_ids"]]
    told = {item["text"] for item in texts if item["provenance"]["generator"] == "instruction"}
    assert (sum(text in told for text in kept), sum(text not in told for text in kept)) == (instructions, passages)
    assert kept == [item["text"] for item in texts if item["text"] in kept], "in their order"


@pytest.mark.parametrize(("share", "instruction"), [(0.5, True), (0.5, False), (0.0, True), (1.0, False)])
def test_a_mix_that_cannot_be_is_refused(tmp_path: Path, plain: Any, share: float, instruction: bool) -> None:
    folder = table(tmp_path, "cpt", [document(f"文{n}", instruction) for n in range(4)])

    with pytest.raises(ConfigError, match=rf"cpt.instruction_share = {share}: no document is left") as error:
        cpt_rows(folder, plain, share, None, seed=1)

    assert "leave it out" in error.value.hint


def test_a_text_cannot_end_its_document(tmp_path: Path, plain: Any) -> None:
    folder = table(tmp_path, "cpt", [document("前<|endoftext|>后<|im_end|>")])

    (row,) = cpt_rows(folder, plain, None, None, seed=1).rows["input_ids"]

    assert [n for n, token in enumerate(row) if token in plain.added_tokens_decoder] == [len(row) - 1]
    assert plain.decode(row) == "前<|endoftext|>后<|im_end|><|endoftext|>"


# --- packing ----------------------------------------------------------------------------------------


def packed_rows(tmp_path: Path, plain: Any, lengths: list[int], length: int) -> tuple[list[list[int]], Any]:
    folder = table(tmp_path, "cpt", [document(chr(0x61 + n % 26) * (size - 1)) for n, size in enumerate(lengths)])
    prepared = cpt_rows(folder, plain, None, None, seed=1)
    return list(prepared.rows["input_ids"]), trl.pack_dataset(prepared.rows, length, strategy="bfd_split")


def test_packing_loses_no_token_and_keeps_documents_apart(dataset: Path, plain: Any) -> None:
    length = 96
    prepared = cpt_rows(dataset, plain, None, 80, seed=1)
    documents = list(prepared.rows["input_ids"])
    assert max(map(len, documents)) > length > min(map(len, documents))

    packed = trl.pack_dataset(prepared.rows, length, strategy="bfd_split")

    pieces = []
    for row in packed:
        assert sum(row["seq_lengths"]) == len(row["input_ids"]) <= length
        position = 0
        for size in row["seq_lengths"]:
            pieces.append(tuple(row["input_ids"][position : position + size]))
            position += size
    wanted = [tuple(ids[n : n + length]) for ids in documents for n in range(0, len(ids), length)]
    assert sorted(pieces) == sorted(wanted), "each document is one piece, a long one is cut into full pieces"
    assert sum(map(len, pieces)) == prepared.tokens
    end = plain.eos_token_id
    assert all(end not in piece[:-1] for piece in pieces)
    assert sum(piece[-1] == end for piece in pieces) == prepared.given


def test_the_end_of_a_document_that_just_overflows_is_not_lost(tmp_path: Path, plain: Any) -> None:
    documents, packed = packed_rows(tmp_path, plain, [17, 16, 1, 33], length=16)

    assert sum(len(row) for row in packed["input_ids"]) == sum(map(len, documents))
    assert sum(row.count(plain.eos_token_id) for row in packed["input_ids"]) == 4


def test_a_packed_document_has_the_logits_of_the_document_alone(dataset: Path, place: Path, plain: Any) -> None:
    """As the trainer runs it: one row without a mask, positions that begin anew with each document, no cache."""
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    prepared = cpt_rows(dataset, plain, None, 12, seed=2)
    packed = trl.pack_dataset(prepared.rows, 256, strategy="bfd_split")
    model = AutoModelForCausalLM.from_pretrained(place).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(4)  # a fresh model looks at nothing much
    collate = DataCollatorForLanguageModeling(pad_token_id=plain.pad_token_id, padding_free=True)
    row = max(packed, key=lambda row: len(row["seq_lengths"]))
    batch = collate([{"input_ids": row["input_ids"], "seq_lengths": row["seq_lengths"]}])
    assert len(row["seq_lengths"]) > 1
    assert (batch["position_ids"] == 0).sum() == len(row["seq_lengths"])

    with torch.no_grad():
        together = model(input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False).logits[0]
        joined = model(input_ids=batch["input_ids"]).logits[0]
        position = 0
        for size in row["seq_lengths"]:
            part = slice(position, position + size)
            alone = model(input_ids=batch["input_ids"][:, part]).logits[0]
            assert (together[part] - alone).abs().max() < 1e-4
            if position:
                assert (joined[part] - alone).abs().max() > 1e-2, "the test can tell"
            position += size


# --- fine-tuning ------------------------------------------------------------------------------------


def test_the_sample_is_learned_whole_where_it_fits(dataset: Path, tokenizer: Any) -> None:
    given = [messages for config in TASKS for messages in load_rows(dataset, config)["messages"]]

    prepared = sft_rows(dataset, TASKS, tokenizer, 100_000, None, seed=1)

    assert (prepared.given, prepared.cut, prepared.left_out) == (len(given), 0, 0)
    for row, messages in list(zip(prepared.rows, given, strict=True))[::20]:
        assert (row["input_ids"], row["labels"]) == encode(tokenizer, messages)
    answers = [message["content"] for message in given[0] if message["role"] == "assistant"]
    assert prepared.sample == answers[0] + "<|im_end|>"
    assert prepared.tokens == sum(map(len, prepared.rows["input_ids"]))
    assert prepared.supervised == sum(label != IGNORED for row in prepared.rows["labels"] for label in row)


def test_long_dialogues_lose_whole_turns_and_all_are_counted(dataset: Path, tokenizer: Any) -> None:
    whole = {tuple(row) for row in sft_rows(dataset, TASKS, tokenizer, 100_000, None, seed=1).rows["input_ids"]}
    length = sorted(map(len, whole))[len(whole) // 2]

    prepared = sft_rows(dataset, TASKS, tokenizer, length, None, seed=1)

    assert prepared.given == len(prepared.rows) + prepared.left_out
    assert prepared.cut > 0 < prepared.left_out
    assert sum(tuple(row) not in whole for row in prepared.rows["input_ids"]) == prepared.cut
    for ids, labels in zip(prepared.rows["input_ids"], prepared.rows["labels"], strict=True):
        assert len(ids) <= length
        assert any(ids == list(long[: len(ids)]) for long in whole), "the beginning of a dialogue"
        assert [token for token in labels if token != IGNORED][-1] == tokenizer.eos_token_id


def test_a_cut_ends_with_the_last_answer_that_fits(tmp_path: Path, tokenizer: Any) -> None:
    said = ("a", "b", "c", "d", "e", "f")
    folder = table(tmp_path, "medkqa", [dialogue(*said), dialogue("x" * 900, "y"), dialogue(*said[:3])])
    two, three = (len(encode(tokenizer, dialogue(*said[:n])["messages"])[0]) for n in (4, 6))

    for length, kept, cut, left_out in [(three, 6, 1, 1), (three - 1, 4, 2, 1), (two, 4, 2, 1), (two - 1, 2, 2, 1)]:
        prepared = sft_rows(folder, ["medkqa"], tokenizer, length, None, seed=1)
        assert prepared.rows["input_ids"][0] == encode(tokenizer, dialogue(*said[:kept])["messages"])[0]
        assert (prepared.given, prepared.cut, prepared.left_out, len(prepared.rows)) == (3, cut, left_out, 2)
        # the third row ends with a question, which is cut as well
        assert prepared.rows["input_ids"][1] == encode(tokenizer, dialogue("a", "b")["messages"])[0]


def test_a_row_without_a_token_to_learn_is_left_out(tmp_path: Path, tokenizer: Any) -> None:
    greeting = {"messages": [{"role": "assistant", "content": "您好"}, {"role": "user", "content": "问" * 200}]}
    folder = table(tmp_path, "general", [greeting, dialogue("问"), dialogue("问", "答")])

    prepared = sft_rows(folder, ["general"], tokenizer, 64, None, seed=1)

    assert (prepared.given, len(prepared.rows), prepared.left_out) == (3, 1, 2)


def test_no_token_to_learn_is_an_error_that_names_the_length(dataset: Path, tokenizer: Any) -> None:
    with pytest.raises(BuildDirError, match=r"no token to learn: .* max_length = 8 tokens") as error:
        sft_rows(dataset, ["safety"], tokenizer, 8, None, seed=1)

    assert "max_length" in error.value.hint


# --- preferences ------------------------------------------------------------------------------------


def test_pairs_are_prompt_and_two_answers(dataset: Path, tokenizer: Any) -> None:
    given = load_rows(dataset, "dfpo")

    prepared = preference_rows(dataset, tokenizer, 100_000, None, seed=1)

    assert (prepared.given, prepared.left_out, len(prepared.rows)) == (len(given), 0, len(given))
    for pair, row in list(zip(given, prepared.rows, strict=True))[::25]:
        assert row["prompt_ids"] == encode_prompt(tokenizer, pair["prompt"])
        for side in ("chosen", "rejected"):
            assert row[f"{side}_ids"] == encode_answer(tokenizer, [*pair["prompt"], *pair[side]])
            whole, _ = encode(tokenizer, [*pair["prompt"], *pair[side]])
            assert whole[: len(row["prompt_ids"]) + len(row[f"{side}_ids"])] == row["prompt_ids"] + row[f"{side}_ids"]
            assert row[f"{side}_ids"][-1] == tokenizer.eos_token_id
    assert prepared.sample == given[0]["chosen"][0]["content"] + "<|im_end|>"
    assert prepared.supervised == sum(len(row["chosen_ids"]) + len(row["rejected_ids"]) for row in prepared.rows)
    assert prepared.tokens == prepared.supervised + sum(map(len, prepared.rows["prompt_ids"]))


def test_pairs_of_which_one_side_is_too_long_are_left_out(dataset: Path, tokenizer: Any) -> None:
    def longest(row: dict[str, list[int]]) -> int:
        return len(row["prompt_ids"]) + max(len(row["chosen_ids"]), len(row["rejected_ids"]))

    sizes = sorted(map(longest, preference_rows(dataset, tokenizer, 100_000, None, seed=1).rows))
    length = sizes[len(sizes) // 2]

    prepared = preference_rows(dataset, tokenizer, length, None, seed=1)

    assert len(prepared.rows) == sum(size <= length for size in sizes)
    assert prepared.given == len(prepared.rows) + prepared.left_out
    assert max(map(longest, prepared.rows)) == length
    with pytest.raises(BuildDirError, match="pairs fits into max_length = 4 tokens"):
        preference_rows(dataset, tokenizer, 4, None, seed=1)


# --- sampling ---------------------------------------------------------------------------------------


def test_a_sample_goes_by_the_seed_and_keeps_the_order(dataset: Path, plain: Any, tokenizer: Any) -> None:
    def drawn(seed: int, most: int = 20) -> list[list[int]]:
        return list(cpt_rows(dataset, plain, None, most, seed).rows["input_ids"])

    assert drawn(1) == drawn(1) != drawn(2)
    everything = list(cpt_rows(dataset, plain, None, None, 1).rows["input_ids"])
    positions = [everything.index(row) for row in drawn(1)]
    assert len(positions) == 20
    assert positions == sorted(positions)
    assert {tuple(row) for row in drawn(1, 10)} <= {tuple(row) for row in drawn(1, 20)}
    assert [sft_rows(dataset, TASKS, tokenizer, 4096, 5, seed).given for seed in (1, 2)] == [5, 5]
    first, again, other = (
        list(preference_rows(dataset, tokenizer, 4096, 5, seed).rows["chosen_ids"]) for seed in (1, 1, 2)
    )
    assert first == again != other


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_sample_of_a_mix_is_of_that_mix(tmp_path: Path, plain: Any, share: float) -> None:
    folder = table(tmp_path, "cpt", [document(f"文{n}", instruction=n % 2 == 0) for n in range(200)])

    prepared = cpt_rows(folder, plain, share, 40, seed=1)

    found = [int(plain.decode(row[:-1])[1:]) % 2 == 0 for row in prepared.rows["input_ids"]]
    assert (len(found), sum(found)) == (40, round(40 * share))


# --- what is on disk --------------------------------------------------------------------------------


def test_the_folder_is_the_build_or_the_dataset_in_it(sample_build: tuple[Path, BuildResult], tmp_path: Path) -> None:
    build = sample_build[0]

    assert dataset_folder(build) == dataset_folder(build / "dataset") == build / "dataset"
    for path in (tmp_path, tmp_path / "none", build / "dataset" / "README.md"):
        with pytest.raises(BuildDirError, match="holds no dataset") as error:
            dataset_folder(path)
        assert "BUILD/dataset" in error.value.hint


def test_a_missing_config_is_told_with_what_is_there(dataset: Path, tmp_path: Path) -> None:
    folder = table(tmp_path, "safety", [dialogue("问", "答")])

    with pytest.raises(BuildDirError, match=r"no train rows of cpt, dfpo; the dataset has safety"):
        need(folder, ["cpt", "dfpo"])
    with pytest.raises(BuildDirError, match=r"no test rows of safety; the dataset has safety"):
        need(folder, ["safety"], "test")
    with pytest.raises(BuildDirError, match="no validation rows of safety"):
        load_rows(folder, "safety", "validation")
    assert need(folder, ["medkqa", "safety"]) == ["safety"]
    assert need(dataset, ["cpt", *TASKS]) == ["cpt", *TASKS]


@pytest.mark.parametrize("damage", ["cut", "no parquet", "empty", "middle"])
def test_a_damaged_shard_is_told(dataset: Path, tmp_path: Path, damage: str) -> None:
    shard = tmp_path / "data" / "medkqa" / "train-00000-of-00001.parquet"
    shard.parent.mkdir(parents=True)
    content = shards_of(dataset, "medkqa", "train")[0].read_bytes()
    middle = len(content) // 3
    shard.write_bytes(
        {
            "cut": content[:-200],
            "no parquet": b"hello" * 40,
            "empty": b"",
            "middle": content[:middle] + bytes(4000) + content[middle + 4000 :],
        }[damage]
    )

    with pytest.raises(BuildDirError, match="cannot read medkqa of") as error:
        load_rows(tmp_path, "medkqa")

    assert "verify" in error.value.hint


def test_a_shard_with_other_columns_is_told(tmp_path: Path, tokenizer: Any) -> None:
    folder = table(tmp_path, "medkqa", [{"question": "问", "answer": "答"}])
    for config in ("cpt", "dfpo"):
        table(tmp_path, config, [{"other": 1}])

    with pytest.raises(BuildDirError, match=r"medkqa of .* has no column messages"):
        sft_rows(folder, ["medkqa"], tokenizer, 64, None, seed=1)
    with pytest.raises(BuildDirError, match=r"cpt of .* has no column text"):
        cpt_rows(folder, tokenizer, None, None, seed=1)
    with pytest.raises(BuildDirError, match=r"dfpo of .* has no column prompt"):
        preference_rows(folder, tokenizer, 64, None, seed=1)


def test_shards_are_read_in_order_and_rows_that_changed_are_read_anew(tmp_path: Path) -> None:
    for number in (1, 0):
        table(tmp_path, "medkqa", [dialogue("问", str(number))], f"train-{number:05}-of-00002")
    assert [row["messages"][1]["content"] for row in load_rows(tmp_path, "medkqa")] == ["0", "1"]

    table(tmp_path, "medkqa", [dialogue("问", "2")], "train-00001-of-00002")

    assert [row["messages"][1]["content"] for row in load_rows(tmp_path, "medkqa")] == ["0", "2"]


def test_the_hash_of_a_config_goes_by_its_shards(dataset: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(dataset, copy)
    before = config_hashes(copy, ["cpt", "dfpo"])
    assert before == config_hashes(dataset, ["cpt", "dfpo"])
    assert len(set(before.values())) == 2

    shard = shards_of(copy, "cpt", "test")[0]
    shard.write_bytes(shard.read_bytes() + b"x")
    changed = config_hashes(copy, ["cpt", "dfpo"])
    assert changed["cpt"] != before["cpt"]
    assert changed["dfpo"] == before["dfpo"]
    shard.rename(shard.with_name("test-00001-of-00002.parquet"))
    assert config_hashes(copy, ["cpt"])["cpt"] != changed["cpt"]
    shards_of(copy, "dfpo", "validation")[0].unlink()
    assert config_hashes(copy, ["dfpo"])["dfpo"] != before["dfpo"]


def test_facts_for_the_card(dataset: Path, tmp_path: Path) -> None:
    assert card_facts(dataset)["license"]
    assert card_facts(tmp_path) == {}
    for content in ("[]", "{", "null"):
        (tmp_path / "manifest.json").write_text(content)
        assert card_facts(tmp_path) == {}


def test_counts_for_the_papers(dataset: Path, tokenizer: Any) -> None:
    prepared = sft_rows(dataset, ["safety"], tokenizer, 4096, 3, seed=1)

    assert prepared.summary() == {
        "rows": 3,
        "cut": 0,
        "left_out": 0,
        "tokens": prepared.tokens,
        "supervised_tokens": prepared.supervised,
    }
    assert 0 < prepared.supervised < prepared.tokens
    assert rows_module.IGNORED == -100
