"""PyCG in a process of its own: `python pycg_peer.py FOLDER FILE...` prints its call graph as JSON.

The command line of PyCG 0.0.7 needs a module that setuptools no longer has; its library does not.
"""

import json
import sys

from pycg.pycg import CallGraphGenerator

if __name__ == "__main__":
    folder, *files = sys.argv[1:]
    generator = CallGraphGenerator(files, folder, -1, "call-graph")
    generator.analyze()
    json.dump({caller: sorted(callees) for caller, callees in generator.output().items()}, sys.stdout)
