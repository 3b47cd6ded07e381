"""The HTTP server: source text in, answers out, and in every answer which weights speak and what verdict they have.

The standard library's server is enough: one address, one kind of request, and the work itself holds the processor.
What fails is a status code with a reason, never an answer; it is meant for a trusted network.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from graphsage.bridge import Bridge, UnparseableSource
from graphsage.names import FILE as NAMES

LARGEST = 2_000_000  # bytes of a request: larger files are tables
UNPROVEN = "UNPROVEN"


class VerdictMismatch(ValueError):  # noqa: N818 (says what is the case)
    """The verdict file cannot be read, or was given on other weights than these."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What was judged of the weights that answer: DONE, NOT DONE, or UNPROVEN where no verdict lies beside them."""

    verdict: str
    target: str = ""
    time: str = ""

    @classmethod
    def of(cls, folder: Path) -> Standing:
        """From `verdict.json` in a model folder. A verdict on files that are not these ones is VerdictMismatch."""
        path = folder / "verdict.json"
        if not path.is_file():
            return cls(UNPROVEN)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            verdict, files = str(found["verdict"]), dict(found["files"])
            standing = cls(verdict, str(found.get("target", "")), str(found.get("time", "")))
        except (ValueError, KeyError, TypeError, OSError) as error:
            raise VerdictMismatch(f"{path}: not a verdict file: {error!r}") from None
        for name in ("model.safetensors", "config.json", NAMES):
            if files.get(name) != hashlib.sha256((folder / name).read_bytes()).hexdigest():
                raise VerdictMismatch(f"{path}: the verdict is on another {name} than the one beside it")
        return standing

    def facts(self) -> dict[str, str]:
        """Verdict, target and time, as far as they are known."""
        found = {"verdict": self.verdict, "target": self.target, "time": self.time}
        return {name: value for name, value in found.items() if value}


def answer(bridge: Bridge, standing: Standing, text: bytes | str) -> dict[str, Any]:
    """{"functions": [...], "model": {...}}, as `predict --json` and the server give it. Raises UnparseableSource."""
    return {"functions": bridge.answer_file(text), "model": {**bridge.facts(), **standing.facts()}}


class Server(ThreadingHTTPServer):
    """Answers `POST /predict` (the body is the text of a Python file) and `GET /model`."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], bridge: Bridge, standing: Standing) -> None:
        super().__init__(address, _Handler)
        self.bridge, self.standing = bridge, standing


class _Handler(BaseHTTPRequestHandler):
    server: Server
    timeout = 30  # seconds without a byte

    def do_GET(self) -> None:
        if self.path != "/model":
            self._refuse(HTTPStatus.NOT_FOUND, f"{self.path}: there are GET /model and POST /predict")
            return
        self._send(HTTPStatus.OK, {**self.server.bridge.facts(), **self.server.standing.facts()})

    def do_POST(self) -> None:
        if self.path != "/predict":
            self._refuse(HTTPStatus.NOT_FOUND, f"{self.path}: there are GET /model and POST /predict")
            return
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,18}", length):
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "send the text of a Python file with its Content-Length")
            return
        if int(length) > LARGEST:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"{int(length):,} bytes, at most {LARGEST:,}")
            return
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self._refuse(HTTPStatus.BAD_REQUEST, f"{len(body):,} bytes came of the {int(length):,} that were announced")
            return
        try:
            found = answer(self.server.bridge, self.server.standing, body)
        except UnparseableSource as error:
            self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        except Exception as error:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR, f"no answer: {type(error).__name__}")
            raise
        else:
            self._send(HTTPStatus.OK, found)

    def _refuse(self, status: HTTPStatus, reason: str) -> None:
        self.close_connection = True  # what the body holds was not read
        self._send(status, {"error": reason})

    def _send(self, status: HTTPStatus, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 (the base class names it)
        """Requests are not logged: sources are nobody's business."""
