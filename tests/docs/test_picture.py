"""The flow picture shows the current flows."""

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
def flows(tmp_path_factory: pytest.TempPathFactory) -> list[picture.Flow]:
    return picture.run_all(tmp_path_factory.mktemp("home"))


def test_the_pictures_are_current(flows: list[picture.Flow]):
    readme, page = picture.generated(README.read_text(), PAGE.read_text(), flows)
    assert README.read_text() == readme, "the flows have changed: make picture"
    assert PAGE.read_text() == page, "the flows have changed: make picture"


def test_the_svg_is_drawn_from_this_text():
    draw = run_path(str(Path(__file__).with_name("draw.py")))
    stamp = draw["stamp"](draw["source_of"](PAGE.read_text()))
    assert SVG.read_text().startswith(stamp), "the picture has changed: make picture"


def test_every_topic_has_a_writer_and_a_reader(flows: list[picture.Flow]):
    arrows = [line.split() for line in picture.overview(flows).splitlines() if "-->" in line]
    for topic in topics.TOPICS:
        assert [a for a in arrows if a[-1] == topic], f"nobody writes {topic}"
        assert [a for a in arrows if a[0] == topic], f"nobody reads {topic}"


def test_the_topics_of_each_flow_are_recorded_as_it_runs(flows: list[picture.Flow]):
    opened = {flow.name: (flow.reads, flow.writes) for flow in flows}
    assert opened["judge"] == (("calls",), ("judged", "sums", "findings", "block_orders"))
    assert opened["watch"] == (("sums",), ("findings", "block_orders"))
    assert opened["scores"] == (("judged",), ("scores",))
    assert opened["store"] == (("judged",), ())
