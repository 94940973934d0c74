"""Fields of a pydantic model as typed widgets: the model that checks a file also draws its form."""

import tomllib
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin

import streamlit as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dashboard.text import verbatim
from fer_core.errors import FerError
from fer_core.glossary import GLOSSARY
from fer_core.recipe import choice_title, toml_value

BIND: Literal["query-params"] = "query-params"  # a changed value is in the address, so that it outlives a reload


def fields(
    model: BaseModel,
    names: Iterable[str],
    key: str,
    *,
    prefix: str = "",
    check: Callable[[str, Any], object] = lambda name, value: None,
    choices: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Draw fields of a model, starting at its values, and return the ones that were changed. A field is labelled with
    its title; its help holds the description, the key and the range.

    Args:
        prefix: stands before the keys: “optimizer.”, as in a setting on the command line.
        key: makes the widgets' keys unique; another key starts at the model's values again.
        check: called with name and value of each changed field; its error is shown below the field.
        choices: by key, the values of a text field and their titles; the field becomes a select box.
    """
    changed, names = {}, list(names)
    grid = st.container(key=f"settings-{key}.{prefix}{names[0]}")  # style.css lays it out: as many columns as have room
    for name in names:
        with grid.container():
            before = getattr(model, name)
            info, offered = type(model).model_fields[name], choices.get(prefix + name)
            value = _field(prefix + name, info, before, f"{key}.{prefix}{name}", offered)
            if value != before:
                changed[name] = value
                try:
                    check(name, value)
                except FerError as error:
                    st.error(verbatim(str(error)))
    return changed


def _field(name: str, info: FieldInfo, before: Any, key: str, offered: Mapping[str, str] | None) -> Any:
    """One widget. A value that its text does not give, such as an emptied number, stays as it was."""
    kind = _without_none(info.annotation)
    text = before
    if _is_text(kind) and kind is not str:
        text = "" if before is None else toml_value(before)

    def called(value: Any) -> str:
        return "network default" if value is None else (offered or {}).get(value) or choice_title(value)

    changed = key in st.query_params or st.session_state.get(key, text) != text
    title = info.title or name
    was = called(text) if offered or get_origin(kind) is Literal else str(text)
    label = f"{title} :primary[changed, was {verbatim(was)}]" if changed else title
    help_ = help_text(name, info)
    if offered:
        options = list(dict.fromkeys([before, *offered]))
        return st.selectbox(label, options, 0, called, key, help_, bind=BIND)
    if get_origin(kind) is Literal:
        options = [*([None] if kind is not info.annotation else []), *get_args(kind)]
        return st.selectbox(label, options, options.index(before), called, key, help_, bind=BIND)
    if kind is bool:
        return st.checkbox(label, before, key, help_, bind=BIND)
    if kind in (int, float):
        low, high = _bounds(info, kind)
        step, form = (1, "%d") if kind is int else (_step(before), "%g")
        number = st.number_input(
            label, low, high, before, step, form, key, help_, placeholder="network default", bind=BIND,
        )  # fmt: skip
        return before if number is None else number
    written = st.text_input(
        label, text, key=key, help=help_, placeholder="network default" if before is None else None, bind=BIND
    )
    if kind is str:
        return written
    if written == text:
        return before
    try:
        return tomllib.loads(f"value = {written}")["value"]
    except tomllib.TOMLDecodeError:
        return written  # a bare word is a string, as on the command line; the check says if none is taken


def _without_none(annotation: Any) -> Any:
    kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
    return kinds[0] if type(None) in get_args(annotation) and len(kinds) == 1 else annotation


def _is_text(kind: Any) -> bool:
    return kind not in (int, float, bool) and get_origin(kind) is not Literal


def _limits(info: FieldInfo) -> dict[str, float]:
    return {name: getattr(m, name) for m in info.metadata for name in ("ge", "gt", "le", "lt") if hasattr(m, name)}


def _bounds(info: FieldInfo, kind: type) -> tuple[Any, Any]:
    """Lowest and highest number the widget takes; a bound that is itself not allowed is refused by the check."""
    limits = _limits(info)
    low, high = limits.get("ge", limits.get("gt")), limits.get("le", limits.get("lt"))
    if kind is int:
        low, high = limits.get("ge", limits.get("gt", -1) + 1), limits.get("le", limits.get("lt", 2**53) - 1)
    return None if low is None else kind(low), None if high is None else kind(high)


def _step(value: float | None) -> float:
    """About a tenth of the value, so that a press of the arrow means something for 0.1 and for 0.0005."""
    return float(f"{abs(value) / 10:.0e}") if value else 0.01


def help_text(key: str, info: FieldInfo) -> str:
    """What a field means, what its title means where the glossary has it, its range, and its key in a recipe."""
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    limits = ", ".join(f"{words[name]} {limit:g}" for name, limit in _limits(info).items())
    parts = [info.description or "", f"Range: {limits}." if limits else ""]
    said = " ".join(part for part in parts if part)
    known = info.title in GLOSSARY and GLOSSARY[info.title].meaning
    return "\n\n".join(part for part in (known, said, f"Key: `{key}`") if part)
