"""How an httpxr stream is made live: what httpxr does not do by itself, and how it is done here.

To be deleted when httpxr streams by itself. All of this holds for httpxr 0.30.24.

- Its sync transport reads a whole body before it returns. So a sync client is asked only for the
  request (`request`), which goes over httpxr's async transport (`transports`), driven in the
  calling thread (`wires`) by an event loop that knows only futures (`loop`).
- Nothing named close closes a connection; it goes with the last reference to its stream. And a
  cancelled read loses the chunk that it had already taken. So one object holds the stream, and
  cancels a read only to close (`reads`, `closing`); a task waits for a read without owning it
  (`borrowed`).
- Its timeouts are one deadline for the whole stream. So it gets none (`timeouts`); `wires` waits
  for the head, `chunks` for each chunk, on asyncio with a `timer`.
- Authentication, event hooks, redirects and cookies are missing or wrong on the paths that stream.
  So they are applied here (`exchange`, `cookies`).
- Its threads do not survive a fork, nor the interpreter (`process`).
- Everything that goes wrong within a body is one OSError (`errors`), a refused certificate only
  shows in a log (`certificates`), and its stubs leave out much of what it has (`compat`).

A request's way (`opening`): `request` takes it from the client, `exchange` sends it through a wire,
which adds what makes the response's body live. A byte's way: httpxr's ``AsyncResponseStream``,
which decodes the content codings that it knows; a future of `reads`; `SyncChunks` or `AsyncChunks`
(`bodies` finds them for any response); `sse_httpxr`'s bodies; `sse_adapter`.
"""
