"""A content-addressed store of built things (data sets, weights, predictions) under the user's cache folder.

A key is built once however many processes ask for it; a build that was killed goes on where it stopped.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from assay import digests
from assay.errors import SubjectError

RECORD = "artifact.json"
WEIGHTS = "*.safetensors"
SIDE_FILES = ("initial.safetensors",)


def default_root() -> Path:
    """`$ASSAY_CACHE`, else `$XDG_CACHE_HOME/assay`, else `~/.cache/assay`."""
    if root := os.environ.get("ASSAY_CACHE"):
        return Path(root)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "assay"


class Store:
    """Folders by kind and key. A finished folder holds `artifact.json` with the digest of every file in it."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or default_root()

    def path(self, kind: str, key: str) -> Path:
        """Where the finished folder of that key is or would be."""
        return self.root / kind / key[:32]

    def has(self, kind: str, key: str) -> bool:
        return (self.path(kind, key) / RECORD).is_file()

    def build(self, kind: str, key: str, builder: Callable[[Path], Any], **about: Any) -> Path:
        """The folder of that key; `builder(folder)` fills it first if need be.

        The unfinished folder keeps its name between attempts, so that a builder that leaves checkpoints there
        can resume. Other processes wait for the one that builds.

        Raises:
            SubjectError: when a finished folder was changed after it was built.
        """
        final = self.path(kind, key)
        if self.has(kind, key):
            return final
        from filelock import FileLock

        final.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(final.with_suffix(".lock")):
            if self.has(kind, key):
                return final
            working = final.with_suffix(".building")
            working.mkdir(exist_ok=True)
            builder(working)
            (working / RECORD).unlink(missing_ok=True)  # left by a build that was killed on its last step
            found = sorted(p for p in working.rglob("*") if p.is_file())
            files = {p.relative_to(working).as_posix(): digests.of_file(p) for p in found}
            record = {"kind": kind, "key": key, "about": about, "files": files}
            (working / RECORD).write_text(json.dumps(record, indent=1, default=str))
            if final.exists():
                shutil.rmtree(final)
            working.rename(final)
        return final

    def rename(self, kind: str, old: str, new: str) -> None:
        """Give a finished folder another key; one that has the key already stays."""
        from filelock import FileLock

        source, target = self.path(kind, old), self.path(kind, new)
        with FileLock(target.with_suffix(".lock")):
            record = self.record(kind, old)
            if record is None:
                return
            if self.has(kind, new):
                shutil.rmtree(source)
                return
            (source / RECORD).write_text(json.dumps({**record, "key": new}, indent=1, default=str))
            source.rename(target)

    def record(self, kind: str, key: str) -> dict[str, Any] | None:
        """What `artifact.json` says of a finished folder; None when there is none."""
        try:
            result: Any = json.loads((self.path(kind, key) / RECORD).read_text())
        except (OSError, ValueError):
            return None
        return result if isinstance(result, dict) and isinstance(result.get("files"), dict) else None

    def verify(self, kind: str, key: str) -> None:
        """Check the files of a finished folder against the digests taken when it was built.

        Raises:
            SubjectError: naming the first file that is gone, differs, or is a weight file that was not built.
        """
        record, folder = self.record(kind, key), self.path(kind, key)
        if record is None:
            raise SubjectError(f"{folder / RECORD}: cannot be read; delete the folder {folder} and run again")
        built = {folder / name: digest for name, digest in record["files"].items()}
        changed = [path for path, digest in built.items() if not path.is_file() or digests.of_file(path) != digest]
        changed += sorted(set(folder.glob(WEIGHTS)) - set(built))
        if changed:
            raise SubjectError(
                f"{changed[0]}: changed after it was built; delete the folder {folder} and run again",
                check="built-changed",
            )

    def save_manifest(self, manifest: digests.Manifest) -> str:
        """Keep a manifest of source files, in place of one that knew them elsewhere; returns its digest."""
        path = self.root / "sources" / f"{manifest.digest[:32]}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}")
        temporary.write_text(json.dumps(manifest.rows))
        temporary.replace(path)
        return manifest.digest

    def load_manifest(self, digest: str) -> digests.Manifest | None:
        """The manifest of that digest; None when it is not here, or is not the one that was kept."""
        try:
            kept = digests.Manifest(json.loads((self.root / "sources" / f"{digest[:32]}.json").read_text()))
            return kept if kept.digest == digest else None
        except (OSError, ValueError, AttributeError, TypeError, IndexError):
            return None


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a trained artifact, without what the recorder left beside them.

    Raises:
        SubjectError: when there is none, or one is no safetensors file (a stub, a pickle under another name).
    """
    files = sorted(p for p in folder.glob(WEIGHTS) if p.name not in SIDE_FILES)
    if not files:
        raise SubjectError(f"{folder}: training left no weights (*.safetensors) behind", check="weights-absent")
    for path in files:
        if not tensors(path):
            raise SubjectError(f"{path}: holds no tensor; train again", check="weights-format")
    return files


def weights_digest(folder: Path) -> str:
    """SHA-256 over the weight files of the folder, in order of name."""
    return recorded_weights_digest({path.name: digests.of_file(path) for path in weight_files(folder)})


def recorded_weights_digest(files: Mapping[str, str]) -> str:
    """SHA-256 over the digests of the weight files among `files` (name -> digest, as `artifact.json` holds them)."""
    return digests.of_json(
        sorted(
            [name, digest]
            for name, digest in files.items()
            if name.endswith(".safetensors") and "/" not in name and name not in SIDE_FILES
        )
    )


def tensors(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Name -> (dtype, shape) from the header of a safetensors file; no tensor is read.

    Raises:
        SubjectError: when the file is not in safetensors format or is cut short.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            return {name: (part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}
    except (SafetensorError, OSError) as error:
        size = path.stat().st_size if path.is_file() else 0
        raise SubjectError(
            f"{path}: {size:,} bytes that are no safetensors file ({error}); train again", check="weights-format"
        ) from None


def reinitialise(source: Path, target: Path, seed: int = 0) -> None:
    """Write the weight file again with every float tensor drawn anew: Gaussian, of the tensor's own root mean square.

    Raises:
        SubjectError: when the file holds a dtype that numpy does not have (bf16).
    """
    import numpy as np
    from safetensors import SafetensorError
    from safetensors.numpy import load_file, save_file

    rng = np.random.default_rng(seed)
    try:
        table = load_file(source)
    except (SafetensorError, TypeError) as error:
        raise SubjectError(f"{source}: cannot be drawn anew for the control: {error}") from None
    for name, tensor in table.items():
        if tensor.dtype.kind == "f" and tensor.size:
            scale = float(np.sqrt(np.mean(np.square(tensor, dtype=np.float64))))
            table[name] = np.asarray(scale * rng.standard_normal(tensor.shape), dtype=tensor.dtype)
    save_file(table, target)


DAMAGES = ("no weights", "cut weights", "text for weights", "other shapes")
"""Ways in which a weight file can be wrong that whoever loads it must notice."""


def damaged(source: Path, target: Path, damage: str) -> None:
    """Copy an artifact's folder with its weight files damaged in one of the `DAMAGES`."""
    import numpy as np
    from safetensors.numpy import load_file, save_file

    ignore = shutil.ignore_patterns("checkpoints", *SIDE_FILES)
    shutil.copytree(source, target, ignore=ignore)
    for path in weight_files(source):
        place = target / path.name
        if damage == "no weights":
            place.unlink()
        elif damage == "cut weights":
            place.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        elif damage == "text for weights":
            place.write_text("placeholder weights, to be replaced")
        else:
            try:
                table = load_file(path)
            except TypeError as error:
                raise SubjectError(f"{path}: cannot be given other shapes for the control: {error}") from None
            save_file({name: np.concatenate([t, t]) if t.ndim else t for name, t in table.items()}, place)


