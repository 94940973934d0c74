"""Confidence: is it justified? How well confidence agrees with accuracy, and what a confidence threshold costs."""

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import cache, gallery, markup
from dashboard.behind import table_behind
from dashboard.charts import confidence as charts
from dashboard.pickers import evaluated, switch, titles
from dashboard.text import estimate, images, interval, verbatim
from fer_core.datasets.titles import split_title, table_in_words
from fer_core.evaluation import calibration
from fer_core.evaluation.intervals import Interval, percent
from fer_core.evaluation.predictions import KEY, Predictions
from fer_core.glossary import explained
from fer_core.reports.charts import reliability, risk_coverage
from fer_core.reports.html import share
from fer_core.runs.store import Checkpoint

BINS: dict[calibration.Bins, str] = {"width": "Bins of equal width", "mass": "Bins of equal size"}
RAW, SCALED = "uncalibrated", "calibrated"
CALIBRATION = (
    "Expression", "Calibration error, points", "ECE, points", "ECE by chance", "Mean probability, %", "Share labelled so, %", "n",
)  # fmt: skip
HEADER = ("Expression", "Answered, %", "Accuracy of the answers, %", "n", "n answered")


def main() -> None:
    st.title("Confidence: is it justified?", help=explained("Confidence", "Calibration", "ECE", "Brier score", "Logit"))
    network, key = evaluated("see whether its confidence is justified")
    raw = cache.predictions(network.tables[key])
    if raw.only_classes:
        st.info(
            f"Of {verbatim(titles()[network.name])}, only the predicted classes were imported, so there is no confidence to "
            "judge. Import its probabilities or logits to see this page."
        )
        return
    factor = network.card.temperature
    tables = {RAW: raw}
    if factor:
        tables[SCALED] = calibration.with_temperature(raw, factor)
    row = st.container(horizontal=True, vertical_alignment="bottom")
    chosen = RAW
    if factor:
        chosen = switch("Confidence", {name: name for name in tables}, "confidence-of", SCALED, place=row)
    equal = switch("Bins", BINS, "bins", "width", place=row)
    title = titles()[network.name]
    st.markdown(calibration_in_words(title, key, tables, equal))
    offer_temperature(network, key, raw)
    left, right = st.columns(2, gap="large")
    with left.container(key="reliability"):
        st.subheader("Does confidence match accuracy?", help=explained("Calibration"))
        bins = {name: calibration.reliability(table, equal=equal) for name, table in tables.items()}
        st.altair_chart(reliability(bins, chosen))
        st.altair_chart(charts.histogram(bins[chosen]))
        st.markdown("Below the dotted line the network is overconfident, above it underconfident.")
        st.caption("Bars: 95 % confidence intervals (Wilson).")
        every = pd.concat(bins, names=["confidence of"]).reset_index("confidence of")
        table_behind("chart", every, f"reliability-{network.name}-{key}")
    with right.container(key="risk"):
        threshold_part(tables[chosen], network, key)
    by_expression(tables[chosen], f"calibration-{network.name}-{key}.csv")
    abstained(tables[chosen], network, key)


def calibration_in_words(title: str, key: str, tables: dict[str, Predictions], equal: calibration.Bins) -> str:
    """How far confidence and accuracy are apart, before and after calibration."""
    raw = tables[RAW]
    found = calibration.calibration_error(raw, equal=equal)
    before = "Before calibration, confidence" if SCALED in tables else "Confidence"
    said = (
        f"{verbatim(title)} on {verbatim(table_in_words(key))}: {before} differs from accuracy by **{100 * found.debiased:.1f} "
        f"points** (95 % CI {interval(found.interval)}, n = {found.n:,}); {tendency(raw)}."
    )
    usual = [found.ece]
    if SCALED in tables:
        after = calibration.calibration_error(tables[SCALED], equal=equal)
        usual.append(after.ece)
        said += (
            f" After calibration, it misses by **{100 * after.debiased:.1f} points** ({interval(after.interval)}); "
            f"{tendency(tables[SCALED])}."
        )
        if after.debiased > found.debiased:
            said += " **On these images, the fitted temperature makes the calibration worse.**"
    return (
        f"{said} What chance alone adds is subtracted (debiased, root mean square). The usual ECE is "
        f"{' and '.join(f'{100 * one:.1f}' for one in usual)} points; a calibrated network would have one of "
        f"{100 * found.by_chance:.1f} points by chance."
    )


def by_expression(table: Predictions, name: str) -> None:
    """The calibration error of each expression's own probability."""
    st.subheader("Which expressions' probabilities are off?")
    told = calibration.calibration_by_expression(table)
    rows = [
        [
            markup.expression(row["expression"]),
            share(row["error"], Interval(row["low"], row["high"])),
            f"{100 * row['ece']:.1f}",
            f"{100 * row['by_chance']:.1f}",
            f"{100 * row['probability']:.1f}",
            f"{100 * row['share']:.1f}",
            f"{row['n']:,}",
        ]
        for _, row in told.iterrows()
    ]
    st.html(markup.table(CALIBRATION, rows))
    st.caption(
        "Each expression's probability as a statement that the image is labelled so. Error: debiased, root mean square; ECE by "
        "chance: what a calibrated network would have. Grey: 95 % confidence intervals, which begin at 0 where the "
        "probability may be calibrated. Expressions with fewer than five images are left out."
    )
    table_behind("table", told, name.removesuffix(".csv"))


