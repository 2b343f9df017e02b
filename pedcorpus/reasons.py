"""The closed list of drop reasons. A code that is not here cannot reach the ledger."""

from __future__ import annotations

REASONS: dict[str, str] = {
    "extract.broken_pdf": "the PDF cannot be opened or a page of it cannot be read",
    "extract.csv": "a CSV row does not fit its header",
    "extract.empty_file": "the file holds nothing",
    "extract.encoding": "bytes that belong to no known encoding",
    "extract.encrypted": "the PDF needs a password",
    "extract.error": "an extractor failed on this file",
    "extract.field": "a field is missing or has the wrong type",
    "extract.image_page": "a page is a picture without text",
    "extract.json": "a line or element is not valid JSON",
    "extract.lfs_pointer": "a Git-LFS pointer stands in for the file",
    "extract.no_answer": "a question without an answer",
    "extract.no_text": "the file was read and holds no text to keep",
    "extract.not_selected": "the row lacks a field that options.require names",
    "extract.unreadable": "the operating system refused to read the file",
    "extract.unsupported": "no reader of this source kind takes such a file",
    "extract.wrong_content": "the content is not what the file name says",
    "kg.contradiction": "a graph that says one thing and its opposite of a disease",
    "kg.person_names": "a list in a knowledge graph holds names of persons instead of what its field says",
    "kg.unattached": "triples that belong to no disease of the graph",
    "screen.case_history": "the history of one patient",
    "screen.duplicate": "the same text as an earlier record",
    "screen.front_matter": "title pages, lists of names, contents, references",
    "screen.historic": "historic medicine, which is never current advice",
    "screen.not_clinical": "a document that is no clinical guidance, such as a payment list",
    "screen.not_pediatric": "no sign that this is about a child",
    "screen.superseded": "a newer edition of the same document is among the sources",
    "generate.offline": "--offline, and the cache holds no reply for this record",
    "generate.refused": "the model or its server refused to answer",
    "generate.request": "the server takes no such request",
    "generate.schema": "the reply did not fit its schema, nor did the corrected one",
    "generate.shape": "the reply fits its schema and breaks a rule of its kind",
    "generate.truncated": "the reply was cut at llm.max_tokens",
    "generate.unanswered": "the server failed, lost or never answered the request, again and again",
    "generate.nothing": "no instruction could be made of the record, or no preference pair of the row",
    "generate.task": "the record gives instructions of tasks alone that `generate.tasks` leaves out",
    "grounding.absent": "the source does not say, the model answered",
    "grounding.name": "a drug or disease that neither the evidence nor the graph names",
    "grounding.coverage": "an answer that is for the larger part in no quote",
    "grounding.said": "a dose of another drug or for others, or a denial turned round",
    "grounding.cut": "a quantity was cut in two by a page mark, so its evidence cannot be trusted",
    "grounding.number": "a number with a unit that the evidence does not hold",
    "grounding.quote": "the evidence does not match its record to the character",
    "quality.advert": "an answer that touts for customers",
    "quality.empty": "an empty message",
    "quality.identity": "an answer that claims to be another assistant or model",
    "quality.judge": "the judging model scored it below the threshold",
    "quality.language": "not in the language of the dataset",
    "quality.length": "too short or too long",
    "quality.placeholder": "an unfilled placeholder",
    "quality.repetition": "the same words over and over",
    "quality.self_check": "the model found fault with its own last version",
    "quality.spun": "text that a synonym spinner has made",
    "safety.dose": "a dose that rests on no textbook, guideline or graph",
    "safety.age": "a dose without the age or weight it is for, or for other ages than the question's child has",
    "safety.historic": "an old book's remedy quoted in a modern text",
    "safety.minor": "sexual acts with a child, or a child undressed or beaten",
    "safety.personal": "personal data that masking has missed",
    "safety.toxic": "a remedy with a substance that is poisonous to children",
    "review.rejected": "most reviewers rejected it",
    "dedup.exact": "the same row again",
    "dedup.near": "nearly the same row again",
}
"""Reason code to one line of explanation. ``decontaminate.NAME`` is the one open family."""


CHOSEN_AWAY: frozenset[str] = frozenset({"extract.not_selected", "extract.no_answer"})
"""Rows that were read well and that nothing can be made of; every other ``extract`` reason is something broken."""


ASKED_AGAIN: frozenset[str] = frozenset({"generate.unanswered", "generate.offline"})
"""The record was not at fault: a part with one of these is asked anew by the next build, its other replies served."""


def is_broken(reason: str) -> bool:
    """Whether ``reason`` tells of a file or row that could not be read."""
    return reason.startswith("extract.") and reason not in CHOSEN_AWAY


def is_known(reason: str) -> bool:
    """Whether ``reason`` may stand in the ledger."""
    return reason in REASONS or (reason.startswith("decontaminate.") and len(reason) > len("decontaminate."))


def explain(reason: str) -> str:
    """One line for people about ``reason``."""
    if reason in REASONS:
        return REASONS[reason]
    return f"overlaps the benchmark {reason.removeprefix('decontaminate.')}"
