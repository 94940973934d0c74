"""The labs are done: a correct walk through passes, a wrong one fails with the hint, and the report holds what was found."""

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import pandas as pd
import pytest

from fer_core import workspace as places
from fer_core.classroom.exercises import Question, blank, check, lab, labs, read_answers
from fer_core.classroom.exercises.report import report
from fer_core.classroom.session import Session, sessions
from fer_core.errors import ClassError
from fer_core.evaluation import robustness
from fer_core.runs import store
from fer_core.runs.folder import EpochResult, RunFolder, RunStatus

# Computed with pandas, statsmodels and scikit-learn from the shipped tables (see the tests below), or read off by hand.
LAB_1 = {"baseline": "24.9", "accuracy": "66,0 %", "low": "64.4", "high": "67.5", "difference": "2.5", "significant": "yes",
         "heads": "41.6"}  # fmt: skip
LAB_2 = {"mouth": "16.4", "background": "0.8", "background_matters": "no", "best": "Occlusion", "useless": "2"}


def said(number: int, answers: dict[str, str]) -> dict[str, tuple[bool | None, str]]:
    return {one.question.key: (one.right, one.said) for one in check(lab(number), answers)}


@pytest.mark.parametrize(("number", "answers"), [(1, LAB_1), (2, LAB_2)])
def test_a_correct_walk_through_passes(workspace: Path, number: int, answers: dict[str, str]) -> None:
    found = said(number, answers)
    assert {key: found[key][0] for key in answers} == dict.fromkeys(answers, True)


def test_the_figures_of_lab_1_are_those_of_other_libraries(workspace: Path) -> None:
    from sklearn.metrics import accuracy_score
    from statsmodels.stats.contingency_tables import mcnemar
    from statsmodels.stats.proportion import proportion_confint

    one, other = (store.find(name).predictions("fer2013-val") for name in ("small-vgg", "mini-xception"))
    hits, others = one.correct, other.correct
    low, high = proportion_confint(int(hits.sum()), len(hits), method="wilson")
    table = pd.crosstab(hits, others).to_numpy()
    truth = {question.key: question.truth for question in lab(1).questions}
    assert truth["accuracy"]() == pytest.approx(100 * accuracy_score(one.table["label"], one.predicted))
    assert (truth["low"](), truth["high"]()) == pytest.approx((100 * low, 100 * high))
    assert truth["difference"]() == pytest.approx(100 * (hits.mean() - others.mean()))
    assert truth["significant"]() == ("yes" if mcnemar(table, exact=True).pvalue <= 0.05 else "no")


def test_a_wrong_walk_through_fails_with_the_hint(workspace: Path) -> None:
    wrong = said(
        1,
        {"baseline": "14.3", "accuracy": "0.66", "low": "64", "difference": "-2.5", "significant": "no", "heads": "x"},
    )
    assert all(right is False for key, (right, _) in wrong.items() if key not in ("high", "people"))
    assert "most frequent" not in wrong["baseline"][1]
    assert "Divide the largest" in wrong["baseline"][1]
    assert "multiply it by 100" in wrong["accuracy"][1]
    assert "one decimal" in wrong["low"][1]
    assert "sign" in wrong["difference"][1]
    assert "p ≤ 0.05" in wrong["significant"][1]
    assert "Give a number" in wrong["heads"][1]
    assert wrong["high"] == (None, "Not answered yet.")
    found = said(2, {"background_matters": "yes", "useless": "3", "best": "Grad-CAM", "unit": "12"})
    assert [found[key][0] for key in ("background_matters", "useless", "best", "unit")] == [False, False, False, None]
    assert "On the page Lab choose Small VGG" in found["unit"][1]  # what to do, where the workspace has nothing yet


@pytest.mark.parametrize("text", ["nan", "inf", "1e400", "66.0.0", "", " ", "🙂" * 500])
def test_no_answer_breaks_the_check(workspace: Path, text: str) -> None:
    assert said(1, {"accuracy": text})["accuracy"][0] is not True


