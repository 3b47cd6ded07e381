"""A benchmark that produced no statistics fails: a peer that silently did not run is no peer."""

from __future__ import annotations

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    result = yield
    fixture = getattr(item, "funcargs", {}).get("benchmark")
    if fixture is not None and not fixture.disabled and fixture.stats is None:
        pytest.fail(f"{item.nodeid}: no statistics were produced; call benchmark(...) in the test", pytrace=False)
    return result
