"""Data contracts: great-expectations suites (`spec/contracts/NAME.json`) held against a file or a frame.

What was not looked at is never a success: no rows, no expectation evaluated, a missing column, an exception,
an expectation that met only missing values. Nothing is sent anywhere and nothing is written.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import gzip
import importlib
import io
import json
import logging
import math
import os
import re
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.errors import ContractError, did_you_mean
from assay.evidence import CheckResult

if TYPE_CHECKING:
    import pandas

FLOOR = "expect_table_row_count_to_be_between"
"""Every contract holds it with `min_value` >= 1; one that does not is refused."""

EXAMPLES = 5
"""Distinct values shown of each failure."""

ROWS = 20
"""Rows named of each failure."""

_SUITE_KEYS = ("name", "expectations", "meta", "id", "notes", "suite_parameters")
_EXPECTATION_KEYS = ("type", "kwargs", "meta", "id", "description", "notes", "severity")
_READABLE = ".jsonl, .json, .csv, .tsv, .parquet (each also with .gz)"
_BESIDE = "$beside"
_DOMAIN = ("column", "row_condition", "condition_parser")
_NO_VALUE = "nothing was observed: all values are missing, or the row condition selects none"
_TEXT_LENGTH = 200


@dataclass(frozen=True)
class Failure:
    """One expectation that does not hold.

    `examples` are up to 5 distinct offending values, or the observed value of an expectation on a whole
    column or table (`count` is 1), or why it could not be evaluated (`count` is 1). `rows` are the first 20
    offending rows: lines of a .jsonl, .csv or .tsv file, else records counted from 1.
    """

    expectation: str
    column: str | None
    examples: tuple[Any, ...]
    count: int
    rows: tuple[int, ...] = ()

    def describe(self, unit: str = "row") -> str:
        """One line: what, how often, where, for example."""
        column = f"({self.column})" if self.column else ""
        shown = ", ".join(json.dumps(example, ensure_ascii=False) for example in self.examples)
        if not self.rows:
            return f"{self.expectation}{column}: {shown}"
        more = ", ..." if self.count > len(self.rows) else ""
        places = ", ".join(f"{row:,}" for row in self.rows)
        plural = "s" if len(self.rows) > 1 else ""
        return f"{self.expectation}{column}: {self.count:,} values, e.g. {shown} ({unit}{plural} {places}{more})"


@dataclass(frozen=True)
class ContractResult:
    """What holding a contract against data gave. `evaluated` counts expectations that looked at something."""

    name: str
    success: bool
    rows: int
    evaluated: int
    failed: tuple[Failure, ...]
    unit: str = "row"
    """What the row numbers of the failures count: "line" or "row"."""
    held: tuple[str, ...] = ()
    """The expectations that hold, in words."""

    def as_json(self) -> dict[str, Any]:
        """The contract of `assay contract check --json`."""
        failed = [
            {"expectation": f.expectation, "column": f.column, "examples": list(f.examples), "count": f.count}
            for f in self.failed
        ]
        return {"success": self.success, "rows": self.rows, "evaluated": self.evaluated, "failed": failed}

    def as_checks(self) -> list[CheckResult]:
        """The result as doubts for `judge(..., checks=...)`: one for each failure, named contract:EXPECTATION."""
        if self.success:
            return [CheckResult(name=f"contract:{self.name}", ok=True)]
        return [
            CheckResult(name=f"contract:{f.expectation}", ok=False, detail=f.describe(self.unit)) for f in self.failed
        ]

    def describe(self) -> str:
        """The result in words, one line for each failure."""
        verdict = "holds" if self.success else "does not hold"
        head = f"contract {self.name} {verdict}: {self.rows:,} rows, {self.evaluated} expectations evaluated"
        if self.failed:
            head += f", {len(self.failed)} failed"
        return "\n".join([head, *(f"  {failure.describe(self.unit)}" for failure in self.failed)])


def check(
    contract: Path, data: Path | pandas.DataFrame, beside: Mapping[str, pandas.DataFrame] | None = None
) -> ContractResult:
    """Holds the contract against the data.

    Cells that are lists or objects are seen by the expectations as canonical JSON text, so that they can be
    compared and matched against a JSON schema; lengths of such cells are refused as misleading.

    Where a contract writes `{"$beside": "entities", "column": "name"}` for a list of values, they are those of that
    column of the table `beside["entities"]`, or of the file that lies beside the data: `kg.entities.jsonl` for
    `kg.jsonl`. An expectation whose table is empty or absent fails.

    Raises:
        ContractError: when the contract or the data cannot be read, with file, line and way out.
    """
    suite = _read_contract(Path(contract))
    table = _read_table(Path(data)) if isinstance(data, str | os.PathLike) else _from_frame(data)
    with _great_expectations():
        if table.rows:
            _fill_in(Path(contract), suite, data if isinstance(data, Path | str) else None, beside or {})
        expectations = _expectations(Path(contract), suite)
        if not table.rows:
            failed = [Failure(FLOOR, None, (0,), 1)]
            return ContractResult(suite["name"], False, 0, 0, tuple(failed), table.unit)
        outcomes = _evaluate(expectations, suite["expectations"], table)
    failures = tuple(outcome for outcome in outcomes if isinstance(outcome, Failure))
    evaluated = sum(1 for outcome in outcomes if not isinstance(outcome, _NotEvaluated))
    success = not failures and evaluated == len(suite["expectations"]) > 0
    held = tuple(_in_words(e) for e, outcome in zip(suite["expectations"], outcomes, strict=True) if outcome is None)
    return ContractResult(suite["name"], success, len(table.rows), evaluated, failures, table.unit, held)


def _in_words(expectation: Mapping[str, Any]) -> str:
    columns = ", ".join(_columns(expectation["kwargs"]))
    return f"{expectation['type']}({columns})" if columns else str(expectation["type"])


class _NotEvaluated(Failure):
    """An expectation that looked at nothing."""


@dataclass(frozen=True)
class _Table:
    """Data as it was read: cells by row, and where each row stands."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    places: Sequence[int]
    unit: str

    def nested(self) -> frozenset[str]:
        """Columns with a list or an object in some cell."""
        return frozenset(
            name
            for index, name in enumerate(self.columns)
            if any(isinstance(row[index], list | dict) for row in self.rows)
        )


