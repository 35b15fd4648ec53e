"""Honest subjects that resemble an attack, one file each, found by reflection: the calls that must not be refused."""
