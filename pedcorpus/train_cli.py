"""The commands that train and try models. The training package is imported inside them: it brings torch."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from pedcorpus.errors import InterruptedBuildError, PedcorpusError

_STAGES = {
    "cpt": "Continued pre-training on plain text and instructions in completion form.",
    "sft": "Full-parameter fine-tuning; answers alone are learned.",
    "dfpo": "Preference optimisation with a likelihood term, on pairs.",
    "moe-lora": "A mixture of universal and specific experts on the frozen model.",
    "reward": "A pairwise reward model from a fine-tuned model.",
    "rejection-sampling": "Sample answers, keep those with the highest reward, fine-tune on them.",
    "all": "CPT, SFT, DFPO and MoE-LoRA in a row, from one recipe.",
}
_DIR = click.Path(path_type=Path)


@contextmanager
def _stoppable(after_stop: str) -> Iterator[None]:
    """A stop in the words of the user; a request to end is an interrupt."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    except KeyboardInterrupt:
        raise InterruptedBuildError("interrupted", after_stop) from None
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _told(after_stop: str) -> Iterator[None]:
    """A stop and a missing package in the words of the user."""
    with _stoppable(after_stop):
        try:
            yield
        except ModuleNotFoundError as error:
            missing = (error.name or "").split(".")[0]
            if missing in ("", "pedcorpus"):
                raise
            raise PedcorpusError(
                f"training needs the package {missing}", "install the extra: pip install 'pedcorpus[train]'"
            ) from error


@click.group()
def train() -> None:
    """Train a model on a built dataset."""


def _stage_command(stage: str, text: str) -> None:
    def run(
        dataset: Path,
        model: str | None,
        output: Path,
        recipe: str | None,
        settings: tuple[str, ...],
        resume: bool,
        reward_model: str | None = None,
    ) -> None:
        os.environ.setdefault("TQDM_DISABLE", "1")  # the libraries' bars; read when tqdm is imported
        with _told("run the same command again with --resume: it goes on from the last checkpoint, if there is one"):
            from pedcorpus.training.recipe import load_recipe
            from pedcorpus.training.whole import train_all, train_stage

            loaded = load_recipe(recipe, settings)
            if stage == "all":
                train_all(loaded, dataset, model, output, resume)
            else:
                train_stage(stage, loaded, dataset, model, output, resume, reward_model)

    options: list[Callable[[Any], Any]] = [
        click.option("--dataset", type=_DIR, required=True, help="BUILD/dataset, or the build directory."),
        click.option("--model", help="The parent: a stage's directory, any model directory, or a Hub id."),
        click.option("--output", type=_DIR, required=True, help="The folder to write to."),
        click.option(
            "--recipe", help="A recipe file, or the name of a shipped one: tiny, smollm2-cpu, 7b-8gpu, 13b-8gpu."
        ),
        click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a value of the recipe."),
        click.option(
            "--resume", is_flag=True, help="Go on from the last checkpoint; finished stages are left as they are."
        ),
    ]
    if stage == "rejection-sampling":
        options.append(click.option("--reward-model", required=True, help="The directory of a reward stage."))
    for option in reversed(options):
        run = option(run)
    train.command(name=stage, help=text)(run)


for _name, _text in _STAGES.items():
    _stage_command(_name, _text)


@train.command("inspect-experts")
@click.option("--model", required=True, help="The directory of a moe-lora stage.")
@click.option("--dataset", type=_DIR, required=True, help="BUILD/dataset, or the build directory.")
@click.option("--output", type=_DIR, required=True, help="The PNG to write.")
@click.option("--rows", type=click.IntRange(min=1), default=64, show_default=True, help="Rows of each task.")
@click.option("--split", default="train", show_default=True, help="The split they are taken from.")
def inspect_experts(model: str, dataset: Path, output: Path, rows: int, split: str) -> None:
    """Draw which expert serves which task."""
    with _told("nothing was written"):
        from pedcorpus.training.inspect_experts import inspect_experts as draw

        found = draw(model, dataset, output, rows, split)
    for task, weights in found.items():
        click.echo(f"{task:<14} " + "  ".join(f"{weight:.4f}" for weight in weights))
    click.echo(f"picture  {output}")


_SAMPLING: list[Callable[[Any], Any]] = [
    click.option("--max-new-tokens", type=click.IntRange(min=1), default=512, show_default=True, help="Longest answer."),
    click.option("--temperature", type=click.FloatRange(min=0), default=0.0, show_default=True, help="0 takes the likeliest token."),
    click.option("--top-p", type=click.FloatRange(min=0, max=1, min_open=True), default=1.0, show_default=True, help="Nucleus sampling."),
    click.option("--seed", type=int, default=17, show_default=True, help="Seed of sampling."),
]  # fmt: skip


def _sampling(command: Any) -> Any:
    for option in reversed(_SAMPLING):
        command = option(command)
    return command


