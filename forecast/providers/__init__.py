"""One client for each vendor of models, each the only importer of its SDK."""
