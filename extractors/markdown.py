"""Markdown into blocks. Markup goes, words stay; pictures, links' targets and HTML tags are not text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pedcorpus.extractors import html
from pedcorpus.extractors.blocks import Block, demote_list_items, joint
from pedcorpus.extractors.headings import heading_of
from pedcorpus.extractors.tables import table_text

if TYPE_CHECKING:
    from markdown_it.token import Token

_FRONT_MATTER = re.compile(r"\A---\n(?P<body>.*?)\n(?:---|\.\.\.)(?:\n|\Z)", re.DOTALL)
_LINK_TARGET = re.compile(r"(?m)^ {0,3}\[[^\]\n]+\]:[ \t]*<?(?:https?://|mailto:|/|\.{1,2}/|#)\S*.*$")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_HARD = "\v"
_SENTENCE = re.compile(r"[。！？；]")


def paragraphs(text: str) -> list[Block]:
    """Blocks of a Markdown text: ``#`` headings, and the markers of Chinese books below them."""
    from markdown_it import MarkdownIt

    body = _LINK_TARGET.sub("", text[_front_matter(text) :])
    # `[用法]: 每次5mg` is a sentence here, not the target of a link
    tokens = MarkdownIt("commonmark").enable("table").disable("reference").parse(body)
    return demote_list_items(list(_blocks(tokens)))


def _front_matter(text: str) -> int:
    """Where the text begins, after a head of ``key: value`` lines; text between two rules is none."""
    match = _FRONT_MATTER.match(text)
    if not match:
        return 0
    import yaml

    try:
        head = yaml.safe_load(match["body"])
    except yaml.YAMLError:
        return 0
    return match.end() if isinstance(head, dict) and all(str(key).isascii() for key in head) else 0


def _blocks(tokens: Sequence[Token]) -> Iterator[Block]:
    level: str | None = None
    numbers: list[str] = []
    table: list[list[str]] | None = None
    markup = html.Reader()
    for token in tokens:
        if token.type != "html_block":
            yield from _html_blocks(markup.take())
        if token.type == "heading_open":
            level = f"{'under' if token.markup in ('-', '=') else 'md'}{token.tag[1]}"
        elif token.type == "heading_close":
            level = None
        elif token.type == "list_item_open":
            numbers.append(f"{token.info}{token.markup}" if token.info else "")
        elif token.type == "list_item_close":
            numbers.pop()
        elif token.type == "table_open":
            table = []
        elif token.type == "tr_open" and table is not None:
            table.append([])
        elif token.type == "table_close" and table is not None:
            yield _table(table)
            table = None
        elif token.type == "inline":
            words = _inline(token)
            if table is not None:
                table[-1].append(words.replace("\n", ""))
            elif level is not None:
                yield from _heading(words, level)
            else:
                number = next((item for item in reversed(numbers) if item), "")
                yield from _paragraph(f"{number}{words}" if number else words)
                numbers = ["" for _ in numbers]
        elif token.type in ("code_block", "fence"):
            for line in token.content.splitlines():
                yield from _paragraph(line)
        elif token.type == "html_block":
            markup.feed(token.content)
    yield from _html_blocks(markup.take())


def _html_blocks(found: Sequence[str | list[list[str]]]) -> Iterator[Block]:
    for item in found:
        if isinstance(item, str):
            yield from _paragraph(item)
        else:
            yield _table(item)


def _table(rows: list[list[str]]) -> Block:
    """A table; one row alone is no header, but all that the table says."""
    return Block("table", table_text(rows[0], rows[1:]) if len(rows) > 1 else table_text(None, rows))


def _heading(words: str, level: str) -> Iterator[Block]:
    title = " ".join(words.split())
    if not title:
        return
    if level.startswith("under"):
        # a rule right below a paragraph makes it a heading for Markdown; a sentence is none
        if _SENTENCE.search(title) or len(title) > 40:
            yield from _paragraph(words)
            return
        level = level.replace("under", "md")
    yield Block("heading", title, level)


def _paragraph(words: str) -> Iterator[Block]:
    text = words.strip()
    if not text:
        return
    heading = heading_of(text)
    if heading is None:
        yield Block("paragraph", text)
        return
    yield Block("heading", heading.title, heading.level, "" if heading.rest else text)
    if heading.rest:
        yield Block("paragraph", heading.rest)


def _inline(token: Token) -> str:
    """The words of a line: soft breaks close up between Han characters, breaks that were meant leave a blank."""
    text = ""
    children = token.children or []
    for index, child in enumerate(children):
        if child.type in ("text", "code_inline"):
            before = children[index - 1].content.lower() if index else ""
            text += html.raised(child.content) if before == "<sup>" else child.content
        elif child.type == "softbreak":
            text += "\n"
        elif child.type == "hardbreak" or (child.type == "html_inline" and _BREAK.fullmatch(child.content)):
            text += _HARD
        elif child.type == "html_inline" and not html.is_markup(child.content):
            text += child.content
        elif child.type in ("em_open", "em_close", "strong_open", "strong_close"):
            after = next((item.content for item in children[index + 1 :] if item.content), "")
            if text[-1:].isdigit() and after[:1].isdigit():
                text += child.markup  # 3*2*5mg is a product
    joined = ""
    for line in (line.strip(" \t") for line in text.split("\n")):
        glue = joint(joined, line)
        joined = (joined[:-1] if glue == "-" else joined + glue) + line
    return " ".join(part.strip() for part in joined.split(_HARD) if part.strip())
