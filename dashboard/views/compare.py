"""Is A better than B? Two networks on the pictures both have read, and all of them in groups that can be told apart."""

import streamlit as st

from dashboard import cache, gallery, markup
from dashboard.charts import comparison as charts
from dashboard.charts import confusion
from dashboard.markup import Html
from dashboard.pickers import Picked, choose, picked, titles
from dashboard.text import interval, percent, pictures, table_title, verbatim
from fer_core.errors import DataError
from fer_core.evaluation.comparison import ALPHA, Comparison, p_in_words
from fer_core.evaluation.intervals import Interval
from fer_core.runs import store
from fer_core.runs.store import Checkpoint

CHANGES = {"fixed": "Fixed", "broken": "Broken"}


def main() -> None:
    st.title("Is A better than B?")
    choice = picked()
    if choice is None or choice.table is None:
        st.info(
            "There is no trained network here yet. Train two, and they are compared on this page."
            if choice is None
            else f"{verbatim(titles()[choice.checkpoint.name])} has not been evaluated yet; "
            f"`ferscope evaluate {choice.checkpoint.name} --data DATA --split SPLIT` does it."
        )
        if st.button("Go to training", type="primary"):
            st.switch_page("views/train.py")
        return
    key, networks = choice.table, store.checkpoints()
    tables = {name: network.tables for name, network in networks.items()}
    here = {name: networks[name] for name in networks if key in tables[name]}
    others = [name for name in here if name != choice.checkpoint.name]
    if not others:
        st.info(
            f"No other network has been evaluated on {verbatim(table_title(key))}. Train a second one, or evaluate one: "
            "`ferscope evaluate NETWORK --data DATA --split SPLIT`."
        )
        if st.button("Go to training", type="primary"):
            st.switch_page("views/train.py")
        return
    other = choose(f"Compare {verbatim(titles()[choice.checkpoint.name])} with", others, "other", titles().__getitem__)
    pair = (choice.checkpoint, here[other or others[0]])
    try:
        found = cache.comparison(*(network.tables[key] for network in pair))
    except DataError as error:
        st.info(verbatim(str(error)))
    else:
        a, b = (titles()[network.name] for network in pair)
        answer(found, a, b)
        each_expression(found, a, b, f"{pair[0].name}-{pair[1].name}-{key}")
        changes(found, choice, pair[1], a, b)
        cells(found, a, b, f"{pair[0].name}-{pair[1].name}-{key}")
    everyone(here, choice)


def answer(found: Comparison, a: str, b: str) -> None:
    st.markdown(f"**{verbatim(found.sentence(a, b))}**")
    n, macro = found.test.n, found.difference
    first, second = percent(found.accuracy_a), percent(found.accuracy_b)
    st.markdown(
        f"{verbatim(a)} reads {first}, {verbatim(b)} {second} as labelled. Macro-F1 of {verbatim(b)} minus {verbatim(a)}'s is "
        f"{100 * macro.macro_f1:+.1f} points ({interval(macro.macro_f1_interval)}). They give the "
        f"same answer to {percent(found.agreement.share)} of the pictures ({interval(found.agreement.interval)}; "
        f"Cohen's kappa {found.agreement.kappa:.2f})."
    )
    if not n == found.size_a == found.size_b:
        st.caption(
            f"Compared on the {pictures(n)} that both tables hold with the same label: {verbatim(a)} has read "
            f"{found.size_a:,}, {verbatim(b)} {found.size_b:,}."
        )
    st.caption(
        "Paired on each picture: p is McNemar's exact test, intervals are 95 % of a paired bootstrap. “Better” is said where "
        f"p ≤ {ALPHA}; one split and one training of each network stand behind it."
    )


def each_expression(found: Comparison, a: str, b: str, name: str) -> None:
    st.subheader("For which expressions?")
    table = found.difference.recall
    told = table[table["p_adjusted"] <= ALPHA]
    words = [
        f"{row['expression']} ({b if row['difference'] > 0 else a} by {abs(100 * row['difference']):.1f} points)"
        for _, row in told.iterrows()
    ]
    st.markdown(
        f"Their recall differs for {verbatim(', '.join(words))}."
        if words
        else "For no expression alone can their recall be told apart."
    )
    st.altair_chart(charts.recall_differences(table, a, b))
    st.caption(f"Grey: not significant, McNemar's exact test with Holm's correction over {len(table)} expressions.")
    with st.expander("The table behind the chart"):
        st.dataframe(table, hide_index=True)
        st.download_button("Download as csv", table.to_csv(index=False), f"recall-{name}.csv", "text/csv")


