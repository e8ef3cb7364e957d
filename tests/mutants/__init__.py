"""Does the suite bite? A hundred mutants of six decoders: ``python -m tests.mutants``."""
