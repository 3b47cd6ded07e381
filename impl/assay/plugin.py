"""The pytest plugin: every hook and fixture of Assay, and nothing that a session which does not use it would notice.

Only the standard library and pytest are imported here; all else when the first requirement is collected.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from assay.session import Session
    from assay.subject import Dataset, Subject

HARDWARE_MARKERS = {
    "cpu": "must be shown on a CPU",
    "cuda": "must be shown on an NVIDIA GPU",
    "mps": "must be shown on an Apple GPU",
    "tpu": "must be shown on a TPU",
    "t4x2": "must be shown on two NVIDIA T4",
    "rtx3050": "must be shown on an NVIDIA RTX 3050",
}

SESSION = pytest.StashKey["Session | None"]()
CLAIMS = pytest.StashKey[Sequence[str]]()
SEEN = pytest.StashKey[dict[str, str]]()
SKIPPED = pytest.StashKey[dict[str, str]]()
"""Node id -> reason of what skipped itself while it was collected."""
REFUSED = pytest.StashKey[str]()
"""Name of the check for which the whole run was refused, where one did."""

_CONFIG: list[pytest.Config] = []
"""The running configurations, innermost last (pytester runs one session inside another)."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("assay", "acceptance of machine-learning models (assay)")
    group.addoption(
        "--hardware",
        metavar="KIND",
        help="judge for this hardware (cpu, cuda, ...); it is an error when it is not there or does not work",
    )
    group.addoption(
        "--assay-profile",
        metavar="NAME",
        help='train this profile instead of the one named after the hardware; "smoke" runs the mechanics only, '
        '"sketch" learns in minutes, neither records evidence',
    )
    group.addoption(
        "--assay-full",
        action="store_true",
        help="settle method claims, too (several seeds, ablations): takes long",
    )
    group.addoption("--assay-no-board", action="store_true", help="do not print the board at the end")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        'requirement(*names): this test measures the requirement "system/id" of a specification; '
        "each requirement is claimed by exactly one test",
    )
    for name, meaning in HARDWARE_MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    _CONFIG.append(config)
    config.stash[SESSION] = None
    config.stash[SEEN] = {}
    config.stash[SKIPPED] = {}


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.skipped and _CONFIG:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        _CONFIG[-1].stash[SKIPPED][report.nodeid] = reason.removeprefix("Skipped: ")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that claims several requirements runs once for each."""
    names = _claims(metafunc.definition)
    if len(names) > 1 and "_requirement" in metafunc.fixturenames:
        metafunc.parametrize("_requirement", names, ids=names, indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    claiming = [item for item in items if _claims(item)]
    if not claiming:
        return
    session = _session(config)
    from assay.errors import AssayError, ClaimError

    try:
        session.collected(sorted({name for item in claiming for name in _claims(item)}))
        owners: dict[str, str] = {}
        for item in claiming:
            name = _name(item)
            if name in owners:
                raise ClaimError(f'"{name}" is claimed by two tests of this run: {owners[name]} and {item.nodeid}')
            if item.get_closest_marker("xfail"):
                told = f"{item.nodeid}: a claim cannot be expected to fail; a [[waiver]] has a date and a reason"
                raise ClaimError(told, check="xfail")
            owners[name] = item.nodeid
            item.stash[CLAIMS] = [name]
            _, requirement = session.project.requirement(name)
            for target in requirement.on:
                item.add_marker(target)
        for path in {item.path for item in claiming}:
            session.remember(path)
        # What needs no training comes first, so that the first verdict is on the screen early.
        items.sort(key=lambda item: not session.early(item.stash.get(CLAIMS, ())))
    except AssayError as error:
        config.stash[REFUSED] = error.check
        raise pytest.UsageError(str(error)) from None


def pytest_collection_finish(session: pytest.Session) -> None:
    assay = session.config.stash.get(SESSION, None)
    if assay is None or session.config.option.collectonly:
        return
    from assay.errors import AssayError, HardwareError

    try:
        assay.start([name for item in session.items for name in item.stash.get(CLAIMS, ())])
    except HardwareError as error:  # no mistake of the user's: the answer is "not done here"
        pytest.exit(f"assay: {error}", returncode=pytest.ExitCode.TESTS_FAILED)
    except AssayError as error:
        raise pytest.UsageError(str(error)) from None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """A method claim is settled under --assay-full only; until then its earlier evidence, if any, stands."""
    session = item.config.stash.get(SESSION, None)
    names = item.stash.get(CLAIMS, ())
    if names and session is not None and (reason := session.postponed(names[0])):
        pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skipped or broken test leaves a row that says so: it proves nothing, and older evidence no longer stands."""
    report = yield
    if report.failed and call.excinfo is not None:
        from assay.errors import AssayError

        if call.excinfo.errisinstance(AssayError):  # it says what to do: where in the harness it was raised is no help
            report.longrepr = f"{item.nodeid}: {call.excinfo.value}"
    names = item.stash.get(CLAIMS, ())
    session = item.config.stash.get(SESSION, None)
    if not names or session is None:
        return report
    name, judged = names[0], session.judged(names[0])
    if report.skipped and not session.postponed(name):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        session.unmeasured(name, "skipped", reason.removeprefix("Skipped: "))
    elif report.failed and (not judged or session.passed(name)):
        # Also a test that fails after a PASS: the guard beside a claim belongs to the claim.
        first = _said(call.excinfo.value, item.config.rootpath) if call.excinfo else "the test failed before it judged"
        session.unmeasured(name, "error", first, getattr(call.excinfo.value, "check", "") if call.excinfo else "")
    elif report.when == "call" and report.passed and not judged:
        reason = "the test ended without calling judge(...); nothing was measured"
        session.unmeasured(name, "error", reason, "judges")
        report.outcome = "failed"
        report.longrepr = f"{name}: {reason}"
    if report.when == "call" and judged:
        vars(report)["assay_verdict"] = session.headline(name)
    if report.when == "teardown" or not report.passed:  # junitxml reads those of the teardown
        shown = session.properties(name) if item.config.getoption("xmlpath", None) else []
        report.user_properties = [("assay.requirement", name), *shown]
    return report


