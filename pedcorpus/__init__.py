"""Build traceable pediatric instruction datasets from textbooks, guidelines, graphs and dialogues."""

__version__ = "0.1.0"
