"""The knowledge graph of many files: two passes over shards, each a pure function, merged in the order of the files.

First every file is read for its syntax, then every event is resolved over all modules. Shards write whole part files
that a later run takes up; how many shards and processes there are, and whether one was killed, never shows in a byte
of the result. Nothing but tables of names is held in memory.
"""

import hashlib
import itertools
import json
import marshal
import pickle
import platform
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple

from corpus import distributions as installed
from corpus import extraction, folders, manifest, metadata, syntax, triples
from corpus.archives import cache_folder
from corpus.distributions import Distribution
from corpus.errors import CorpusError
from corpus.extraction import repository
from corpus.java import extraction as java
from corpus.modules import ModuleTable, Place, Source
from corpus.parsing import UNREADABLE, content_of, reason_of
from corpus.processes import pool
from corpus.resolution import LONGEST_NAME
from corpus.triples import Entity, Provenance, Triple

FORMAT: Final = "corpus-graph-1"
SHARD_BYTES: Final = 2_000_000
KEPT: Final = 4

JAVA: Final = ".java"

_TABLE: Final = "table"
_COUNTED: Final = ("relations", "types", "languages", "distributions", "sites", "unresolved")

_CODE: Final = (
    "distributions", "extraction", "folders", "graph", "manifest", "metadata", "modules", "parsing", "resolution",
    "syntax", "triples", "java/declarations", "java/extraction", "java/platform",
)  # fmt: skip


class Graph(NamedTuple):
    """A finished graph on disk. `summary` is the content of the manifest."""

    triples: Path
    entities: Path
    manifest: Path
    summary: Mapping[str, Any]


class Read(NamedTuple):
    """What the first pass leaves of a shard: places of its files' facts, imports, and files that were skipped."""

    files: list[tuple[str, int, int, int, int]]
    """module, offset and length of its names, offset and length of its events."""
    imported: list[str]
    skipped: list[tuple[str, str, str]]
    """distribution, file, reason."""


