"""Reproduction: can the five reports' results be reproduced? Each row of their tables with the result of its recipe."""

from collections import Counter
from collections.abc import Sequence

import streamlit as st

from dashboard import curves, markup
from dashboard.charts.reproduction import reported_and_reproduced
from dashboard.text import verbatim
from fer_core.datasets.titles import dataset_title, table_title
from fer_core.durations import duration
from fer_core.evaluation.intervals import Interval
from fer_core.experiments import reproduction
from fer_core.experiments.reproduction import Row
from fer_core.glossary import explained
from fer_core.reports.html import Cell, share
from fer_core.runs.folder import RunFolder

PLOTLY = {"displayModeBar": False}
HEADER = ("Network", "Reported, %", "Reproduced, %", "Outcome", "Epochs", "CPU time", "n", "Data set")
SUMMARY = ("Report", "Results run", "Agree", "Others")
# Rows of the tables that nobody trains.
BESIDE = {
    "emotions": "The report's table also contains human observers (65 ± 5 %, Goodfellow et al.) and a null model (60 %; an "
    "ensemble of them 65.5 %, Bergstra and Cox). They are not trained."
}


def main() -> None:
    st.title("Reproduction: can the five reports' results be reproduced?", help=explained("Confidence interval"))
    rows = reproduction.rows()
    st.markdown(outcome_in_words(rows))
    st.markdown(
        "A result **agrees** if the reported accuracy lies in the 95 % confidence interval (Wilson) of the reproduced one. "
        "Without FER2013's PrivateTest, PublicTest both chooses the best epoch and measures accuracy, so the reproduced figures "
        "are slightly too high. The reports used other splits, and some chose the epoch on the split they report."
    )
    by_report = {
        report: [row for row in rows if row.report == report] for report in dict.fromkeys(row.report for row in rows)
    }
    st.html(markup.table(SUMMARY, [summary(of_one) for of_one in by_report.values()]))
    for report, of_one in by_report.items():
        # charts are drawn once they are looked at: those of five reports take as long as the rest of the page together
        part = st.expander(verbatim(of_one[0].source), key=f"report-{report}", on_change="rerun", bind="query-params")
        with part:
            section(report, of_one, with_charts=bool(part.open))
    table = reproduction.table(rows)
    st.download_button("Download all as csv", table.to_csv(index=False), "reproduction.csv", "text/csv")


def summary(rows: Sequence[Row]) -> list[Cell]:
    """One report: how many of its results were run, agree, differ, or cannot be compared."""
    told = [row for row in rows if row.reported is not None]
    run = [row for row in told if row.accuracy is not None]
    verdicts = Counter((row.verdict or "").partition(",")[0].partition(":")[0] for row in run)
    agree = verdicts.pop("agrees", 0)
    rest = ", ".join(f"{n} {word}" for word, n in verdicts.most_common()) or "–"
    return [rows[0].source, f"{len(run)} of {len(told)}", f"{agree}", rest]


def outcome_in_words(rows: Sequence[Row]) -> str:
    """How many rows were run, and with which outcome."""
    told = [row for row in rows if row.reported is not None]
    run = [row for row in told if row.accuracy is not None]
    lacking = sum(row.state == "data missing" for row in told)
    words = Counter(row.verdict.partition(",")[0].partition(":")[0] for row in run)
    outcome = ", ".join(counted(word, n) for word, n in words.most_common())
    cut = sum(row.cut for row in run)
    said = f"**{len(run)} of the {len(told)} reported results have been run**"
    said += f": {outcome}. {cut} of them used fewer epochs than the report." if run else "."
    waiting = len(told) - len(run) - lacking
    return " ".join(
        [
            said,
            *([f"For {lacking}, the data are missing."] if lacking else []),
            *([f"{waiting} have not been run yet."] if waiting else []),
        ]
    )


def counted(outcome: str, n: int) -> str:
    """“1 agrees”, “2 agree”, “3 are not comparable”."""
    if outcome == "agrees":
        return f"{n} agree{'s' if n == 1 else ''}"
    return f"{n} {'is' if n == 1 else 'are'} {outcome}"


def section(report: str, rows: Sequence[Row], *, with_charts: bool) -> None:
    """One report: chart, table, curves, and what is missing."""
    if with_charts:
        st.plotly_chart(reported_and_reproduced(rows), config=PLOTLY, key=f"chart-{report}")
    st.html(markup.table(HEADER, [cells(row) for row in rows], words=(0, 3, 7)))
    for said in missing(report, rows):
        st.markdown(said)
    runs = [(row.title, RunFolder(row.folder)) for row in rows if row.folder is not None]
    histories = {title: history for title, run in runs if (history := run.metrics())}
    if histories and with_charts:
        st.markdown("**Learning curves**")
        curves.show(histories, f"curves-{report}")


def cells(row: Row) -> list[Cell]:
    return [
        row.title,
        "–" if row.reported is None else f"{100 * row.reported:.1f}",
        "–"
        if row.accuracy is None or row.low is None or row.high is None
        else share(row.accuracy, Interval(row.low, row.high)),
        row.verdict or row.state,
        f"{round(row.epochs * row.share, 2):g} of {row.asked}" if row.asked else "–",
        "–" if row.cpu_minutes is None else duration(60 * row.cpu_minutes),
        f"{row.n:,}" if row.n else "–",
        table_title(f"{row.data}-{row.split}") if row.split else dataset_title(row.data),
    ]


def missing(report: str, rows: Sequence[Row]) -> list[str]:
    """What could not be run, what was shortened, and how to continue, as Markdown."""
    said = [BESIDE[report]] if report in BESIDE else []
    lacking = [row for row in rows if row.state == "data missing"]
    if lacking:
        sets = dict.fromkeys(name for row in lacking for name in row.lacking)
        said.append(
            f"Not run because data are missing: {named(lacking)}. Missing: {verbatim(', '.join(map(dataset_title, sets)))}. "
            "To add a data set, run `ferscope data add PATH --name NAME`."
        )
    waiting = [row for row in rows if row.state == "not run" and not row.weights]
    if waiting:
        said.append(f"Not run yet: {named(waiting)}.")
    loaded = [row for row in rows if row.state != "run" and row.weights]
    if loaded:
        words = "; ".join(f"{row.title} ({row.weights})" for row in loaded)
        said.append(f"Initial weights are missing: {verbatim(words)}.")
    cut = [row for row in rows if row.cut]
    if cut:
        said.append(
            f"Shortened to fit the time limit: {named(cut)}. These results say little about the reported ones, which used more "
            "epochs."
        )
    if waiting or cut:
        said.append(f"To continue, run `ferscope reproduce --only '{report}-*' --minutes 120 --data PATH`")
    return said


def named(rows: Sequence[Row]) -> str:
    return verbatim("; ".join(row.title for row in rows))


main()
