"""Messages over a socket: eight bytes of length, then JSON. It must never trust the other end.

Whoever reads bounds what it reads: a message that is too long, cut off, or no JSON is a broken channel.
"""

import json
import socket
from typing import Any, Final

LONGEST: Final = 64 * 2**20  # bytes


class Closed(Exception):  # noqa: N818
    """The other end has gone, or sent what is no message."""


class Channel:
    """One end. `descriptors` are those that came with the message read last.

    Args:
        longest: bytes of a message; a longer one is none.
        takes: how many descriptors may come with a message; others are closed as they come.
    """

    def __init__(self, end: socket.socket, longest: int = LONGEST, takes: int = 1) -> None:
        self.end = end
        self.descriptors: list[int] = []
        self._longest, self._takes = longest, takes

    def send(self, message: Any, descriptors: tuple[int, ...] = ()) -> None:
        """Raises Closed where nobody reads any more."""
        data = json.dumps(message).encode()
        data = len(data).to_bytes(8, "big") + data
        try:
            sent = socket.send_fds(self.end, [data], descriptors) if descriptors else self.end.send(data)
            if sent < len(data):
                self.end.sendall(memoryview(data)[sent:])
        except OSError as error:
            raise Closed(str(error)) from None

    def receive(self) -> Any:
        """Raises Closed at the end of the stream, after the socket's timeout, and for what is no message."""
        try:
            head = b""
            if self._takes:
                head, self.descriptors, _, _ = socket.recv_fds(self.end, 8, self._takes)
            length = int.from_bytes(head + self._exactly(8 - len(head)), "big")
            if length > self._longest:
                raise Closed(f"a message of {length} bytes")
            return json.loads(self._exactly(length))
        except (OSError, ValueError, RecursionError) as error:
            raise Closed(str(error)) from None

    def close(self) -> None:
        self.end.close()

    def _exactly(self, count: int) -> bytes:
        parts = []
        while count:
            part = self.end.recv(min(count, 2**20))
            if not part:
                raise Closed("the other end has gone")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)