def parts(folder: Path) -> dict[str, list[str]]:
    """Names of the tensors by the first part of their name, of those that training has changed.

    Raises:
        SubjectError: when the weights from before training are not there.
    """
    changed = differing(folder, folder, first_initial=True)
    found: dict[str, list[str]] = {}
    for name in changed:
        found.setdefault(name.partition(".")[0], []).append(name)
    return found


def set_back(source: Path, target: Path, names: Collection[str]) -> None:
    """Copy an artifact's folder with the named tensors as they were before training."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(source, target, ignore=shutil.ignore_patterns("checkpoints"))
    initial = load_file(source / SIDE_FILES[0])
    for path in weight_files(source):
        table = load_file(path)
        changed = {name: initial[name] if name in names and name in initial else t for name, t in table.items()}
        save_file(changed, target / path.name)


def differing(first: Path, second: Path, first_initial: bool = False) -> list[str]:
    """Names of tensors that are not, bit for bit, the same in the weight files of two artifacts.

    With `first_initial` the first's are those of before training.
    """
    from safetensors import safe_open

    tables: list[dict[str, bytes]] = []
    initial = first / SIDE_FILES[0]
    if first_initial and not initial.is_file():
        raise SubjectError(f"{initial}: the weights of before training were not recorded; train again")
    for files in ([initial] if first_initial else weight_files(first), weight_files(second)):
        found: dict[str, bytes] = {}
        for path in files:
            with safe_open(path, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118 - no mapping
                    tensor = file.get_tensor(name)
                    found[name] = repr((tensor.dtype, tuple(tensor.shape))).encode() + _bits(tensor)
        tables.append(found)
    names = sorted(tables[0].keys() | tables[1].keys())
    return [name for name in names if tables[0].get(name) != tables[1].get(name)]


def _bits(tensor: Any) -> bytes:
    import torch

    return bytes(tensor.contiguous().reshape(-1).view(torch.uint8).numpy()) if tensor.numel() else b""


def count_parameters(folder: Path) -> int:
    """Numbers held by the floating-point tensors of the weight files."""
    total = 0
    for path in weight_files(folder):
        for dtype, shape in tensors(path).values():
            if dtype.startswith(("F", "BF")):
                total += math.prod(shape)
    return total


def size_bytes(folder: Path) -> int:
    """Bytes of the weight files."""
    return sum(p.stat().st_size for p in weight_files(folder))
