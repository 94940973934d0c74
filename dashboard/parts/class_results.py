"""What came of a session: the class beside the network, its people, consensus, export and delete."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.behind import table_behind
from dashboard.charts import lab as lab_charts
from dashboard.charts import people as charts
from dashboard.text import estimate, images, verbatim
from fer_core.classroom import growing, people
from fer_core.classroom.session import Session
from fer_core.classroom.tasks import GROW, SHORTCUT
from fer_core.errors import FerError
from fer_core.evaluation.intervals import bounded
from fer_core.glossary import explained


def draw(session: Session) -> None:
    """Sentence first, then tables, then what can be done with them."""
    about, found = session.about, people.score(session)
    if not found.people:
        st.info("Nobody has answered yet. The results appear with the first answers.")
    elif about.task == GROW:
        response(session)
    else:
        named = (
            "right"
            if about.kind.people
            else "right in their guesses"
            if about.task != SHORTCUT
            else "right about the network"
        )
        if found.people > 1:
            said = estimate(found.accuracy, found.interval)
            st.markdown(
                f"The class is {named} in {said} of its {found.answers:,} answers, on average over {found.people} people."
            )
        else:
            st.markdown(f"One person has given {found.answers:,} answers.")
        if about.network and about.kind.people and found.images:
            st.markdown(
                f"{verbatim(about.network)} has an accuracy of "
                f"{estimate(found.network, found.network_interval, found.images)} on the images that the class has seen."
            )
            st.markdown(verbatim(people.consistency(session).sentence), help=explained("Error consistency"))
        st.caption("Intervals: Student's over the people of the class; Wilson's over images for the network.")
        who(session, about.network if about.kind.people and found.images else "", found.network)
        table = people.image_by_image(session).sort_values("difference", ascending=False)
        st.subheader("Image by image")
        table[["agreement", "right"]] *= 100
        column = st.column_config
        st.dataframe(
            table.drop(columns="position"), hide_index=True,
            column_config={
                "id": "Image",
                "label": "Label",
                "truth": "Right answer",
                "n": "Answers",
                "most": "Most frequent answer",
                "agreement": column.NumberColumn("Agreement", format="%.0f %%"),
                "right": column.NumberColumn("Right", format="%.0f %%"),
                "network": "Network",
                "difference": column.NumberColumn(
                    "Difference", format="%.2f", help="Between the class's and the network's probabilities, 0 to 1."
                ),
            },
        )  # fmt: skip
        together(session)
    take_away(session)


def response(session: Session) -> None:
    """How much of the expression the class needs."""
    try:
        found = growing.curve(session)
    except FerError as error:
        st.info(verbatim(str(error)))
        return
    st.markdown(verbatim(growing.sentence(found)))
    tables = {name: table.assign(network=found.network) for name, table in found.tables().items()}
    st.altair_chart(lab_charts.response(tables["answers"], tables["fit"], found.expression))
    st.caption(
        "Points: share of the people who answered all images, with 95 % intervals (Wilson). Line: fitted psychometric function "
        "(Wichmann and Hill 2001); its interval resamples people."
    )
    st.page_link(
        "views/lab.py", label="Compare with networks in the Lab",
        query_params={"experiment": "Response curve", "shows": found.expression},
    )  # fmt: skip
    table_behind("chart", tables["answers"].drop(columns="network"), f"response-{session.code}")


def who(session: Session, network: str, accuracy: float) -> None:
    """The people of the class beside the network, and a way to take one out."""
    st.subheader("Who answered")
    table = people.of_each(session)
    st.altair_chart(charts.right(table, network, accuracy))
    if network:
        st.markdown(f"Dashed line: {verbatim(network)} on the same images.")
    titled = {
        "Nickname": table["nickname"],
        "Answers": table["answered"],
        "Right (%)": [bounded(*row) for row in table[["right", "right_low", "right_high"]].to_numpy()],
        "Mean confidence (%)": (100 * table["sure"]).round(),
        "Median time (s)": table["seconds"].round(1),
    }
    table_behind("chart", pd.DataFrame(titled), f"people-{session.code}")
    with st.expander("Take somebody out"):
        name = st.selectbox("Nickname", session.students()["nickname"].tolist(), key="out")
        if st.button("Take out, with all answers") and name:
            session.remove(str(name))
            st.rerun()


def together(session: Session) -> None:
    """The consensus and how good each person is."""
    if not session.about.kind.people:
        return
    st.subheader("Consensus and the quality of each person")
    try:
        found = people.consensus_of(session)
    except FerError as error:
        st.info(verbatim(str(error)))
        return
    differ = found.images[found.images["majority"] != found.images["consensus"]]
    st.markdown(
        f"The consensus differs from the majority on **{images(len(differ))}** of {len(found.images)}. It weighs people and the "
        "network by how often they agree with others."
    )
    column = st.column_config
    st.dataframe(
        found.raters, hide_index=True,
        column_config={
            "nickname": "Nickname",
            "quality": column.NumberColumn("Quality", format="%.2f", help="How far an answer can be relied on, 0 to 1."),
            "agreement": column.NumberColumn("Agreement with the consensus", format="%.2f"),
            "answered": "Answers",
        },
    )  # fmt: skip
    st.caption(
        "CROWDLAB (Goh, Tkachenko and Mueller 2022, arXiv 2210.06812), of the library cleanlab. Majority: ties go to the "
        "network's more probable expression."
    )
    table_behind("consensus", found.images, f"consensus-{session.code}")


def take_away(session: Session) -> None:
    """Export, keep as a network, delete."""
    st.subheader("Keep or delete")
    row = st.container(horizontal=True)
    row.download_button("Download answers (csv)", session.export(), f"class-{session.code}.csv", "text/csv")
    if session.about.kind.people:
        row.download_button(
            "Download votes (csv)", people.votes_csv(session), f"votes-{session.code}.csv", "text/csv",
            help="The Labels page reads this file.",
        )  # fmt: skip
        if row.button("Keep the class as a network", help="Overview, Evaluate, Compare and other pages then show it."):
            try:
                folder = people.as_network(session)
            except FerError as error:
                st.error(verbatim(str(error)))
            else:
                st.success(f"The class is kept as the network {verbatim(folder.name)}.")
                key = f"{session.facts()['dataset'].iloc[0]}-{session.facts()['split'].iloc[0]}"
                for view, label in (("overview", "Open in Overview"), ("compare", "Open in Compare")):
                    st.page_link(f"views/{view}.py", label=label, query_params={"network": folder.name, "table": key})
    with row.popover("Delete"):
        st.markdown("Images, nicknames and answers of this class are deleted. This cannot be undone.")
        if st.button("Delete for good", type="primary"):
            session.delete()
            del st.query_params["class"]
            st.rerun()
