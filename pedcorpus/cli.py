"""The command line. Everything heavy is imported inside the command that needs it: ``--help`` loads click alone."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from pedcorpus import __version__
from pedcorpus.errors import InterruptedBuildError, PedcorpusError
from pedcorpus.review_cli import review
from pedcorpus.train_cli import chat, predict, publish, train

if TYPE_CHECKING:
    from pedcorpus.manifests import BuildManifest

EXPORT_FORMATS = ("messages", "sharegpt", "alpaca", "dpo", "llamafactory")


_MOST_MISSING = 20


class _Group(click.Group):
    """Turns the errors that a user can mend into two lines and an exit code."""

    def main(self, *args: Any, **kwargs: Any) -> NoReturn:
        kwargs["standalone_mode"] = False
        try:
            code = super().main(*args, **kwargs)
        except click.exceptions.Abort:
            _say_error("interrupted", "")
            sys.exit(130)
        except click.ClickException as error:
            error.show()
            sys.exit(2)
        except PedcorpusError as error:
            if "--debug" in sys.argv:
                raise
            _say_error(error.message, error.hint)
            sys.exit(error.exit_code)
        except MemoryError:
            _say_error("memory ran out", "run again with fewer --workers: it goes on where it stopped")
            sys.exit(2)
        except BrokenPipeError:
            sys.stderr.close()
            sys.exit(141)
        sys.exit(code if isinstance(code, int) else 0)


def _say_error(message: str, hint: str) -> None:
    click.echo(f"error: {message}", err=True)
    if hint:
        click.echo(f"hint: {hint}", err=True)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pedcorpus")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def main(debug: bool) -> None:
    """Build pediatric instruction datasets whose every answer can be traced to its source."""


for _command in (train, predict, chat, publish, review):
    main.add_command(_command)


@main.command()
@click.argument("directory", type=click.Path(path_type=Path))
def init(directory: Path) -> None:
    """Write a ready project to DIRECTORY: pedcorpus.toml and sample sources."""
    from pedcorpus.project import init_project

    files = init_project(directory)
    click.echo(f"{files} files written to {directory}")
    click.echo(f"next: cd {directory} && pedcorpus build")


class _Money(click.ParamType[Decimal]):
    """An amount as people write it, kept exact."""

    name = "USD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """``value`` as a number of USD."""
        try:
            found = Decimal(str(value))
        except InvalidOperation:
            found = Decimal(-1)
        if not found.is_finite() or found < 0:
            self.fail(f"{value!r} is no amount of money", param, ctx)
        return found


_USD = _Money()


@main.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=Path("pedcorpus.toml"),
    show_default=True,
    help="The config file.",
)
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("build"), show_default=True, help="The build directory."
)
@click.option("--workers", type=click.IntRange(1, 256), default=None, help="Worker processes.  [default: one a core]")
@click.option(
    "--limit", type=click.IntRange(1), default=None, help="Read at most N raw records of each source, to try a config."
)
@click.option("--fresh", is_flag=True, help="Redo every stage instead of going on from what is there.")
@click.option(
    "--dry-run", is_flag=True, help="Print the calls that a model would get and what they cost; write nothing."
)
@click.option("--offline", is_flag=True, help="Ask no server: take every reply from the cache of the build.")
@click.option(
    "--budget",
    type=_USD,
    default=None,
    metavar="USD",
    help="What all runs of this build may cost, instead of llm.budget_usd.",
)
@click.option(
    "--batch", is_flag=True, help="Hand requests in through the OpenAI Batch API and collect them in a later run."
)
def build(
    config: Path,
    output: Path,
    workers: int | None,
    limit: int | None,
    fresh: bool,
    dry_run: bool,
    offline: bool,
    budget: Decimal | None,
    batch: bool,
) -> int:
    """Build the dataset. Run again after a stop: it goes on where it stopped."""
    import os

    from pedcorpus.config import load_config
    from pedcorpus.pipeline import build as run_build
    from pedcorpus.progress import progress_for

    signal.signal(signal.SIGTERM, _stop)
    loaded = load_config(config)
    workers = workers or os.cpu_count() or 1
    if dry_run:
        from pedcorpus.llm.estimate import format_estimate
        from pedcorpus.pipeline import estimate

        for line in format_estimate(estimate(loaded, output, workers, limit, budget)):
            click.echo(line)
        return 0
    from pedcorpus.llm.calls import CallOptions

    try:
        with progress_for(sys.stdout) as progress:
            asking = CallOptions(offline=offline, budget=budget, batch=batch)
            result = run_build(loaded, output, workers, limit, fresh, progress, asking)
    except KeyboardInterrupt:
        raise InterruptedBuildError("interrupted", "run the same command again: it goes on where it stopped") from None
    _print_rows(result.dataset["rows"], loaded.config.dataset.name)
    click.echo(f"dataset  {output / 'dataset'}")
    click.echo(f"report   {output / 'report.html'}")
    for task in result.empty_tasks:
        click.echo(f"error: generate.tasks names {task}, and no source gave a row for it", err=True)
    if result.reviewed is not None:
        click.echo(f"review   {result.reviewed.describe()}")
    for place in result.missing[:_MOST_MISSING]:
        click.echo(f"error: no reply in the cache: {place}", err=True)
    if len(result.missing) > _MOST_MISSING:
        click.echo(
            f"error: and {len(result.missing) - _MOST_MISSING:,} more, in the ledger as generate.offline", err=True
        )
    unanswered = result.rejected("generate.unanswered")
    if unanswered:
        _say_error(
            f"{unanswered:,} items got no reply in many tries", "run the same command again: only they are asked anew"
        )
    if result.spent is not None:
        click.echo(f"spent    {result.spent:.4f} USD in all runs of this build")
    total = sum(sum(by_split.values()) for by_split in result.dataset["rows"].values())
    rejected = sum(sum(stage["rejected"].values()) for stage in result.manifest["stages"])
    click.echo(
        f"done: {total:,} rows; {rejected:,} items in the ledger; {result.broken:,} files, pages or rows could not be read"
    )
    if not total:
        _say_error(
            "no row was made", f"most were dropped for {_commonest(result.manifest)}: look into {output / 'rejects'}"
        )
    lacks = result.missing or unanswered or result.rejected("generate.offline")
    return 1 if result.empty_tasks or lacks or not total else 0


def _commonest(manifest: BuildManifest) -> str:
    """The three commonest reasons of the ledger, with their counts."""
    dropped = [(count, reason) for stage in manifest["stages"] for reason, count in stage["rejected"].items()]
    return ", ".join(f"{reason} ({count:,})" for count, reason in sorted(dropped, reverse=True)[:3]) or "nothing"


def _stop(number: int, frame: object) -> None:
    """A request to end is an interrupt, which no stage takes for an error of its own."""
    raise KeyboardInterrupt


def _print_rows(rows: dict[str, dict[str, int]], name: str) -> None:
    from rich.console import Console
    from rich.table import Table

    from pedcorpus.records import SPLITS

    table = Table(title=f"Rows of {name}", title_justify="left")
    table.add_column("config")
    for split in SPLITS:
        table.add_column(split, justify="right")
    table.add_column("all", justify="right")
    for task, by_split in rows.items():
        counts = [by_split.get(split, 0) for split in SPLITS]
        table.add_row(task, *(f"{count:,}" for count in counts), f"{sum(counts):,}")
    Console().print(table)


def _as_json(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


@main.command()
@click.argument("build_dir", metavar="BUILD", type=click.Path(path_type=Path))
@_as_json
def status(build_dir: Path, as_json: bool) -> None:
    """Tell how far a build is, from its files alone; also after a crash."""
    from pedcorpus.status import build_status, format_status

    found = build_status(build_dir)
    click.echo(json.dumps(found, ensure_ascii=False, indent=2) if as_json else format_status(found))


@main.command()
@click.argument("build_dir", metavar="BUILD", type=click.Path(path_type=Path))
@click.argument("row_id")
@click.option(
    "--image", type=click.Path(path_type=Path), default=None, help="Write the evidence's PDF page with the span marked."
)
@_as_json
def trace(build_dir: Path, row_id: str, image: Path | None, as_json: bool) -> None:
    """Show where a row comes from: its evidence, marked in the text it was taken from.

    ROW_ID may be shortened to any beginning that only one row has. Rejected rows are found too.
    """
    from pedcorpus.trace import find_trace, format_trace, write_page_image

    found = find_trace(build_dir, row_id)
    if image is not None:
        write_page_image(build_dir, found, image)
    click.echo(
        json.dumps(found, ensure_ascii=False, indent=2) if as_json else format_trace(found, color=sys.stdout.isatty())
    )
    if image is not None and not as_json:
        click.echo(f"page image  {image}")


@main.command()
@click.argument("target", metavar="BUILD")
@click.option("--revision", help="Branch, tag or commit of a dataset on the Hub.  [default: main]")
@_as_json
def verify(target: str, revision: str | None, as_json: bool) -> int:
    """Check a build: hashes, schemas, evidence quotes, split leaks, counts. Ends with 1 when something is wrong.

    BUILD may also be the folder of a dataset, or OWNER/NAME on the Hub. Evidence cannot be checked there: the records
    stay in the build.
    """
    from pedcorpus.verify import format_findings
    from pedcorpus.verify import verify as verify_target

    found = verify_target(target, revision)
    click.echo(json.dumps(found, ensure_ascii=False, indent=2) if as_json else format_findings(found))
    return 1 if found["faults"] else 0


@main.command()
@click.argument("build_dir", metavar="BUILD", type=click.Path(path_type=Path))
def report(build_dir: Path) -> None:
    """Write report.html of a finished build anew."""
    from pedcorpus.report import write_report

    click.echo(f"report  {write_report(build_dir)}")


@main.command()
@click.argument("build_dir", metavar="BUILD", type=click.Path(path_type=Path))
@click.option(
    "--format", "form", type=click.Choice(EXPORT_FORMATS), required=True, help="The form that your trainer reads."
)
@click.option("--output", type=click.Path(path_type=Path), required=True, help="The folder to write to.")
def export(build_dir: Path, form: str, output: Path) -> None:
    """Write the dataset as JSON lines for other trainers."""
    from pedcorpus.export import export_build

    written = export_build(build_dir, form, output)
    for name, rows in written.items():
        click.echo(f"{output / name}  {rows:,} rows")
