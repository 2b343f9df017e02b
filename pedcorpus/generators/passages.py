"""Plain passages for continued pre-training: the text of a record, cleaned."""

from __future__ import annotations

from collections.abc import Iterator

from pedcorpus.generators.passage import Passage, make_row, refuse
from pedcorpus.plugins import GenerateContext
from pedcorpus.records import RawRecord, Reject, Row

_KINDS = frozenset({"textbook", "guideline", "plain_text"})


class PassageGenerator:
    """CPT rows of ``provenance.generator`` ``passage``."""

    name = "passage"

    def generate(self, record: RawRecord, context: GenerateContext) -> Iterator[Row | Reject]:
        """One passage a record: headings, then the text without its tables."""
        if "cpt" not in context.tasks or record.source_kind not in _KINDS or not record.text.strip():
            return
        passage = Passage(record)
        lines = list(passage.lines())
        if not lines:
            return
        start, end = lines[0].start, lines[-1].end
        above = [record.source_title] if record.source_kind == "guideline" else []
        headings = " ".join([*above, *record.section_path])
        body = "\n".join(line.text.strip() for line in lines)
        text = f"{headings}\n{body}" if headings else body
        row = make_row(record, "cpt", [], [passage.evidence(start, end)], self.name, None, text=text)
        cut = passage.cut_quantity(start, end)
        if cut:
            yield refuse(record, "grounding.cut", f"a page mark cuts {cut}", row)
        else:
            yield row
