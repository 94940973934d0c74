"""Where does it fail? One network on one split: the confusion matrix, the images behind each cell, and each expression."""

from math import isnan

import pandas as pd
import streamlit as st

from dashboard import cache, gallery, markup
from dashboard.charts import confusion as charts
from dashboard.pickers import choose, evaluated, titles
from dashboard.text import interval, percent, pictures, table_title, verbatim
from fer_core.evaluation.gallery import Filter, examples, select
from fer_core.evaluation.intervals import Interval
from fer_core.evaluation.metrics import CLASS_FIGURES, EvaluationReport, figures_table, most_confused, ordered
from fer_core.evaluation.predictions import Predictions

SHARES = {
    "row": "Share of the label",
    "column": "Share of the prediction",
    "all": "Share of all",
    "counts": "Counts",
}
ORDERS = {"given": "As the network lists them", "recall": "Best recognised first", "confusion": "Confused ones beside"}
HEADER = (
    "Expression", "Precision, %", "Recall, %", "F1, %", "AUROC, %", "Average precision, %", "n given", "n predicted",
)  # fmt: skip


def answer(title: str, key: str, report: EvaluationReport) -> str:
    classes = report.per_class[report.per_class["support"] > 0]
    best, worst = (classes.loc[pick(classes["f1"])] for pick in (pd.Series.idxmax, pd.Series.idxmin))
    sentence = (
        f"{verbatim(title)} reads **{percent(report.accuracy)}** ({interval(report.accuracy_interval)}) of "
        f"{pictures(report.n)} of {verbatim(table_title(key))} as labelled, {best['expression']} best "
        f"(F1 {percent(best['f1'])}) and {worst['expression']} worst (F1 {percent(worst['f1'])})."
    )
    pairs = [
        f"{pair.label} read as {pair.predicted} ({pair.count:,}, {percent(pair.share)} of {pair.label})"
        for pair in most_confused(report.confusion, report.expressions)
    ]
    return sentence + (f" Most confused: {'; '.join(pairs)}." if pairs else "")


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
    verb = "rightly read as" if label == predicted else "read as"
    st.markdown(
        f"**{pictures(len(frame))}** labelled {label}, {verb} {predicted}"
        + (", the most confident first." if len(frame) else ".")
    )
    gallery.show(table, frame, network, key, view=("evaluate", label, predicted))
    st.page_link(
        "views/gallery.py",
        label="Filter, select and take out on the gallery page",
        query_params={
            "network": network, "table": key, "labels": label, "reads": predicted, "outcome": "all", "sort": "confidence"
        },
    )  # fmt: skip


st.title("Where does it fail?")
network, key = evaluated("its confusions")
report, table = cache.report(network.tables[key]), cache.predictions(network.tables[key])
names = report.expressions
st.markdown(answer(titles()[network.name], key, report))

left, right = st.columns(2, gap="medium")
with right:
    worst = most_confused(report.confusion, names, top=1)
    default = (worst[0].label, worst[0].predicted) if worst else (names[0], names[0])
    first, second = st.columns(2)
    label = choose("Label", names, "true", default=default[0], place=first)
    predicted = choose("Predicted", names, "predicted", default=default[1], place=second)
    show_images(table, label, predicted, network.name, key)
with left:
    shares = st.segmented_control(
        "Colour shows",
        list(SHARES),
        format_func=SHARES.get,
        default="row",
        required=True,
        key="shares",
        bind="query-params",
    )
    order = st.segmented_control(
        "Expressions", list(ORDERS), format_func=ORDERS.get, default="given", required=True, key="order",
        bind="query-params",
    )  # fmt: skip
    st.altair_chart(
        charts.confusion(report.confusion, names, shares, (label, predicted), ordered(report.confusion, names, order)),
        key="matrix",
        on_select=follow_click,
        selection_mode="cell",
    )
    st.caption(
        f"Rows are labels, columns predictions, n = {report.n:,}. A click on a cell shows its pictures, and so do the boxes "
        "“Label” and “Predicted”."
    )
    with st.expander("The table behind the matrix"):
        cells = charts.cells(report.confusion, names)
        st.dataframe(cells, hide_index=True)
        st.download_button(
            "Download as csv", cells.to_csv(index=False), f"confusion-{network.name}-{key}.csv", "text/csv"
        )

st.subheader("Each expression")
st.html(
    markup.table(
        HEADER,
        [
            [
                markup.expression(row["expression"]),
                *(
                    "–" if isnan(row[metric]) else markup.figure(row[metric], bounds(row, metric))
                    for metric in CLASS_FIGURES
                ),
                f"{row['support']:,}",
                f"{row['predicted']:,}",
            ]
            for _, row in report.per_class.iterrows()
        ],
    )
)
st.caption(
    "AUROC and average precision are of each expression against all others. In a lighter tone: 95 % intervals, Wilson's for "
    "precision and recall, bootstrap for F1, DeLong's for AUROC, the binomial one for average precision."
)
st.download_button(
    "Download as csv",
    report.per_class.to_csv(index=False),
    f"expressions-{network.name}-{key}.csv",
    "text/csv",
    key="per-class",
)

with st.expander("All figures of this network on this split"):
    figures = figures_table(report)
    st.html(markup.table(("Figure", "Value", "95 % interval", "Range"), figures.to_numpy().tolist()))
    st.caption(
        "As fractions, log loss in nats. Macro: mean over the expressions; weighted: by their number of pictures. Bootstrap "
        "intervals, but Wilson's for accuracy and top-2; – where this split cannot tell."
    )
    st.download_button(
        "Download as csv", figures.to_csv(index=False), f"figures-{network.name}-{key}.csv", "text/csv", key="figures"
    )
