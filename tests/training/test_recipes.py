"""Recipes: the shipped ones say where each value comes from and have the size they claim; mistakes are named."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs the [train] extra")
pytest.importorskip("transformers", reason="training needs the [train] extra")

from transformers import CONFIG_MAPPING, AutoModelForCausalLM  # noqa: E402

from pedcorpus.errors import ConfigError  # noqa: E402
from pedcorpus.training import recipe as recipes  # noqa: E402
from pedcorpus.training.moe_lora import MoeLoraConfig  # noqa: E402
from pedcorpus.training.recipe import Recipe, load_recipe  # noqa: E402

PAPER = ("7b-8gpu", "13b-8gpu")
SIZES = {
    "Qwen/Qwen2.5-7B": 7_615_616_512,
    "Qwen/Qwen2.5-14B": 14_770_033_664,
    "baichuan-inc/Baichuan2-7B-Base": 7_505_973_248,
    "baichuan-inc/Baichuan2-13B-Base": 13_896_668_160,
    "HuggingFaceTB/SmolLM2-135M-Instruct": 134_515_008,
}
NOT_CHOSEN = ("name", "description", "run", "fidelity", "model.architecture", "model.also")
"""What needs no mark: the recipe's own name, and facts about the bases."""


def shapes() -> dict[str, dict[str, Any]]:
    """Base model to the arguments of its config, over all shipped recipes."""
    found = {}
    for name in recipes.shipped():
        model = load_recipe(name).model
        for base, architecture in [(model.base, model.architecture), *((o.base, o.architecture) for o in model.also)]:
            if base is not None:
                found[base] = architecture
    return found


def on_meta(architecture: dict[str, Any]) -> Any:
    """The model of this shape, without memory for its weights."""
    arguments = dict(architecture)
    config = CONFIG_MAPPING[arguments.pop("model_type")](**arguments)
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


def keys(values: dict[str, Any], prefix: str = "") -> list[str]:
    found = []
    for name, value in values.items():
        if f"{prefix}{name}" in NOT_CHOSEN:
            continue
        found += keys(value, f"{prefix}{name}.") if isinstance(value, dict) else [f"{prefix}{name}"]
    return found


def written(name: str) -> dict[str, Any]:
    return tomllib.loads(recipes._path(name).read_text(encoding="utf-8"))


@pytest.fixture
def recipe_file(tmp_path: Path) -> Any:
    def write(text: str) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(f'name = "mine"\n{text}', encoding="utf-8")
        return path

    return write


# --- shipped recipes --------------------------------------------------------------------------------


def test_the_shipped_recipes() -> None:
    assert recipes.shipped() == ["13b-8gpu", "7b-8gpu", "smollm2-cpu", "tiny"]


@pytest.mark.parametrize("name", recipes.shipped())
def test_every_shipped_recipe_parses(name: str) -> None:
    recipe = load_recipe(name)

    assert recipe.name == name
    assert recipe.description
    assert recipe.run == (name not in PAPER)
    assert (recipe.model.random is None) != (recipe.model.base is None)


@pytest.mark.parametrize("name", PAPER)
def test_every_value_of_the_papers_recipes_says_where_it_comes_from(name: str) -> None:
    data = written(name)

    assert sorted(data["fidelity"]) == sorted(keys(data))
    assert set(data["fidelity"].values()) == {"paper", "code", "inferred", "ours"}


@pytest.mark.parametrize("name", PAPER)
def test_what_the_paper_and_its_code_give(name: str) -> None:
    recipe = load_recipe(name)
    section, marks = recipe.moe_lora, recipe.fidelity

    assert (section.num_experts, marks["moe_lora.num_experts"]) == (3, "paper")
    assert (section.r, section.lora_alpha, section.lora_dropout, section.target_modules) == (8, 16, 0.0, "all-linear")
    assert {marks[f"moe_lora.{key}"] for key in ("r", "lora_alpha", "lora_dropout", "target_modules")} == {"inferred"}
    assert (recipe.dfpo.beta, marks["dfpo.beta"]) == (0.1, "code")
    assert (recipe.dfpo.label_smoothing, marks["dfpo.label_smoothing"]) == (0.0, "code")
    # Nobody published them
    assert {marks[f"{stage}.{key}"] for stage in ("cpt", "sft", "dfpo", "moe_lora") for key in ("learning_rate", "epochs",
        "batch_size", "max_length")} == {"ours"}  # fmt: skip


