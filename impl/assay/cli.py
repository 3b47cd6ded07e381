"""The command line. A thin shell; a user's mistake shows no traceback.

Exit codes: 0 done, 1 not done, 2 the question itself was wrong.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from assay import __version__
from assay.errors import AssayError, ClaimError, HardwareError, NotDoneError

app = typer.Typer(
    name="assay",
    help="A model is done when its evidence says so, on the hardware it was meant for.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)
spec_app = typer.Typer(help="Specifications.", no_args_is_help=True, rich_markup_mode=None)
contract_app = typer.Typer(help="Data contracts.", no_args_is_help=True, rich_markup_mode=None)


class _WriteByDefault(TyperGroup):
    """`assay attest SYSTEM` is `assay attest write SYSTEM`: what is no subcommand is a system."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        first = args[0] if args else ""
        return super().parse_args(ctx, args if first in (*self.commands, "--help") else ["write", *args])


attest_app = typer.Typer(help="Statements of what was shown, and their verification.", cls=_WriteByDefault)
app.add_typer(spec_app, name="spec")
app.add_typer(attest_app, name="attest")
app.add_typer(contract_app, name="contract")

Systems = Annotated[list[str] | None, typer.Argument(help="Systems to judge; all of spec/ by default.")]
HardwareOption = Annotated[
    str | None, typer.Option("--hardware", help="Claim this hardware; an error when it is not there.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]
ReportOption = Annotated[Path, typer.Option("--output", "-o", help="Where the HTML report goes.")]


@app.command()
def verify(
    systems: Systems = None,
    hardware: HardwareOption = None,
    full: Annotated[bool, typer.Option("--full", help="Settle method claims, too (hours).")] = False,
    output: ReportOption = Path("report.html"),
) -> None:
    """Train what is not trained, judge, print the board, write the report. Exit 0 when all systems are DONE."""
    import pytest

    from assay import hardware as machines
    from assay.project import SUITE_FOLDER

    project = _project()
    chosen = [project.spec(name).name for name in systems or project.specs]
    target = hardware or machines.found(tuple(t for name in chosen for t in project.spec(name).system.targets))
    machines.probe(target)
    project.check_claims(chosen)
    files = sorted(
        {
            test.partition("::")[0]
            for claim, tests in project.claims.items()
            if claim.partition("/")[0] in chosen
            for test in tests
        }
    )
    if not files:
        raise ClaimError(f"{project.root / SUITE_FOLDER}: no test claims a requirement of {', '.join(chosen)}")
    arguments = [
        *(str(project.root / file) for file in files),
        "--rootdir", str(project.root), "--hardware", target, "-m", target, "-o", "addopts=",
        "--assay-no-board", "-v", "--tb=no", "--no-header", "--no-summary", "-p", "no:cacheprovider",
    ]  # fmt: skip
    os.environ.pop("PYTEST_ADDOPTS", None)  # a judgement is not narrowed by what lies in the environment
    run = _Run()
    code = int(pytest.main([*arguments, *(["--assay-full"] if full else [])], plugins=[run]))
    if run.interrupted:
        raise typer.Exit(130)
    if code in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERNAL_ERROR):
        raise typer.Exit(2)
    problems = [*run.broken, *_not_run(project, chosen, target, full, run.seen)]
    board = _project().board(systems or [], target)
    _print(board)
    _write_report(board, output)
    _github(board, project)
    for problem in problems:
        print(f"assay: {problem}", file=sys.stderr)
    raise typer.Exit(0 if board.done and not problems else 1)


class _Run:
    """What a verifying pytest run did, seen from outside: what was asked, what broke, whether it was stopped."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self.broken: list[str] = []
        self.interrupted = False

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            last = (str(report.longrepr).strip().splitlines() or ["failed"])[-1]
            self.broken.append(f"{report.nodeid} cannot be collected: {last}")
        elif report.skipped:
            self.broken.append(f"{report.nodeid} skipped itself: nothing in it was measured")

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.seen |= {str(value) for key, value in report.user_properties if key == "assay.requirement"}

    def pytest_keyboard_interrupt(self, excinfo: Any) -> None:
        self.interrupted = excinfo.type is KeyboardInterrupt  # collection errors come as a subclass of it


def _not_run(project: Any, chosen: list[str], target: str, full: bool, seen: set[str]) -> list[str]:
    """Requirements of the target that this run should have measured and did not reach."""
    due = [
        f"{name}/{row.id}" for name in chosen for row in project.spec(name).on(target) if full or row.kind == "artifact"
    ]
    missing = sorted(set(due) - seen)
    return [f"{len(missing)} requirements were not run: {', '.join(missing[:5])}"] if missing else []


@app.command()
def status(
    systems: Systems = None,
    hardware: HardwareOption = None,
    as_json: JsonOption = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Every baseline and slice.")] = False,
) -> None:
    """The board as it stands, without measuring anything; exits with 0, done or not: `verify` is the gate."""
    board = _project().board(systems or [], _known(hardware))
    if as_json:
        print(json.dumps(board.as_json(), indent=1))
    else:
        _print(board, verbose=verbose)


@app.command()
def report(
    systems: Systems = None,
    hardware: HardwareOption = None,
    output: ReportOption = Path("report.html"),
    card: Annotated[bool, typer.Option("--card", help="Print a model card (Markdown) of each system instead.")] = False,
) -> None:
    """Write the HTML report of the board as it stands."""
    board = _project().board(systems or [], _known(hardware))
    if not card:
        _write_report(board, output)
        return
    from assay.report.card import model_card

    print("\n".join(model_card(board, name) for name in dict.fromkeys(one.name for one in board.systems)), end="")


@spec_app.command("check")
def spec_check() -> None:
    """Read every specification, compare it with spec.lock, and find who claims what."""
    from assay import lock

    project = _project()
    problems: list[str] = []
    for name, spec in project.specs.items():
        locked = project.locked.get(name, {})
        for requirement in spec:
            if requirement.id not in locked:
                problems.append(f"{spec.path}: {requirement.id} is not in {lock.NAME}; run `assay spec lock`")
            for move in lock.moves(requirement, locked.get(requirement.id)):
                print(f"{spec.path}: {requirement.id}: {move}")
                if not move.explained_by(requirement.reason):
                    named = ", ".join(sorted(move.named))
                    problems.append(f"{spec.path}: {requirement.id}: {move}: write a reason that names it: {named}")
        kept = project.locked.tables.get(name, {})
        for move in lock.table_moves(spec, kept):
            print(f"{spec.path}: {move}")
        for gone, reason in lock.dropped(spec, locked).items():
            print(f"{spec.path}: {gone} was dropped: {reason or '(no reason given)'}")
            if not reason:
                problems.append(f"{spec.path}: {gone} was dropped; write [[dropped]] with a reason")
        taken = locked == lock.tightened(spec, locked) and kept == lock.kept_tables(spec, kept)
        if not taken and not problems:
            problems.append(f"{spec.path}: stricter than {lock.NAME}; run `assay spec lock`")
        days = project.locked.since.get(name, {})
        if not problems and days != lock.seen(spec, locked, kept, days, ""):
            problems.append(f"{spec.path}: goalposts moved or came back since {lock.NAME}; run `assay spec lock`")
    project.check_claims(project.specs)
    if problems:
        raise AssayError("\n".join(problems))
    rows = sum(len(spec.requirement) for spec in project.specs.values())
    print(f"{len(project.specs)} specifications, {rows} requirements, each claimed by exactly one test")


@spec_app.command("lock")
def spec_lock() -> None:
    """Take new and stricter requirements into spec.lock; it never loosens."""
    from assay import lock
    from assay.project import SPEC_FOLDER

    project = _project()
    entries, tables, since = dict(project.locked), dict(project.locked.tables), dict(project.locked.since)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    for name, spec in project.specs.items():
        entries[name] = lock.tightened(spec, project.locked.get(name, {}))
        tables[name] = lock.kept_tables(spec, tables.get(name, {}))
        since[name] = lock.seen(spec, entries[name], tables[name], since.get(name, {}), today)
    lock.write(project.root / SPEC_FOLDER, entries, tables, since)
    print(f"{project.root / SPEC_FOLDER / lock.NAME}: {sum(map(len, entries.values()))} requirements")


@spec_app.command("schema")
def spec_schema(
    check: Annotated[bool, typer.Option("--check", help="Fail when the file on disk is not current.")] = False,
) -> None:
    """Write the JSON Schema of the specification format to spec/schema/."""
    from assay.schema import text

    path = _project().root / "spec" / "schema" / "spec.schema.json"
    if check:
        if not path.is_file() or path.read_text(encoding="utf-8") != text():
            raise AssayError(f"{path}: not current; run `assay spec schema`")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text(), encoding="utf-8")
    print(path)


@spec_app.command("metrics")
def spec_metrics(
    name: Annotated[
        str | None, typer.Argument(help="Tell of this one what it takes: predictions, gold, options.")
    ] = None,
) -> None:
    """The metrics that a requirement can name, with direction, range, options and source, as a Markdown table."""
    from assay.metrics import catalogue, registry

    print(catalogue() if name is None else registry.about(name), end="")


@app.command()
def mutants(
    as_json: JsonOption = False,
    subject: Annotated[
        str | None, typer.Option("--subject", help="Give this system the generic mutants, through its own suite.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option("--only", help="Run these mutants alone; may be repeated.")] = None,
    full: Annotated[
        bool,
        typer.Option(
            "--full",
            help="The generic mutants on every system that trains, too: in smoke, or where it learns (sketch).",
        ),
    ] = False,
    profile: Annotated[
        str | None,
        typer.Option("--profile", help="With --subject: train this one, not that of the hardware (smoke, sketch)."),
    ] = None,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", help="Judgements at a time; one a core.")] = None,
) -> None:
    """Sabotage honest projects, one defect each: does the gate say no? Exit 1 on a survivor or a false alarm."""
    from assay import mutants as matrices
    from assay.report import matrix as shown
    from assay.spec import SMOKE

    if profile is not None and subject is None:
        raise AssayError("--profile: of which subject? the twin has no other (--subject NAME)")
    if full and subject is not None:
        raise AssayError("--full: is the twin and all systems; leave --subject out")
    project = _project()
    with shown.progress() as step:
        if subject is not None:
            known = project.spec(subject).profile
            if profile is not None and profile not in known:
                raise AssayError(f'--profile: {subject} has no "{profile}" (profiles: {", ".join(known) or "none"})')
            asked = profile or matrices.TARGET
            found = [matrices.run_subject(project.root, subject, asked, only=only or (), jobs=jobs, on_result=step)]
        else:
            found = [matrices.run(project.root, only or (), honest=not only, jobs=jobs, on_result=step)]
            for name in [spec.name for spec in project.specs.values() if full and SMOKE in spec.profile]:
                found.append(matrices.run_system(project.root, name, jobs, step))
    matrix = matrices.joined(found)
    if as_json:
        print(json.dumps(matrix.as_json(), indent=1))
    else:
        shown.render(matrix)
    raise typer.Exit(0 if matrix.ok else 1)


@contract_app.command("check")
def contract_check(
    file: Annotated[Path, typer.Argument(help="Data to check: .jsonl, .json, .csv, .tsv, .parquet (.gz).")],
    contract: Annotated[str, typer.Option("--contract", help="Name in spec/contracts/, or a path.")],
    as_json: JsonOption = False,
    output: ReportOption = Path("contract.html"),
) -> None:
    """Check a file against a data contract, write a report page. Exit 0 when it holds, 1 when it does not."""
    from assay import contracts
    from assay.report import contract as page

    path = Path(contract)
    if path.suffix != ".json":
        path = _project().root / "spec" / "contracts" / f"{contract}.json"
    result = contracts.check(path, file)
    page.render(result, file, output)
    print(json.dumps(result.as_json(), indent=1) if as_json else f"{result.describe()}\nreport: {output}")
    raise typer.Exit(0 if result.success else 1)


@attest_app.command("write")
def attest_write(
    systems: Systems = None,
    hardware: HardwareOption = None,
    publish: Annotated[
        Path | None, typer.Option("--publish", help="Also copy the artifact of the one system named into this folder.")
    ] = None,
) -> None:
    """Write an in-toto statement for each system and target with fresh evidence here (the default subcommand)."""
    from assay import attest, notary, serving
    from assay.errors import AttestError

    project = _project()
    chosen = [project.spec(name).name for name in systems or project.specs]
    if publish is not None and len(chosen) != 1:
        raise AttestError("--publish: name the one system whose artifact is to be published")
    only = _known(hardware)
    pairs = [(name, on) for name in chosen for on in ([only] if only else project.spec(name).system.targets)]
    silent: list[str] = []
    written = 0
    for name, target in pairs:
        try:
            statement = notary.make(project, name, target)
        except AttestError as error:
            silent.append(str(error))
            continue
        folder = project.root / attest.FOLDER
        folder.mkdir(exist_ok=True)
        path = folder / statement.name
        path.write_text(statement.text(), encoding="utf-8")
        written += 1
        print(f"{path.relative_to(project.root)}: {name} on {target}, {statement.assay.verdict}, {_counted(statement)}")
        if publish is not None:
            verdict = serving.publish(project, name, target, publish)
            print(f"{publish}: {len(verdict.files)} files, {attest.VERDICT_FILE} says {verdict.verdict}")
    for text in silent:
        print(f"assay: {text}", file=sys.stderr)
    raise typer.Exit(0 if written and not (systems and silent) else 1)


def _counted(statement: Any) -> str:
    predicate = statement.predicate
    passed = len(predicate.passedTests) + len(predicate.warnedTests)
    return f"{passed} of {passed + len(predicate.failedTests)} rows PASS"


@attest_app.command("verify")
def attest_verify(
    path: Annotated[Path, typer.Argument(help="A statement, or a published folder.", metavar="FILE|FOLDER")],
    as_json: JsonOption = False,
) -> None:
    """Judge the embedded evidence again, compare digests, say what no longer stands. Exit 0 when all of it stands."""
    from assay import notary
    from assay.errors import SpecError
    from assay.project import Project

    try:
        project = Project.here()
    except SpecError:
        project = None
    found = notary.examine(path, project)
    if as_json:
        print(json.dumps({**found.model_dump(), "stands": found.stands}, indent=1))
        raise typer.Exit(0 if found.stands else 1)
    print(f"{path}: {found.system} on {found.target}, {found.verdict}, attested on {found.machine}, {found.time}")
    for mark, lines in (("fault", found.faults), ("fallen", found.fallen), ("not checked", found.unchecked)):
        for line in lines:
            print(f"  {mark}: {line}")
    print("  stands" if found.stands else "  does not stand")
    raise typer.Exit(0 if found.stands else 1)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": False})
def serve(
    context: typer.Context,
    system: Annotated[str, typer.Argument(help="The system to serve; what follows `--` goes to its own command.")],
    hardware: HardwareOption = None,
) -> None:
    """Start the system's server on its judged weights; refused, with exit 1, unless it is DONE."""
    from assay import hardware as machines
    from assay import serving

    project = _project()
    target = _known(hardware) or machines.found(project.spec(system).system.targets)
    words = serving.command(project, system, target, context.args)
    print(f"assay: {system} is DONE on {target}; starting {' '.join(words)}", file=sys.stderr)
    raise typer.Exit(serving.run(project, words))


@app.command()
def lint(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Files and folders; the working folder by default.")
    ] = None,
    output_format: Annotated[str, typer.Option("--format", help="text, json, sarif or github.")] = "text",
    select: Annotated[list[str] | None, typer.Option("--select", help="Only these rules: AS101, AS1, a name.")] = None,
    ignore: Annotated[list[str] | None, typer.Option("--ignore", help="Not these rules.")] = None,
    confidence: Annotated[
        str, typer.Option("--confidence", help="The least to report: certain, likely, look.")
    ] = "look",
    exclude: Annotated[list[str] | None, typer.Option("--exclude", help="Globs of what is left out.")] = None,
    baseline: Annotated[
        Path | None, typer.Option("--baseline", help="Report only what this file does not hold.")
    ] = None,
    write_baseline: Annotated[
        Path | None, typer.Option("--write-baseline", help="Write what is found, exit 0.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write there and not to the terminal.")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Read everything anew.")] = False,
    explain: Annotated[str | None, typer.Option("--explain", help="Tell a rule's story, and its fix.")] = None,
    catalogue: Annotated[bool, typer.Option("--catalogue", help="All rules, as Markdown.")] = False,
) -> None:
    """Find the patterns behind false claims in anybody's model code. Exit 0 when there are none, 1 when there are."""
    from assay.lint import command

    if catalogue or explain is not None:
        print(command.explain(explain), end="")
        return
    code = command.run(
        paths or [Path(".")], output_format=output_format, select=_listed(select), ignore=_listed(ignore),
        confidence=confidence, exclude=exclude or [], baseline=baseline, write_baseline=write_baseline, output=output,
        use_cache=not no_cache,
    )  # fmt: skip
    raise typer.Exit(code)


def _listed(values: list[str] | None) -> list[str]:
    """`--select AS1,AS2 --select AS3` as one list."""
    return [part.strip() for value in values or () for part in value.split(",") if part.strip()]


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="An empty or new folder.")] = Path(".")) -> None:
    """Write a minimal project - a specification, a subject, an acceptance test - that `assay verify` judges."""
    from assay import tutorial

    for path in tutorial.write(folder):
        print(path)
    there = "" if folder.resolve() == Path.cwd() else f"cd {folder} && "
    print(f"next: {there}assay verify")


