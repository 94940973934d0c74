"""Ways in which the files of a run go bad: what stands in which file, and a word of the reason that is given."""

import json
from collections.abc import Callable
from pathlib import Path

DEEP = 100_000


def changed(**values: object) -> Callable[[Path], None]:
    """Put values into a JSON file of one object."""

    def change(path: Path) -> None:
        text = json.dumps(json.loads(path.read_text()) | values)
        path.write_text(text.replace('"1e400"', "1e400").replace('"-NaN-"', "NaN"))

    return change


def content(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data) and None


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


SPEC = {"channels": 1, "height": 48, "width": 48, "standardise": "fixed", "mean": [0.5], "std": [0.5]}
NESTED = b"[" * DEEP + b"]" * DEEP
WITHIN = b'{"format": 1, "arguments": ' + b'{"a": ' * 300 + b"1" + b"}" * 300 + b"}"
DAMAGE = {
    "card of another detector": (
        "card.json",
        changed(face={"detector": "retina", "margin": 0, "align": "none"}),
        "retina",
    ),
    "card of a newer format": ("card.json", changed(format=2), "format 2"),
    "card of an unknown key": ("card.json", changed(quantised=True), "quantised"),
    "card nested deeply": ("card.json", content(NESTED), "nested"),
    "card nested": ("card.json", content(WITHIN), "nested"),
    "card that is a list": ("card.json", content(b"[]"), "format"),
    "card that is a folder": ("card.json", folder, "not a checkpoint|regular"),
    "card cut off": ("card.json", cut, "damaged"),
    "card in Latin-1": ("card.json", content('{"name": "é"}'.encode("latin-1")), "UTF-8"),
    "card of infinite temperature": ("card.json", changed(temperature="1e400"), "finite"),
    "card of temperature 0": ("card.json", changed(temperature=0), "temperature"),
    "card of a NaN deviation": ("card.json", changed(image=SPEC | {"std": ["-NaN-"]}), "finite"),
    "card of three means for one channel": ("card.json", changed(image=SPEC | {"mean": [0.1, 0.2, 0.3]}), "mean"),
    "card of a path for a name": ("card.json", changed(name="../../etc"), "name"),
    "card of negative counts": ("card.json", changed(parameters=-1), "parameters"),
    "card of negative epochs": ("card.json", changed(best_epoch=-3), "best_epoch"),
    "card without expressions": ("card.json", changed(expressions=[]), "expressions"),
    "card of an expression twice": ("card.json", changed(expressions=["happy", "happy"]), "expressions"),
    "card of members that are words": ("card.json", changed(recipe={"members": ["a"]}), "recipe"),
    "card of nothing counted": ("card.json", changed(results={"elsewhere-val": {"n": "many"}}), "results"),
    "card with a title of 5,000 letters": ("card.json", changed(title="x" * 5000), "title"),
    "status nested deeply": ("status.json", content(NESTED), "nested"),
    "status of words for numbers": ("status.json", changed(epochs="many"), "epochs"),
    "status of negative counts": ("status.json", changed(step=-1), "step"),
    "status of an infinite time": ("status.json", changed(seconds_left="1e400"), "finite"),
    "status of an unknown state": ("status.json", changed(state="asleep"), "state"),
    "status in Latin-1": ("status.json", content(b"\xff\xfe"), "UTF-8"),
    "status that is a folder": ("status.json", folder, "regular"),
    "recipe nested deeply": ("config.toml", content(b"a = " + NESTED), "nested"),
    "recipe of nested tables": ("config.toml", content(b"[" + b"a." * 5000 + b"a]\nb = 1"), "nested"),
    "recipe in Latin-1": ("config.toml", content(b"# \xe9"), "UTF-8"),
    "recipe of infinite numbers": ("config.toml", content(b"label_smoothing = 1e400"), "finite"),
    "recipe of a number of 5,000 digits": ("config.toml", content(b"seed = " + b"9" * 5000), "digits|5,?000"),
    "history in Latin-1": ("metrics.jsonl", content(b"\xff\n\xff\n"), "UTF-8"),
    "history of words": ("metrics.jsonl", content(b'{"epoch": "one"}\n{"epoch": 2}\n'), "line 1"),
    "history nested deeply": ("metrics.jsonl", content(NESTED + b"\n\n"), "line 1"),
    "notes that are a list": ("notes.json", content(b"[1]"), "notes"),
    "notes nested deeply": ("notes.json", content(NESTED), "nested"),
}
