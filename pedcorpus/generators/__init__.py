"""Makers of candidate rows: one generator a shape of record. All are extractive: answers are the source's own words."""
