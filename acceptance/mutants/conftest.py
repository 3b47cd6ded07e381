"""The twin is a project of its own: it is judged by inner runs, never collected from here."""

collect_ignore = ["twin"]
