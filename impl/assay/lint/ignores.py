"""`# assay: ignore[AS101] reason`: silences the rules named, on its line or, alone on a line, on the next line of code.

A reason is required. An ignore without one silences nothing, and one that silences nothing is itself a finding.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Collection, Iterable, Iterator

from assay.lint.facts import Facts, Ignore
from assay.lint.finding import Finding
from assay.lint.rule import Rule
from assay.lint.source import Source

_MARK = re.compile(r"assay:\s*ignore\b(?:\[(?P<rules>[^\]]*)\])?(?P<reason>[^\n]*)")

WITHOUT_REASON = Rule(
    "AS001",
    "ignore-without-reason",
    """An ignore is a claim: this pattern is right here. A claim without its reason convinces nobody a year later, and
    blanket ignores are how a red check turned green in the repositories that this catalogue was collected from.""",
    fix="Name the rules and write why the pattern is right here: `# assay: ignore[AS505] hash checked above`.",
    bad="import pickle\n\n\ndef load(handle):\n    return pickle.load(handle)  # assay: ignore[AS505]\n",
    good="import pickle\n\n\ndef load(handle):\n    return pickle.load(handle)  # assay: ignore[AS505] our own file\n",
)
UNUSED = Rule(
    "AS002",
    "unused-ignore",
    """The code that needed the ignore was mended or moved, and the ignore stayed behind: the next false claim on that
    line passes unseen. An ignore for a rule that does not exist silences nothing either.""",
    fix="Delete it.",
    bad="import json\n\n\ndef load(handle):\n    return json.load(handle)  # assay: ignore[AS505] was a pickle once\n",
    good="import json\n\n\ndef load(handle):\n    return json.load(handle)\n",
)


def of(source: Source) -> list[Ignore]:
    """The ignores of a file; in Python only those that stand in comments."""
    if "assay:" not in source.text:
        return []
    return [ignore for number, comment in _comments(source) if (ignore := _ignore(source, number, comment))]


def _ignore(source: Source, number: int, comment: str) -> Ignore | None:
    match = _MARK.search(comment)
    if match is None:
        return None
    rules = [code.strip().upper() for code in (match["rules"] or "").split(",") if code.strip()]
    reason = match["reason"].replace("-->", "").strip(" -:\t")
    covers = number
    if source.lines[number - 1].lstrip().startswith(("#", "<!--")):
        following = range(number + 1, len(source.lines) + 1)
        covers = next(
            (n for n in following if source.lines[n - 1].strip() and not _is_comment(source.lines[n - 1])), number
        )
    return Ignore(source.on_disk(number), source.on_disk(covers), rules, reason)


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _comments(source: Source) -> Iterator[tuple[int, str]]:
    if source.kind == "python":
        try:
            for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
                if token.type == tokenize.COMMENT:
                    yield token.start[0], token.string
        except (tokenize.TokenError, SyntaxError, ValueError):
            return
    else:
        mark = re.compile(r"<!--.*" if source.kind == "markdown" else r"(?:^|\s)#.*")
        for number, line in enumerate(source.lines, start=1):
            if (found := mark.search(line)) and not (source.kind == "markdown" and "`" in line[: found.start() + 1]):
                yield number, found.group()


def apply(findings: Iterable[Finding], facts: Iterable[Facts], selected: Collection[str]) -> list[Finding]:
    """The findings that remain, and those about the ignores themselves.

    Args:
        findings: of all rules.
        facts: of the files that were read.
        selected: codes of the rules that ran; an ignore for another is not called unused.
    """
    by_place: dict[tuple[str, int], list[Ignore]] = {}
    every = [(file.path, ignore) for file in facts for ignore in file.ignores]
    for path, ignore in every:
        for line in {ignore.line, ignore.covers}:
            by_place.setdefault((path, line), []).append(ignore)
    used: set[tuple[str, int, str]] = set()
    result = []
    for finding in findings:
        silencing = [i for i in by_place.get((finding.path, finding.line), ()) if finding.rule in i.rules]
        used |= {(finding.path, i.line, finding.rule) for i in silencing}
        if not any(i.reason for i in silencing):
            result.append(finding)
    for path, ignore in every:
        if WITHOUT_REASON.code in selected and (not ignore.reason or not ignore.rules):
            missing = "names no rule" if not ignore.rules else "has no reason and silences nothing"
            result.append(Finding(path, ignore.line, WITHOUT_REASON.code, "certain", f"this ignore {missing}"))
        if UNUSED.code in selected:
            for code in ignore.rules:
                if (path, ignore.line, code) not in used and (code in selected or not _exists(code)):
                    told = "silences nothing on this line" if _exists(code) else "names a rule that does not exist"
                    result.append(Finding(path, ignore.line, UNUSED.code, "certain", f"ignore[{code}] {told}"))
    return result


def _exists(code: str) -> bool:
    from assay.lint.rules import RULES

    return code in RULES
