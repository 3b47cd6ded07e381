"""Messages over a socket: eight bytes of length, then JSON. It must never trust the other end.

Whoever reads bounds what it reads: a message that is too long, cut off, or no JSON is a broken channel.
"""

import json
import select
import socket
import time
from typing import Any, Final

LONGEST: Final = 64 * 2**20  # bytes


class Closed(Exception):  # noqa: N818
    """The other end has gone, or sent what is no message."""


class Late(Exception):  # noqa: N818
    """It was too late, or whoever watches the other end has gone: what is missing says nothing about it."""


class TooLong(Closed):
    """A message of more bytes than anybody reads."""


class Channel:
    """One end. `descriptors` are those that came with the message read last.

    Args:
        longest: bytes of a message; a longer one is none.
        takes: how many descriptors may come with a message; others are closed as they come.
        deadline: of `time.monotonic`, for all messages together; none by default.
        watcher: another socket, on which nothing comes unless its other end has gone.
    """

    def __init__(
        self,
        end: socket.socket,
        longest: int = LONGEST,
        takes: int = 1,
        deadline: float | None = None,
        watcher: socket.socket | None = None,
    ) -> None:
        self._deadline, self._watcher = deadline, watcher
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
        """Raises Closed at the end of the stream and for what is no message; Late after timeout or deadline."""
        try:
            head = b""
            if self._takes:
                self._wait()
                head, self.descriptors, _, _ = socket.recv_fds(self.end, 8, self._takes)
            length = int.from_bytes(head + self._exactly(8 - len(head)), "big")
            if length > self._longest:
                raise TooLong(f"a message of {length} bytes")
            return json.loads(self._exactly(length))
        except TimeoutError as error:
            raise Late(str(error)) from None
        except (OSError, ValueError, RecursionError) as error:
            raise Closed(str(error)) from None

    def close(self) -> None:
        self.end.close()

    def _exactly(self, count: int) -> bytes:
        parts = []
        while count:
            self._wait()
            part = self.end.recv(min(count, 2**20))
            if not part:
                raise Closed("the other end has gone")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def _wait(self) -> None:
        """Until there is something to read, where a deadline was given."""
        if self._deadline is None:
            return
        poll = select.poll()
        poll.register(self.end, select.POLLIN)
        if self._watcher is not None:
            poll.register(self._watcher, select.POLLIN)
        left = self._deadline - time.monotonic()
        ready = {number for number, _ in poll.poll(max(0.0, left) * 1000)}
        if self.end.fileno() not in ready:
            raise Late("the deadline has passed" if not ready else "whoever watches the other end has gone")
