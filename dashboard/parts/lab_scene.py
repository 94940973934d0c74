"""The settings of a head on the Lab page. Each lives in the address by its own name, so that a link holds the whole scene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import streamlit as st

from dashboard.pickers import say_missing, switch, to_address
from fer_core.datasets.heads import COLUMNS
from fer_core.heads import Scene, draw_person
from fer_core.heads.actions import UNITS
from fer_core.heads.scene import BeardCut, Camera, Glasses, HairColour, HairCut, Light, Pose
from fer_core.lab.setting import Setting
from fer_core.lab.view import DEFAULT_MARGIN
from fer_core.labels import FER7

BIND: Literal["query-params"] = "query-params"
PARTS = ("brows", "eyes", "nose", "mouth", "cheeks")
SINGLE = [name for name in UNITS if name not in ("jaw", "mouth")]  # these two have a direction and no expression
MOUTHS = {"usual": "As usual", "open": "Open", "closed": "Closed"}
FIRST_PERSON = 6


class Chosen(NamedTuple):
    """What the settings make.

    Attributes:
        scene: the head; notes: a sentence for each action that had to give way.
        setting: all of it but the person and the expression; person: the number; shown: the expression.
    """

    scene: Scene
    notes: list[str]
    setting: Setting
    person: int
    shown: str


def expression(without: Sequence[str] = (), default: str = "happy") -> str:
    """What the heads show; shared by all parts of the page."""
    names = [name for name in FER7.names if name not in without]
    return str(st.selectbox("Expression", names, names.index(default), key="shows", bind=BIND))


def mouth() -> Literal["open", "closed"] | None:
    found = switch("Mouth", MOUTHS, "lips", "usual")
    return "open" if found == "open" else "closed" if found == "closed" else None


def settings() -> Chosen:
    """Draw the settings: what a newcomer changes first stands open, the rest in drawers."""
    shown = expression()
    intensity = st.slider(
        "Intensity", 0, 100, 80, 5, "%d %%", key="intensity", bind=BIND,
        help="0 is a face at rest, 100 as strong as the expression gets.",
    )  # fmt: skip
    state = mouth()
    changes = single_actions()
    number, person = who()
    with st.expander("Pose and light"):
        pose = Pose(yaw=_degrees("Yaw", 60), pitch=_degrees("Pitch", 40), roll=_degrees("Roll", 45))
        light = Light(
            azimuth=_degrees("Light from the side", 90, 35),
            elevation=_degrees("Height of the light", 80, 35, -30),
            key=_percent("Key light", 200, 100) / 100,
            fill=_percent("Fill light", 150, 45) / 100,
        )
    camera, margin = photographed()
    setting = Setting(intensity / 100, state, changes, person, pose, light, camera, margin)
    scene, notes = setting.show(shown, number)
    return Chosen(scene, notes, setting, number, shown)


def photographed() -> tuple[Camera, float]:
    """The camera, and the margin of the cut."""
    with st.expander("Camera"):
        margin = st.slider(
            "Margin of the cut", -20, 60, round(100 * DEFAULT_MARGIN), 5, "%d %%", key="margin", bind=BIND,
            help="Around the box of the detector MTCNN. The smaller, the tighter the face is cut.",
        )  # fmt: skip
        stops = st.slider("Exposure", -2.0, 2.0, 0.0, 0.1, "%+.1f stops", key="exposure", bind=BIND)
        blur = st.slider(
            "Blur", 0.0, 5.0, 0.0, 0.25, "%.2f %%", key="blur", bind=BIND,
            help="Standard deviation, as a share of the width of the image.",
        )  # fmt: skip
        noise = st.slider(
            "Noise", 0, 60, 0, 2, "%d grey levels", key="noise", bind=BIND,
            help="Standard deviation in each pixel of the image that a network is given.",
        )  # fmt: skip
        jpeg = st.number_input(
            "JPEG quality", 1, 100, None, 5, key="jpeg", bind=BIND, placeholder="not compressed",
            help="Each network's image is compressed at the size that it takes.",
        )  # fmt: skip
    return Camera(exposure=stops, blur=blur / 100, noise=noise, jpeg=jpeg), margin / 100


def single_actions() -> dict[str, float]:
    """Action by its name without a side -> change, -1 to 1, for those that are changed."""
    changes = {}
    with st.expander("Single actions", expanded=False):
        st.markdown("0 leaves an action as the expression has it, −100 takes it away, +100 makes it full.")
        for place, part in zip(st.tabs([part.capitalize() for part in PARTS]), PARTS, strict=True):
            with place:
                for name in SINGLE:
                    unit = UNITS[name]
                    if unit.part == part:
                        words = unit.title[0].upper() + unit.title[1:]
                        value = st.slider(
                            words, -100, 100, 0, 5, "%+d %%", key=name, bind=BIND,
                            help=f"FACS action unit {unit.number}. Key: `{name}`",
                        )  # fmt: skip
                        if value:
                            changes[name] = value / 100
    return changes


def who() -> tuple[int, dict[str, Any]]:
    """The person's number, and what differs from the person as drawn, as `Setting` takes it."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        number = st.number_input("Person", 0, 9999, FIRST_PERSON, key="person", bind=BIND, width=130)

        def another() -> None:
            st.session_state["person"] = (int(st.session_state["person"]) + 1) % 10_000

        def keep() -> None:
            kept = st.query_params.get_all("kept")
            to_address("kept", *dict.fromkeys([*kept, str(st.session_state["person"])]))

        st.button("Another person", on_click=another)
        st.button("Keep this person", on_click=keep, help="Puts a button here that brings the person back.")
    asked, people = st.query_params.get_all("kept"), {str(number) for number in range(10_000)}
    kept = [text for text in asked if text in people]
    if unknown := [text for text in asked if text not in kept]:
        say_missing(", ".join(unknown), "the other people")
    if kept:
        with st.container(horizontal=True):
            for text in dict.fromkeys(kept):
                st.button(f"Person {text}", key=f"back-{text}", on_click=_back, args=(int(text),), type="tertiary")
    drawn = draw_person(int(number))
    with st.expander("Change the person"):
        age = st.number_input(
            "Age", 11, 90, None, 1, key="age", bind=BIND, placeholder=_as_drawn(f"{drawn.age:.0f}"), help="Shape of the head."
        )  # fmt: skip
        sex = st.number_input(
            "Sex, 0 male to 100 female", 0, 100, None, 5, key="sex", bind=BIND,
            placeholder=_as_drawn(f"{100 * drawn.sex:.0f}"),
        )  # fmt: skip
        tone = st.number_input(
            "Skin tone", 1.0, 10.0, None, 0.5, "%.1f", key="skin", bind=BIND, placeholder=_as_drawn(f"{drawn.skin.tone:.1f}"),
            help="Place on the Monk Skin Tone scale, 1 light to 10 dark.",
        )  # fmt: skip
        changes = {
            "age": age,
            "sex": None if sex is None else sex / 100,
            "skin.tone": tone,
            "hair.cut": _one_of("Hair", HairCut, "hair", drawn.hair.cut),
            "hair.colour": _one_of("Hair colour", HairColour, "hair-colour", drawn.hair.colour),
            "glasses": _one_of("Glasses", Glasses, "glasses", drawn.glasses),
            "beard": _one_of("Beard", BeardCut, "beard", drawn.beard),
        }
    return int(number), {name: value for name, value in changes.items() if value is not None}


