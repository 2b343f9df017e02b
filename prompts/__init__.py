"""Wording of prompts and questions: data only. A header gives id and version; rows keep both with the file's hash."""
