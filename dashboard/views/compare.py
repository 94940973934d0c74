"""Compare: is A better than B? Two networks on the same images, and more of them in groups."""

import streamlit as st

from dashboard import cache, gallery, markup
from dashboard.behind import table_behind
from dashboard.charts import comparison as charts
from dashboard.charts import confusion
from dashboard.pickers import Picked, choose, choose_networks, evaluate_link, picked, switch, titles
from dashboard.text import images, interval, verbatim
from fer_core.datasets.titles import table_in_words, table_title
from fer_core.errors import DataError
from fer_core.evaluation.comparison import ALPHA, Comparison, all_pairs, p_in_words
from fer_core.evaluation.intervals import Interval, percent
from fer_core.evaluation.results import leaks_in_words
from fer_core.glossary import explained
from fer_core.reports.html import share
from fer_core.runs import store
from fer_core.runs.store import Checkpoint
from fer_core.spreadsheet import as_csv

CHANGES = {"fixed": "Newly right", "broken": "Newly wrong"}


def main() -> None:
    st.title(
        "Compare: is A better than B?", help=explained("McNemar's test", "Statistically significant", "Cohen's kappa")
    )
    choice = picked()
    if choice is None or choice.table is None:
        st.info(
            "There is no trained network yet. Train two to compare them."
            if choice is None
            else f"{verbatim(titles()[choice.checkpoint.name])} has not been evaluated yet."
        )
        if choice is not None:
            evaluate_link(choice.checkpoint.name)
        elif st.button("Train a network", type="primary"):
            st.switch_page("views/train.py")
        return
    key, networks = choice.table, store.checkpoints()
    tables = {name: network.tables for name, network in networks.items()}
    here = {name: networks[name] for name in networks if key in tables[name]}
    others = [name for name in here if name != choice.checkpoint.name]
    if not others:
        st.info(
            f"No other network has been evaluated on {verbatim(table_in_words(key))}. Train a second network, or evaluate "
            "one."
        )
        evaluate_link(choice.checkpoint.name, label="Evaluate a network on the Data page")
        if st.button("Train a network", type="primary"):
            st.switch_page("views/train.py")
        return
    with st.container(horizontal=True):
        other = choose(
            f"Compare {verbatim(titles()[choice.checkpoint.name])} with", others, "other", titles().__getitem__
        )
        pair = (choice.checkpoint, here[other or others[0]])
        rest = [name for name in others if name != pair[1].name]
        beside = choose_networks("And with", rest, "beside") if rest else []
    chosen = {name: here[name] for name in (pair[0].name, pair[1].name, *beside)}
    try:
        found = cache.comparison(*pair, key)
        if beside:
            found = found.among(all_pairs({name: cache.predictions(one.tables[key]) for name, one in chosen.items()}))
    except DataError as error:
        st.info(verbatim(str(error)))
    else:
        a, b = (titles()[network.name] for network in pair)
        overall_difference(found, a, b, pair, key)
        each_expression(found, a, b, f"{pair[0].name}-{pair[1].name}-{key}")
        changes(found, choice, pair[1], a, b)
        cells(found, a, b, f"{pair[0].name}-{pair[1].name}-{key}")
    everyone(chosen, choice)
    if rest and len(beside) < len(rest):
        st.markdown(
            f"{len(rest) - len(beside)} more networks have been evaluated on these images. Choose them at the top to compare "
            "them too."
        )


def overall_difference(found: Comparison, a: str, b: str, pair: tuple[Checkpoint, Checkpoint], key: str) -> None:
    st.markdown(f"**{verbatim(found.sentence(a, b))}**")
    n, macro = found.test.n, found.difference
    first, second = percent(found.accuracy_a), percent(found.accuracy_b)
    st.markdown(
        f"{verbatim(a)} has an accuracy of {first}, {verbatim(b)} of {second} (n = {n:,}). The macro-F1 of {verbatim(b)} is "
        f"{abs(100 * macro.macro_f1):.1f} points {'higher' if macro.macro_f1 >= 0 else 'lower'} "
        f"(95 % CI of the difference {interval(macro.macro_f1_interval)}). Both make the same prediction for "
        f"{percent(found.agreement.share)} of the images ({interval(found.agreement.interval)}; Cohen's kappa "
        f"{found.agreement.kappa:.2f})."
    )
    st.markdown(verbatim(found.consistency.sentence), help=explained("Error consistency"))
    for name, network in zip((a, b), pair, strict=True):
        if leaked := leaks_in_words(network.card.results.get(key, {})):
            st.markdown(verbatim(f"{name}: {leaked}"))
    if not n == found.size_a == found.size_b:
        st.markdown(
            f"Both networks are compared on the {images(n)} that they have in common with the same label. {verbatim(a)} was "
            f"evaluated on {found.size_a:,} images, {verbatim(b)} on {found.size_b:,}."
        )
    st.markdown("The result holds for these two training runs and this data set.")
    st.caption(
        f"McNemar's exact test{correction(found.pairs)}. A network is called better if p ≤ {ALPHA}. Intervals: Tango's for "
        "accuracy and recall, delta method for macro-F1."
    )


