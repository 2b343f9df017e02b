"""The documentation says what the code does: its tables, links, commands and examples are held against it."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
import types
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from xml.etree import ElementTree

import click
import pytest
from pydantic import BaseModel

from pedcorpus import config as configs
from pedcorpus import deidentify, plugins
from pedcorpus.cli import EXPORT_FORMATS, main
from pedcorpus.extractors import documents, exchanges, knowledge_graph
from pedcorpus.extractors.rows import ROW_SUFFIXES
from pedcorpus.manifests import BuildManifest, DatasetManifest
from pedcorpus.reasons import REASONS
from pedcorpus.records import (
    COMMON_COLUMNS,
    INSTRUCTION_TASKS,
    TASKS,
    Evidence,
    Pair,
    Provenance,
    QualityNote,
    RawRecord,
    Reject,
    columns,
)
from pedcorpus.run import BuildResult
from pedcorpus.sources import SourceFile, SourceInfo
from pedcorpus.trace import find_trace, format_trace
from tests.builds import records, rejects, rows
from tests.conftest import ROOT, SAMPLE, Run

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted(DOCS.glob("*.md"))]
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
SECTIONS: dict[str, type[BaseModel]] = {
    "[dataset]": configs.DatasetConfig,
    "[[sources]]": configs.SourceConfig,
    "sources.options": configs.SourceOptions,
    "[identity]": configs.IdentityConfig,
    "[generate]": configs.GenerateConfig,
    "[llm]": configs.LlmConfig,
    "[deidentify]": configs.DeidentifyConfig,
    "[dedup]": configs.DedupConfig,
    "[decontaminate]": configs.DecontaminateConfig,
    "[split]": configs.SplitConfig,
    "[shards]": configs.ShardsConfig,
}
MADE_UP = {
    "books/*.md",
    "ch04.md",
    "ch04-1.md",
    "extractors/faq.py",
    "leaflets/",
    "leaflets/fever.xml",
    "dataset_info.json",
    "medkqa-train.jsonl",
    "page.png",
    "llm-cache.sqlite",
    "state/llm-cache.sqlite",
    "reviews/NAME.jsonl",
    "pedcorpus_leaflet.py",
    "pedcorpus_warnings.py",
}
"""Files that a page speaks of as examples."""
TRAINED = {"stage.json", "metrics.jsonl", "loss.png", "experts.png", "samples.jsonl", "tensorboard/"}
"""What a stage of training leaves; tests/training holds these names against it."""


# --- reading Markdown -------------------------------------------------------------------------------


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The contents of fenced code blocks, indented ones too."""
    found = re.findall(rf"^([ ]*)```{language}\n(.*?)^\1```", text, re.MULTILINE | re.DOTALL)
    return [re.sub(rf"(?m)^{indent}", "", body) for indent, body in found]


def prose(text: str) -> str:
    """The page without its fenced code blocks."""
    return re.sub(r"^[ ]*```.*?^[ ]*```", "", text, flags=re.MULTILINE | re.DOTALL)


def headings(text: str) -> list[tuple[int, str]]:
    return [(len(marks), title) for marks, title in re.findall(r"(?m)^(#+) (.+)$", prose(text))]


def section(text: str, title: str) -> str:
    """What stands below a heading, up to the next heading."""
    match = re.search(rf"^#+ `?{re.escape(title)}`?$\n(.*?)(?=^#+ |\Z)", prose(text), re.MULTILINE | re.DOTALL)
    assert match, f"no heading {title}"
    return match[1]


def tables(text: str) -> list[list[list[str]]]:
    """Tables as rows of cells, the header row left out."""
    found: list[list[list[str]]] = []
    open_table = False
    for line in text.split("\n"):
        if not line.strip().startswith("|"):
            open_table = False
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not open_table:
            found.append([])
            open_table = True
        found[-1].append(cells)
    return [rows_[2:] for rows_ in found]


