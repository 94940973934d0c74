"""Experiments of the Lab page: response curves, muscles, and who is in the image. What was measured before is shown at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import cache
from dashboard.behind import table_behind
from dashboard.charts import lab as charts
from dashboard.parts.lab_scene import BIND, expression, mouth
from dashboard.pickers import titles
from dashboard.text import verbatim
from fer_core.classroom import growing
from fer_core.errors import FerError
from fer_core.lab import curve, muscles, results, who
from fer_core.lab import view as lab_view
from fer_core.lab.results import Measured, Result
from fer_core.runs.store import Checkpoint

BOX = 190  # pixels of a select box
PEOPLE = (12, 20, 30, 60)


def curves(networks: Sequence[Checkpoint]) -> None:
    """How much of an expression each network needs."""
    shown, state, people = _asked(networks, curve.measure, with_mouth=True)
    settings = (shown, people, curve.STEPS, state)
    found = measured_here(networks, shown, curve.measure, settings)
    command(networks, f"curve NETWORK --expression {shown} --people 60" + (f" --mouth {state}" if state else ""))
    if not found:
        return
    for one in found.values():
        st.markdown(verbatim(one.sentence))
    table = pd.concat([one.table.assign(network=titles()[name]) for name, one in found.items()], ignore_index=True)
    lines = pd.concat(
        [one.tables["fit"].assign(network=titles()[name]) for name, one in found.items()], ignore_index=True
    )
    classes = [] if state else list(growing.curves(shown))
    for seen in classes:
        st.markdown(verbatim(growing.sentence(seen)))
        named = f"{seen.network} ({seen.people} people of a class)"
        table = pd.concat([table, seen.table().assign(network=named)], ignore_index=True)
        lines = pd.concat([lines, seen.tables()["fit"].assign(network=named)], ignore_index=True)
    st.altair_chart(charts.response(table, lines, shown), key="response")
    if classes:
        st.markdown(
            "The people of a class saw each strength on another face; networks saw every face at every strength."
        )
    st.caption(
        "Points: share of people, with 95 % intervals (Wilson). Line: fitted psychometric function (Wichmann and Hill 2001). Its "
        "threshold is where it crosses one half; its interval resamples people. The people, their light and their camera are the "
        "same for all networks."
    )
    for name, one in found.items():
        st.markdown(
            f"**What {verbatim(titles()[name])} answers instead**: mean probability of each expression, with 95 % bands."
        )
        st.altair_chart(charts.mix(one.table), key=f"mix-{name}")
    table_behind("charts", table, f"response-{shown}")


def action_units(networks: Sequence[Checkpoint]) -> None:
    """Which action units of an expression each network uses."""
    shown, state, people = _asked(networks, muscles.measure, with_mouth=True, without=("neutral",))
    found = measured_here(networks, shown, muscles.measure, (shown, people, state))
    command(networks, f"muscles NETWORK --expression {shown}" + (f" --mouth {state}" if state else ""))
    for name, one in found.items():
        table = one.table
        table["action unit"] = [f"AU{unit} {title}" for unit, title in zip(table["unit"], table["name"], strict=True)]
        st.markdown(verbatim(one.sentence))
        axis = f"Shapley value: points of the probability of {shown}"
        st.altair_chart(charts.effects(table, "action unit", axis), key=f"muscles-{name}")
        pairs = one.tables["pairs"]
        together = pairs[(pairs["p_adjusted"] <= 0.05) & (pairs["difference"] > 0)].sort_values("difference")
        if len(together):
            best = together.iloc[-1]
            st.markdown(
                f"AU{best['unit']:.0f} and AU{best['other']:.0f} work together: on a neutral face both add "
                f"{100 * best['difference']:.1f} points more ({100 * best['low']:.1f} to {100 * best['high']:.1f}) than "
                "the sum of what each adds alone."
            )
        table_behind("chart", table, f"muscles-{shown}-{name}")
    if found:
        st.caption(
            f"The units are those of {shown} in FACS that at least half of the people show. Every combination of them was "
            "rendered. The values add up to the change from a neutral face to the full expression. Grey: not significant (t test "
            "over people, Holm)."
        )


def persons(networks: Sequence[Checkpoint]) -> None:
    """What changes when only the person does."""
    shown, _, people = _asked(networks, who.measure, with_mouth=False, default="neutral")
    found = measured_here(networks, shown, who.measure, (shown, who.MAIN, people))
    command(networks, f"who NETWORK --expression {shown}")
    st.info(who.LIMITS)
    for name, one in found.items():
        st.markdown(verbatim(one.sentence))
        table = one.table
        table["change"] = table["title"] + ": " + table["from"] + " to " + table["to"]
        if shown == "neutral":
            asked = list(dict.fromkeys(table["answer"]))
            clearest = asked.index(str(table["answer"].iloc[int(table["p"].argmin())]))
            answer = str(st.selectbox("Answer to a neutral face", asked, clearest, key=f"answer-{name}", width=BOX))
            table_shown = table[table["answer"] == answer]
        else:
            answer, table_shown = shown, table
        axis = f"change of the probability of {answer} (points)"
        st.altair_chart(charts.effects(table_shown, "change", axis), key=f"who-{name}")
        table_behind("chart", table, f"who-{shown}-{name}")
    if found:
        st.caption(
            "Each person is rendered twice, with one property changed. Grey: not significant (paired t test over people, Holm "
            "over all changes and answers)."
        )


def views(networks: Sequence[Checkpoint]) -> None:
    """Accuracy against pose, light, and how the face is cut."""
    row = st.container(horizontal=True, vertical_alignment="bottom")
    titled = {name: what.title for name, what in lab_view.VIEWS.items()}
    with row.container(width=BOX):
        chosen = str(
            st.selectbox(
                "Change", titled, list(titled).index("margin"), format_func=titled.__getitem__, key="changes", bind=BIND
            )
        )
    people = _people(row, networks, lab_view.measure, view=chosen)
    found = measured_here(networks, None, lab_view.measure, (chosen, people))
    command(networks, f"view NETWORK --change {chosen} --people {people}")
    if not found:
        return
    for one in found.values():
        st.markdown(verbatim(one.sentence))
    table = pd.concat([one.table.assign(network=titles()[name]) for name, one in found.items()], ignore_index=True)
    what = lab_view.VIEWS[chosen]
    axis = f"{what.title.lower()} ({what.unit.strip()})" if what.unit else what.title.lower()
    st.altair_chart(charts.against(table[table["expression"] == lab_view.ALL], axis, what.usual), key="against")
    st.caption(
        "Mean over all expressions that the network knows, with 95 % intervals over people (Student). The dashed line is the "
        "usual value, with which each person is compared. A filled point differs significantly from it (Holm over the values). "
        "A margin of 0 cuts at the longer side of MTCNN's box."
    )
    if len(found) == 1:
        st.markdown("**By expression**")
        parts = table[table["expression"] != lab_view.ALL]
        st.altair_chart(
            charts.against(parts.assign(network=parts["expression"]), axis, what.usual, bands=False), key="parts"
        )
    table_behind("charts", table, f"view-{chosen}")


def measured_people(network: Checkpoint, measure: Callable[..., Measured], **asked: Any) -> set[int]:
    """The numbers of people of the kept results of an experiment with these settings."""
    kept = [one.settings for one in results.kept(network.folder, measure)]
    return {one["people"] for one in kept if asked.items() <= one.items()}


def _people(row: DeltaGenerator, networks: Sequence[Checkpoint], measure: Callable[..., Measured], **asked: str) -> int:
    """The number of people; at first the largest with which the first network was measured, so that a figure stands there."""
    first = max(measured_people(networks[0], measure, **asked) & set(PEOPLE), default=PEOPLE[0])
    with row.container(width=BOX):
        return int(st.selectbox("People", PEOPLE, PEOPLE.index(first), key="people", bind=BIND))


def _asked(
    networks: Sequence[Checkpoint], measure: Callable[..., Measured], *,
    with_mouth: bool, without: Sequence[str] = (), default: str = "happy",
) -> tuple[str, Any, int]:  # fmt: skip
    """Expression, state of the mouth and number of people, as chosen."""
    row = st.container(horizontal=True, vertical_alignment="bottom")
    with row.container(width=BOX):
        shown = expression(without, default)
    state = None
    if with_mouth:
        with row.container(width="content"):
            state = mouth()
    people = _people(row, networks, measure, expression=shown)
    return shown, state, people


def measured_here(
    networks: Sequence[Checkpoint], shown: str | None, measure: Callable[..., Measured], settings: tuple[Any, ...]
) -> dict[str, Result]:
    """The finished experiments by the network's name; a button measures the others, with progress."""
    able = [network for network in networks if shown is None or shown in network.card.expressions]
    for network in networks:
        if network not in able:
            st.info(f"{verbatim(titles()[network.name])} does not know the expression {shown}.")
    kept = {network.name: results.find(network.folder, measure, *settings) for network in able}
    found = {name: one for name, one in kept.items() if one is not None}
    missing = [network for network in able if network.name not in found]
    if missing:
        names = ", ".join(verbatim(titles()[network.name]) for network in missing)
        st.markdown(f"Not measured yet: {names}.")
        if st.button("Measure now", type="primary", key="measure"):
            try:
                for network in missing:
                    _measure(network, measure, settings)
            except FerError as error:
                st.error(verbatim(str(error)))
            else:
                st.rerun()
    return found


def _measure(network: Checkpoint, measure: Callable[..., Measured], settings: tuple[Any, ...]) -> None:
    """Measure with a progress bar; finished people are kept if the page is left."""
    bar, start = st.progress(0.0, f"Rendering heads for {verbatim(titles()[network.name])}"), time.monotonic()
    st.button("Stop", key=f"stop-{network.name}", help="Finished people are kept.")  # a click ends this run of the page

    def show(done: int, total: int) -> None:
        left = (time.monotonic() - start) / done * (total - done)
        bar.progress(done / total, f"{done} of {total} people, about {left:.0f} s left. Finished people are kept.")

    loaded = cache.predictor(network.folder).members[0]
    results.measured(network.folder, loaded, measure, *settings, progress=show)
    bar.empty()


def command(networks: Sequence[Checkpoint], words: str) -> None:
    names = " ".join(network.name for network in networks)
    st.caption(f"On the command line: `ferscope lab {words.replace('NETWORK', names)}`")
