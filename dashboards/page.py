"""The script that Streamlit runs for each person, at each turn."""

from dashboards import handed
from dashboards.first_page import first_page

first_page(handed.sources())
