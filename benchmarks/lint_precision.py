"""What `assay lint` says about well-kept code: writes docs/lint-precision.md. Each certain finding is judged by eye.

    python -m benchmarks.lint_precision [FOLDER ...]

Reads the installed code bases of CODE_BASES, and folders given: unpacked wheels with their `.dist-info` beside.
It takes minutes; a second run reads the linter's cache. Judgements stand in lint_judgements.toml.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import sys
import time
import tomllib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from assay.lint import engine
from assay.lint.cache import Cache
from assay.lint.finding import CONFIDENCES, Finding
from assay.lint.rules import RULES

CODE_BASES = ("transformers", "torch", "torch_geometric", "accelerate", "sklearn", "trl", "peft")
DISTRIBUTIONS = {"sklearn": "scikit-learn", "torch_geometric": "torch-geometric"}
ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "lint-precision.md"
JUDGEMENTS = Path(__file__).with_name("lint_judgements.toml")


@dataclass
class CodeBase:
    """One distribution: where its package lies, its version, and what was found."""

    name: str
    version: str
    folder: Path
    findings: list[Finding]
    files: int = 0
    lines: int = 0
    seconds: float = 0.0

    def read(self) -> None:
        """Lint it; paths are reported from the package on."""
        start = time.perf_counter()
        result = engine.run([self.folder], cache=Cache.of([self.folder]))
        if result.broken:
            raise SystemExit("\n".join(result.broken))
        prefix = str(self.folder.parent) + "/"
        for f in result.findings:
            path = str(Path(f.path).absolute()).removeprefix(prefix)
            self.findings.append(Finding(path, f.line, f.rule, f.confidence, f.message))
        self.files, self.lines, self.seconds = result.files, result.lines, time.perf_counter() - start


def code_bases(folders: list[Path]) -> list[CodeBase]:
    """The installed ones, and those unpacked into folders."""
    found = []
    for name in CODE_BASES:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise SystemExit(f"{name}: not installed")
        version = importlib.metadata.version(DISTRIBUTIONS.get(name, name))
        found.append(CodeBase(name, version, Path(spec.origin).parent, []))
    for folder in folders:
        (info,) = folder.parent.glob(f"{folder.name}-*.dist-info")
        found.append(CodeBase(folder.name, info.name.split("-")[1].removesuffix(".dist"), folder.absolute(), []))
    return found


def page(bases: list[CodeBase]) -> str:
    """The document."""
    lines = sum(base.lines for base in bases)
    every = [finding for base in bases for finding in base.findings]
    certain = [finding for finding in every if finding.confidence == "certain"]
    judged = tomllib.loads(JUDGEMENTS.read_text(encoding="utf-8")).get("certain", {})
    wrong = sum(judged.get(_key(f), "").startswith("wrong") for f in certain)
    parts = [
        "# What `assay lint` says about well-kept code\n",
        "Written by `python -m benchmarks.lint_precision`.\n",
        f"{lines:,} lines of Python in {sum(b.files for b in bases):,} files: **{len(certain)} certain findings, "
        f"{100_000 * len(certain) / lines:.2f} per 100,000 lines** (the bound is 1); {wrong} of them are wrong.\n",
        "Each cell: certain / likely / look.\n",
        "| rule | " + " | ".join(f"{b.name} {b.version}" for b in bases) + " |",
        "|---|" + "---:|" * len(bases),
        "| lines of Python | " + " | ".join(f"{b.lines:,}" for b in bases) + " |",
    ]
    silent = []
    for code, rule in RULES.items():
        if not any(f.rule == code for f in every):
            silent.append(f"{code} {rule.name}")
            continue
        parts.append(f"| {code} {rule.name} | " + " | ".join(_cell(base, code) for base in bases) + " |")
    parts.append("| all | " + " | ".join(_cell(base, "") for base in bases) + " |")
    parts.append(f"\nSilent everywhere: {', '.join(silent)}.\n")
    parts.append("## The certain findings, each looked at\n")
    parts += [
        f"- `{f.path}:{f.line}` {f.rule}: {f.message}. **{judged.get(_key(f), 'not looked at')}**" for f in certain
    ]
    if not certain:
        parts.append("None.")
    return "\n".join(parts) + "\n"


def _key(finding: Finding) -> str:
    return f"{finding.rule} {finding.path}:{finding.line}"


def _cell(base: CodeBase, code: str) -> str:
    counts = Counter(f.confidence for f in base.findings if f.rule.startswith(code))
    return " / ".join(str(counts[c]) for c in CONFIDENCES) if counts else ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, help="unpacked wheels: the package folder")
    parser.add_argument("--output", type=Path, default=PAGE)
    arguments = parser.parse_args()
    bases = code_bases(arguments.folders)
    for base in bases:
        base.read()
        told = f"{base.files:,} files, {base.lines:,} lines, {len(base.findings)} findings, {base.seconds:.0f} s"
        print(f"{base.name} {base.version}: {told}", file=sys.stderr)
        arguments.output.write_text(page(bases), encoding="utf-8")


if __name__ == "__main__":
    main()