# -- the contract


def _read_contract(path: Path) -> dict[str, Any]:
    """The suite as JSON; refused when it could not fail or is not a suite."""
    if not path.exists():
        known = sorted(other.stem for other in path.parent.glob("*.json"))
        listed = f"; contracts here: {', '.join(known)}" if known else ""
        raise ContractError(f"{path}: no such contract{did_you_mean(path.stem, known)}{listed}")
    text = _decoded(path, _content(path))
    suite = _json(text, str(path))
    if not isinstance(suite, dict) or not isinstance(suite.get("name"), str) or not suite["name"]:
        raise ContractError(f'{path}: not a suite: an object with "name" and "expectations" is needed')
    _known_keys(suite, _SUITE_KEYS, str(path))
    expectations = suite.get("expectations")
    if not isinstance(expectations, list) or not expectations:
        raise ContractError(f"{path}: the suite holds no expectation: nothing could ever break it; add some")
    lines = _lines_of_types(text)
    for number, expectation in enumerate(expectations):
        place = f"{path}:{lines[number]}" if number < len(lines) else str(path)
        _check_expectation(expectation, f"{place}: expectation {number + 1}")
    floors = [e["kwargs"] for e in expectations if e["type"] == FLOOR]
    if not any(_is_floor(kwargs) for kwargs in floors):
        raise ContractError(
            f"{path}: no row floor; add "
            f'{{"type": "{FLOOR}", "kwargs": {{"min_value": 100}}}} with the least that makes sense'
        )
    return suite


def _check_expectation(expectation: Any, place: str) -> None:
    if not isinstance(expectation, dict):
        raise ContractError(f'{place}: not an object with "type" and "kwargs"')
    if "expectation_type" in expectation:
        raise ContractError(f'{place}: a suite of great-expectations 0.x; rename "expectation_type" to "type"')
    _known_keys(expectation, _EXPECTATION_KEYS, place)
    if not isinstance(expectation.get("type"), str) or not isinstance(expectation.get("kwargs", {}), dict):
        raise ContractError(f'{place}: "type" must be a text and "kwargs" an object')
    kwargs = expectation.setdefault("kwargs", {})
    mostly = kwargs.get("mostly", 1)
    if isinstance(mostly, bool) or not isinstance(mostly, int | float) or not 0 < mostly <= 1:
        raise ContractError(f"{place}: mostly = {mostly!r} must be a number above 0 and at most 1")
    for name in ("result_format", "catch_exceptions"):
        if name in kwargs:
            raise ContractError(f'{place}: "{name}" is set by the harness; remove it')


