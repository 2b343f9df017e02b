"""The command that shows rows to doctors. Flask is imported inside it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from pedcorpus.errors import PedcorpusError

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("build_dir", metavar="BUILD", type=click.Path(path_type=Path))
@click.argument("files", metavar="[FILE]...", nargs=-1, type=_FILE)
@click.option("--reviewer", metavar="NAME", help="Name or code of the reviewer.  [default: the page asks]")
@click.option(
    "--decisions", type=_FILE, help="The file to append decisions to.  [default: reviews/NAME.jsonl beside BUILD]"
)
@click.option("--config", "--task", "tasks", metavar="NAME", multiple=True, help="A config to review; may be repeated.")
@click.option("--sample", type=click.IntRange(min=1), default=50, show_default=True, help="Rows of each config.")
@click.option("--seed", type=int, help="Which sample.  [default: the build's seed]")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port of the page.  [default: a free one]")
@click.option("--lang", type=click.Choice(("zh", "en")), default="zh", show_default=True, help="The page's language.")
@click.option("--open", "open_browser", is_flag=True, help="Open the page in the browser.")
@click.option("--agreement", is_flag=True, help="Print how far the reviewers of the FILEs agree, and show no page.")
@click.option("--json", "as_json", is_flag=True, help="Print the agreement as JSON.")
def review(
    build_dir: Path,
    files: tuple[Path, ...],
    reviewer: str | None,
    decisions: Path | None,
    tasks: tuple[str, ...],
    sample: int,
    seed: int | None,
    port: int,
    lang: str,
    open_browser: bool,
    agreement: bool,
    as_json: bool,
) -> None:
    """Show rows of a finished build to a doctor, on a page of this machine: accept, edit or reject.

    With --agreement, FILEs are decision files; left out, all of reviews/ beside BUILD.
    """
    if agreement:
        _print_agreement(build_dir, files, as_json)
        return
    if files or as_json:
        raise click.UsageError("FILE and --json belong to --agreement")
    try:
        from pedcorpus.review.server import serve
        from pedcorpus.review.session import Review
    except ModuleNotFoundError as error:
        raise PedcorpusError(f"review needs the package {error.name}", "pip install flask") from error

    running = Review(build_dir, tasks, sample, seed, decisions)
    if reviewer is not None:
        running.begin(reviewer)

    def started(address: str) -> None:
        journal = running.journal
        click.echo(f"rows       {len(running.items):,} of {', '.join(running.tasks)}")
        if journal is not None:
            click.echo(f"decisions  {journal.path} ({journal.count():,} rows decided)")
            if journal.healed:
                click.echo(
                    f"note: the last line was cut off ({journal.healed} bytes); it was moved to {journal.path}.torn"
                )
        click.echo(f"review     {address}")
        click.echo("Ctrl-C ends it; what is decided is on disk")
        if open_browser:
            click.launch(address)

    serve(running, port, lang, started)
    if running.journal is not None:
        click.echo(f"decisions  {running.journal.path} ({running.journal.count():,} rows decided)")


def _print_agreement(build_dir: Path, files: tuple[Path, ...], as_json: bool) -> None:
    from pedcorpus.builddir import open_build
    from pedcorpus.review.agreement import agree, format_agreement
    from pedcorpus.review.sample import row_ids

    open_build(build_dir)
    if not files:
        folder = build_dir.resolve().parent / "reviews"
        files = tuple(sorted(folder.glob("*.jsonl")))
        if not files:
            raise PedcorpusError(f"no decision files in {folder}", "name the files after --agreement")
    found = agree(files, row_ids(build_dir))
    click.echo(json.dumps(found, ensure_ascii=False, indent=2) if as_json else format_agreement(found))