@pytest.mark.parametrize("base", SIZES)
def test_a_shape_has_the_published_number_of_parameters(base: str) -> None:
    model = on_meta(shapes()[base])

    assert sum(parameter.numel() for parameter in model.parameters()) == SIZES[base]


def test_every_base_is_sized() -> None:
    assert set(shapes()) == set(SIZES)


def test_the_adapter_has_the_share_that_the_paper_reports() -> None:
    """0.95 % on Baichuan2-7B, whose query, key and value are one linear layer; without the router's weights."""
    recipe = load_recipe("7b-8gpu")
    shape = shapes()["baichuan-inc/Baichuan2-7B-Base"]
    hidden, inner, layers = shape["hidden_size"], shape["intermediate_size"], shape["num_hidden_layers"]
    fused = [(hidden, 3 * hidden), (hidden, hidden), (hidden, inner), (hidden, inner), (inner, hidden)]
    experts, rank = recipe.moe_lora.num_experts, recipe.moe_lora.r

    low_rank = layers * sum((1 + experts) * rank * (d_in + d_out) for d_in, d_out in fused)
    gates = layers * sum(experts * d_in for d_in, _ in fused)
    whole = SIZES["baichuan-inc/Baichuan2-7B-Base"]

    assert round(100 * low_rank / whole, 2) == 0.95
    assert round(100 * (low_rank + gates) / whole, 2) == 0.99
    assert round(100 * (low_rank + 2 * gates) / whole, 2) == 1.02, "with the weights of the noise, too"


def test_our_adapter_has_the_size_of_the_formula() -> None:
    """The same count with separate query, key and value, as the tuner makes it."""
    from peft import get_peft_model

    import pedcorpus.training  # noqa: F401

    recipe = load_recipe("7b-8gpu")
    shape = {**shapes()["baichuan-inc/Baichuan2-7B-Base"], "num_hidden_layers": 2}
    experts, rank = recipe.moe_lora.num_experts, recipe.moe_lora.r
    config = MoeLoraConfig(r=rank, num_experts=experts, target_modules="all-linear", task_type="CAUSAL_LM")
    with torch.device("meta"):
        model = get_peft_model(on_meta(shape), config)
    hidden, inner = shape["hidden_size"], shape["intermediate_size"]
    linears = [(hidden, hidden)] * 4 + [(hidden, inner)] * 2 + [(inner, hidden)]

    trained, _ = model.get_nb_trainable_parameters()

    assert trained == 2 * sum((1 + experts) * rank * (i + o) + 2 * experts * i for i, o in linears)


# --- overrides --------------------------------------------------------------------------------------


def test_set_goes_over_the_file_and_the_file_over_the_defaults() -> None:
    recipe = load_recipe(
        "tiny",
        [
            "sft.learning_rate=2e-5",
            "moe-lora.r = 4",
            "cpt.instruction_share=0.5",
            'sft.configs=["medkqa"]',
            "dfpo.phi=token",
            "precision='bf16'",
            "seed=3",
        ],
    )

    assert (recipe.sft.learning_rate, recipe.sft.max_steps, recipe.sft.weight_decay) == (2e-5, 200, 0.0)
    assert (recipe.moe_lora.r, recipe.cpt.instruction_share, recipe.sft.configs) == (4, 0.5, ("medkqa",))
    assert (recipe.dfpo.phi, recipe.precision, recipe.seed) == ("token", "bf16", 3)


def test_without_a_recipe_the_defaults_hold() -> None:
    assert load_recipe(None) == Recipe(name="defaults")
    assert load_recipe(None, ["model.base=a/b"]).model.base == "a/b"