def _is_floor(kwargs: Mapping[str, Any]) -> bool:
    least = kwargs.get("min_value")
    exact = isinstance(least, int | float) and not isinstance(least, bool)
    return exact and float(least) >= 1 and not kwargs.get("row_condition")  # type: ignore[arg-type]


def _known_keys(table: Mapping[str, Any], known: Sequence[str], place: str) -> None:
    for key in table:
        if key not in known:
            raise ContractError(f'{place}: unknown key "{key}"{did_you_mean(key, known)}')


def _lines_of_types(text: str) -> list[int]:
    return [n for n, line in enumerate(text.splitlines(), 1) for _ in re.finditer(r'"type"\s*:\s*"expect', line)]


def _fill_in(
    path: Path, suite: Mapping[str, Any], data: Path | str | None, beside: Mapping[str, pandas.DataFrame]
) -> None:
    """Replaces references to a table beside the data by the distinct values of its column."""
    tables: dict[str, _Table] = {}
    for expectation in suite["expectations"]:
        for key, value in expectation["kwargs"].items():
            if not isinstance(value, dict) or _BESIDE not in value:
                continue
            name, column = value[_BESIDE], value.get("column")
            if name not in tables:
                tables[name] = _table_beside(path, name, data, beside)
            table = tables[name]
            if column not in table.columns:
                raise ContractError(f'{path}: the table "{name}" has no column "{column}"; it has {table.columns}')
            place = table.columns.index(column)
            expectation["kwargs"][key] = list(dict.fromkeys(row[place] for row in table.rows))


def _table_beside(path: Path, name: str, data: Path | str | None, beside: Mapping[str, pandas.DataFrame]) -> _Table:
    if name in beside:
        return _from_frame(beside[name])
    if data is None:
        raise ContractError(f'{path}: it refers to the table "{name}"; pass it as beside["{name}"]')
    data = Path(data)
    stem, dot, suffix = data.name.partition(".")
    file = data.with_name(f"{stem}.{name}{dot}{suffix}")
    if not file.exists():
        raise ContractError(f'{data}: contract {path.stem} refers to the table "{name}"; put {file.name} beside it')
    return _read_table(file)


def _expectations(path: Path, suite: Mapping[str, Any]) -> list[Any]:
    """One object each: built as a suite, an unknown expectation is dropped with no more than a log line."""
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    known = list_registered_expectation_implementations()
    built = []
    for number, raw in enumerate(suite["expectations"], 1):
        place = f'{path}: expectation {number} "{raw["type"]}"'
        if raw["type"] not in known:
            raise ContractError(f"{place}: unknown{did_you_mean(raw['type'], known)}")
        try:
            built.append(ExpectationConfiguration(type=raw["type"], kwargs=dict(raw["kwargs"])).to_domain_obj())
        except Exception as error:  # pydantic v1, pandas and great-expectations each raise their own
            reasons = "; ".join(line.strip() for line in str(error).splitlines()[1:] if line.strip())
            raise ContractError(f"{place}: {reasons or error}") from None
    return built


# -- the evaluation


