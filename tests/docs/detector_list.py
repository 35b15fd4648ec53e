"""Writes the list of detectors into `build/detectors.md`, from their registry. `make docs` runs it; `docs/detectors.md` takes it in."""

from __future__ import annotations

from pathlib import Path

import msgspec

from detectors.protocol import Detector, Feature, Spanning
from detectors.registry import detectors, features, meanings, spanning

LIST = Path("build/detectors.md")


def listed() -> str:
    """One section per detector: what it finds, whom it watches, its parameters."""
    return "\n".join([*map(section, (*detectors(), *spanning())), "# Features", "", *map(feature_section, features())])


def feature_section(feature: Feature) -> str:
    """What a shared feature adds; the numbers of a column are listed once, however many columns have them."""
    text = f"## {feature.name}\n\n{feature.about[0].upper()}{feature.about[1:]}.\n\nAdds: {', '.join(f'`{name}`' for name in feature.adds)}.\n"
    if names := next(iter(feature.adds.values())):
        text += "\n".join(["\n| number | what it is |", "| --- | --- |", *(f"| `{name}` | {what} |" for name, what in names.items()), ""])
    return text


def section(detector: Detector | Spanning) -> str:
    text = f"## {detector.name}\n\nFinds: {detector.about}.\n"
    if detector.fields:
        text += f"\nNot observable without: {', '.join(f'`{field}`' for field in detector.fields)}.\n"
    if isinstance(detector, Spanning):
        return text + f"\nWatches, over all partitions: {', '.join(detector.sums)}.\n"
    if detector.state:
        text += f"\nWatches: {', '.join(detector.state)}.\n"
    fields = msgspec.structs.fields(detector.parameters)
    if fields:
        notes = meanings(detector)
        rows = [f"| `{field.name}` | {field.default} | {notes.get(field.name, '')} |" for field in fields]
        text += "\n".join(["\n| parameter | default | |", "| --- | --- | --- |", *rows, ""])
    return text


def write(folder: Path) -> None:
    """The list into `build` of a folder that holds `mkdocs.yml`."""
    (folder / LIST).parent.mkdir(exist_ok=True)
    (folder / LIST).write_text(listed())


if __name__ == "__main__":
    write(Path(__file__).parents[2])
