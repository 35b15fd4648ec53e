"""The script that Streamlit runs for each session, on each interaction."""

from dashboards import current
from dashboards.first_page import first_page

if __name__ == "__main__":  # that is how Streamlit runs it
    first_page(current.sources())
