"""The ontology as data: entity types and relations with domain, range, inverse and flags, read from one file.

The validator and everything that learns from the graph stand on it. Extractors must never read it: what the
ontology says about their triples would then be true by construction.
"""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from corpus.errors import CorpusError

PLACE: Final = Path("spec/ontology/code.toml")  # under the root of the checkout that impl/corpus is part of

_FLAGS: Final = ("functional", "acyclic", "antisymmetric", "transitive")
_RELATION_KEYS: Final = frozenset({"meaning", "domain", "range", "inverse", *_FLAGS})


@dataclass(frozen=True, slots=True)
class Relation:
    """What may stand on either side of a relation, and the laws it keeps; see the file for the flags' meaning."""

    name: str
    meaning: str
    domain: frozenset[str]
    range: frozenset[str]
    inverse: str | None
    functional: bool
    acyclic: bool
    antisymmetric: bool
    transitive: bool


@dataclass(frozen=True)
class Ontology:
    """Entity types (name -> meaning) and relations (by name), in the order of the file."""

    entities: Mapping[str, str]
    relations: Mapping[str, Relation]

    @cached_property
    def digest(self) -> str:
        """SHA-256 (64 hex digits) over what the ontology allows; wording does not change it."""
        rules = [
            [r.name, sorted(r.domain), sorted(r.range), r.inverse, *(getattr(r, flag) for flag in _FLAGS)]
            for r in self.relations.values()
        ]
        return hashlib.sha256(repr([list(self.entities), rules]).encode()).hexdigest()


def catalogue(ontology: Ontology) -> str:
    """Every relation as a row of a Markdown table."""
    rows = ["| relation | from | to | laws | meaning |", "|---|---|---|---|---|"]
    for one in ontology.relations.values():
        laws = [flag for flag in _FLAGS if getattr(one, flag)] + ([f"inverse of {one.inverse}"] if one.inverse else [])
        ends = (", ".join(name for name in ontology.entities if name in side) for side in (one.domain, one.range))
        meaning = one.meaning.replace("|", "\\|")
        rows.append(f"| `{one.name}` | {next(ends)} | {next(ends)} | {', '.join(laws)} | {meaning} |")
    return "\n".join(rows) + "\n"


def load(path: Path | None = None) -> Ontology:
    """Read an ontology; without `path`, the one of the checkout that this package runs from.

    Raises CorpusError, naming the file and the key, for a missing or damaged file, an unknown type, an inverse
    that is not mutual or does not swap domain and range.
    """
    path = path or Path(__file__).resolve().parents[2] / PLACE
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CorpusError(
            f"ontology {path}: {error.strerror}; run from the project's checkout, or give `load` its path"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CorpusError(f"ontology {path}: not valid TOML: {error}") from None
    entities = {name: _meaning(path, f"entity.{name}", row) for name, row in _table(path, content, "entity").items()}
    relations = {
        name: _relation(path, name, row, frozenset(entities)) for name, row in _table(path, content, "relation").items()
    }
    _check_inverses(path, relations)
    return Ontology(entities, relations)


def _table(path: Path, content: Mapping[str, Any], name: str) -> dict[str, dict[str, Any]]:
    table = content.get(name)
    if not isinstance(table, dict) or not table or not all(isinstance(row, dict) for row in table.values()):
        raise CorpusError(f"ontology {path}: it needs tables [{name}.NAME]")
    return table


def _meaning(path: Path, place: str, row: Mapping[str, Any]) -> str:
    meaning = row.get("meaning")
    if not isinstance(meaning, str) or not meaning.strip():
        raise CorpusError(f"ontology {path}: [{place}] needs a meaning")
    return meaning


def _relation(path: Path, name: str, row: Mapping[str, Any], known: frozenset[str]) -> Relation:
    place = f"relation.{name}"
    if unknown := sorted(set(row) - _RELATION_KEYS):
        raise CorpusError(f"ontology {path}: [{place}] has an unknown key {', '.join(unknown)}")
    for flag in _FLAGS:
        if not isinstance(row.get(flag, False), bool):
            raise CorpusError(f"ontology {path}: [{place}] {flag} is true or false, not {row[flag]!r}")
    inverse = row.get("inverse")
    if inverse is not None and not isinstance(inverse, str):
        raise CorpusError(f"ontology {path}: [{place}] inverse is the name of a relation, not {inverse!r}")
    flags = {flag: row.get(flag, False) for flag in _FLAGS}
    domain, range_ = (_types(path, place, key, row, known) for key in ("domain", "range"))
    return Relation(name, _meaning(path, place, row), domain, range_, inverse, **flags)


def _types(path: Path, place: str, key: str, row: Mapping[str, Any], known: frozenset[str]) -> frozenset[str]:
    names = row.get(key)
    if not isinstance(names, list) or not names or not all(isinstance(one, str) for one in names):
        raise CorpusError(f"ontology {path}: [{place}] {key} is a list of entity types")
    if unknown := sorted(set(names) - known):
        raise CorpusError(f"ontology {path}: [{place}] {key} names {', '.join(unknown)}, which is no entity type")
    return frozenset(names)


def _check_inverses(path: Path, relations: Mapping[str, Relation]) -> None:
    for name, relation in relations.items():
        if relation.inverse is None:
            continue
        other = relations.get(relation.inverse)
        if other is None or other.inverse != name:
            raise CorpusError(f"ontology {path}: [relation.{name}] inverse {relation.inverse} does not name it back")
        if (other.domain, other.range) != (relation.range, relation.domain):
            raise CorpusError(f"ontology {path}: [relation.{name}] and {relation.inverse} do not swap domain and range")
