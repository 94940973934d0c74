"""Decide: A or B? Two networks on one page for sign-off: a verdict, its reasons, every finding, and what is not known."""

import streamlit as st

from dashboard import cache, markup
from dashboard.pickers import choose, evaluated, titles
from dashboard.text import images, verbatim
from fer_core.datasets.titles import table_in_words
from fer_core.errors import DataError
from fer_core.glossary import explained
from fer_core.reports.decision import RULE
from fer_core.runs import store
from fer_core.spreadsheet import as_csv

st.title("Decide: A or B?", help=explained("McNemar's test", "Holm's correction", "Data leak"))
network, key = evaluated("decide between two networks")
others = [name for name, other in store.checkpoints().items() if key in other.tables and name != network.name]
if not others:
    st.info(f"No other network has been evaluated on {verbatim(table_in_words(key))}. Evaluate another one first.")
    if st.button("Evaluate a network", type="primary"):
        st.switch_page("views/data.py")
    st.stop()
other = choose("B, the other network", others, "other", titles().__getitem__)
try:
    found = cache.decision(network, store.checkpoints()[other or others[0]], key)
except DataError as error:
    st.error(verbatim(str(error)))
    st.stop()
st.subheader(verbatim(found.verdict))
for reason in found.reasons:
    st.markdown(verbatim(reason))
with st.container(horizontal=True):
    st.download_button(
        "Export for sign-off (HTML)", found.html, f"decision-{network.name}-{other}-{key}.html", "text/html", type="primary",
        on_click="ignore",
    )  # fmt: skip
    st.page_link(
        "views/compare.py", label="See the images and confusions that differ", query_params={"other": other or ""}
    )

st.subheader("What was compared")
table = found.table()
st.html(
    markup.table(
        ("Topic", f"A: {found.a}", f"B: {found.b}", "B minus A", "Favours"),
        table.drop(columns="p").to_numpy().tolist(),
        words=(0, 1, 2, 3, 4),
    )
)
st.caption(
    f"On {images(found.n)} of {verbatim(found.data)} that both networks predicted. In brackets: 95 % confidence intervals."
)
st.markdown("“not tested” means that the figures are shown without a test.")
st.download_button("Download as csv", as_csv(table), f"decision-{key}.csv", "text/csv")
st.markdown(f"**How the choice is made.** {RULE}")
st.subheader("What is not known")
st.markdown("\n".join(f"- {verbatim(line)}" for line in found.unknown))
