"""Do the reports' figures come out again? Each row of their tables beside what its recipe gave, and why where it did not run."""

from collections import Counter
from collections.abc import Sequence

import streamlit as st

from dashboard import curves, markup
from dashboard.charts.reproduction import reported_and_reproduced
from dashboard.markup import Html
from dashboard.text import verbatim
from fer_core.evaluation.intervals import Interval
from fer_core.experiments import reproduction
from fer_core.experiments.reproduction import Row
from fer_core.runs.folder import RunFolder

PLOTLY = {"displayModeBar": False}
HEADER = ("Row", "Reported, %", "Reproduced, %", "Outcome", "Epochs", "CPU min", "n", "Data")
# Rows of the tables that nobody trains.
BESIDE = {
    "emotions": "Their table also has human observers (65 ± 5 %, Goodfellow et al.) and a null model (60 %, an ensemble of "
    "them 65.5 %, Bergstra and Cox); nobody trains those."
}


def main() -> None:
    st.title("Do the reports' figures come out again?")
    rows = reproduction.rows()
    st.markdown(answer(rows))
    st.caption(
        "“Agrees” is said where the reported figure lies in the 95 % interval (Wilson) of the reproduced one. Where FER2013's "
        "PrivateTest is not at hand, PublicTest both chose the epoch and gives the figure, which flatters it a little; the "
        "reports used other parts, and some let the very part they report on choose."
    )
    for report in dict.fromkeys(row.report for row in rows):
        section(report, [row for row in rows if row.report == report])
    table = reproduction.table(rows)
    st.download_button("Download all as csv", table.to_csv(index=False), "reproduction.csv", "text/csv")


def answer(rows: Sequence[Row]) -> str:
    """How many rows came out, in a sentence."""
    told = [row for row in rows if row.reported is not None]
    run = [row for row in told if row.accuracy is not None]
    lacking = sum(row.state == "data missing" for row in told)
    words = Counter(row.verdict.partition(",")[0].partition(":")[0] for row in run)
    plural = {"agrees": "agree"}
    outcome = ", ".join(f"{n} {plural.get(word, word) if n > 1 else word}" for word, n in words.most_common())
    cut = sum(row.cut for row in run)
    said = f"**{len(run)} of the {len(told)} rows have been run**"
    said += f": {outcome}; {cut} of them with fewer epochs than the report's." if run else "."
    left = {"lack their data here": lacking, "have not been run yet": len(told) - len(run) - lacking}
    return " ".join([said, *(f"{count} {words}." for words, count in left.items() if count)])


def section(report: str, rows: Sequence[Row]) -> None:
    """One report: chart, table, curves, and what is missing, in words."""
    st.subheader(verbatim(rows[0].source))
    st.plotly_chart(reported_and_reproduced(rows), config=PLOTLY, key=f"chart-{report}")
    st.html(markup.table(HEADER, [cells(row) for row in rows], words=(0, 3, 7)))
    for said in missing(report, rows):
        st.caption(said)
    runs = [(row.title, RunFolder(row.folder)) for row in rows if row.folder is not None]
    histories = {title: history for title, run in runs if (history := run.metrics())}
    if histories:
        with st.expander("How they learned"):
            curves.show(histories, f"curves-{report}")


def cells(row: Row) -> list[str | Html]:
    outcome = markup.escape(row.verdict or row.state)
    return [
        row.title,
        "–" if row.reported is None else f"{100 * row.reported:.1f}",
        "–"
        if row.accuracy is None or row.low is None or row.high is None
        else markup.figure(row.accuracy, Interval(row.low, row.high)),
        Html(f'<span style="display: inline-block; min-width: 9rem">{outcome}</span>'),
        f"{round(row.epochs * row.share, 2):g} of {row.asked}" if row.asked else "–",
        "–" if row.cpu_minutes is None else f"{row.cpu_minutes:.1f}",
        f"{row.n:,}" if row.n else "–",
        f"{row.data}, {row.split}" if row.split else row.data,
    ]


def missing(report: str, rows: Sequence[Row]) -> list[str]:
    """What could not be run, what was cut, and how to go on, as Markdown."""
    said = [BESIDE[report]] if report in BESIDE else []
    lacking = [row for row in rows if row.state == "data missing"]
    if lacking:
        sets = dict.fromkeys(name for row in lacking for name in row.lacking)
        said.append(
            f"Not run for want of data: {named(lacking)}. This workspace does not know {verbatim(', '.join(sets))}; "
            "`ferscope data add PATH --name NAME` makes a set known."
        )
    waiting = [row for row in rows if row.state == "not run" and not row.weights]
    if waiting:
        said.append(f"Not run yet, though the data are here: {named(waiting)}.")
    loaded = [row for row in rows if row.state != "run" and row.weights]
    if loaded:
        words = ", ".join(f"{row.title} ({row.weights})" for row in loaded)
        said.append(f"These also need weights to start from: {verbatim(words)}.")
    cut = [row for row in rows if row.cut]
    if cut:
        said.append(
            f"Cut by the budget: {named(cut)}. What a network gives in so few epochs says little about what the report's gave "
            "in all of them."
        )
    if waiting or cut:
        said.append(f"To go on: `ferscope reproduce --only '{report}-*' --minutes 120 --data PATH`")
    return said


def named(rows: Sequence[Row]) -> str:
    return verbatim(", ".join(row.title for row in rows))


main()
