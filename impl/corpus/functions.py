"""Functions of Python files, each on its own: normalised source, names of the modules it uses, masked twin,
hash.

Everything after the bytes of a file is a pure function of its text. It must never execute what it reads, and
a file that cannot be read is counted with its reason, never raised.
"""

import ast
import hashlib
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from corpus.distributions import Distribution, module_name
from corpus.parsing import UNREADABLE, FunctionNode, content_of, function_node, parse, reason_of, unparse
from corpus.processes import pool
from corpus.scopes import Analysis, Occurrence, TooLargeError, add_imports

MIN_NODES: Final = 10  # below: stubs and one-word accessors, the same in every package
MAX_NODES: Final = 600  # above: 1 % of functions, a fifth of all nodes, and too slow for a 10 ms answer
MIN_STATEMENTS: Final = 2
MIN_NODES_OF_ONE_STATEMENT: Final = 15  # a single statement this large does something: a comprehension, a call

_PLACEHOLDER: Final = "__import_bound_{}__"
_PLACEHOLDERS: Final = re.compile(r"__import_bound_(\d+)__")
_MASK: Final = re.compile(r"\bM(\d+)\b")


@dataclass(frozen=True, slots=True)
class Function:
    """One function of one file.

    `source` is `ast.unparse` of its definition without the docstring, decorators kept; `line` and `end_line`
    are those of the definition in `file` (a POSIX path under the distribution's root). `uses` are the
    top-level modules whose import-bound names the definition reads, sorted, without relative imports and the
    function's own package. `masked` is `source` without import statements and docstrings of nested definitions,
    with every import-bound name as M0, M1, ... in order of appearance, in annotations that are texts too, and with
    every text empty that still holds a module of `uses` as a whole word; what merely shares a module's name (an
    attribute, as in `M0.time()`, a keyword, a parameter) stays. `ast_hash` is `ast_hash(source)`. `record_id` depends
    on distribution, version, file, qualified name and line, not on the running Python.
    """

    record_id: str
    distribution: str
    version: str
    licence: str
    module: str
    file: str
    qualname: str
    line: int
    end_line: int
    source: str
    docstring: str
    uses: tuple[str, ...]
    masked: str
    ast_hash: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file (or, with `qualname`, a function) that could not be read, and why in one word."""

    distribution: str
    file: str
    qualname: str
    reason: str


def functions_of(
    distributions: Sequence[Distribution],
    processes: int = 2,
    skipped: list[Skipped] | None = None,
    documented: bool = False,
) -> list[Function]:
    """Functions of all files, in the order of `distributions` and their files, whatever `processes` is.

    `documented` keeps those with a docstring alone, in less than half of the time.

    What could not be read is appended to `skipped`. With `processes` > 1 the calling script needs the usual
    `if __name__ == "__main__":` guard, since the workers are spawned.
    """
    jobs = [_Job.of(each, file, documented) for each in distributions for file in each.files]
    found: list[Function] = []
    total = len(jobs)
    for done, (functions, missed) in enumerate(_read_all(jobs, processes), start=1):
        found.extend(functions)
        if skipped is not None:
            skipped.extend(missed)
        if sys.stderr.isatty() and (done % 50 == 0 or done == total):
            end = "\n" if done == total else ""
            print(f"\rcorpus: {done:,}/{total:,} files, {len(found):,} functions", end=end, file=sys.stderr)
    return found


def functions(distribution: Distribution, skipped: list[Skipped] | None = None) -> Iterator[Function]:
    """Functions of one distribution, file by file, in this process."""
    for file in distribution.files:
        found, missed = _read(_Job.of(distribution, file, documented=False))
        if skipped is not None:
            skipped.extend(missed)
        yield from found


def from_text(
    text: str | bytes,
    *,
    file: str = "module.py",
    distribution: str = "",
    version: str = "",
    licence: str = "",
    skipped: list[Skipped] | None = None,
    documented: bool = False,
) -> list[Function]:
    """Functions of one file's text; those with a docstring if `documented`.

    Raises as `ast.parse`: SyntaxError, ValueError, RecursionError.
    """
    tree = parse(text)
    module = module_name(file)
    package = module.partition(".")[0]
    imports = _module_imports(tree)
    found: list[Function] = []
    for node, qualname, class_names in _definitions(tree.body):
        if not _is_worth_keeping(node) or (documented and ast.get_docstring(node, clean=False) is None):
            continue
        try:
            parts = _describe(node, imports, package, class_names)
        except TooLargeError:
            continue
        except (RecursionError, ValueError):
            # `ast.unparse` of this Python cannot write some f-strings; deep chains exhaust its recursion.
            if skipped is not None:
                skipped.append(Skipped(distribution, file, qualname, "not-unparseable"))
            continue
        if parts is None:
            continue
        identity = "\0".join((distribution, version, file, qualname, str(node.lineno)))
        found.append(
            Function(
                record_id=hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:16],
                distribution=distribution,
                version=version,
                licence=licence,
                module=module,
                file=file,
                qualname=qualname,
                line=node.lineno,
                end_line=node.end_lineno or node.lineno,
                source=parts.source,
                docstring=parts.docstring,
                uses=parts.uses,
                masked=parts.masked,
                ast_hash=parts.ast_hash,
            )
        )
    return found


def ast_hash(source: str) -> str:
    """Hash of a function's tree (16 hex digits) with bound names as ranks, constants as types, docstring
    dropped.

    Comments, layout, alpha-renaming and other constants do not change it; attributes, free names, keywords
    do. Raises SyntaxError where `source` does not parse, ValueError where it holds no function.
    """
    return node_hash(function_node(source))


def node_hash(node: FunctionNode) -> str:
    """`ast_hash` of a tree that nothing else needs: it loses its docstring here."""
    _drop_docstring(node)
    return _hash(Analysis(node))


# -- one file --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Job:
    distribution: str
    version: str
    licence: str
    path: str
    file: str
    documented: bool

    @classmethod
    def of(cls, distribution: Distribution, file: Path, documented: bool) -> "_Job":
        return cls(
            distribution.name,
            distribution.version,
            distribution.licence,
            str(file),
            distribution.relative(file),
            documented,
        )


def _read_all(work: Sequence[_Job], processes: int) -> Iterator[tuple[list[Function], list[Skipped]]]:
    if processes <= 1 or len(work) < 32:
        yield from map(_read, work)
        return
    with pool(processes) as several:
        yield from several.map(_read, work, chunksize=16)


def _read(job: _Job) -> tuple[list[Function], list[Skipped]]:
    skipped: list[Skipped] = []
    try:
        content = content_of(Path(job.path))
        found = from_text(
            content,
            file=job.file,
            distribution=job.distribution,
            version=job.version,
            licence=job.licence,
            skipped=skipped,
            documented=job.documented,
        )
        return found, skipped
    except UNREADABLE as error:
        return [], [*skipped, Skipped(job.distribution, job.file, "", reason_of(error))]


def _definitions(
    body: Sequence[ast.stmt], prefix: str = "", class_names: frozenset[str] | None = None
) -> Iterator[tuple[FunctionNode, str, frozenset[str] | None]]:
    """Functions at module or class level, also inside if, try, with and loops there; not those inside
    functions.

    The third element is None at module level, else the names that the surrounding class binds.
    """
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node, prefix + node.name, class_names
        elif isinstance(node, ast.ClassDef):
            yield from _definitions(node.body, f"{prefix}{node.name}.", _class_names(node))
        else:
            for block in _blocks(node):
                yield from _definitions(block, prefix, class_names)


def _blocks(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list):
            yield block
    for name in ("handlers", "cases"):
        for part in getattr(node, name, ()):
            yield part.body


def _class_names(node: ast.ClassDef) -> frozenset[str]:
    names: set[str] = set()
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(statement.name)
        elif isinstance(statement, ast.Assign):
            names.update(target.id for target in statement.targets if isinstance(target, ast.Name))
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            names.add(statement.target.id)
    return frozenset(names)


def _module_imports(tree: ast.Module) -> dict[str, set[str]]:
    imports: dict[str, set[str]] = {}
    pending: list[ast.stmt] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            add_imports(node, imports)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            for block in _blocks(node):
                pending.extend(block)
    return imports


# -- one function ----------------------------------------------------------------------------------


class _Parts(NamedTuple):
    source: str
    docstring: str
    uses: tuple[str, ...]
    masked: str
    ast_hash: str


def _drop_docstring(node: FunctionNode | ast.ClassDef) -> str:
    docstring = ast.get_docstring(node, clean=False)
    if docstring is None:
        return ""
    node.body = node.body[1:] or [ast.Pass()]
    return inspect.cleandoc(docstring).encode("utf-8", "replace").decode("utf-8")


def _is_worth_keeping(node: FunctionNode) -> bool:
    """A cheap look before the full walk: enough statements, or one that may be large enough."""
    body = node.body
    if ast.get_docstring(node, clean=False) is not None:
        body = body[1:]
    if len(body) >= MIN_STATEMENTS:
        return True
    return len(body) == 1 and not isinstance(body[0], ast.Pass | ast.Raise)


def _hash(analysis: Analysis) -> str:
    return hashlib.sha256(analysis.normal_form().encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _describe(
    node: FunctionNode, imports: Mapping[str, set[str]], package: str, class_names: frozenset[str] | None
) -> _Parts | None:
    docstring = _drop_docstring(node)
    analysis = Analysis(node, limit=MAX_NODES)
    if analysis.nodes < MIN_NODES:
        return None
    if len(node.body) < MIN_STATEMENTS and _count(node.body[0]) < MIN_NODES_OF_ONE_STATEMENT:
        return None
    bound = _import_bound(analysis, imports, class_names)
    digest = _hash(analysis)
    uses: set[str] = set()
    names: dict[tuple[int, str], int] = {}
    originals: list[str] = []
    aliases = (ast.alias,)

    def placeholder(owner: int, name: str) -> str:
        if (owner, name) not in names:
            names[owner, name] = len(originals)
            originals.append(name)
        return _PLACEHOLDER.format(names[owner, name])

    def placeholder_in_text(name: str) -> str:
        if name in imports and name not in (class_names or ()):
            return placeholder(0, name)
        return placeholder(id(analysis.scope), name) if name in analysis.scope.imports else name

    for occurrence, owner, modules in bound:
        if isinstance(occurrence.node, aliases):
            continue
        if occurrence.node is not node:  # a fallback's own name is the import's too, but that is no use of it
            uses |= modules
        occurrence.rename(placeholder(owner, occurrence.name))
    uses.discard(package)
    marked = unparse(node)
    source = _PLACEHOLDERS.sub(lambda match: originals[int(match[1])], marked)
    if analysis.imports_inside or "'" in marked or '"' in marked:  # names have gone; texts may tell of modules
        _Masker(placeholder_in_text, uses).visit(node)  # the tree has served: nothing reads it after its last text
        marked = unparse(node)
    return _Parts(source, docstring, tuple(sorted(uses)), _numbered(marked), digest)


def _import_bound(
    analysis: Analysis, imports: Mapping[str, set[str]], class_names: frozenset[str] | None
) -> list[tuple[Occurrence, int, set[str]]]:
    """Occurrences of names that an import binds, with a key of their scope (0 = module) and the modules."""
    found: list[tuple[Occurrence, int, set[str]]] = []
    for occurrence in analysis.occurrences:
        name = occurrence.name
        owner = occurrence.scope.resolve(name)
        if owner is not None and owner is not analysis.outer:
            if name in owner.imports:
                found.append((occurrence, id(owner), owner.imports[name]))
            continue
        # The function's own name and every free name are the module's; a method's own name is its class's.
        if class_names is not None and occurrence.scope is analysis.outer and name in class_names:
            continue
        if name in imports:
            found.append((occurrence, 0, imports[name]))
        elif name in analysis.scope.global_names and name in analysis.scope.imports:
            found.append((occurrence, 0, analysis.scope.imports[name]))
    return found


def _numbered(marked: str) -> str:
    """Placeholders -> M0, M1, ... in order of appearance, passing over those that the source uses itself."""
    taken = {int(number) for number in _MASK.findall(marked)}
    numbers: dict[str, int] = {}
    following = 0

    def mask(match: re.Match[str]) -> str:
        nonlocal following
        if match[1] not in numbers:
            while following in taken:
                following += 1
            numbers[match[1]] = following
            following += 1
        return f"M{numbers[match[1]]}"

    return _PLACEHOLDERS.sub(mask, marked)


def _count(node: ast.AST) -> int:
    return sum(not isinstance(each, ast.expr_context) for each in ast.walk(node))


class _Masker(ast.NodeTransformer):
    """Takes out what else tells of modules: imports, docstrings, texts; `placeholder` masks a name in a text."""

    def __init__(self, placeholder: Callable[[str], str], uses: Iterable[str]) -> None:
        self._placeholder = placeholder
        self._telling = re.compile(rf"\b({'|'.join(map(re.escape, uses)) or '(?!)'})\b")

    def visit_Import(self, node: ast.Import) -> ast.stmt:
        return ast.Pass()

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.stmt:
        return ast.Pass()

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        if isinstance(node.value, str) and self._telling.search(node.value):
            node.value = ""
        elif isinstance(node.value, bytes) and self._telling.search(node.value.decode("latin-1")):
            node.value = b""
        return node

    def _annotation(self, node: ast.AST) -> None:
        """Mask names in the texts of an annotation, and in the texts of those, where they parse."""
        for each in ast.walk(node):
            if not isinstance(each, ast.Constant) or not isinstance(each.value, str):
                continue
            try:
                (written,) = parse(each.value.strip()).body
                before = unparse(written)
            except UNREADABLE:
                continue
            for name in ast.walk(written):
                if isinstance(name, ast.Name):
                    name.id = self._placeholder(name.id)
            self._annotation(written)
            after = unparse(written)
            if after != before:
                each.value = after

    def generic_visit(self, node: ast.AST) -> ast.AST:
        for name in ("annotation", "returns"):
            annotation = getattr(node, name, None)
            if annotation is not None:
                self._annotation(annotation)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            _drop_docstring(node)
        super().generic_visit(node)
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            # Only imports leave a Pass behind that is not alone; a block must keep one statement.
            if isinstance(block, list) and len(block) > 1:
                kept = [each for each in block if not isinstance(each, ast.Pass)]
                setattr(node, name, kept or [ast.Pass()])
        return node
