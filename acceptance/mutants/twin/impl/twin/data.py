"""Records of a JSON Lines file: id, text and label."""

import json


def records(path):
    """The rows of a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def texts(rows):
    return [row["text"] for row in rows]


def labels(rows):
    """Labels 0 or 1, one for each row."""
    return [int(row["label"]) for row in rows]
