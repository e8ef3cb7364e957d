"""What the adapters share: reading a response, JSON from it, and connecting again. No I/O.

Not public: an adapter of your own is better built on what `sse_proto` itself has.
"""