def trained(name: str, accuracies: list[tuple[float, float]], rotated: float, clean: float) -> None:
    """A finished run with these (training, validation) accuracies, and its accuracy on rotated images, of 100."""
    run = RunFolder.named(name)
    shutil.copytree(places.CHECKPOINTS / "small-vgg", run.path)
    run.write(RunStatus(data="heads", epochs=len(accuracies), state="finished"))
    lines = [
        asdict(EpochResult(epoch=n + 1, train_loss=1.0, train_accuracy=train, val_loss=1.0, val_accuracy=val, lr=0.1,
                           images_per_second=1.0, data_share=0.0, cpu_seconds=1.0, wall_seconds=1.0))
        for n, (train, val) in enumerate(accuracies)
    ]  # fmt: skip
    (run.path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    rows = [("clean", 0, clean), ("rotation", 5, rotated)]
    table = pd.DataFrame(
        [dict.fromkeys(robustness.FIGURES, 0.0) | {"corruption": kind, "severity": level, "n": 100, "accuracy": share}
         for kind, level, share in rows]
    )  # fmt: skip
    for old in run.path.glob("robustness-*.csv"):
        old.unlink()
    whose = dict(zip(robustness.WHOSE, ("heads", "val", "all"), strict=True))
    table.assign(**whose).to_csv(run.path / "robustness-heads-val.csv", index=False)


def test_lab_3_is_checked_against_the_students_own_runs(workspace: Path) -> None:
    right = {"first": "80.0", "overfit": "51.0", "gap": "49", "rotated": "30", "repaired": "70", "price": "5"}
    before = said(3, right)
    assert {state for state, _ in before.values()} == {None}
    assert "Train it first" in before["first"][1]
    trained("first", [(0.5, 0.6), (0.8, 0.8), (0.9, 0.79)], rotated=0.30, clean=0.80)
    trained("overfit", [(0.7, 0.51), (0.99, 0.50)], rotated=0.2, clean=0.5)
    trained("repaired", [(0.7, 0.7)], rotated=0.70, clean=0.75)
    assert {state for state, _ in said(3, right).values()} == {True}
    wrong = said(3, {"first": "79", "gap": "48", "price": "-5"})
    assert "not that of the last epoch" in wrong["first"][1]
    assert "last epoch" in wrong["gap"][1]
    assert "sign" in wrong["price"][1]


def test_a_class_that_was_kept_answers_the_question_about_people(workspace: Path) -> None:
    from fer_core.classroom.people import as_network
    from tests.fer_core.classroom.test_people import answered

    assert said(1, {"people": "50"})["people"][0] is None
    answered()
    as_network(Session(sessions()[0].code))
    network = next(found for name, found in store.checkpoints().items() if name.startswith("class-"))
    table = network.predictions(next(iter(network.tables)))
    assert said(1, {"people": f"{100 * table.correct.mean():.1f}"})["people"][0] is True


def test_the_report_has_name_answers_and_figures_and_escapes_them(workspace: Path) -> None:
    html = report(lab(1), "Ada <b>", check(lab(1), LAB_1 | {"heads": "<script>"}), {"What I found": "a < b"})
    assert "Ada &lt;b&gt;" in html
    assert "<script>" not in html
    assert "a &lt; b" in html
    assert "Right: 6 of 8" in html
    assert "64.4 to 67.5" in html
    assert html.count("<svg") == 4
    with pytest.raises(ClassError, match="name"):
        report(lab(1), " ", [])


def test_a_blank_file_is_read_back_and_bad_files_are_refused(workspace: Path, tmp_path: Path) -> None:
    file = tmp_path / "answers.toml"
    for number, one in labs().items():
        file.write_text(blank(one))
        assert set(read_answers(file)) == {"name", *(question.key for question in one.questions)}
        assert {right for right, _ in said(number, read_answers(file)).values()} == {None}
    file.write_text('name = "Ada"\naccuracy = 66.0\n')
    assert said(1, read_answers(file))["accuracy"][0] is True
    for bad in ("accuracy", "accuracy = [1]", "a = " + "[" * 9999, "x" * 2**17):
        file.write_text(bad)
        with pytest.raises(ClassError):
            read_answers(file)
    with pytest.raises(ClassError, match="the labs are 1, 2, 3"):
        lab(4)


def test_each_question_has_a_hint_and_its_choices_contain_its_answer(workspace: Path) -> None:
    questions: list[Question] = [question for one in labs().values() for question in one.questions]
    assert all(question.hint.endswith((".", "?")) and question.text.endswith("?") for question in questions)
    for question in questions:
        if question.choices:
            assert question.truth() in question.choices


def test_the_command_checks_and_writes_the_report(
    workspace: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import typer

    from trainers.commands.check_lab import check_lab

    check_lab(2)
    assert "background_matters" in capsys.readouterr().out
    file = tmp_path / "answers.toml"
    file.write_text('name = "Ada"\n' + "".join(f'{key} = "{value}"\n' for key, value in LAB_2.items()))
    with pytest.raises(typer.Exit) as end:  # two answers are open
        check_lab(2, file, tmp_path / "ada.html", as_json=True)
    assert end.value.exit_code == 1
    found = {one["key"]: one["check"] for one in json.loads(capsys.readouterr().out)}
    assert found == dict.fromkeys(LAB_2, "right") | {"unit": "open", "shapley": "open"}
    assert "Ada" in (tmp_path / "ada.html").read_text(encoding="utf-8")