def correction(pairs: int) -> str:
    return f", with Holm's correction over the {pairs} pairs of the networks chosen" if pairs > 1 else ""


def each_expression(found: Comparison, a: str, b: str, name: str) -> None:
    st.subheader("Which expressions differ?", help=explained("Recall", "Holm's correction"))
    table = found.difference.recall
    told = table[table["p_adjusted"] <= ALPHA]
    words = [
        f"{row['expression']} ({b if row['difference'] > 0 else a} is better by {abs(100 * row['difference']):.1f} points)"
        for _, row in told.iterrows()
    ]
    st.markdown(
        f"Recall differs significantly for {verbatim(', '.join(words))}."
        if words
        else "No single expression differs significantly."
    )
    st.altair_chart(charts.recall_differences(table, a, b))
    st.caption(f"Grey: not significant (McNemar's exact test, Holm's correction over {len(table)} expressions).")
    table_behind("chart", table, f"recall-{name}")


def changes(found: Comparison, choice: Picked, other: Checkpoint, a: str, b: str) -> None:
    st.subheader("Which images differ?")
    if found.changed.empty:
        st.markdown("None. Both networks are right and wrong on the same images.")
        return
    st.markdown(
        f"{verbatim(b)} is right on **{found.test.only_b:,}** images that {verbatim(a)} gets wrong, and wrong on "
        f"**{found.test.only_a:,}** that {verbatim(a)} gets right."
    )
    kind = switch("Images", CHANGES, "change", "fixed", label_visibility="collapsed")
    frame = found.changed[found.changed["change"] == kind]
    frame = frame.assign(predicted=frame["predicted_b"], confidence=frame["confidence_b"])
    frame = frame.sort_values("confidence", ascending=False, kind="stable", ignore_index=True)
    key = choice.table or ""
    gallery.show(
        cache.served(other, key), frame, other.name, key, view=("compare", kind),
        note=lambda row: (f"{a}: {row['predicted_a']}",),
    )  # fmt: skip
    table_behind("images", frame, f"{kind}-{other.name}-{key}")


def cells(found: Comparison, a: str, b: str, name: str) -> None:
    st.subheader("Which confusions differ?", help=explained("Confusion matrix"))
    table, told = found.cells, found.cells[found.cells["p_adjusted"] <= ALPHA]
    wrong = told[told["label"] != told["predicted"]]
    wrong = wrong.reindex(wrong["difference"].abs().sort_values(ascending=False).index)
    words = [
        f"{row['label']} predicted as {row['predicted']} ({a}: {row['a']:,}, {b}: {row['b']:,})"
        for _, row in wrong.head(3).iterrows()
    ]
    st.markdown(
        f"The largest differences: {verbatim('; '.join(words))}."
        if words
        else "No single confusion differs significantly."
    )
    if len(told):
        st.altair_chart(confusion.difference(table, a, b), key="cells")
        st.markdown(
            f"Number of images: {verbatim(b)} minus {verbatim(a)}. Coloured cells differ significantly, grey cells do not."
        )
        st.caption("McNemar's exact test per cell, Holm's correction over all cells.")
    table_behind("matrix", table, f"cells-{name}")


HEADER = ("Network", "Letters", "Accuracy, %", "Macro-F1, %", "Balanced accuracy, %", "p, compared with the best")


def everyone(here: dict[str, Checkpoint], choice: Picked) -> None:
    key = choice.table or ""
    st.subheader(f"The networks chosen: {table_title(key)}")
    try:
        board = cache.standings({name: network.tables[key] for name, network in here.items()})
    except DataError as error:
        st.info(verbatim(str(error)))
        return
    first = board[board["p_best"] > ALPHA]["name"].map(titles().get)
    every, rest = ("both", "the other") if len(board) == 2 else (f"all {len(board)}", "every other")
    st.markdown(
        f"On the {images(int(board['n'].iloc[0]))} that {every} networks have in common, "
        + (
            f"{verbatim(first.iloc[0])} is significantly better than {rest} network."
            if len(first) == 1
            else f"{verbatim('; '.join(first.head(5)))}{' and others' if len(first) > 5 else ''} do not differ significantly "
            "from the best network."
        )
        + " Two networks that share a letter do not differ significantly."
    )
    rows = [
        [
            titles()[row["name"]],
            row["letters"],
            *(
                share(row[figure], Interval(row[f"{figure}_low"], row[f"{figure}_high"]))
                for figure in ("accuracy", "macro_f1", "balanced_accuracy")
            ),
            "–" if place == 0 else _grey_unless_significant(row["p_best"]),
        ]
        for place, row in enumerate(board.to_dict("records"))
    ]
    st.html(markup.table(HEADER, rows, picked=int((board["name"] == choice.checkpoint.name).argmax())))
    st.caption(
        f"Letters and p: McNemar's exact test{correction(len(board) * (len(board) - 1) // 2)}. Grey: 95 % confidence intervals, "
        "and p-values that are not significant."
    )
    st.download_button("Download as csv", as_csv(board), f"leaderboard-{key}.csv", "text/csv", key="board")


def _grey_unless_significant(p: float) -> str:
    return p_in_words(p) if p <= ALPHA else markup.light(p_in_words(p))


main()
