"""Readers of source files. Each turns the files of one source kind into raw records.

The contract is `pedcorpus.plugins.Extractor`; a third party's extractor follows the same one.
"""
