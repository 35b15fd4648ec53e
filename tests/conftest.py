"""What tests may ask for."""

from __future__ import annotations

import os
import shutil

import pytest

HOW_TO_GET = {
    "kamailio": "apt-get install kamailio kamailio-{extra,json,utils,lua,sqlite}-modules",
    "sipp": "apt-get install sip-tester",
}
"""Parts that PyPI does not have: the program's name, and where Debian keeps it."""


def need_part(part: str) -> None:
    """Skip this test where a program is missing, with a word that says how to get it; fail where all parts are required."""
    if shutil.which(part) or shutil.which(part, path="/usr/sbin:/usr/local/sbin"):
        return
    word = f"{part} is not installed: {HOW_TO_GET.get(part, 'install it')}"
    if os.environ.get("RINGFENCE_REQUIRE") == "all":
        pytest.fail(word)
    pytest.skip(word)


@pytest.fixture(scope="session")
def need():
    """`need("kamailio")` in a test that places real calls."""
    return need_part


CALLS = ("switches/kamailio", "ringfence/calls", "test_up_kamailio", "test_every_switch", "test_reload")
"""Where real calls are placed: these tests share ports and time with nobody, so they run one after the other."""


def pytest_collection_modifyitems(items):
    """Two processes run the suite: one places calls, the other takes a file at a time."""
    for item in items:
        path = item.path.as_posix()
        group = "calls" if any(place in path for place in CALLS) else path
        item.add_marker(pytest.mark.xdist_group(group))
