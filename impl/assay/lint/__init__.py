"""`assay lint`: finds, in anybody's model code, the patterns behind false claims.

It reads and never imports, runs or unpickles what it reads. One rule is one file under `rules/`; a file's facts are
computed once, from its content alone, and rules that look across files see nothing but facts.
"""