def changes(found: Comparison, choice: Picked, other: Checkpoint, a: str, b: str) -> None:
    st.subheader(f"What does {verbatim(b)} change?")
    if found.changed.empty:
        st.markdown("Nothing: both are right and wrong on the same pictures.")
        return
    st.markdown(
        f"{verbatim(b)} fixes **{found.test.only_b:,}** pictures that {verbatim(a)} gets wrong, and breaks "
        f"**{found.test.only_a:,}** that it gets right."
    )
    kind = st.segmented_control(
        "Pictures", list(CHANGES), format_func=CHANGES.get, default="fixed", required=True, key="change",
        bind="query-params", label_visibility="collapsed",
    )  # fmt: skip
    frame = found.changed[found.changed["change"] == kind]
    frame = frame.assign(predicted=frame["predicted_b"], confidence=frame["confidence_b"])
    frame = frame.sort_values("confidence", ascending=False, kind="stable", ignore_index=True)
    key = choice.table or ""
    gallery.show(
        cache.predictions(other.tables[key]), frame, other.name, key, view=("compare", kind),
        note=lambda row: (f"{a}: {row['predicted_a']}",),
    )  # fmt: skip
    with st.expander("The table behind the pictures"):
        st.dataframe(frame, hide_index=True)
        st.download_button("Download as csv", frame.to_csv(index=False), f"{kind}-{other.name}-{key}.csv", "text/csv")


def cells(found: Comparison, a: str, b: str, name: str) -> None:
    st.subheader("Which confusions differ?")
    table, told = found.cells, found.cells[found.cells["p_adjusted"] <= ALPHA]
    wrong = told[told["label"] != told["predicted"]]
    wrong = wrong.reindex(wrong["difference"].abs().sort_values(ascending=False).index)
    words = [
        f"{row['label']} as {row['predicted']} ({row['a']:,} by {a}, {row['b']:,} by {b})"
        for _, row in wrong.head(3).iterrows()
    ]
    st.markdown(
        f"They differ most in reading {verbatim('; '.join(words))}."
        if words
        else "No confusion of one network can be told from that of the other."
    )
    st.altair_chart(confusion.difference(table, a, b), key="cells")
    st.caption(
        f"Pictures of each cell by {verbatim(b)} minus {verbatim(a)}. Coloured cells differ (McNemar's exact test of each "
        f"cell, Holm over all); grey ones may differ by chance."
    )
    with st.expander("The table behind the matrix"):
        st.dataframe(table, hide_index=True)
        st.download_button("Download as csv", table.to_csv(index=False), f"cells-{name}.csv", "text/csv")


HEADER = ("Network", "Group", "Accuracy, %", "Macro-F1, %", "Balanced accuracy, %", "Against the best")


def everyone(here: dict[str, Checkpoint], choice: Picked) -> None:
    key = choice.table or ""
    st.subheader(f"All networks on {table_title(key)}")
    try:
        board = cache.standings({name: network.tables[key] for name, network in here.items()})
    except DataError as error:
        st.info(verbatim(str(error)))
        return
    groups, first = int(board["group"].max()), board[board["group"] == 1]["name"].map(titles().get)
    st.markdown(
        f"{len(board)} networks form {groups} group{'s' if groups > 1 else ''} on the {pictures(int(board['n'].iloc[0]))} "
        f"that all have read; {verbatim(', '.join(first.head(5)))}{' and others' if len(first) > 5 else ''} "
        f"lead{'s' if len(first) == 1 else ''}."
    )
    rows = [
        [
            titles()[row["name"]],
            str(row["group"]),
            *(
                markup.figure(row[figure], Interval(row[f"{figure}_low"], row[f"{figure}_high"]))
                for figure in ("accuracy", "macro_f1", "balanced_accuracy")
            ),
            "–" if place == 0 else _quiet_unless_told(row["p_best"]),
        ]
        for place, row in enumerate(board.to_dict("records"))
    ]
    st.html(markup.table(HEADER, rows, picked=int((board["name"] == choice.checkpoint.name).argmax())))
    st.caption(
        "A group holds the networks that cannot be told from its best one: McNemar's exact test, Holm's correction over all "
        "pairs. In a lighter tone: 95 % intervals, and differences that are not significant."
    )
    st.download_button("Download as csv", board.to_csv(index=False), f"leaderboard-{key}.csv", "text/csv", key="board")


def _quiet_unless_told(p: float) -> Html:
    words = markup.escape(p_in_words(p))
    return Html(words if p <= ALPHA else f'<span class="fer-light">{words}</span>')


main()