@click.command()
@click.option("--model", required=True, help="A stage's directory, an adapter's, or a Hub id.")
@click.option("--dataset", type=_DIR, required=True, help="BUILD/dataset, or the build directory.")
@click.option("--config", default="medkqa", show_default=True, help="The config whose rows are answered.")
@click.option("--split", default="test", show_default=True, help="The split whose rows are answered.")
@click.option("--output", type=_DIR, required=True, help="The JSON lines to write; an unfinished file is gone on with.")
@click.option("--batch-size", type=click.IntRange(min=1), default=8, show_default=True, help="Rows at a time.")
@click.option("--limit", type=click.IntRange(min=1), help="Answer the first N rows only.")
@_sampling
def predict(
    model: str,
    dataset: Path,
    config: str,
    split: str,
    output: Path,
    batch_size: int,
    limit: int | None,
    max_new_tokens: int,
    temperature: float,
    top_p: float,
    seed: int,
) -> None:
    """Write a model's answers to the rows of a split."""
    with _told("run the same command again: it goes on where it stopped"):
        from pedcorpus.training.answering import Sampling
        from pedcorpus.training.predict import predict as run

        sampling = Sampling(max_new_tokens, temperature, top_p, seed)
        written, before = run(model, dataset, config, split, output, batch_size, sampling, limit)
    click.echo(f"{output}  {written:,} answers written, {before:,} were there")


@click.command()
@click.option("--model", required=True, help="A stage's directory, an adapter's, or a Hub id.")
@_sampling
def chat(model: str, max_new_tokens: int, temperature: float, top_p: float, seed: int) -> None:
    """Talk to a model. /new begins a new dialogue, /quit ends."""
    with _told(""):
        from pedcorpus.training.answering import Sampling, load_answerer

        answerer = load_answerer(model)
    sampling = Sampling(max_new_tokens, temperature, top_p, seed)
    click.echo("A research model: not medical advice. /new begins anew, /quit ends.")
    said: list[dict[str, Any]] = []
    while True:
        try:
            asked = click.prompt("you", prompt_suffix="> ").strip()
        except click.Abort:
            click.echo()
            return
        if asked == "/quit":
            return
        if asked == "/new":
            said = []
            continue
        said.append({"role": "user", "content": asked})
        [text] = answerer.answer([said], sampling)
        said.append({"role": "assistant", "content": text})
        click.echo(f"model> {text}")


@click.command()
@click.argument("build_dir", metavar="[BUILD]", type=_DIR, required=False)
@click.option("--model", "directory", type=_DIR, help="Send this directory of a stage instead of a dataset.")
@click.option("--repo", required=True, metavar="OWNER/NAME", help="The repository on the Hub; made if it is not there.")
@click.option("--private", is_flag=True, help="Make it a private one.")
@click.option("--dry-run", is_flag=True, help="List what would be sent, and send nothing.")
@click.option("--gated", type=click.Choice(["auto", "manual"]), help="Of a dataset: who wants it must ask first.")
@click.option("--revision", default="main", show_default=True, help="Of a dataset: the branch to send it to.")
@click.option("--tag", is_flag=True, help="Of a dataset: tag the commit with dataset.version.")
@click.option(
    "--exclude-unpublishable",
    "exclude",
    is_flag=True,
    help="Of a dataset: leave out the rows of sources that may not be published.",
)
@click.option("--base", metavar="OWNER/NAME", help="Of an adapter: the repository of the model it belongs to.")
def publish(
    build_dir: Path | None,
    directory: Path | None,
    repo: str,
    private: bool,
    dry_run: bool,
    gated: str | None,
    revision: str,
    tag: bool,
    exclude: bool,
    base: str | None,
) -> None:
    """Send the dataset of BUILD, or a trained model, to the Hugging Face Hub in one commit.

    Of a dataset only files whose bytes differ are sent; old shards go in the same commit.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when the client is imported
    if (build_dir is None) == (directory is None):
        raise click.UsageError("name a BUILD, or a stage's directory with --model")
    if build_dir is None and (gated or tag or exclude or revision != "main"):
        raise click.UsageError("--gated, --revision, --tag and --exclude-unpublishable are for datasets")
    if build_dir is not None:
        if base:
            raise click.UsageError("--base is for models")
        _publish_dataset(build_dir, (repo, revision, private, gated), tag, exclude, dry_run)
    elif directory is not None:
        _publish_model(directory, repo, private, base, dry_run)


def _publish_dataset(
    build_dir: Path, target: tuple[str, str, bool, str | None], tag: bool, exclude: bool, dry_run: bool
) -> None:
    with _stoppable("run the same command again: files that arrived are not sent twice"):
        from pedcorpus.hub import Target
        from pedcorpus.publishing import publish_dataset

        publish_dataset(
            build_dir,
            Target(*target),
            tag,
            exclude,
            dry_run,
            lambda line: click.echo(line, err=line.startswith("warning:")),
        )


def _publish_model(directory: Path, repo: str, private: bool, base: str | None, dry_run: bool) -> None:
    from pedcorpus.hub import model_files, publish_model, size

    if dry_run:
        files = model_files(directory, base)
        for name, content in files.items():
            click.echo(f"{size(content):>14,}  {name}")
        click.echo(f"{sum(map(size, files.values())):>14,}  bytes in {len(files)} files, to {repo}; nothing was sent")
        return
    click.echo(publish_model(directory, repo, private, base))