def build(
    distributions: Sequence[Distribution],
    output: Path,
    *,
    processes: int = 2,
    shards: int | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Graph:
    """Write the graph of all files of the distributions, their tests among them.

    Beside `output` (`.jsonl` or `.parquet`) stand NAME.entities.* and NAME.manifest.json. A graph that is there
    already, of the same inputs and code, is kept. With `processes` > 1 the calling script needs the usual
    `if __name__ == "__main__":` guard.

    Raises CorpusError for an output that cannot be written, or that another run is writing.
    """
    if output.suffix not in (".jsonl", ".parquet"):
        raise CorpusError(f'{output}: a graph is written as .jsonl or .parquet, not "{output.suffix}"')
    say("listing files")
    plan = _Plan.of(distributions)
    result = _paths(output)
    kept = _kept(result, plan.key)
    if kept is not None:
        say("unchanged")
        return kept
    from filelock import FileLock, Timeout

    locks = cache_folder() / "locks"  # where the graph is, nothing but the graph is left behind
    try:
        locks.mkdir(parents=True, exist_ok=True)
        with FileLock(locks / f"{_sha256(str(output.resolve()).encode())[:32]}.lock", timeout=0):
            return _made(plan, distributions, result, _Pool(processes, say), shards, say)
    except Timeout:
        raise CorpusError(
            f"{output}: another run is writing it; wait until that has ended, or choose another place with -o"
        ) from None
    except OSError as error:
        raise CorpusError(
            f"cannot write {error.filename or output}: {error.strerror}; choose another place with -o"
        ) from None


def _made(
    plan: "_Plan",
    distributions: Sequence[Distribution],
    result: Graph,
    pool: "_Pool",
    shards: int | None,
    say: Callable[[str], None],
) -> Graph:
    key, told, output = plan.key, plan.told, result.triples
    work = output.parent / f".{output.name}.parts"
    _prepare(work, key)
    parted = [_Shard(one, work, key) for one in _slices(plan.sources, shards)]
    reads = pool.run("reading", _read_part, parted)
    extensions = frozenset(one.name for found in told.values() for one in found.targets if one.runs is None)
    table = _Table.of(parted, reads, extensions)
    (work / _TABLE).write_bytes(pickle.dumps(table))
    parts = pool.run("resolving", _resolve_part, parted)
    files = [(shard.file(".triples.jsonl"), shard.file(".entities.jsonl")) for shard in parted]
    skipped = [*plan.taken, *(one for read in reads for one in read.skipped)]
    if any(path.suffix == JAVA for each in distributions for path in (*each.files, *each.tests)):
        say("reading Java")
        files.append((work / "java.triples.jsonl", work / "java.entities.jsonl"))
        counted, missed = java_part(distributions, frozenset(table.places), *files[-1])
        parts.append(counted)
        skipped += missed
    say("merging")
    head = _metadata_graph(distributions, told, table.modules())
    summary = _summarise(distributions, plan.inputs, key, parts, head, skipped)
    _merge(result, files, head, summary.pop("outside"))
    summary["outputs"] = {path.name: _digest(path)[0] for path in (result.triples, result.entities)}
    triples.write_text(result.manifest, json.dumps(summary, indent=1) + "\n")
    shutil.rmtree(work)
    return result._replace(summary=summary)


def cached(
    distributions: Sequence[Distribution], *, processes: int = 2, say: Callable[[str], None] = lambda text: None
) -> Graph:
    """The graph in the user's cache, made when the inputs or this code have changed; one process makes it.

    The graphs made last are kept, `KEPT` of them.
    """
    from filelock import FileLock

    place = cache_folder() / "graphs"
    place.mkdir(parents=True, exist_ok=True)
    folder = place / _Plan.of(distributions).key[:32]
    with FileLock(place / ".lock"):
        found = build(distributions, folder / "graph.jsonl", processes=processes, say=say)
        folder.touch()
        others = sorted((one for one in place.iterdir() if one.is_dir()), key=lambda one: one.stat().st_mtime)
        for old in others[:-KEPT]:
            shutil.rmtree(old, ignore_errors=True)
    return found


def sources_of(distributions: Sequence[Distribution]) -> tuple[list[Source], list[tuple[str, str, str]]]:
    """Every Python file in the order of the graph (distribution, file), and those whose module name is taken.

    Two files of one module name would make two things of one name: the first keeps it.
    """
    found: list[Source] = []
    taken: list[tuple[str, str, str]] = []
    names: set[str] = set()
    for each in sorted(distributions, key=lambda one: one.name):
        tests = set(each.tests)
        for path in sorted({*each.files, *each.tests}, key=each.relative):
            if path.suffix == JAVA:
                continue
            file = each.relative(path)
            module = folders.module_name(each.root, file) if each.folder else installed.module_name(file)
            if module in names or module == "builtins":  # the interpreter's own
                taken.append((each.name, file, "module-name-taken"))
                continue
            names.add(module)
            found.append(
                Source(
                    each.name, each.version, each.licence, str(path), file, module,
                    path.name == "__init__.py", path in tests, _size(path),
                )
            )  # fmt: skip
    return found, taken


def _check_names(distributions: Sequence[Distribution]) -> None:
    if not distributions:
        raise CorpusError("a graph needs at least one distribution or folder")
    for name, count in Counter(each.name for each in distributions).items():
        if count > 1:
            raise CorpusError(f'"{name}" is the name of {count} inputs of one graph; name each once')


# -- the two passes --------------------------------------------------------------------------------


def read_shard(shard: Sequence[Source], out: Path) -> Read:
    """First pass: the syntax of each file into `out`, one after the other."""
    files: list[tuple[str, int, int, int, int]] = []
    skipped: list[tuple[str, str, str]] = []
    imported: set[str] = set()
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(20_000)  # Python frames live on the heap; the parser has its own limit
    try:
        with out.open("wb") as file:
            for source in shard:
                try:
                    facts = syntax.read(content_of(Path(source.path)))
                    names = marshal.dumps(facts["scopes"])
                    events = marshal.dumps((facts["events"], facts["imports"]))
                except UNREADABLE as error:
                    skipped.append((source.distribution, source.file, reason_of(error)))
                    continue
                files.append((source.module, file.tell(), len(names), file.tell() + len(names), len(events)))
                file.write(names + events)
                for _, module, level, _, _ in facts["imports"]:
                    if level == 0:
                        imported.add(module)
    finally:
        sys.setrecursionlimit(limit)
    return Read(files, sorted(imported), skipped)


def resolve_shard(
    shard: Sequence[Source],
    facts: Path,
    read: Read,
    modules: ModuleTable,
    outside: frozenset[str],
    triples_out: Path,
    entities_out: Path,
) -> dict[str, Any]:
    """Second pass: triples and entities of each file as JSON lines; what was counted comes back."""
    sources = {source.module: source for source in shard}
    types: dict[str, str] = {}
    files: dict[str, list[int]] = {}
    counts: dict[str, Counter[str]] = {name: Counter() for name in _COUNTED}
    with (
        facts.open("rb") as file,
        triples_out.open("w", encoding="ascii", newline="\n") as edges,
        entities_out.open("w", encoding="ascii", newline="\n") as nodes,
    ):
        for module, _, _, offset, length in read.files:
            file.seek(offset)
            events, imports = marshal.loads(file.read(length))
            found = extraction.extract(sources[module], events, imports, modules, outside)
            edges.writelines(triples.triple_line(one) for one in found.triples)
            nodes.writelines(triples.entity_line(one) for one in found.entities)
            types |= found.outside
            calls = found.sites["calls"]
            missed = sum(count for (relation, _), count in found.unresolved.items() if relation == "calls")
            files[f"{sources[module].distribution}/{sources[module].file}"] = [calls - missed, calls]
            counts["sites"].update(found.sites)
            counts["unresolved"].update({f"{relation}\t{why}": n for (relation, why), n in found.unresolved.items()})
            counts["relations"].update(one.relation for one in found.triples)
            counts["types"].update(one.type for one in found.entities)
            counts["languages"]["python"] += len(found.triples)
            counts["distributions"][sources[module].distribution] += len(found.triples)
    return {"outside": types, "files": files, **counts}


def java_part(
    distributions: Sequence[Distribution], modules: frozenset[str], triples_out: Path, entities_out: Path
) -> tuple[dict[str, Any], list[tuple[str, str, str]]]:
    """Triples and entities of all Java files as JSON lines, in the order of the graph; what was counted, and skipped.

    Types see each other across distributions; `modules` are the names that Python modules have taken.
    """
    types: dict[str, str] = {}
    counts: dict[str, Counter[str]] = {name: Counter() for name in _COUNTED}
    files: dict[str, list[int]] = {}
    skipped: list[tuple[str, str, str]] = []
    wanted: list[tuple[java.Place, bytes | Path, bool]] = []
    for each in sorted(distributions, key=lambda one: one.name):
        tests = set(each.tests)
        for path in sorted({*each.files, *each.tests}, key=each.relative):
            if path.suffix == JAVA:
                place = java.Place(each.name, each.version, each.relative(path), each.licence)
                wanted.append((place, path, path in tests))
    with (
        triples_out.open("w", encoding="ascii", newline="\n") as edges,
        entities_out.open("w", encoding="ascii", newline="\n") as nodes,
    ):
        for place, found in java.results(wanted, modules):
            if isinstance(found, str):
                skipped.append((place.distribution, place.file, found))
                continue
            edges.writelines(map(triples.triple_line, found.triples))
            nodes.writelines(map(triples.entity_line, found.entities))
            types |= found.outside
            counts["sites"].update(found.sites)
            counts["unresolved"].update({f"{relation}\t{why}": n for (relation, why), n in found.unresolved.items()})
            counts["relations"].update(one.relation for one in found.triples)
            counts["types"].update(one.type for one in found.entities)
            counts["languages"]["java"] += len(found.triples)
            counts["distributions"][place.distribution] += len(found.triples)
            calls = found.sites["calls"]
            missed = sum(count for (relation, _), count in found.unresolved.items() if relation == "calls")
            files[f"{place.distribution}/{place.file}"] = [calls - missed, calls]
    return {"outside": types, "language": "java", "files": files, **counts}, skipped


# -- parts that a later run takes up ---------------------------------------------------------------


class _Shard(NamedTuple):
    sources: Sequence[Source]
    work: Path
    key: str

    def file(self, suffix: str) -> Path:
        first, last = self.sources[0], self.sources[-1]
        name = _sha256(f"{first.distribution}/{first.file} {last.distribution}/{last.file}".encode())[:16]
        return self.work / f"{name}{suffix}"


class _Table(NamedTuple):
    """What the second pass knows of the first."""

    places: dict[str, Place]
    extensions: frozenset[str]
    outside: frozenset[str]

    @classmethod
    def of(cls, plan: Sequence[_Shard], reads: Sequence[Read], extensions: frozenset[str]) -> "_Table":
        places: dict[str, Place] = {}
        imported: set[str] = set()
        for shard, read in zip(plan, reads, strict=True):
            sources = {source.module: source for source in shard.sources}
            for module, offset, length, _, _ in read.files:
                places[module] = Place(sources[module], str(shard.file(".facts")), offset, length)
            imported.update(read.imported)
        parents = {
            ".".join(parts[:end])
            for parts in (one.split(".") for one in imported)
            if len(parts) <= LONGEST_NAME
            for end in range(1, len(parts))
        }
        return cls(places, extensions, frozenset(imported | parents) - places.keys() - extensions)

    def modules(self) -> ModuleTable:
        return ModuleTable(self.places, self.extensions)


def _read_part(shard: _Shard) -> Read:
    done = shard.file(".read.json")
    if done.is_file():
        files, imported, skipped = json.loads(done.read_text())
        return Read([tuple(row) for row in files], imported, [tuple(row) for row in skipped])
    found = read_shard(shard.sources, shard.file(".facts"))
    triples.write_text(done, json.dumps(found))
    return found


def _resolve_part(shard: _Shard) -> dict[str, Any]:
    done = shard.file(".resolved.json")
    if not done.is_file():
        outside, modules = _known(shard)
        counted = resolve_shard(
            shard.sources, shard.file(".facts"), _read_part(shard), modules, outside,
            shard.file(".triples.jsonl"), shard.file(".entities.jsonl"),
        )  # fmt: skip
        triples.write_text(done, json.dumps(counted))
    counts: dict[str, Any] = json.loads(done.read_text())
    return counts


_kept_tables: dict[tuple[Path, str], tuple[frozenset[str], ModuleTable]] = {}


def _known(shard: _Shard) -> tuple[frozenset[str], ModuleTable]:
    """One table a process: it keeps the modules read last for the shards that follow."""
    place = (shard.work, shard.key)
    if place not in _kept_tables:
        _kept_tables.clear()
        # assay: ignore[AS505] written by the parent process of this very run
        table: _Table = pickle.loads((shard.work / _TABLE).read_bytes())
        _kept_tables[place] = table.outside, table.modules()
    return _kept_tables[place]


def _prepare(work: Path, key: str) -> None:
    """The folder of parts; parts of other inputs or other code are no use."""
    mark = work / "key"
    if work.is_dir() and not (mark.is_file() and mark.read_text() == key):
        shutil.rmtree(work)
    work.mkdir(parents=True, exist_ok=True)
    mark.write_text(key)


def _slices(sources: Sequence[Source], shards: int | None) -> list[Sequence[Source]]:
    """Contiguous slices of about equal size in bytes."""
    total = sum(source.size for source in sources)
    wanted = max(1, shards or -(-total // SHARD_BYTES))
    plan: list[list[Source]] = [[]]
    filled = 0
    for source in sources:
        if plan[-1] and len(plan) < wanted and filled >= len(plan) * total / wanted:
            plan.append([])
        plan[-1].append(source)
        filled += source.size
    return [one for one in plan if one]


class _Pool:
    """Runs a function over shards, in this process or in several; results in order."""

    def __init__(self, processes: int, say: Callable[[str], None]) -> None:
        self._processes, self._say = processes, say

    def run(self, what: str, function: Callable[[_Shard], Any], plan: Sequence[_Shard]) -> list[Any]:
        total = sum(len(shard.sources) for shard in plan)
        found: list[Any] = []
        done = 0
        for shard, one in zip(plan, self._results(function, plan), strict=True):
            found.append(one)
            done += len(shard.sources)
            self._say(f"{what} {done:,} of {total:,} files")
        return found

    def _results(self, function: Callable[[_Shard], Any], plan: Sequence[_Shard]) -> Iterator[Any]:
        if self._processes <= 1 or len(plan) <= 1:
            yield from map(function, plan)
            return
        with pool(min(self._processes, len(plan))) as several:
            yield from several.map(function, plan)


# -- what metadata add, and the whole --------------------------------------------------------------


class _Edges(NamedTuple):
    triples: list[Triple]
    entities: list[Entity]
    outside: dict[str, str]
    unresolved: Counter[str]


def _metadata_graph(
    distributions: Sequence[Distribution], told: Mapping[str, metadata.Metadata], modules: ModuleTable
) -> _Edges:
    """Repositories, what they depend on, what installing them makes, and what an entry point runs."""
    result = _Edges([], [], {}, Counter())
    seen: set[tuple[str, str, str]] = set()
    defined: set[str] = set()
    inside = {installed.normalised(each.name) for each in distributions}

    def add(head: tuple[str, str], relation: str, tail: tuple[str, str], place: Provenance) -> None:
        if (head[0], relation, tail[0]) not in seen:
            seen.add((head[0], relation, tail[0]))
            result.triples.append(Triple(head[0], relation, tail[0], head[1], tail[1], place))

    for each in sorted(distributions, key=lambda one: one.name):
        found = told[each.name]
        repo = (repository(each.name), "Repository")

        def at(file: str, span: syntax.Span, each: Distribution = each) -> Provenance:
            return Provenance(each.name, each.version, file, span, each.licence)

        first = found.files[0] if found.files else each.relative(min((*each.files, *each.tests)))
        result.entities.append(Entity(*repo, "metadata", at(first, (1, 0, 1, 0))))
        for need in found.dependencies:
            tail = (repository(need.name), "Repository") if need.name in inside else (f"dist:{need.name}", "Library")
            if tail[1] == "Library":
                result.outside[tail[0]] = "Library"
            add(repo, "depends_on", tail, at(need.file, need.span))
        for target in found.targets:
            if modules.has(target.name):
                continue
            node = (target.name, "BuildTarget")
            place = at(target.file, target.span)
            if target.name not in defined:
                defined.add(target.name)
                result.entities.append(Entity(*node, "metadata", place))
            add(repo, "produces", node, place)
            if target.runs is not None:
                tails = extraction.entry_point(target.runs, modules)
                if not tails:
                    result.unresolved["invokes\tentry point that leads nowhere"] += 1
                for relation, name, type_ in tails:
                    if type_ in ("API", "Library"):
                        result.outside[name] = type_
                    add(node, relation, (name, type_), place)
    return result


def _summarise(
    distributions: Sequence[Distribution],
    inputs: Sequence[manifest.Row],
    key: str,
    parts: Sequence[Mapping[str, Any]],
    head: _Edges,
    skipped: Sequence[tuple[str, str, str]],
) -> dict[str, Any]:
    """The manifest: everything counted, nothing of time or place, so that the same graph has the same manifest."""
    tables: dict[str, Counter[str]] = {name: Counter() for name in _COUNTED}
    files: dict[str, list[int]] = {}
    outside = {name: (type_, "python") for name, type_ in head.outside.items()}
    for part in parts:
        language = part.get("language", "python")
        named = {name: (type_, language) for name, type_ in part["outside"].items()}
        outside = {**named, **outside} if language == "java" else {**outside, **named}
        files |= part["files"]
        for name, table in tables.items():
            table.update(part[name])
    for triple in head.triples:
        tables["relations"][triple.relation] += 1
        tables["languages"][triple.language] += 1
        tables["distributions"][triple.provenance.distribution] += 1
    tables["types"].update(entity.type for entity in head.entities)
    tables["types"].update(type_ for type_, _ in outside.values())
    tables["unresolved"].update(head.unresolved)
    unresolved: dict[str, dict[str, int]] = {}
    for name, count in tables["unresolved"].most_common():
        relation, reason = name.split("\t")
        unresolved.setdefault(relation, {})[reason] = count
    reasons = Counter(reason for _, _, reason in skipped)
    return {
        "format": FORMAT,
        "key": key,
        "python": platform.python_version(),
        "triples": sum(tables["relations"].values()),
        "entities": sum(tables["types"].values()),
        "outside_entities": len(outside),
        "relations": dict(tables["relations"].most_common()),
        "types": dict(tables["types"].most_common()),
        "languages": dict(tables["languages"].most_common()),
        "sites": dict(sorted(tables["sites"].items())),
        "unresolved": unresolved,
        "skipped": dict(reasons.most_common()),
        "skipped_files": [list(one) for one in sorted(skipped)],
        "distributions": {
            each.name: {
                "version": each.version,
                "licence": each.licence,
                "files": len(each.files),
                "tests": len(each.tests),
                "left_out": {reason: n for reason, n in each.left_out.items() if reason != "test"},
                "triples": tables["distributions"][each.name],
            }
            for each in sorted(distributions, key=lambda one: one.name)
        },
        "files": files,  # call sites resolved, and all
        "inputs": [list(asdict(row).values()) for row in inputs],
        "outside": outside,
    }


def _merge(
    result: Graph, files: Sequence[tuple[Path, Path]], head: _Edges, outside: Mapping[str, tuple[str, str]]
) -> None:
    """Head, parts in order (triples and entities of each), then what lies outside, by name."""
    others = [Entity(name, type_, language, None) for name, (type_, language) in sorted(outside.items())]
    if result.triples.suffix == ".parquet":
        edges = (one for part, _ in files for one in triples.read_triples(part))
        nodes = (one for _, part in files for one in triples.read_entities(part))
        triples.write_triples(result.triples, itertools.chain(head.triples, edges))
        triples.write_entities(result.entities, itertools.chain(head.entities, nodes, others))
        return
    triples.join(result.triples, head.triples, [part for part, _ in files], [])
    triples.join(result.entities, head.entities, [part for _, part in files], others)


# -- identity --------------------------------------------------------------------------------------


class _Plan(NamedTuple):
    """What a graph is made of, and its key."""

    sources: list[Source]
    taken: list[tuple[str, str, str]]
    told: dict[str, metadata.Metadata]
    inputs: list[manifest.Row]
    key: str

    @classmethod
    def of(cls, distributions: Sequence[Distribution]) -> "_Plan":
        _check_names(distributions)
        sources, taken = sources_of(distributions)
        told = {each.name: metadata.of(each) for each in distributions}
        inputs = _inputs(distributions, sources, told)
        return cls(sources, taken, told, inputs, _key(inputs, {name: found.targets for name, found in told.items()}))


def _paths(output: Path) -> Graph:
    entities = output.with_suffix(f".entities{output.suffix}")
    return Graph(output, entities, output.with_suffix(".manifest.json"), {})


def _kept(result: Graph, key: str) -> Graph | None:
    """The graph that lies there, where it is of these inputs and every byte of it is what was written."""
    try:
        summary = json.loads(result.manifest.read_text(encoding="utf-8"))
        paths = (result.triples, result.entities)
        if summary["key"] == key and summary["outputs"] == {one.name: _digest(one)[0] for one in paths}:
            return result._replace(summary=summary)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _inputs(
    distributions: Sequence[Distribution], sources: Sequence[Source], told: Mapping[str, metadata.Metadata]
) -> list[manifest.Row]:
    """One row a file that the graph is made from; a file that cannot be read has no digest, and is skipped later."""
    rows = [
        manifest.Row(one.distribution, one.version, one.licence, one.file, *_digest(Path(one.path))) for one in sources
    ]
    for each in distributions:
        others = [each.relative(path) for path in (*each.files, *each.tests) if path.suffix == JAVA]
        for file in (*told[each.name].files, *others):
            rows.append(manifest.Row(each.name, each.version, each.licence, file, *_digest(each.root / file)))
    return sorted(rows)


def _digest(path: Path) -> tuple[str, int]:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size
    except OSError:
        return "", 0


def _key(inputs: Sequence[manifest.Row], targets: Mapping[str, Any]) -> str:
    """What the bytes of a graph depend on: inputs, compiled extensions, this code, and the parser."""
    code = [_sha256(Path(__file__).parent.joinpath(f"{name}.py").read_bytes()) for name in _CODE]
    rows = [list(asdict(row).values()) for row in inputs]
    names = sorted((name, one.name) for name, found in targets.items() for one in found)
    return _sha256(json.dumps([FORMAT, code, rows, names, sys.version_info[:2]]).encode())


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