def tendency(table: Predictions) -> str:
    """Whether the network is over- or underconfident, with the mean difference."""
    gap = 100 * calibration.overconfidence(table)
    if abs(gap) < 0.05:
        return "neither overconfident nor underconfident"
    return f"{'slightly ' * (abs(gap) < 2)}{'overconfident' if gap > 0 else 'underconfident'} ({abs(gap):.1f} points)"


def _error(table: Predictions, temperature: float, here: bool) -> str:
    """Its interval, which these images tell only if it was fitted on them."""
    if not here:
        return ""
    low, high = calibration.temperature_interval(table, temperature)
    return f" (95 % CI {low:.3f} to {high:.3f})"


def offer_temperature(network: Checkpoint, key: str, table: Predictions) -> None:
    """Say where the temperature comes from, or offer to fit one if this is the validation set."""
    card, split = network.card, calibration.validation_split(network.card)
    here = set(table.table["split"]) == {split}
    if card.temperature:
        st.markdown(
            f"Calibrated with a temperature of {card.temperature:.3f}{_error(table, card.temperature, here)}, fitted on the "
            f"{verbatim(split_title(split))} and stored "
            "in the network's card. The Live page uses it too."
            + (" The temperature was fitted on these images, so the result is slightly too good." if here else ""),
            help=explained("Temperature"),
        )
    elif not split:
        st.markdown(
            "This network cannot be calibrated: it was trained without a validation set, or its members have none in common."
        )
    elif network.shipped or not here:
        st.markdown(
            f"This network is not calibrated yet. To calibrate it on its validation set, run "
            f"`ferscope calibrate {network.name} --data DATA`.",
            help=explained("Temperature"),
        )
    elif st.button("Calibrate on this validation set", help=explained("Temperature")):
        calibration.calibrate(network.folder, table)
        st.rerun()


def threshold_part(table: Predictions, network: Checkpoint, key: str) -> None:
    st.subheader("What does a confidence threshold cost?", help=explained("Risk-coverage curve"))
    threshold = st.slider("Confidence threshold, %", 0, 100, 50, key="threshold", bind="query-params")
    found = calibration.at_threshold(table, threshold / 100)
    st.markdown(
        f"At this threshold the network answers **{percent(found.coverage)}** of the images ({found.answered:,} of "
        f"{found.n:,})"
        + (
            f" with an accuracy of {estimate(found.accuracy, found.accuracy_interval)}. "
            if found.accuracy is not None
            else ", so there is no accuracy. "
        )
        + f"It gives no answer for {found.abstained:,}, of which {found.abstained_errors:,} would have been wrong."
    )
    curve = calibration.risk_coverage(table)
    st.altair_chart(risk_coverage(curve, found.coverage))
    st.caption("Band: 95 % confidence intervals (Wilson). Vertical line: the chosen threshold.")
    table_behind("chart", curve, f"risk-coverage-{network.name}-{key}")


def abstained(table: Predictions, network: Checkpoint, key: str) -> None:
    threshold = st.session_state["threshold"] / 100
    st.subheader(f"Which expressions lose most at a threshold of {100 * threshold:.0f} %?")
    people = calibration.by_expression(table, threshold)
    st.html(
        markup.table(
            HEADER,
            [
                [
                    markup.expression(row["expression"]),
                    share(row["coverage"], Interval(row["coverage_low"], row["coverage_high"])),
                    share(row["accuracy"], Interval(row["accuracy_low"], row["accuracy_high"]))
                    if row["answered"]
                    else "–",
                    f"{row['n']:,}",
                    f"{row['answered']:,}",
                ]
                for _, row in people.iterrows()
            ],
        )
    )
    st.caption("Grey: 95 % confidence intervals (Wilson).")
    name = f"threshold-{network.name}-{key}.csv"
    st.download_button("Download as csv", people.to_csv(index=False), name, "text/csv", key=name)
    unsure = np.flatnonzero(table.confidence < threshold)
    unsure = unsure[np.argsort(table.confidence[unsure], kind="stable")]
    if not len(unsure):
        st.markdown("Every image gets an answer.")
        return
    st.markdown(f"**{images(len(unsure))}** without an answer, lowest confidence first.")
    frame = table.table[[*KEY, "label"]].iloc[unsure]
    frame = frame.assign(predicted=table.predicted[unsure], confidence=table.confidence[unsure])
    gallery.show(table, frame, network.name, key, view=("confidence", threshold))


main()
