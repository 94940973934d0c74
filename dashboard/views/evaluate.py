"""Evaluate: where does the network fail? The confusion matrix, the images behind each cell, and each expression."""

import pandas as pd
import streamlit as st

from dashboard import cache, gallery, markup
from dashboard.behind import table_behind
from dashboard.charts import confusion as charts
from dashboard.pickers import choose, evaluated, switch, titles
from dashboard.text import estimate, images, verbatim
from fer_core.datasets.titles import table_in_words
from fer_core.evaluation.confusion import Order, most_confused, ordered
from fer_core.evaluation.gallery import Filter, examples, select
from fer_core.evaluation.intervals import Interval, percent
from fer_core.evaluation.predictions import Predictions
from fer_core.evaluation.report import CLASS_FIGURES, EvaluationReport, figures_table
from fer_core.evaluation.results import leaks_in_words
from fer_core.glossary import explained
from fer_core.reports.charts import Shares
from fer_core.reports.charts import cells as matrix_cells
from fer_core.reports.html import share
from fer_core.spreadsheet import as_csv

SHARES: dict[Shares, str] = {
    "row": "Share of the label",
    "column": "Share of the prediction",
    "all": "Share of all",
    "counts": "Counts",
}
ORDERS: dict[Order, str] = {
    "given": "Network order",
    "recall": "Highest recall first",
    "confusion": "Group confused classes",
}
HEADER = (
    "Expression", "Precision, %", "Recall, %", "F1, %", "AUROC, %", "Average precision, %", "n labelled", "n predicted",
)  # fmt: skip


def accuracy_in_words(title: str, key: str, report: EvaluationReport) -> str:
    classes = report.per_class[report.per_class["support"] > 0]
    best, worst = (classes.iloc[int(place)] for place in (classes["f1"].argmax(), classes["f1"].argmin()))
    sentence = (
        f"{verbatim(title)} has an accuracy of {estimate(report.accuracy, report.accuracy_interval, report.n)} on "
        f"{verbatim(table_in_words(key))}. It recognises {best['expression']} best (F1 {percent(best['f1'])}) and "
        f"{worst['expression']} worst (F1 {percent(worst['f1'])})."
    )
    pairs = [
        f"{pair.label} predicted as {pair.predicted} ({pair.count:,}, {percent(pair.share)} of {pair.label})"
        for pair in most_confused(report.confusion, report.expressions)
    ]
    return sentence + (f" Most frequent confusions: {'; '.join(pairs)}." if pairs else "")


def follow_click() -> None:
    """Take a click on the matrix into the address."""
    clicked = st.session_state["matrix"]["selection"].get("cell")
    if clicked:
        st.query_params["true"], st.query_params["predicted"] = clicked[0]["label"], clicked[0]["predicted"]


def bounds(row: pd.Series, metric: str) -> Interval:
    return Interval(row[f"{metric}_low"], row[f"{metric}_high"])


def show_images(table: Predictions, label: str, predicted: str, network: str, key: str) -> None:
    """The images of one cell, page by page, the most confident first."""
    frame = select(examples(table), Filter((label,), (predicted,)), "confidence")
    verb = "correctly predicted as" if label == predicted else "predicted as"
    st.markdown(
        f"**{images(len(frame))}** labelled {label}, {verb} {predicted}"
        + (", highest confidence first." if len(frame) else ".")
    )
    gallery.show(table, frame, network, key, view=("evaluate", label, predicted))
    st.page_link(
        "views/gallery.py",
        label="Open in Gallery",
        query_params={
            "network": network, "table": key, "labels": label, "reads": predicted, "outcome": "all", "sort": "confidence"
        },
    )  # fmt: skip


st.title(
    "Evaluate: where does the network fail?",
    help=explained("Accuracy", "F1", "Confusion matrix", "Confidence interval"),
)
network, key = evaluated("see where it fails")
report, table = cache.report(network.tables[key]), cache.served(network, key)
names = report.expressions
st.markdown(accuracy_in_words(titles()[network.name], key, report))
if leaked := leaks_in_words(network.card.results.get(key, {})):
    st.markdown(leaked)

left, right = st.columns(2, gap="medium")
with right:
    worst = most_confused(report.confusion, names, top=1)
    default = (worst[0].label, worst[0].predicted) if worst else (names[0], names[0])
    first, second = st.columns(2)
    label = choose("Label", names, "true", default=default[0], place=first)
    predicted = choose("Predicted", names, "predicted", default=default[1], place=second)
    show_images(table, label, predicted, network.name, key)
with left:
    shares = switch("Colour shows", SHARES, "shares", "row")
    order = switch("Order of the expressions", ORDERS, "order", "given")
    st.altair_chart(
        charts.confusion(report.confusion, names, shares, (label, predicted), ordered(report.confusion, names, order)),
        key="matrix",
        on_select=follow_click,
        selection_mode="cell",
    )
    st.markdown(
        "Rows are labels, columns are predictions. Click a cell to see its images, or choose label and prediction in the boxes."
    )
    cells = matrix_cells(report.confusion, names)
    table_behind("matrix", cells, f"confusion-{network.name}-{key}")

st.subheader("Figures per expression", help=explained("Precision", "Recall", "F1", "AUROC", "Average precision"))
st.html(
    markup.table(
        HEADER,
        [
            [
                markup.expression(row["expression"]),
                *(share(row[metric], bounds(row, metric)) for metric in CLASS_FIGURES),
                f"{row['support']:,}",
                f"{row['predicted']:,}",
            ]
            for _, row in report.per_class.iterrows()
        ],
    )
)
st.caption(
    "AUROC and average precision compare each expression with all others. Grey: 95 % confidence intervals (Wilson's; AUROC: "
    "Newcombe's with DeLong's variance). No interval is given for fewer than five images."
)
st.download_button(
    "Download as csv",
    as_csv(report.per_class),
    f"expressions-{network.name}-{key}.csv",
    "text/csv",
    key="per-class",
)
st.download_button(
    "Download predictions (csv)",
    lambda: as_csv(table.to_frame()),
    f"predictions-{network.name}-{key}.csv",
    "text/csv",
    key="predictions",
    help="A row an image, as other programs read it: id, label, prediction, confidence, probabilities and logits.",
)

with st.expander("All figures"):
    figures = figures_table(report)
    st.html(markup.table(("Figure", "Value", "95 % CI", "Range"), figures.to_numpy().tolist()))
    st.caption(
        "Values are fractions; log loss is in nats. Macro: mean over the expressions. Weighted: mean weighted by the number of "
        "images. Intervals: delta method, except Wilson for accuracy and top-2 accuracy. The usual calibration errors are never "
        "0; beside them is what a calibrated network would have by chance. A dash means that these data "
        "do not define the figure.",
        help=explained("Log loss", "Top-2 accuracy", "Brier score"),
    )
    st.download_button(
        "Download as csv", as_csv(figures), f"figures-{network.name}-{key}.csv", "text/csv", key="figures"
    )
