"""How a board is shown: terminal, HTML, JUnit, GitHub, model card.

Every renderer takes an `assay.board.Board` (or a row of it) and nothing else: no two of them can disagree.
This package stays light: rich and jinja2 are imported by the one module that draws with them.
"""
