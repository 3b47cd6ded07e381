"""The errors that a user can cause, each with the place and the way out; they never show a traceback."""

from __future__ import annotations

import difflib
import os
import traceback
from collections.abc import Iterable
from pathlib import Path


class AssayError(Exception):
    """Base of every error that is the user's to mend. Its text names the thing, the place and the way out.

    `check` names the check that refused, where one did.
    """

    def __init__(self, *args: object, check: str = "") -> None:
        super().__init__(*args)
        self.check = check


class SpecError(AssayError):
    """A specification file cannot be read or contradicts itself."""


class ClaimError(AssayError):
    """A requirement is claimed by no acceptance test, or by more than one, or a test claims an unknown one."""


class HardwareError(AssayError):
    """The hardware that a run claims is not there or does not work."""


class MetricError(AssayError):
    """A metric is unknown, given an option it does not have, or asked for what it is not defined on."""


class SubjectError(AssayError):
    """The subject under judgement failed: could not be imported, trained, loaded or asked."""


class ObservationError(AssayError):
    """What a subject delivered, or what a test handed to the judge, cannot be measured."""


class LedgerError(AssayError):
    """The ledger cannot be read or written."""


class ContractError(AssayError):
    """A data contract or the data it is to check cannot be read."""


class AttestError(AssayError):
    """Nothing here can be attested, or a file is no attestation."""


class NotDoneError(AssayError):
    """A system that is not DONE was to be released. Exit code 1: the question was right, the answer is no."""


class LintError(AssayError):
    """The linter was asked something that it cannot answer."""


def place(error: BaseException, root: Path) -> str:
    """` (file:line)` of the last code of a project that an error passed; empty where there was none.

    Neither the harness nor a library: of a file below `root` its path, of any other its name.
    """
    others = (Path(__file__).parent, Path(os.__file__).parent)
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        file = Path(frame.filename)
        if not file.is_file() or {"site-packages", "dist-packages"} & set(file.parts):
            continue
        if not any(file.is_relative_to(one) for one in others):
            return f" ({file.relative_to(root).as_posix() if file.is_relative_to(root) else file.name}:{frame.lineno})"
    return ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean "x"?` when a known name is close, otherwise the empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{close[0]}"?' if close else ""
