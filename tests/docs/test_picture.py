"""The picture of the flow is what the flows are today."""

from __future__ import annotations

import sys
from pathlib import Path
from runpy import run_path

import pytest

from core import topics

sys.path.insert(0, str(Path(__file__).parents[2] / "docs"))

import picture

ROOT = Path(__file__).parents[2]
README, PAGE, SVG = ROOT / "README.md", ROOT / "docs" / "flow.md", ROOT / "docs" / "flow.svg"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> list[picture.Ran]:
    return picture.run_all(tmp_path_factory.mktemp("house"))


def test_the_pictures_are_current(ran: list[picture.Ran]):
    readme, page = picture.drawn(README.read_text(), PAGE.read_text(), ran)
    assert README.read_text() == readme, "the flows have changed: make picture"
    assert PAGE.read_text() == page, "the flows have changed: make picture"


def test_the_drawing_is_of_this_text():
    draw = run_path(str(Path(__file__).with_name("draw.py")))
    stamp = draw["stamp"](draw["source_of"](PAGE.read_text()))
    assert SVG.read_text().startswith(stamp), "the picture has changed: make picture"


def test_every_topic_has_who_writes_it_and_who_reads_it(ran: list[picture.Ran]):
    arrows = [line.split() for line in picture.house(ran).splitlines() if "-->" in line]
    for topic in topics.TOPICS:
        assert [a for a in arrows if a[-1] == topic], f"nobody writes {topic}"
        assert [a for a in arrows if a[0] == topic], f"nobody reads {topic}"


def test_what_a_flow_opens_is_seen_and_not_told(ran: list[picture.Ran]):
    opened = {flow.name: (flow.reads, flow.writes) for flow in ran}
    assert opened["judge"] == (("calls",), ("judged", "sums", "findings", "block_orders"))
    assert opened["watch"] == (("sums",), ("findings", "block_orders"))
    assert opened["store"] == (("judged",), ())