@contextlib.contextmanager
def _great_expectations() -> Iterator[None]:
    """Keeps the library quiet: no telemetry (read at import), no log lines or warnings of what is reported anyway."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    logger = logging.getLogger("great_expectations")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _evaluate(expectations: Sequence[Any], raw: Sequence[Mapping[str, Any]], table: _Table) -> list[Failure | None]:
    """One outcome for each expectation: None where it holds. One at a time, so that none can hide another."""
    import great_expectations
    from great_expectations.data_context.types.base import DataContextConfig, InMemoryStoreBackendDefaults
    from great_expectations.validator.v1_validator import Validator

    config = DataContextConfig(
        store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        analytics_enabled=False,
        progress_bars={"globally": False},
    )
    context = great_expectations.get_context(mode="ephemeral", project_config=config)
    asset = context.data_sources.add_pandas("assay").add_dataframe_asset("data")
    definition = asset.add_batch_definition_whole_dataframe("all")
    # one validator for all: `batch.validate` would hash the whole frame once for each expectation
    validator = Validator(definition, "COMPLETE", batch_parameters={"dataframe": _frame(table)})
    nested = table.nested()
    outcomes: list[Failure | None] = []
    for expectation, row in zip(expectations, raw, strict=True):
        columns = _columns(row["kwargs"])
        try:
            if reason := _not_evaluable(row["type"], columns, table.columns, nested):
                raise _UnsuitableError(reason)
            if row["type"].startswith("expect_column_distinct_values") and not _any_value(validator, row):
                raise _UnsuitableError(_NO_VALUE)
            result = validator.validate_expectation(expectation).to_json_dict()
        except Exception as error:
            outcomes.append(_not_evaluated(row["type"], columns, str(error)))
            continue
        outcomes.append(_outcome(row["type"], columns, result, table))
    return outcomes


def _any_value(validator: Any, raw: Mapping[str, Any]) -> bool:
    """Whether the expectation meets any value. Those on distinct values do not say, and hold if there is none."""
    from great_expectations.expectations.expectation_configuration import ExpectationConfiguration

    domain = {k: raw["kwargs"][k] for k in _DOMAIN if k in raw["kwargs"]}
    probe = ExpectationConfiguration(type="expect_column_values_to_be_null", kwargs=domain).to_domain_obj()
    result = validator.validate_expectation(probe).to_json_dict()["result"]
    return int(result["unexpected_count"]) > 0


class _UnsuitableError(Exception):
    """An expectation that the library would answer wrongly or not at all on this data."""


def _not_evaluable(kind: str, columns: Sequence[str], present: Sequence[str], nested: frozenset[str]) -> str:
    for column in columns:
        if column not in present:
            return f'column "{column}" is missing{did_you_mean(column, present)}'
        if column in nested and kind.startswith("expect_column_value_lengths"):
            return (
                f'column "{column}" holds lists or objects; say minItems in expect_column_values_to_match_json_schema'
            )
    return ""


def _outcome(kind: str, columns: Sequence[str], answer: Mapping[str, Any], table: _Table) -> Failure | None:
    raised = answer["exception_info"] or {}
    details = [raised] if "raised_exception" in raised else list(raised.values())
    messages = [d["exception_message"] for d in details if d.get("exception_message")]
    result = answer["result"] or {}
    if messages or not (result or kind == "expect_column_to_exist"):
        return _not_evaluated(kind, columns, "; ".join(messages) or "great-expectations gave no result")
    if reason := _vacuous(result):
        return _not_evaluated(kind, columns, reason)
    if answer["success"]:
        return None
    column = ", ".join(columns) or None
    if "element_count" not in result:
        return Failure(kind, column, *_observed(result))
    indices = [i for i in result.get("unexpected_index_list") or () if isinstance(i, int)]
    examples: list[Any] = []
    for value in result.get("unexpected_list") or ():
        plain = _plain(value)
        if plain not in examples:
            examples.append(plain)
        if len(examples) == EXAMPLES:
            break
    rows = tuple(table.places[i] for i in indices[:ROWS])
    return Failure(kind, column, tuple(examples), int(result["unexpected_count"]), rows)


def _observed(result: Mapping[str, Any]) -> tuple[tuple[Any, ...], int]:
    """Examples and count of an expectation on a whole column or table."""
    unexpected, missing = result.get("partial_unexpected_list", []), result.get("partial_missing_list", [])
    if unexpected or missing:
        absent = [{"missing": _plain(missing[:EXAMPLES])}] if missing else []
        count = result.get("unexpected_count", 0) + result.get("missing_count", 0)
        return (*map(_plain, unexpected[:EXAMPLES]), *absent), int(count)
    return (_plain(result.get("details", {}).get("mismatched", result.get("observed_value"))),), 1


def _vacuous(result: Mapping[str, Any]) -> str:
    """Why a result says nothing: it met no value. The library calls that a success."""
    if "element_count" in result:
        if not result["element_count"]:
            return "no row was looked at: the row condition selects none"
        if result.get("missing_count", 0) == result["element_count"]:
            return "no value was looked at: all are missing"
        return ""
    if "observed_value" not in result or "partial_unexpected_list" in result or "partial_missing_list" in result:
        return ""
    observed = result["observed_value"]
    empty = isinstance(observed, list | dict) and not observed
    if observed is None or empty or (isinstance(observed, float) and math.isnan(observed)):
        return _NO_VALUE
    return ""


def _not_evaluated(kind: str, columns: Sequence[str], reason: str) -> _NotEvaluated:
    return _NotEvaluated(kind, ", ".join(columns) or None, (reason[:_TEXT_LENGTH],), 1)


def _columns(kwargs: Mapping[str, Any]) -> list[str]:
    single = [kwargs[name] for name in ("column", "column_A", "column_B") if name in kwargs]
    listed = kwargs.get("column_list")
    return [str(name) for name in [*single, *(listed if isinstance(listed, list) else [])]]


def _plain(value: Any) -> Any:
    """A value as JSON can hold it, long texts cut."""
    if hasattr(value, "item") and not isinstance(value, str):
        value = value.item()
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return value if len(value) <= _TEXT_LENGTH else f"{value[: _TEXT_LENGTH - 3]}..."
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    return str(value)


def _frame(table: _Table) -> pandas.DataFrame:
    """Whole numbers as int64, numbers as float64, all else as it is: a text never becomes a number."""
    import pandas

    columns = {}
    for index, name in enumerate(table.columns):
        cells = [row[index] for row in table.rows]
        kinds = {type(cell) for cell in cells}
        if kinds == {bool}:
            columns[name] = pandas.Series(cells, dtype="bool")
        elif kinds == {int} and all(-(2**63) <= cell < 2**63 for cell in cells):
            columns[name] = pandas.Series(cells, dtype="int64")
        elif kinds - {type(None)} and kinds <= {int, float, type(None)} and _exact(cells):
            columns[name] = pandas.Series(cells, dtype="float64")
        else:
            texts = [_canonical(cell) if isinstance(cell, list | dict) else cell for cell in cells]
            columns[name] = pandas.Series(texts, dtype="object")
    return pandas.DataFrame(columns)


def _exact(cells: Sequence[Any]) -> bool:
    return all(not isinstance(cell, int) or abs(cell) <= 2**53 for cell in cells)


def _canonical(cell: Any) -> str:
    return json.dumps(cell, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


# -- the data


def _read_table(path: Path) -> _Table:
    """The file as rows; ContractError with file and line for whatever is damaged."""
    name = path.name.lower().removesuffix(".gz")
    readers: dict[str, Callable[[Path, bytes], _Table]] = {
        ".jsonl": _read_jsonl,
        ".json": _read_json,
        ".csv": _read_csv,
        ".tsv": _read_csv,
        ".parquet": _read_parquet,
    }
    suffix = Path(name).suffix
    if suffix not in readers:
        raise ContractError(f'{path}: unknown kind of file "{suffix}"; readable are {_READABLE}')
    return readers[suffix](path, _content(path))


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ContractError(f"{path}: no such file; check the path, or build the data first") from None
    except OSError as error:
        raise ContractError(f"{path}: cannot be read: {error.strerror}") from None
    if not path.name.lower().endswith(".gz"):
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise ContractError(f"{path}: not a whole gzip file ({error}); fetch or build it again") from None


def _decoded(path: Path, content: bytes) -> str:
    try:
        return content.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ContractError(f"{path}:{line}: byte {error.start} is not UTF-8; save the file as UTF-8") from None


def _json(text: str, place: str, line: int = 0) -> Any:
    """Parsed JSON; a key that stands twice in an object is an error, not the last one's win."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        table = dict(pairs)
        if len(table) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise ContractError(f'{place}: key "{twice}" stands twice in one object; keep one')
        return table

    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        where = place if line else f"{place}:{error.lineno}"
        raise ContractError(f"{where}: not valid JSON: {error.msg} (column {error.colno})") from None
    except RecursionError:
        raise ContractError(f"{place}: JSON nested too deeply; flatten it") from None


