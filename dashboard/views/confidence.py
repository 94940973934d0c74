"""How sure may it be? What a network's confidence is worth, and what it costs to answer only when sure."""

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import cache, gallery, markup
from dashboard.charts import confidence as charts
from dashboard.markup import Html
from dashboard.pickers import evaluated, titles
from dashboard.text import interval, percent, pictures, table_title, verbatim
from fer_core.evaluation import calibration
from fer_core.evaluation.intervals import Interval
from fer_core.evaluation.metrics import ece, ece_interval
from fer_core.evaluation.predictions import KEY, Predictions
from fer_core.runs.store import Checkpoint

BINS = {"width": "Equally wide bins", "mass": "Equally full bins"}
RAW, SCALED = "as trained", "with its temperature"
HEADER = ("Expression", "Answered, %", "Accuracy of the answers, %", "n", "n answered")


def main() -> None:
    st.title("How sure may it be?")
    network, key = evaluated("its confidence")
    raw = cache.predictions(network.tables[key])
    factor = network.card.temperature
    tables = {RAW: raw}
    if factor:
        tables[SCALED] = calibration.with_temperature(raw, factor)
    row = st.container(horizontal=True, vertical_alignment="bottom")
    shown = RAW
    if factor:
        shown = row.segmented_control(
            "Confidence", list(tables), default=SCALED, required=True, key="confidence-of", bind="query-params"
        )
    equal = row.segmented_control(
        "Bins", list(BINS), format_func=BINS.get, default="width", required=True, key="bins", bind="query-params"
    )
    title = titles()[network.name]
    st.markdown(answer(title, key, tables, equal))
    offer_temperature(network, key, raw)
    left, right = st.columns(2, gap="large")
    with left.container(key="reliability"):
        st.subheader("Is it as sure as it is right?")
        bins = {name: calibration.reliability(table, equal=equal) for name, table in tables.items()}
        st.altair_chart(charts.reliability(bins, shown))
        st.altair_chart(charts.pictures(bins[shown]))
        st.caption(
            "Below the dotted line it is surer than right. Bars: Wilson's 95 % intervals of the accuracy of a bin."
        )
        with st.expander("The table behind the chart"):
            every = pd.concat(bins, names=["confidence of"]).reset_index("confidence of")
            st.dataframe(every, hide_index=True)
            save(every, f"reliability-{network.name}-{key}.csv")
    with right.container(key="risk"):
        threshold_part(tables[shown], network, key)
    abstained(tables[shown], network, key)


def answer(title: str, key: str, tables: dict[str, Predictions], equal: calibration.Bins) -> str:
    sentences = []
    for name, table in tables.items():
        off, ends, gap = ece(table, equal=equal), ece_interval(table, equal=equal), calibration.overconfidence(table)
        drift = f"on average {abs(100 * gap):.1f} points {'surer' if gap > 0 else 'less sure'} than right"
        sentences.append(f"**{100 * off:.1f} points** ({interval(ends)}) off {name}, {drift}")
    return (
        f"The confidence of {verbatim(title)} on {pictures(len(tables[RAW]))} of {verbatim(table_title(key))} is "
        f"{'; '.join(sentences)}. (Expected calibration error, 15 bins.)"
    )


def offer_temperature(network: Checkpoint, key: str, table: Predictions) -> None:
    """Say where the temperature comes from, or offer to fit one where this is the validation part."""
    card, split = network.card, calibration.validation_split(network.card)
    here = set(table.table["split"]) == {split}
    if card.temperature:
        st.caption(
            f"Temperature {card.temperature:.3f}, fitted on the validation part (“{verbatim(split)}”) and stored in the card; "
            "the live tab applies it."
            + (" This is that part, so its calibration looks a little better here than elsewhere." if here else "")
        )
    elif not split:
        st.caption(
            "It was trained without a validation part, or its members without a common one, so no picture is left to fit a "
            "temperature on."
        )
    elif network.shipped or not here:
        st.caption(
            f"No temperature is fitted yet: `ferscope calibrate {network.name} --data DATA` fits one on the validation part."
        )
    elif st.button("Fit a temperature on this validation part", help="Stored in the network's card."):
        calibration.calibrate(network.folder, table)
        st.rerun()


def threshold_part(table: Predictions, network: Checkpoint, key: str) -> None:
    st.subheader("What if it answers only when sure?")
    threshold = st.slider("Answer from this confidence on, %", 0, 100, 50, key="threshold", bind="query-params")
    found = calibration.at_threshold(table, threshold / 100)
    st.markdown(
        f"It answers **{percent(found.coverage)}** ({found.answered:,} of {pictures(found.n)}), "
        + (
            f"**{percent(found.accuracy)}** of them as labelled ({interval(found.accuracy_interval)}). "
            if found.accuracy is not None
            else "so there is no accuracy to speak of. "
        )
        + f"It abstains from {found.abstained:,}, of which {found.abstained_errors:,} would have been wrong."
    )
    curve = calibration.risk_coverage(table)
    st.altair_chart(charts.risk_coverage(curve, found.coverage))
    st.caption("Band: Wilson's 95 % intervals. The line is where the slider stands.")
    with st.expander("The table behind the curve"):
        st.dataframe(curve, hide_index=True)
        save(curve, f"risk-coverage-{network.name}-{key}.csv")


def abstained(table: Predictions, network: Checkpoint, key: str) -> None:
    threshold = st.session_state["threshold"] / 100
    st.subheader(f"Who gets no answer below {threshold:.0%}?")
    people = calibration.by_expression(table, threshold)
    st.html(
        markup.table(
            HEADER,
            [
                [
                    markup.expression(row["expression"]),
                    markup.figure(row["coverage"], Interval(row["coverage_low"], row["coverage_high"])),
                    markup.figure(row["accuracy"], Interval(row["accuracy_low"], row["accuracy_high"]))
                    if row["answered"]
                    else Html("–"),
                    f"{row['n']:,}",
                    f"{row['answered']:,}",
                ]
                for _, row in people.iterrows()
            ],
        )
    )
    st.caption("In a lighter tone: Wilson's 95 % intervals.")
    save(people, f"threshold-{network.name}-{key}.csv")
    unsure = np.flatnonzero(table.confidence < threshold)
    unsure = unsure[np.argsort(table.confidence[unsure], kind="stable")]
    if not len(unsure):
        st.markdown("No picture is left without an answer.")
        return
    st.markdown(f"**{pictures(len(unsure))}** without an answer, the least sure first.")
    frame = table.table[[*KEY, "label"]].iloc[unsure]
    frame = frame.assign(predicted=table.predicted[unsure], confidence=table.confidence[unsure])
    gallery.show(table, frame, network.name, key, view=("confidence", threshold))


def save(table: pd.DataFrame, name: str) -> None:
    st.download_button("Download as csv", table.to_csv(index=False), name, "text/csv", key=name)


main()
