"""Checks on rows, one class a file. Checks cover assistant messages, ``chosen`` and CPT text; ``rejected`` is exempt."""
