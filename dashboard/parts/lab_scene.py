"""The settings of a head on the Lab page. Each lives in the address by its own name, so that a link holds the whole scene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import streamlit as st

from dashboard.pickers import switch, to_address
from fer_core.heads import Person, Scene, draw_person, express
from fer_core.heads.actions import UNITS, settled, unpaired
from fer_core.heads.scene import BeardCut, Camera, Glasses, Light, Pose
from fer_core.lab.answers import person_scene
from fer_core.labels import FER7

BIND: Literal["query-params"] = "query-params"
PARTS = ("brows", "eyes", "nose", "mouth", "cheeks")
SINGLE = [name for name in UNITS if name not in ("jaw", "mouth")]  # these two have a direction and no expression
MOUTHS = {"usual": "As usual", "open": "Open", "closed": "Closed"}
FIRST_PERSON = 6


class Chosen(NamedTuple):
    """What the settings make: the scene, and a sentence for each action that had to give way."""

    scene: Scene
    notes: list[str]


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
    actions = unpaired(express(shown, intensity / 100, mouth=state))
    changes = single_actions()
    for name, change in unpaired(changes).items():
        actions[name] = min(1.0, max(0.0, actions.get(name, 0.0) + change))
    person = who()
    done, notes = settled(actions)
    base = person_scene(int(st.session_state["person"]))
    with st.expander("Pose and light"):
        pose = Pose(yaw=_degrees("Yaw", 60), pitch=_degrees("Pitch", 40), roll=_degrees("Roll", 45))
        light = Light(
            azimuth=_degrees("Light from the side", 90, 35),
            elevation=_degrees("Height of the light", 80, 35, -30),
            key=_percent("Key light", 200, 100) / 100,
            fill=_percent("Fill light", 150, 45) / 100,
        )
        stops = st.slider("Exposure", -2.0, 2.0, 0.0, 0.1, "%+.1f stops", key="exposure", bind=BIND)
    camera = Camera(exposure=max(-3.0, min(3.0, base.camera.exposure + stops)))
    return Chosen(Scene(person=person, actions=done, pose=pose, light=light, camera=camera), notes)


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


def who() -> Person:
    """The person: drawn from a number, with changes."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        number = st.number_input("Person", 0, 9999, FIRST_PERSON, key="person", bind=BIND, width=130)

        def another() -> None:
            st.session_state["person"] = (int(st.session_state["person"]) + 1) % 10_000

        def keep() -> None:
            kept = st.query_params.get_all("kept")
            to_address("kept", *dict.fromkeys([*kept, str(st.session_state["person"])]))

        st.button("Another person", on_click=another)
        st.button("Keep this person", on_click=keep, help="Puts a button here that brings the person back.")
    kept = [text for text in st.query_params.get_all("kept") if text.isdigit() and int(text) < 10_000]
    if kept:
        with st.container(horizontal=True):
            for text in dict.fromkeys(kept):
                st.button(f"Person {text}", key=f"back-{text}", on_click=_back, args=(int(text),), type="tertiary")
    drawn = draw_person(int(number))
    with st.expander("Change the person"):
        age = st.number_input(
            "Age",
            11,
            90,
            None,
            1,
            key="age",
            bind=BIND,
            placeholder=f"as drawn: {drawn.age:.0f}",
            help="Shape of the head.",
        )
        sex = st.number_input(
            "Sex, 0 male to 100 female",
            0,
            100,
            None,
            5,
            key="sex",
            bind=BIND,
            placeholder=f"as drawn: {100 * drawn.sex:.0f}",
        )
        tone = st.number_input(
            "Skin tone", 1.0, 10.0, None, 0.5, "%.1f", key="skin", bind=BIND, placeholder=f"as drawn: {drawn.skin.tone:.1f}",
            help="Place on the Monk Skin Tone scale, 1 light to 10 dark.",
        )  # fmt: skip
        glasses = st.selectbox(
            "Glasses", get_args(Glasses), None, key="glasses", bind=BIND, placeholder=f"as drawn: {drawn.glasses}"
        )
        beard = st.selectbox(
            "Beard", get_args(BeardCut), None, key="beard", bind=BIND, placeholder=f"as drawn: {drawn.beard}"
        )
    changes = {"age": age, "sex": None if sex is None else sex / 100, "glasses": glasses, "beard": beard}
    values = dict(drawn) | {name: value for name, value in changes.items() if value is not None}
    if tone is not None:
        values["skin"] = drawn.skin.model_copy(update={"tone": float(tone)})
    return Person(**values)


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
