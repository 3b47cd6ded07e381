"""What the twin says about itself: the release gate, savings, the document. Every number comes from the run."""

import math

from twin.tokenizer import words


def gate(boards):
    """Whether each board {metric: {"value", "bound"}} may be released: all four metrics there and at their bounds."""
    wanted = ("accuracy", "brier", "ranking", "reasons")
    return [all(name in board and board[name]["value"] >= board[name]["bound"] for name in wanted) for board in boards]


def savings(items):
    """Share of time saved, from the measured hours of the two arms."""
    return [1 - item["ours"] / item["full"] for item in items]


def totals(items):
    """Total loss of each mapping of components."""
    return [sum(item.values()) for item in items]


def perplexity(items):
    """Perplexity of each review: exp of minus the mean log-probability of its words."""
    result = []
    for item in items:
        scored = words(item["text"])
        result.append(math.exp(-sum(item["logprobs"][word] for word in scored) / len(scored)))
    return result


def document(boards):
    """The README of each board, as `assay status --json` gives it."""
    return [_document(board) for board in boards]


def _document(board):
    (system,) = board["systems"]
    measured = [row for row in system["requirements"] if row["value"] is not None]
    passed = sum(row["verdict"] == "PASS" for row in measured)
    lines = [f"# {system['title']}", "", f"{passed} of {len(measured)} requirements measured here are PASS.", ""]
    lines += [f"- {row['id']}: {row['value']:.4f} on {row['n']:,} items" for row in measured]
    return "\n".join([*lines, "", "```", "assay verify --hardware cpu", "assay status --json", "```", ""])