def _read_jsonl(path: Path, content: bytes) -> _Table:
    lines = _decoded(path, content).split("\n")
    truncated = lines[-1] != ""
    if not truncated:
        lines.pop()
    records: list[tuple[int, Any]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            raise ContractError(f"{path}:{number}: empty line; write the file again without it")
        try:
            records.append((number, _json(line, f"{path}:{number}", number)))
        except ContractError as error:
            if truncated and number == len(lines):
                raise ContractError(f"{error}; the last line is cut, the file is truncated") from None
            raise
    return _from_records(path, records, "line")


def _read_json(path: Path, content: bytes) -> _Table:
    raw = _json(_decoded(path, content), str(path))
    if not isinstance(raw, list):
        raise ContractError(f"{path}: a {type(raw).__name__} where a list of objects is needed")
    return _from_records(path, list(enumerate(raw, 1)), "row")


def _from_records(path: Path, records: list[tuple[int, Any]], unit: str) -> _Table:
    """Rows of objects that all have the same keys."""
    columns: tuple[str, ...] = ()
    rows: list[tuple[Any, ...]] = []
    for number, record in records:
        place = f"{path}:{number}" if unit == "line" else f"{path}: record {number}"
        if not isinstance(record, dict):
            raise ContractError(f"{place}: a {type(record).__name__} where an object is needed")
        if not rows:
            columns = tuple(record)
            if not columns:
                raise ContractError(f"{place}: an object without keys")
        if record.keys() != set(columns):
            missing, more = set(columns) - record.keys(), record.keys() - set(columns)
            parts = [f'key "{name}" is missing' for name in sorted(missing)]
            parts += [f'key "{name}" is not in the first row' for name in sorted(more)]
            raise ContractError(f"{place}: {'; '.join(parts[:3])}; give every row the same keys (null if empty)")
        rows.append(tuple(record[name] for name in columns))
    return _Table(columns, rows, [number for number, _ in records], unit)


def _read_csv(path: Path, content: bytes) -> _Table:
    """Cells are texts; a column in which all are numbers becomes one of numbers, an empty cell is missing."""
    text = _decoded(path, content)
    delimiter = "\t" if ".tsv" in path.name.lower() else ","
    limit = csv.field_size_limit(2**31 - 1)  # a source text is easily larger than the default of 128 KiB
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        lines: list[tuple[int, list[str]]] = []
        while True:
            start = reader.line_num + 1
            try:
                lines.append((start, next(reader)))
            except StopIteration:
                break
            except csv.Error as error:
                raise ContractError(f"{path}:{start}: not valid CSV: {error}; a quote is left open?") from None
    finally:
        csv.field_size_limit(limit)
    if not lines:
        return _Table((), [], [], "line")
    columns = tuple(lines[0][1])
    _unique_columns(str(path) + ":1", columns)
    for number, cells in lines[1:]:
        if len(cells) != len(columns):
            raise ContractError(
                f"{path}:{number}: {len(cells)} cells where the head has {len(columns)}; "
                "the row is cut or a delimiter is not quoted"
            )
    typed = [_typed([cells[i] for _, cells in lines[1:]]) for i in range(len(columns))]
    rows = list(zip(*typed, strict=True)) if typed else []
    return _Table(columns, rows, [number for number, _ in lines[1:]], "line")


def _typed(cells: list[str]) -> list[Any]:
    filled = [cell for cell in cells if cell != ""]
    if filled and all(re.fullmatch(r"-?(0|[1-9]\d*)", cell) for cell in filled):
        return [int(cell) if cell else None for cell in cells]
    number = r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?|-?(inf|nan)"
    if filled and all(re.fullmatch(number, cell) for cell in filled):
        return [float(cell) if cell else None for cell in cells]
    return [cell or None for cell in cells]


def _read_parquet(path: Path, content: bytes) -> _Table:
    try:
        pyarrow = importlib.import_module("pyarrow")
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise ContractError(f"{path}: reading parquet needs pyarrow; `pip install pyarrow`") from None
    try:
        table = parquet.read_table(pyarrow.BufferReader(content))
    except (pyarrow.ArrowException, OSError) as error:
        raise ContractError(f"{path}: not a readable parquet file: {error}; build it again") from None
    columns = tuple(table.column_names)
    _unique_columns(str(path), columns)
    rows = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
    return _Table(columns, rows, range(1, len(rows) + 1), "row")


def _from_frame(frame: pandas.DataFrame) -> _Table:
    columns = tuple(str(name) for name in frame.columns)
    _unique_columns("the frame", columns)
    cells = [[_cell(value) for value in frame.iloc[:, i].tolist()] for i in range(len(columns))]
    rows = list(zip(*cells, strict=True)) if cells else []
    return _Table(columns, rows, range(1, len(rows) + 1), "row")


def _cell(value: Any) -> Any:
    """A cell of a frame as plain data; pandas' and numpy's missing values become None."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, tuple | set | frozenset):
        value = list(value)
    if isinstance(value, float) and math.isnan(value):
        return None
    return None if type(value).__name__ in ("NAType", "NaTType") else value


def _unique_columns(place: str, columns: Sequence[str]) -> None:
    for index, name in enumerate(columns):
        if name in columns[:index]:
            raise ContractError(f'{place}: column "{name}" stands twice; rename one')
