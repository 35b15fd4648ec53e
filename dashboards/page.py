"""The script that Streamlit runs for each session, on each interaction."""

from dashboards import current
from dashboards.desk import desk

if __name__ == "__main__":  # that is how Streamlit runs it
    desk(current.sources())