def bare(cell: str) -> str:
    return cell.strip("`")


def codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to headings."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for _, title in headings(text)}


# --- every page -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    text, page = read(name), ROOT / name
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(text)) + re.findall(r'<img src="([^"]+)"', text)
    for target in targets:
        if target.startswith(("https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{name}: {target}"
        if anchor:
            assert anchor in anchors(file.read_text(encoding="utf-8")), f"{name}: {target}"


@pytest.mark.parametrize("name", NAMES)
def test_named_files_exist(name: str, sample_build: tuple[Path, BuildResult]) -> None:
    build, _ = sample_build
    places = [ROOT, (ROOT / name).parent, SAMPLE, build, build / "dataset", build.parent]
    for code in codes(prose(read(name))):
        looks = re.fullmatch(r"[\w.*-]+(?:/[\w.*-]*)+|[\w.-]+\.(?:md|py|toml|svg|json|jsonl|html|png|parquet)", code)
        if (
            not looks
            or code in MADE_UP | TRAINED
            or code in REASONS
            or re.search(r"[A-Z]{4,}", code.removesuffix(".md"))
        ):
            continue
        if re.fullmatch(r"[\d.]+-?[\d.]*mg/kg|extractive/\w+|.*@.*", code):
            continue
        path = code.removeprefix("demo/") if code.startswith("demo/") else code
        assert any(list(place.glob(path.rstrip("/"))) for place in places), f"{name}: {code}"


@pytest.mark.parametrize("name", NAMES)
def test_pages_name_no_machine(name: str) -> None:
    assert not re.search(r"(?<![\w.])/(?:home|root|work|tmp|Users|usr|opt)/", read(name))


@pytest.mark.parametrize("name", NAMES)
def test_commands_exist(name: str) -> None:
    text = read(name)
    said = codes(prose(text)) + [
        line for kind in ("sh", "console") for body in blocks(text, kind) for line in body.split("\n")
    ]
    for line in said:
        match = re.match(r"(?:\$ )?(?:\.venv/bin/)?pedcorpus(?P<words>(?: .*)?)$", line.strip())
        if match is None:
            continue
        words = shlex.split(match["words"], comments=True)
        options = [word for word in words if word.startswith("--")]
        command = next((word for word in words if not word.startswith("-")), None)
        known = options_of(main)
        if command is not None and command != "COMMAND":
            assert command in main.commands, line
            known = known | options_of(main.commands[command])
        assert set(options) <= known | {"--help"}, line


def options_of(command: click.Command) -> set[str]:
    inner = command.commands.values() if isinstance(command, click.Group) and command is not main else ()
    own = {name for item in command.params if isinstance(item, click.Option) for name in item.opts}
    return own.union(*map(options_of, inner))


def test_every_page_is_in_the_index() -> None:
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", read("docs/README.md")))
    assert linked == {path.name for path in DOCS.glob("*.md")} - {"README.md"}


# --- README -----------------------------------------------------------------------------------------


def test_readme_is_short() -> None:
    assert len(read("README.md").splitlines()) <= 230


def example(build: Path) -> dict[str, Any]:
    """The row that the pages show: short, of a guideline, with a page."""
    opening = "治疗原则为预防和纠正脱水"
    return next(row for row in rows(build, "trerecom") if row["evidence"][0]["quote"].startswith(opening))


def shown_row(row: dict[str, Any]) -> str:
    """A row as JSON, a message a line."""
    rest = json.dumps({**row, "messages": []}, ensure_ascii=False, indent=2)
    messages = ",\n    ".join(json.dumps(message, ensure_ascii=False) for message in row["messages"])
    return rest.replace('"messages": []', f'"messages": [\n    {messages}\n  ]')


def put(text: str, pattern: str, new: str) -> str:
    """``text`` with what ``pattern`` matches, between its first and last group, made ``new``; there must be one."""
    found, count = re.subn(pattern, lambda match: match[1] + new + match[2], text, flags=re.MULTILINE | re.DOTALL)
    assert count == 1, pattern
    return found


def with_figures(name: str, build: Path, result: BuildResult) -> str:
    """A page with the figures, row and trace of the sample as it is built now."""
    text, row = read(name), example(build)
    stages = result.manifest["stages"]
    if name == "docs/data-format.md":
        return put(text, r'(^```json\n)[^`]*"name": "filter"[^`]*(\n```)', json.dumps(stages[3]))
    if name == "docs/quickstart.md":
        return re.sub(r"(pedcorpus trace build )[0-9a-f]{10}", rf"\g<1>{row['id'][:10]}", text)
    rows_ = {task: sum(by_split.values()) for task, by_split in result.dataset["rows"].items()}
    for task, count in rows_.items():
        text = put(text, rf"(^\| `{task}` \| )\d+( \|)", str(count))
    for stage in stages:
        figures = f"{stage['kept']:>9,}  rejected {sum(stage['rejected'].values()):>9,}"
        text = put(text, rf"( s  {stage['name']:<14} kept )[^\n]*(\n)", figures)
    rejected = sum(sum(stage["rejected"].values()) for stage in stages)
    done = f"{sum(rows_.values()):,} rows; {rejected:,} items in the ledger; {result.broken:,} files"
    text = put(text, r"(^done: )[^\n]*(, pages or rows could not be read$)", done)
    text = put(text, r"(^```json\n).*?(\n```)", shown_row(row))
    trace = format_trace(find_trace(build, row["id"])).rstrip()
    return put(text, r"(^```console\n\$ \.venv/bin/pedcorpus trace demo ).*?(\n```)", f"{row['id'][:10]}\n{trace}")


@pytest.mark.parametrize("name", ["README.md", "docs/quickstart.md", "docs/data-format.md"])
def test_pages_have_the_figures_of_the_sample(name: str, sample_build: tuple[Path, BuildResult]) -> None:
    """``UPDATE_DOCS=1`` writes them anew."""
    wanted = with_figures(name, *sample_build)
    if os.environ.get("UPDATE_DOCS"):
        (ROOT / name).write_text(wanted, encoding="utf-8")
    assert read(name) == wanted, "run the test once with UPDATE_DOCS=1"


def test_readme_shows_every_config_and_a_true_row(sample_build: tuple[Path, BuildResult]) -> None:
    text = read("README.md")
    assert [bare(cells[0]) for cells in tables(section(text, "What comes out"))[0]] == list(TASKS)
    row = json.loads(blocks(text, "json")[0])
    assert list(row) == list(columns(row["task"]))
    for item in row["evidence"]:
        record = next(record for record in records(sample_build[0]) if record["id"] == item["record_id"])
        assert record["text"][item["start"] : item["end"]] == item["quote"]


def test_layout_names_every_folder() -> None:
    shown = {bare(cells[0]).rstrip("/") for cells in tables(section(read("README.md"), "Layout of the repository"))[0]}
    tracked = {path.name for path in ROOT.iterdir() if path.is_dir() and any(path.glob("*.*")) and "." not in path.name}
    made = {"demo", "build", "dist", "train-demo"}
    assert shown <= tracked and tracked - shown - made <= {"benchmarks"}


def test_flow_shows_the_stages(sample_build: tuple[Path, BuildResult]) -> None:
    source = read("docs/flow.svg")
    svg = ElementTree.fromstring(source)
    words = [element.text for element in svg.iter("{http://www.w3.org/2000/svg}text")]
    stages = [stage["name"] for stage in sample_build[1].manifest["stages"]]
    assert [word for word in words if word in stages] == stages
    assert re.findall(r"https?://[^\"']+", source) == ["http://www.w3.org/2000/svg"]


# --- running what the pages show --------------------------------------------------------------------


def shell(lines: list[str], run: Run, folder: Path) -> None:
    """Run the ``pedcorpus`` and ``cd`` lines of a page in order; all must end with 0."""
    for line in lines:
        words = shlex.split(line, comments=True)
        if words[:1] == ["cd"]:
            folder = folder / words[1]
        elif words[:1] == ["pedcorpus"]:
            done = run(*words[1:], cwd=folder)
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            if words[1] == "trace" and "--json" in words:
                assert json.loads(done.stdout)["row"]["id"].startswith(words[3])
        else:
            assert not words or words[0] in ("make", "."), line


def test_commands_of_the_quick_start_run(run: Run, tmp_path: Path) -> None:
    lines = [line for body in blocks(read("docs/quickstart.md"), "sh") for line in body.strip().split("\n")]
    shell(lines, run, tmp_path)
    trial = tmp_path / "my-corpus" / "trial"
    assert 0 < len(records(trial)) <= 20 * 10
    assert (tmp_path / "my-corpus" / "page.png").read_bytes().startswith(b"\x89PNG")


def test_readme_commands_are_those_of_the_quick_start() -> None:
    """What the README shows is run there, so that it need not be run twice."""
    quick = [line for body in blocks(read("docs/quickstart.md"), "sh") for line in body.strip().split("\n")]
    text = read("README.md")
    own = [line for body in blocks(text, "sh") for line in body.strip().split("\n") if line.startswith("pedcorpus")]
    assert own and set(own) <= set(quick)
    targets = [line.split()[1] for body in blocks(text, "sh") for line in body.split("\n") if line.startswith("make")]
    named = re.search(r"^\.PHONY:(.*)$", read("Makefile"), re.MULTILINE)
    assert named and set(targets) <= set(named[1].split())


@pytest.fixture
def beside_build(sample_build: tuple[Path, BuildResult], tmp_path: Path) -> Path:
    """A folder in which the sample's build lies as ``build`` and as ``demo``."""
    for name in ("build", "demo"):
        (tmp_path / name).symlink_to(sample_build[0], target_is_directory=True)
    return tmp_path


def test_export_commands_and_python_run(run: Run, beside_build: Path) -> None:
    shell(
        [line for body in blocks(read("docs/export.md"), "sh") for line in body.strip().split("\n")], run, beside_build
    )
    pages = ("README.md", "docs/quickstart.md", "docs/export.md", "docs/data-format.md")
    code = "\n".join(body for name in pages for body in blocks(read(name), "python"))
    assert code.count("load_dataset(") == 3
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HOME": str(beside_build / "hf"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=beside_build,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "'role': 'assistant'" in done.stdout and "safety.dose" in done.stdout


def test_export_formats(beside_build: Path) -> None:
    from pedcorpus.export import export_build

    shown = {bare(cells[0]): cells for cells in tables(read("docs/export.md"))[0]}
    assert tuple(shown) == EXPORT_FORMATS
    for form, cells in shown.items():
        output = beside_build / f"as-{form}"
        written = export_build(beside_build / "build", form, output)
        tasks = {name.rsplit("-", 1)[0] for name in written if name.endswith(".jsonl")}
        wanted = {"instruction configs": set(INSTRUCTION_TASKS), "`dfpo`": {"dfpo"}, "all": set(TASKS)}[cells[1]]
        assert tasks == wanted
        if form != "llamafactory":
            keys = re.findall(r'"(\w+)"', re.sub(r"\[\{.*?\}\]", "", codes(cells[2])[0]))
            for name in written:
                first = json.loads((output / name).read_text(encoding="utf-8").split("\n", 1)[0])
                assert list(first) == keys, name
    info = json.loads((beside_build / "as-llamafactory" / "dataset_info.json").read_text(encoding="utf-8"))
    assert "pedcorpus_sample_medkqa_train" in info and info["pedcorpus_sample_dfpo_train"]["ranking"] is True


# --- quick start: commands --------------------------------------------------------------------------


def test_command_table() -> None:
    shown = {}
    for cells in tables(section(read("docs/quickstart.md"), "Commands"))[0]:
        command = bare(cells[0]).split()[1]
        shown[command] = {word for code in codes(cells[1]) for word in code.split() if word.startswith("--")}
    assert shown == {name: options_of(command) for name, command in main.commands.items()}


# --- the config -------------------------------------------------------------------------------------


def type_name(annotation: Any) -> str:
    """What the docs call a type."""
    plain = {str: "string", int: "integer", float: "number", bool: "true or false", Decimal: "number"}
    if annotation in plain:
        return plain[annotation]
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return type_name(next(arg for arg in args if arg is not type(None)))
    if origin is Annotated:
        return type_name(args[0])
    if origin is Literal:
        return ", ".join(f'`"{value}"`' for value in args)
    if origin is list:
        return "list of strings" if args == (str,) else "list of tasks"
    if origin is dict:
        return "table of strings"
    assert issubclass(annotation, BaseModel)
    return "table"


def default_text(value: Any) -> str:
    if value is None:
        return "–"
    return "`{}`" if isinstance(value, BaseModel) else f"`{json.dumps(value, ensure_ascii=False)}`"


@pytest.mark.parametrize("title", SECTIONS)
def test_config_section(title: str) -> None:
    model = SECTIONS[title]
    shown = {bare(cells[0]): cells for cells in tables(section(read("docs/config.md"), title))[0]}
    assert list(shown) == list(model.model_fields)
    for name, field in model.model_fields.items():
        _, type_, default, meaning = shown[name]
        assert type_ == type_name(field.annotation), name
        assert default == ("required" if field.is_required() else default_text(field.get_default())), name
        for bound in field.metadata:
            for kind in ("ge", "gt", "le", "lt", "max_length"):
                limit = getattr(bound, kind, None)
                assert limit is None or re.search(rf"(?<![\d.]){re.escape(f'{limit:g}')}(?![\d]|\.\d)", meaning), name


def test_every_config_section_is_described() -> None:
    named = {bare(title).strip("[]").split(".")[0] for level, title in headings(read("docs/config.md")) if level == 2}
    assert named == set(configs.Config.model_fields)


def test_tasks_and_fields_of_the_config() -> None:
    text = read("docs/config.md")
    generate = {bare(cells[0]): cells for cells in tables(section(text, "[generate]"))[0]}
    assert set(TASKS) <= set(codes(generate["tasks"][3]))
    options = {bare(cells[0]): cells for cells in tables(section(text, "sources.options"))[0]}
    assert set(codes(options["fields"][3])) == set(exchanges.FIELDS)


def test_filters() -> None:
    text = section(read("docs/config.md"), "[filters.NAME]")
    about, options = tables(text)
    built_in = [name for name in plugins.filter_names() if name in plugins._FILTERS]
    assert [bare(cells[0]) for cells in about] == built_in
    made = {item.name: type(item) for item in plugins.filters({})}
    described: dict[str, tuple[str, str]] = {bare(name): (kind, default) for name, kind, default, _ in options}
    wanted: dict[str, tuple[str, str]] = {}
    for name, reasons, off, _ in about:
        kind = made[bare(name)]
        source = Path(str(sys.modules[kind.__module__].__file__)).read_text(encoding="utf-8")
        assert set(codes(reasons)) == set(re.findall(r'Drop\(\s*"([a-z._]+)"', source)), name
        assert off == ("no" if bare(name) in plugins.HARD_FILTERS else "yes"), name
        assert dataclasses.is_dataclass(kind)
        for item in dataclasses.fields(kind):
            types_ = {"int": "integer", "float": "number", "str": "string", "bool": "true or false"}
            wanted[f"{bare(name)}.{item.name}"] = (types_[str(item.type)], default_text(item.default))
    assert described == wanted


@pytest.mark.parametrize("name", ["README.md", "docs/config.md", "docs/sources.md"])
def test_config_examples_are_valid(name: str) -> None:
    for body in blocks(read(name), "toml"):
        data = tomllib.loads(body)
        data.setdefault("dataset", {"name": "x"})
        data.setdefault("sources", [{"id": "x", "kind": "textbook", "path": "x"}])
        config = configs.Config.model_validate(data)
        for source in config.sources:
            plugins.check_source("sources", source.kind, source.options.fields)
        plugins.filters(config.filters)


# --- sources ----------------------------------------------------------------------------------------


def test_kinds() -> None:
    shown = {bare(cells[0]): cells for cells in tables(section(read("docs/sources.md"), "Kinds"))[0]}
    assert list(shown) == list(plugins._EXTRACTORS)
    assert set(codes(shown["textbook"][1])) == set(documents.SUFFIXES)
    assert set(codes(shown["knowledge_graph"][1])) == set(ROW_SUFFIXES)


def test_fields_and_relations() -> None:
    text = read("docs/sources.md")
    relations = {cells[0]: tuple(codes(cells[1])) for cells in tables(section(text, "Knowledge graphs"))[1]}
    assert relations == knowledge_graph.RELATIONS
    fields = {bare(cells[0]): tuple(codes(cells[1])) for cells in tables(section(text, "Dialogues and pairs"))[1]}
    assert fields == exchanges.FIELDS


Source = Callable[..., SourceInfo]
File = Callable[[str, bytes | str], SourceFile]


def test_examples_of_exchanges(source: Source, source_file: File) -> None:
    for _, example in tables(section(read("docs/sources.md"), "Dialogues and pairs"))[0]:
        row = json.loads(codes(example)[0])
        file = source_file("rows.json", json.dumps([row], ensure_ascii=False))
        found = list(plugins.extractor("conversation").extract([file], source("conversation")))
        assert [type(item) for item in found] == [RawRecord], example


def test_examples_of_graphs(source: Source, source_file: File) -> None:
    for name, example in tables(section(read("docs/sources.md"), "Knowledge graphs"))[0]:
        shown = codes(example)
        csv = name == "triples with a header"
        content = "\n".join(shown) if csv else shown[0] if shown[0].startswith("[") else f"[{shown[0]}]"
        file = source_file("graph.csv" if csv else "graph.json", content)
        found = list(plugins.extractor("knowledge_graph").extract([file], source("knowledge_graph")))
        if name == "entity":
            assert [item.reason for item in found if isinstance(item, Reject)] == ["extract.no_text"]
        else:
            assert [type(item) for item in found] == [RawRecord], example


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk", "gb2312", "utf-16", "utf-16-le", "utf-32", "big5"]
)
def test_encodings(encoding: str, source: Source, source_file: File) -> None:
    text = "孩子的病，是感染引起的。治疗以休息、饮水和保暖为主，不要自己用药。\n"
    if encoding == "big5":
        text = text.replace("疗", "療").replace("饮", "飲").replace("为", "為").replace("药", "藥")
    file = source_file("text.txt", text.encode(encoding))
    found = list(plugins.extractor("plain_text").extract([file], source("plain_text")))
    assert [item.text for item in found if isinstance(item, RawRecord)] == [text.strip()]


def test_masks() -> None:
    shown = [bare(cells[0]) for cells in tables(section(read("docs/how-it-works.md"), "Masking"))[0]]
    labels = {
        value for value in vars(deidentify).values() if isinstance(value, str) and re.fullmatch(r"\[.{2,3}\]", value)
    }
    assert set(shown) == labels


def test_stages(sample_build: tuple[Path, BuildResult]) -> None:
    shown = [bare(cells[0]) for cells in tables(read("docs/how-it-works.md"))[0]]
    assert [name for name in shown if name not in ("judge", "review")] == [
        stage["name"] for stage in sample_build[1].manifest["stages"]
    ]


# --- the data format --------------------------------------------------------------------------------


def names(title: str) -> list[str]:
    return [bare(cells[0]) for cells in tables(section(read("docs/data-format.md"), title))[0]]


def field_names(kind: type[Any]) -> list[str]:
    return [item.name for item in dataclasses.fields(kind)]


def test_columns() -> None:
    assert names("Rows") == list(COMMON_COLUMNS)
    own = tables(section(read("docs/data-format.md"), "Rows"))[1]
    shown = {task: codes(cells[1]) for cells in own for task in codes(cells[0])}
    assert shown == {task: list(columns(task)[len(COMMON_COLUMNS) :]) for task in TASKS}
    assert names("evidence") == field_names(Evidence)
    assert names("provenance") == field_names(Provenance)
    assert names("quality") == field_names(QualityNote)
    assert names("Raw records") == field_names(RawRecord)
    assert names("The ledger") == field_names(Reject)


def test_values_that_the_data_format_names(sample_build: tuple[Path, BuildResult]) -> None:
    build, result = sample_build
    text = read("docs/data-format.md")
    everything = {task: rows(build, task) for task in TASKS}
    provenance = {bare(cells[0]): cells for cells in tables(section(text, "provenance"))[0]}
    generators = {row["provenance"]["generator"] for found in everything.values() for row in found}
    assert generators <= set(codes(provenance["generator"][2]))
    pairs = everything["dfpo"]
    said = set(codes(section(text, "Rows")))
    for column in ("chosen_from", "rejected_from", "reason"):
        assert {row[column] for row in pairs} <= said, column
    checks = {note["check"] for found in everything.values() for row in found for note in row["quality"]}
    assert checks <= set(codes(section(text, "quality")))
    line = json.loads(blocks(text, "json")[0])
    assert line in result.manifest["stages"]
    serialised = blocks(text, "text")[1].strip()
    question, answer = serialised.removeprefix("问：").split("\n答：")
    from pedcorpus.sources import serialise_pair

    assert serialise_pair(Pair(question, answer))[0] == serialised


def test_build_directory(sample_build: tuple[Path, BuildResult]) -> None:
    build, _ = sample_build
    tree = blocks(read("docs/data-format.md"), "text")[0]
    top = re.findall(r"(?m)^  ([\w.]+)", tree)
    assert set(top) == {path.name for path in build.iterdir()}
    inside = re.findall(r"(?m)^    ([\w.]+)", tree)
    assert set(inside) == {path.name for path in (build / "dataset").iterdir()}


def test_reasons() -> None:
    shown = {bare(cells[0]): cells[1] for cells in tables(section(read("docs/data-format.md"), "Reasons"))[0]}
    assert shown.pop("decontaminate.NAME")
    assert shown == REASONS


def test_manifests() -> None:
    build, dataset = (
        {bare(cells[0]) for cells in table} for table in tables(section(read("docs/data-format.md"), "Manifests"))[:2]
    )
    assert build == set(BuildManifest.__annotations__)
    assert build - {"dataset"} | dataset == set(DatasetManifest.__annotations__)


# --- plug-ins ---------------------------------------------------------------------------------------


def install(page: str, site: Path) -> str:
    """Write the package that a page shows as an installed one, entry points and all; the answer is the page."""
    text = read(page)
    module = next(name for name in codes(prose(text)) if re.fullmatch(r"pedcorpus_\w+\.py", name))
    project = next(data for data in map(tomllib.loads, blocks(text, "toml")) if "project" in data)
    assert project["tool"]["setuptools"]["py-modules"] == [module.removesuffix(".py")]
    about = project["project"]
    info = site / f"{about['name'].replace('-', '_')}-{about['version']}.dist-info"
    info.mkdir(parents=True)
    (site / module).write_text(blocks(text, "python")[0], encoding="utf-8")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n")
    lines: list[str] = []
    for group, entries in about["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return text


def with_site(site: Path) -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join([str(ROOT), str(site)])}


def test_extractor_example(run: Run, tmp_path: Path) -> None:
    site = tmp_path / "site"
    text = install("docs/add-an-extractor.md", site)
    project = tmp_path / "project"
    (project / "leaflets").mkdir(parents=True)
    (project / "pedcorpus.toml").write_text(next(body for body in blocks(text, "toml") if "[[sources]]" in body))
    (project / "leaflets" / "fever.xml").write_text(blocks(text, "xml")[0], encoding="utf-8")
    (project / "leaflets" / "broken.xml").write_text("<leaflet><section>", encoding="utf-8")
    done = run("build", "--workers", 1, cwd=project, env=with_site(site))
    assert done.returncode == 0, done.stderr
    build = project / "build"
    assert [record["extractor"] for record in records(build)] == ["leaflet", "leaflet"]
    assert {task: len(rows(build, task)) for task in TASKS if rows(build, task)} == {
        "medkqa": 1,
        "trerecom": 1,
        "cpt": 2,
        "dfpo": 2,
    }
    assert {entry["reason"] for entry in rejects(build, "extract")} == {"extract.no_text", "extract.wrong_content"}
    assert run("verify", "build", cwd=project).returncode == 0


def test_generator_and_filter_example(run: Run, tmp_path: Path) -> None:
    site = tmp_path / "site"
    text = install("docs/add-a-generator-or-filter.md", site)
    project = tmp_path / "project"
    assert run("init", project).returncode == 0
    config = project / "pedcorpus.toml"
    extra = next(body for body in blocks(text, "toml") if "[filters.turns]" in body)
    config.write_text(f"{config.read_text(encoding='utf-8')}\n{extra}", encoding="utf-8")
    done = run("build", cwd=project, env=with_site(site))
    assert done.returncode == 0, done.stderr
    build = project / "build"
    own = [row for row in rows(build, "trerecom") if row["provenance"]["generator"] == "warnings"]
    assert {"急性腹泻病", "水痘"} <= {row["disease"] for row in own}
    assert any("messages, at most 7" in entry["detail"] for entry in rejects(build, "filter"))
    assert max(len(row["messages"]) for row in rows(build, "evidiag")) <= 7
    assert run("verify", "build", cwd=project).returncode == 0


@pytest.fixture
def faq() -> Iterator[Any]:
    """The extractor of CONTRIBUTING.md as a module."""
    source = blocks(read("CONTRIBUTING.md"), "python")[0]
    module = types.ModuleType("faq")
    exec(compile(source, "faq.py", "exec"), module.__dict__)
    yield module


def test_built_in_extractor_example(faq: Any, source: Source, source_file: File) -> None:
    page = "前面的话。\n\n# 发热\n\n## 孩子发热怎么办？\n\n让孩子休息，多喝水。\n\n观察精神和尿量。\n\n## 什么时候要去医院？\n\n精神差时要去。\n"
    found = list(faq.extract([source_file("page.md", page)], source("faq")))
    assert [item.reason for item in found if isinstance(item, Reject)] == ["extract.field"]
    pairs = [item.pairs[0] for item in found if isinstance(item, RawRecord)]
    assert pairs == [
        Pair("孩子发热怎么办？", "让孩子休息，多喝水。\n观察精神和尿量。"),
        Pair("什么时候要去医院？", "精神差时要去。"),
    ]


def test_plugin_options_are_those_of_the_code() -> None:
    """The methods that the extractor page names take the arguments that it shows."""
    import inspect

    for cells in tables(read("docs/add-an-extractor.md"))[0]:
        match = re.match(r"source\.(\w+)\((.*)\)$", codes(cells[0])[0])
        assert match
        known = inspect.signature(getattr(SourceInfo, match[1])).parameters
        for argument in match[2].replace("…", "").split(","):
            name = argument.strip().split("=")[0]
            assert not name or name in known or "kept" in known, f"{match[1]}: {name}"
