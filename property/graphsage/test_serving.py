"""Laws of the server: every answer states weights and verdict, and what fails is a status, never an answer."""

import hashlib
import json
import shutil
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from graphsage import bridge
from graphsage.__main__ import main
from graphsage.serving import LARGEST, Server, Standing, VerdictMismatch

SOURCE = b"import os\n\n\ndef join(a, b):\n    if a:\n        return os.path.join(a, b)\n    return b\n"


@pytest.fixture
def published(artifact: Path, tmp_path: Path) -> Path:
    """The artifact with a verdict file, as a release would have it."""
    for name in ("model.safetensors", "config.json", "names.npz"):
        shutil.copy(artifact / name, tmp_path)
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()}
    verdict = {"version": 1, "system": "graphsage", "target": "cpu", "files": files, "verdict": "DONE", "time": "now"}
    (tmp_path / "verdict.json").write_text(json.dumps(verdict))
    return tmp_path


@pytest.fixture
def address(published: Path) -> Iterator[str]:
    with Server(("127.0.0.1", 0), bridge.load(published), Standing.of(published)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def ask(url: str, body: bytes | None = None) -> tuple[int, dict]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=body), timeout=30) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_the_server_answers_as_the_command_line_does(address, published, tmp_path, capsys) -> None:
    file = tmp_path / "module.py"
    file.write_bytes(SOURCE)
    assert main(["predict", str(file), "--json", "--model", str(published)]) == 0
    expected = json.loads(capsys.readouterr().out)
    assert ask(f"{address}/predict", SOURCE) == (200, expected)
    assert expected["model"]["verdict"] == "DONE"
    assert expected["model"]["weights"] == hashlib.sha256((published / "model.safetensors").read_bytes()).hexdigest()
    assert expected["model"]["trained"] is True
    assert expected["model"]["device"].startswith("cpu ")
    (function,) = expected["functions"]
    assert (function["name"], function["line"]) == ("join", 4)
    assert 0 < function["confidence"] < 1
    status, facts = ask(f"{address}/model")
    assert (status, facts) == (200, expected["model"])


def test_what_is_not_python_is_refused_and_the_server_goes_on(address) -> None:
    for body, status in ((b"function f() { return 1 }", 422), (b"def f(:", 422), (b"\xff\xfe\x00", 422)):
        code, reply = ask(f"{address}/predict", body)
        assert code == status
        assert set(reply) == {"error"}
    assert ask(f"{address}/other", SOURCE)[0] == 404
    assert ask(f"{address}/other")[0] == 404
    assert ask(f"{address}/predict", SOURCE)[0] == 200


def test_an_error_inside_is_a_status_and_never_an_answer(address, monkeypatch, capsys) -> None:
    def broken(*_):
        raise RuntimeError("inside")

    monkeypatch.setattr(bridge.Bridge, "answer_file", broken)
    code, reply = ask(f"{address}/predict", SOURCE)
    assert code == 500
    assert "confidence" not in json.dumps(reply)


def test_too_large_a_request_is_not_read(address) -> None:
    request = urllib.request.Request(f"{address}/predict", data=b"x", headers={"Content-Length": str(LARGEST + 1)})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=30)
    assert caught.value.code == 413


@pytest.mark.parametrize(
    ("length", "status"),
    [
        (str(len(SOURCE) + 7), 400),  # cut off behind a whole statement
        ("²", 411),
        ("9" * 5000, 411),
        ("-1", 411),
        (str(len(SOURCE)), 200),
    ],
    ids=["cut off", "no digit", "too many digits", "negative", "whole"],
)
def test_only_a_whole_body_of_a_stated_length_is_answered(address, length, status) -> None:
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as end:
        end.sendall(f"POST /predict HTTP/1.0\r\nContent-Length: {length}\r\n\r\n".encode("latin-1") + SOURCE)
        end.shutdown(socket.SHUT_WR)
        head, _, reply = b"".join(iter(lambda: end.recv(2**16), b"")).partition(b"\r\n\r\n")
    assert int(head.split()[1]) == status
    assert ("functions" in json.loads(reply)) is (status == 200)


def test_without_a_verdict_the_model_is_unproven(artifact) -> None:
    assert Standing.of(artifact).facts() == {"verdict": "UNPROVEN"}


@pytest.mark.parametrize("damage", ["weights", "config", "names", "json", "keys"])
def test_a_verdict_on_something_else_is_no_verdict(published, damage) -> None:
    if damage == "weights":
        (published / "model.safetensors").write_bytes(b"others")
    elif damage == "config":
        (published / "config.json").write_text("{}")
    elif damage == "names":
        (published / "names.npz").write_bytes(b"others")
    elif damage == "json":
        (published / "verdict.json").write_text("DONE")
    else:
        (published / "verdict.json").write_text('{"verdict": "DONE"}')
    with pytest.raises(VerdictMismatch, match=r"verdict\.json"):
        Standing.of(published)


@pytest.mark.parametrize("port", ["99999", "-1"])
def test_a_port_that_is_none_is_one_line_and_exit_two(published, capsys, port) -> None:
    assert main(["serve", str(published), "--port", port]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert port in error


def test_serve_refuses_what_is_not_there(tmp_path, capsys) -> None:
    assert main(["serve", str(tmp_path), "--port", "0"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
