"""Glossary: what do the terms mean? One list, which the help texts of all pages repeat."""

import streamlit as st

from dashboard import markup
from fer_core.glossary import GLOSSARY

st.title("Glossary: what do the terms mean?")
st.markdown(
    "These are the terms on the other pages. A question mark beside a heading shows the same explanations there."
)
asked = st.text_input("Find a term", key="term", bind="query-params", placeholder="calibration").strip().lower()
found = {
    name: term for name, term in sorted(GLOSSARY.items(), key=lambda item: item[0].lower())
    if asked in name.lower() or asked in term.meaning.lower()
}  # fmt: skip
if found:
    rows = [(name, term.meaning, term.source) for name, term in found.items()]
    st.container(key="terms").html(markup.table(("Term", "Meaning", "Source"), rows, words=(0, 1, 2)))
else:
    st.info("No term matches. Clear the box to see all terms.")
