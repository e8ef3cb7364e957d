"""Five decoders that are right, each built in another way; the sixth is `sse_testing`'s reference.

As short as they can be: a line that does nothing has mutants that nobody can find.
"""
