"""Rows too short to teach or too long to fit."""

from __future__ import annotations

from dataclasses import dataclass

from pedcorpus.plugins import Drop, Keep
from pedcorpus.records import Row


@dataclass(frozen=True, slots=True)
class LengthFilter:
    """Bounds on characters: of the last answer, of a question, of a CPT text, of the whole row."""

    answer_min: int = 10
    question_min: int = 2
    text_min: int = 40
    row_max: int = 6000
    general_min: int = 2
    """Shortest answer of a general row, where a word may be the whole answer."""

    name = "length"

    def check(self, row: Row) -> Keep | Drop:
        """Keep or drop ``row``."""
        total = sum(len(content) for content in row.contents())
        if total > self.row_max:
            return Drop("quality.length", f"{total} characters, at most {self.row_max}")
        if row.task == "cpt":
            return (
                Drop("quality.length", f"{total} characters of text, at least {self.text_min}")
                if total < self.text_min
                else Keep()
            )
        least = self.general_min if row.task == "general" else self.answer_min
        last = len(row.answers()[-1].strip())
        if last < least:
            return Drop("quality.length", f"{last} characters in the last answer, at least {least}")
        shortest = min((len(question.strip()) for question in row.questions()[:1]), default=0)
        if shortest < self.question_min:
            return Drop("quality.length", f"{shortest} characters in the question, at least {self.question_min}")
        return Keep()
