"""Families of fraud, one file each: what it is, who reported its figures, and `FAMILY` (or `FAMILIES`), found by reflection.

Parameters come from the literature and operators' reports alone and change only by a decision record
(`docs/decisions/simulator-parameters-come-from-the-literature.md`). Nothing here knows how fraud is detected.
"""