def test_overrides_that_go_together_are_checked_together() -> None:
    assert load_recipe("tiny", ["launch.mode=ddp", "launch.processes=2"]).launch.mode == "ddp"
    with pytest.raises(ConfigError, match="mode single goes with one process"):
        load_recipe("tiny", ["launch.processes=2"])


# --- mistakes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("[sft]\nlearning_rat = 1e-5\n", 3, "unknown key sft.learning_rat: did you mean 'learning_rate'?"),
        ("sed = 3\n", 2, "unknown key sed: did you mean 'seed'?"),
        ("\n[model.random]\nhiden = 8\n", 4, "unknown key model.random.hiden: did you mean 'hidden'?"),
        ("[moe_lora]\nrank = 8\nnum_expert = 2\n", 4, "unknown key moe_lora.num_expert: did you mean 'num_experts'?"),
        ("[sft]\nmax_length = 'long'\n", 3, "sft.max_length: Input should be a valid integer"),
        ("[sft]\nbatch_size = 2.5\n", 3, "sft.batch_size: Input should be a valid integer"),
        ("[cpt]\ninstruction_share = 1.5\n", 3, "cpt.instruction_share: Input should be less than or equal to 1"),
        ("[sft]\nlearning_rate = nan\n", 3, "sft.learning_rate"),
        ("[dfpo]\nlearning_rate = inf\n", 3, "dfpo.learning_rate"),
        ("[dfpo]\nphi = 'mean'\n", 3, "dfpo.phi: Input should be 'sequence' or 'token'"),
        ("[model]\nbase = 'a/b'\n[model.random]\nhidden = 8\n", 2, "base and random: name one of them"),
        ("[rejection_sampling]\nsamples = 2\nkeep = 3\n", 2, "keep is at most samples"),
        ("[launch]\nmode = 'ddp'\n", 2, "mode single goes with one process, every other mode with more"),
        ("[launch]\nprocesses = 8\n", 2, "mode single goes with one process, every other mode with more"),
        ("[fidelity]\n\"sft.epochs\" = 'guessed'\n", 3, "Input should be 'paper', 'code', 'inferred' or 'ours'"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_nearest_key(recipe_file: Any, text: str, line: int, told: str) -> None:
    path = recipe_file(text)

    with pytest.raises(ConfigError) as error:
        load_recipe(str(path))

    assert any(found.startswith(f"{path}:{line}: ") and told in found for found in str(error.value).splitlines()), (
        error.value
    )


def test_all_mistakes_are_told_at_once(recipe_file: Any) -> None:
    with pytest.raises(ConfigError) as error:
        load_recipe(str(recipe_file("[sft]\nepoch = 1\n[dfpo]\nbeta = 0\n")))

    assert len(str(error.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("sft.learnin_rate=1e-5", "--set: unknown key sft.learnin_rate: did you mean 'learning_rate'?"),
        ("stf.epochs=1", "--set: unknown key stf: did you mean 'sft'?"),
        ("sft.epochs=many", "--set: sft.epochs: Input should be a valid number"),
        ("sft.epochs", "--set sft.epochs: expected key=value"),
        ("=1", "--set =1: expected key=value"),
        ("sft..epochs=1", "--set sft..epochs=1: expected key=value"),
        ("name.first=x", "--set name.first=x: name is no section"),
        ("model.base=a/b", "--set: model: base and random: name one of them"),
    ],
)
def test_a_wrong_override_is_told(override: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_recipe("tiny", [override])

    assert str(error.value).startswith(told)
    assert error.value.hint


def test_an_unknown_recipe_lists_the_shipped_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="huge") as error:
        load_recipe("huge")

    assert all(name in error.value.hint for name in recipes.shipped())
    with pytest.raises(ConfigError, match="is a folder"):
        load_recipe(str(tmp_path))


def test_a_recipe_that_is_no_toml_is_told(recipe_file: Any) -> None:
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_recipe(str(recipe_file("[sft\n")))
