"""How people look: the first page, in the browser, by Streamlit.

The page is a table of contents of small functions (`first_page`). What computes is beside it and knows nothing of Streamlit.
"""
