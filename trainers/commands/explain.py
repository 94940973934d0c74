"""`ferscope explain`: what a network looks at."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table

from trainers.console import AsJson, Bad, Data, app, out, report_skipped

Name = Annotated[str, typer.Argument(help="Name of a network or run, or the path of its folder.")]
Split = Annotated[str, typer.Option(help="train, val or test.")]
Layer = Annotated[str, typer.Option(help="Layer for methods that look at one; the network's own choice if not given.")]


@app.command()
def explain(
    checkpoint: Name,
    data: Data,
    to: Annotated[Path, typer.Option("--out", help="Folder for the pictures and maps; made if it is not there.")],
    split: Split = "val",
    image: Annotated[list[str] | None, typer.Option(help="Id of a picture; may be given several times.")] = None,
    method: Annotated[list[str] | None, typer.Option(help="Attribution method; may be given several times.")] = None,
    target: Annotated[str, typer.Option(help="“predicted”, “given”, or the name of an expression.")] = "predicted",
    against: Annotated[
        str, typer.Option(help="Explain the difference of two logits, why the target rather than this one.")
    ] = "",
    layer: Layer = "",
    figure: Annotated[
        bool, typer.Option("--figure", help="Draw a right and a wrong case of each expression with their maps.")
    ] = False,
    on_bad: Bad = None,
    as_json: AsJson = False,
) -> None:
    """Write maps of what a network looks at: overlays (png), the maps themselves (npy) and what they show (json)."""
    from PIL import Image

    from fer_core.datasets import open_dataset
    from fer_core.errors import ConfigError
    from fer_core.evaluation.gallery import positions
    from fer_core.evaluation.predict import predict_split
    from fer_core.explanation import METHODS
    from fer_core.explanation import explain as maps_of
    from fer_core.explanation import figure as figures
    from fer_core.explanation.overlay import common_limit, overlay
    from fer_core.models import attribution_layer
    from fer_core.runs.store import find
    from fer_core.serving.predictor import Predictor

    if not image and not figure:
        raise ConfigError("Nothing to explain: name pictures with --image ID, or ask for --figure.")
    methods = [METHODS.get(name) for name in method or ["grad-cam"]]
    found = find(checkpoint)
    vocabulary = found.card.vocabulary
    if target not in ("predicted", "given"):
        vocabulary.index(target)
    other = vocabulary.index(against) if against else None
    dataset = open_dataset(data, on_bad=on_bad).without(found.card.leave_out)
    report_skipped(dataset)
    rows = dataset.rows(split)
    index = dataset.index.iloc[rows]
    places = {str(name): place for place, name in enumerate(index["id"])}
    if missing := [name for name in image or [] if name not in places]:
        known = ", ".join(list(places)[:3])
        raise ConfigError(
            f"{dataset.title}, {split}, has no picture {', '.join(missing)}; its ids look like {known}; "
            "the predictions table of the split lists them all."
        )
    predictor = Predictor(found.folder)
    model, card = predictor.model, predictor.card
    used = layer or attribution_layer(card.network, model)
    for how in methods:
        if reason := how.suits(model, card.image):
            raise ConfigError(f"{how.title} does not suit this network: {reason}.")
    try:
        to.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{to} cannot be made a folder ({error}); choose another one with --out.") from error

    maps: list[dict[str, object]] = []
    if image:
        names = list(dict.fromkeys(image))
        chosen = [int(rows[places[name]]) for name in names]
        answers = [predictor.predict_row(dataset, row) for row in chosen]
        labels = [str(dataset.index["label"].iloc[row]) for row in chosen]
        explained = [
            {"predicted": answer.predicted, "given": label}.get(target, target)
            for answer, label in zip(answers, labels, strict=True)
        ]
        batch = np.stack([answer.picture for answer in answers])
        targets = [vocabulary.index(name) for name in explained]
        opposite = None if other is None else [other] * len(names)
        stems = _stems(names)
        for how in methods:
            result = maps_of(model, batch, card.image, targets, how.name, used, against=opposite)
            limit = common_limit(result.map)  # one scale for all pictures of the call
            for number, name in enumerate(names):
                stem = f"{stems[number]}-{how.name}"
                pixels = overlay(_enlarged(batch[number]), result.map[number], signed=result.signed, limit=limit)
                Image.fromarray(pixels).save(to / f"{stem}.png")
                np.save(to / f"{stem}.npy", result.map[number])
                maps.append(
                    {
                        "image": name,
                        "label": labels[number],
                        "predicted": answers[number].predicted,
                        "probabilities": answers[number].probs,
                        "target": explained[number],
                        "against": against or None,
                        "method": how.name,
                        "layer": result.layer,
                        "parameters": result.parameters,
                        "signed": result.signed,
                        "limit": limit,
                        "overlay": f"{stem}.png",
                        "map": f"{stem}.npy",
                    }
                )
    region_report: dict[str, object] = {"network": found.name, "data": dataset.name, "split": split, "maps": maps}
    if figure:
        key = f"{dataset.name}-{split}"
        table = found.predictions(key) if key in found.tables else None
        place = positions(dataset, table.table) if table else np.full(1, -1)
        if (
            table is None or len(table) != len(rows) or (place < 0).any()
        ):  # a table of other images says nothing of these
            table = predict_split(model, dataset, split, spec=card.image, expressions=vocabulary, tta=card.tta)
            place = rows
        pictures = dataset.images(card.image)
        chosen_cases = figures.cases(table)
        sheet = figures.draw(
            model, card.image, vocabulary, chosen_cases,
            {
                case.row: pictures[place[case.row]]
                for pair in chosen_cases.values() for case in pair if case is not None
            },
            f"{card.title} on {dataset.name}, {split}, n = {len(table):,}; cases of middle confidence",
            methods[0].name, used,
        )  # fmt: skip
        Image.fromarray(sheet).save(to / "figure.png")
        region_report["figure"] = "figure.png"
        region_report["cases"] = {name: [case and case.id for case in pair] for name, pair in chosen_cases.items()}
    (to / "explanations.json").write_text(json.dumps(region_report, indent=2) + "\n", encoding="utf-8")
    if as_json:
        print(json.dumps(region_report))
        return
    if maps:
        shown = Table("picture", "given", "predicted", "explained", "method", "map")
        for one in maps:
            why = f"{one['target']} rather than {against}" if against else str(one["target"])
            shown.add_row(
                str(one["image"]), str(one["label"]), str(one["predicted"]), why, str(one["method"]), str(one["map"])
            )
        out.print(shown)
    out.print(f"Written to {to}", soft_wrap=True)


@app.command("explain-report")
def explain_report(
    checkpoint: Name,
    data: Data,
    split: Split = "val",
    layer: Layer = "",
    limit: Annotated[
        int, typer.Option(min=0, help="Pictures, drawn by a fixed seed, for regions and covering; 0: the whole split.")
    ] = 0,
    methods_on: Annotated[int, typer.Option(min=1, help="Pictures, of these, for the comparison of methods.")] = 128,
    method: Annotated[
        list[str] | None, typer.Option(help="A method to compare; may be given several times; all if not given.")
    ] = None,
    on_bad: Bad = None,
    as_json: AsJson = False,
) -> None:
    """Measure what a network looks at on a split, and how far each method can be trusted; the tables stay with the network.

    Which facial regions the attribution lies in, what covering each costs, a leaderboard of methods, mean maps.
    """
    from rich.progress import Progress

    from fer_core.checkpoint import load_network
    from fer_core.datasets import open_dataset
    from fer_core.explanation import METHODS, region_report
    from fer_core.models import attribution_layer
    from fer_core.runs.store import find

    for name in method or []:
        METHODS.get(name)
    found = find(checkpoint)
    dataset = open_dataset(data, on_bad=on_bad)
    report_skipped(dataset)
    model, card = load_network(found.folder)
    with Progress(console=out, transient=True, disable=as_json) as bar:
        task = bar.add_task("Measuring")
        made = region_report.make(
            model, card, found.folder, dataset, split,
            layer=layer or attribution_layer(card.network, model), limit=limit, methods_on=methods_on,
            methods=method,
            on_progress=lambda what, done, total: bar.update(task, description=what, completed=done, total=total),
        )  # fmt: skip
    path = region_report.write(found.folder, made)
    if as_json:
        leaders = made.methods.astype(object).where(made.methods.notna(), None).to_dict("records")
        print(json.dumps({**made.about, "methods": leaders, "path": str(path)}))
        return
    out.print(made.about["verdict"], soft_wrap=True)
    for sentence in made.about["sentences"].values():
        out.print(sentence, soft_wrap=True)
    shown = Table("method", "deletion gain", "insertion gain", "shuffled weights", "infidelity", "sensitivity")
    for column in shown.columns[1:]:
        column.justify = "right"
    for row in made.methods.to_dict("records"):
        if not row["n"]:
            shown.add_row(row["title"], f"left out: {row['suits']}")
            continue
        shown.add_row(
            row["title"],
            *(
                f"{100 * row[f'{kind}_gain']:.1f} ({100 * row[f'{kind}_gain_low']:.1f} to {100 * row[f'{kind}_gain_high']:.1f})"
                for kind in ("deletion", "insertion")
            ),
            *(f"{row[kind]:.2f}" for kind in ("randomisation", "infidelity", "max_sensitivity")),
        )
    out.print(shown)
    out.print(f"Written to {path} and the tables beside it, in {made.about['seconds']:.0f} s.", soft_wrap=True)


def _enlarged(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """At least 384 pixels wide with smooth edges, so that a face of 48 pixels is read as a face."""
    import cv2

    factor = max(1, -(-384 // picture.shape[1]))
    size = (picture.shape[1] * factor, picture.shape[0] * factor)
    return cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC).astype(np.uint8, copy=False)


def _stems(ids: list[str]) -> list[str]:
    """A file name for each id that stays in its folder, the same id always the same, two ids never one."""
    stems: list[str] = []
    for name in ids:
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "picture"
        stems.append(next(s for s in (stem, *(f"{stem}-{n}" for n in range(2, len(ids) + 2))) if s not in stems))
    return stems