def _known(hardware: str | None) -> str | None:
    from assay.spec import HARDWARE

    if hardware is not None and hardware not in HARDWARE:
        raise AssayError(f'--hardware: unknown hardware "{hardware}" (known: {", ".join(HARDWARE)})')
    return hardware


def _project() -> Any:
    from assay.project import Project

    return Project.here()


def _print(board: Any, verbose: bool = False) -> None:
    from rich.console import Console

    from assay.report import terminal

    terminal.render(board, Console(), verbose=verbose)


def _write_report(board: Any, output: Path) -> None:
    from assay.report import html

    html.render(board, output)
    print(f"report: {output}")


def _github(board: Any, project: Any) -> None:
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    from assay.report import github

    files = {name: (str(spec.path.relative_to(project.root)), spec.lines) for name, spec in project.specs.items()}
    for line in github.annotations(board, files):
        print(line)
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with open(summary, "a", encoding="utf-8") as file:
            file.write(github.summary(board))


def _version(value: bool) -> None:
    if value:
        print(f"assay {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """A model is done when its evidence says so, on the hardware it was meant for."""


def main() -> None:
    """Entry point of the console script."""
    try:
        app()
    except OSError as error:
        print(f"assay: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(2)
    except (HardwareError, NotDoneError) as error:
        print(f"assay: {error}", file=sys.stderr)
        sys.exit(1)
    except AssayError as error:
        print(f"assay: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
