"""One byte at a time; text is decoded line by line."""

from __future__ import annotations


class Machine:
    def __init__(self) -> None:
        self.events: list[tuple[str, str, str | None]] = []
        self.last_event_id: str | None = None
        self.retry: int | None = None
        self.line = bytearray()
        self.is_first_line = True
        self.after_cr = False
        self.begin_block()

    def begin_block(self) -> None:
        self.data: list[str] = []
        self.type = ""

    def feed(self, chunk: bytes) -> None:
        for byte in chunk:
            if byte == 10 and self.after_cr:
                self.after_cr = False
                continue
            self.after_cr = byte == 13
            if byte == 10 or byte == 13:
                self.end_line()
            else:
                self.line.append(byte)

    def end_line(self) -> None:
        line = bytes(self.line)
        self.line.clear()
        if self.is_first_line:
            line = line.removeprefix(b"\xef\xbb\xbf")
            self.is_first_line = False
        if line:
            name, _, value = line.partition(b":")
            self.process(name, value.removeprefix(b" ").decode("utf-8", "replace"))
        else:
            self.dispatch()

    def process(self, name: bytes, value: str) -> None:
        if name == b"data":
            self.data.append(value)
        elif name == b"event":
            self.type = value
        elif name == b"id" and "\0" not in value:
            self.id: str | None = value
        elif name == b"retry" and value.isascii() and value.isdigit():
            self.retry = int(value)

    def dispatch(self) -> None:
        self.last_event_id = getattr(self, "id", None)
        if self.data:
            self.events.append((self.type or "message", "\n".join(self.data), self.last_event_id))
        self.begin_block()


def decode(
    chunks: list[bytes],
) -> tuple[list[tuple[str, str, str | None]], str | None, int | None]:
    machine = Machine()
    for chunk in chunks:
        machine.feed(chunk)
    return machine.events, machine.last_event_id, machine.retry
