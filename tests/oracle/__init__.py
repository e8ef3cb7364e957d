"""A browser, and others, asked what they make of the vectors: ``python -m tests.oracle``."""
