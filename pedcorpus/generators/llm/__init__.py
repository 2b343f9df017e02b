"""Generators that ask a model. What it answers is checked against the record before it becomes a row."""
