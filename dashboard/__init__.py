"""The workbench in the browser: `streamlit run dashboard/Home.py`."""
