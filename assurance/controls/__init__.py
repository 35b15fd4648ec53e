"""Controls of the money: one question per file, found by reflection (`assurance.controls.registry`)."""