def _one_of(label: str, kind: Any, key: str, drawn: str) -> str | None:
    """One of the values of a literal type; None as the person is drawn."""
    words = COLUMNS["hair"].of_value if kind is HairCut else str
    values: tuple[str, ...] = get_args(kind)
    return st.selectbox(label, values, None, words, key=key, bind=BIND, placeholder=_as_drawn(words(drawn)))


def _as_drawn(value: str) -> str:
    return f"as drawn: {value}"


def _back(number: int) -> None:
    st.session_state["person"] = number


def _degrees(label: str, most: int, value: int = 0, least: int | None = None) -> float:
    low = -most if least is None else least
    return float(st.slider(label, low, most, value, 5, "%d°", key=_key(label), bind=BIND))


def _percent(label: str, most: int, value: int) -> float:
    return float(st.slider(label, 0, most, value, 5, "%d %%", key=_key(label), bind=BIND))


def _key(label: str) -> str:
    return label.lower().replace(" ", "-")


def strongest(scene: Scene) -> list[str]:
    """The actions of a scene without their side, strongest first; of a face at rest, all."""
    amounts: dict[str, float] = {}
    for name, amount in scene.actions.items():
        plain = name.removesuffix("Left").removesuffix("Right")
        if plain in SINGLE and amount:
            amounts[plain] = max(amounts.get(plain, 0.0), amount)
    return sorted(amounts, key=lambda name: -amounts[name]) or SINGLE
