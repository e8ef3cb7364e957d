"""How a stream of httpxr's is live: what httpxr does not do by itself, and how it is done here.

To be deleted when httpxr streams by itself. All of it is true of httpxr 0.30.24.

- Its sync transport reads a body whole before it returns. So a sync client is asked only for the
  request (`request`), which goes over httpxr's async transport (`transports`), driven in the
  calling thread by an event loop of futures alone (`loop`).
- Nothing named close closes a connection; it goes with the last reference to its stream. And a
  cancelled read loses the chunk that it had already taken. So reads are never cancelled but to
  close, and one object holds the stream (`chunks`, `borrowed`).
- Its timeouts are one deadline for the whole stream. So it is told of none, and the waiting is
  watched here (`opening`, `chunks`).
- Authentication, event hooks, redirects and cookies are left out, or wrong, on the paths that
  stream. So they are applied here (`exchange`, `cookies`).
- Its threads do not survive a fork, nor the interpreter (`process`).
- Its stubs leave out much of what it has (`compat`).

A byte's way: httpxr's ``AsyncResponseStream``, which has undone the content coding, to a future on
the event loop, to `SyncChunks` or `AsyncChunks`, to `sse_httpxr`'s bodies, to `sse_adapter`.
"""
