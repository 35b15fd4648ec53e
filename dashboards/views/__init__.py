"""One page per file: a function of a `Visit`, which checks the role of the person itself.

Not named `pages`: Streamlit would take a folder of that name beside its script for pages of its own.
"""