def pytest_report_teststatus(report: Any) -> tuple[str, str, str] | None:
    """With -v, a judged test shows its verdict and number where pytest says PASSED or FAILED."""
    headline = getattr(report, "assay_verdict", "")
    if not headline or report.when != "call":
        return None
    return (report.outcome, "." if report.passed else "F", headline)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Runs in the process that prints, also under xdist: remembers which requirements this session touched."""
    for key, value in report.user_properties:
        if key == "assay.requirement" and _CONFIG:
            seen = _CONFIG[-1].stash[SEEN]
            if seen.get(str(value), "passed") == "passed":
                seen[str(value)] = report.outcome


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    config = session.config
    seen = config.stash[SEEN]
    if not _is_xdist_worker(config):
        seen |= dict.fromkeys(_skipped_unseen(config), "skipped")
    assay = config.stash.get(SESSION, None)
    if assay is not None:
        assay.close()
    if not seen or _is_xdist_worker(config):
        return
    if exitstatus == pytest.ExitCode.OK and not _session(config).green(seen):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _skipped_unseen(config: pytest.Config) -> list[str]:
    """Requirements whose tests lie in a file that skipped itself: as unproven as those whose tests did."""
    found: list[str] = []
    for node, reason in config.stash[SKIPPED].items():
        path = config.rootpath / node.partition("::")[0]
        if path.is_file() and "requirement(" in path.read_text(encoding="utf-8", errors="replace"):
            found += _session(config).skipped(path, reason)
    return found


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    seen = config.stash[SEEN]
    if seen and not config.getoption("--assay-no-board"):
        _session(config).print_board(terminalreporter, seen)


def pytest_unconfigure(config: pytest.Config) -> None:
    if config in _CONFIG:
        _CONFIG.remove(config)


@pytest.fixture
def _requirement(request: pytest.FixtureRequest) -> str:
    """The one of several claimed requirements that this run of the test is for; "" where there is only one."""
    return str(getattr(request, "param", ""))


@pytest.fixture
def judge(request: pytest.FixtureRequest, _requirement: str) -> Any:
    """Hand an observation to the judge: `judge(predictions, gold=..., groups=..., baselines={...})`.

    See `assay.measurement.Judge` for every argument. Fails the test unless the verdict is PASS.
    """
    from assay.measurement import Judge

    session = _required_session(request)
    names = request.node.stash.get(CLAIMS, ())
    if not names:
        raise pytest.UsageError(
            f'{request.node.nodeid}: the judge fixture needs @pytest.mark.requirement("system/id") on the test'
        )
    return Judge(session, names[0], request.node)


@pytest.fixture(scope="session")
def dataset(request: pytest.FixtureRequest) -> Callable[..., Dataset]:
    """Build a data set once and keep it: `dataset(name, build, sources=files, tables=(...), **parameters)`."""
    return _required_session(request).dataset


@pytest.fixture(scope="session")
def subject(request: pytest.FixtureRequest) -> Callable[..., Subject]:
    """The subject of a system: `subject(name, data={"train": path, ...}, datasets=[...])`."""
    return _required_session(request).subject


@pytest.fixture(scope="session")
def assay_session(request: pytest.FixtureRequest) -> Session:
    """The running judgement: project, target, profile, `full`, `smoke`."""
    return _required_session(request)


def _said(error: BaseException, root: Path) -> str:
    """The first line of an error; of one that is not Assay's, its kind and the line of the project that met it, too."""
    from assay.errors import AssayError, place

    first = (str(error).splitlines() or [""])[0][:500]
    if isinstance(error, AssayError | pytest.fail.Exception):
        return first or "the test failed before it judged"
    return f"{type(error).__name__}: {first}{place(error, root)}"


def _claims(item: Any) -> tuple[str, ...]:
    return tuple(name for marker in item.iter_markers("requirement") for name in marker.args)


def _name(item: Any) -> str:
    callspec = getattr(item, "callspec", None)
    if callspec is not None and "_requirement" in callspec.params:
        return str(callspec.params["_requirement"])
    return _claims(item)[0]


def _session(config: pytest.Config) -> Session:
    existing = config.stash.get(SESSION, None)
    if existing is not None:
        return existing
    from assay.errors import AssayError
    from assay.session import Session

    try:
        session = Session.of(config)
    except AssayError as error:
        raise pytest.UsageError(str(error)) from None
    config.stash[SESSION] = session
    return session


def _required_session(request: pytest.FixtureRequest) -> Session:
    return _session(request.config)


def _is_xdist_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")
