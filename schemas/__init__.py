"""JSON Schemas of the config file, the raw record, the row and the ledger entry; `pedcorpus.jsonschemas` writes them."""
