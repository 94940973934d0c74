"""The web page's answers beside the library's, on the same image files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page

from fer_core.images import decode
from fer_core.serving.predictor import Predictor
from fer_core.workspace import CHECKPOINTS

PREDICT = """async ([files, networks]) => {
    const { predict } = await import('./client.js');
    const { open } = await import('./photos.js');
    const found = [];
    for (const file of files) {
        const blob = await (await fetch(file)).blob();
        found.push((await predict(await open(new File([blob], file)), networks)).faces);
    }
    return found;
}"""


@dataclass(frozen=True)
class Answer:
    """A network's answers on one image: whether page and library found the same boxes, and how far they differ."""

    file: str
    network: str
    same_boxes: bool
    apart: float  # largest difference of a probability; 1 where the boxes differ
    same_warnings: bool


def answers(page: Page, folder: Path, files: Sequence[str], networks: Sequence[str]) -> list[Answer]:
    """Both answers of each network for the image files in `folder`, whose page is open in `page`."""
    found = page.evaluate(PREDICT, [files, networks])
    answered = []
    for network in networks:
        predictor = Predictor(CHECKPOINTS / network)
        for file, faces in zip(files, found, strict=True):
            wanted = predictor.predict(decode(folder / file))
            same = [one.face.box for one in wanted] == [tuple(face["box"]) for face in faces]
            pairs = list(zip(wanted, faces, strict=True)) if same else []
            differences = [
                abs(ours - theirs)
                for one, face in pairs
                for ours, theirs in zip(one.probs.values(), face["probabilities"][network], strict=True)
            ]
            told = network != networks[0] or all(len(one.warnings) == len(face["warnings"]) for one, face in pairs)
            answered.append(Answer(file, network, same, max(differences, default=0.0) if same else 1.0, told))
    return answered
