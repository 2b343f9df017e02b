"""Exact and near duplicates: signatures in the workers, decisions in one place, in row order."""
