"""The app's colours, style and script."""

from importlib.util import find_spec
from pathlib import Path

import gradio as gr
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

WIDE = 520  # pixels that a column with tables and charts needs; on a narrower page it goes below the other

# The workbench's font comes with Streamlit, whose files have a new name in each version. Without it the system's is used.
STREAMLIT = find_spec("streamlit")
MEDIA = Path(STREAMLIT.origin if STREAMLIT and STREAMLIT.origin else "").parent / "static" / "static" / "media"
FONT = next(MEDIA.glob("SourceSansVF-Upright*.woff2"), None)
ROUTES = [Mount("/fonts", StaticFiles(directory=MEDIA))] if FONT else []
FACE = (
    f"""@font-face {{ font-family: "Source Sans"; font-weight: 200 900; src: url("/fonts/{FONT.name}"); }}"""
    if FONT
    else ""
)

SHADES = (50, *range(100, 1000, 100), 950)
THEME = gr.themes.Base(
    primary_hue=gr.themes.Color(
        name="accent", **{f"c{shade}": "#2b5f8a" if shade <= 500 else "#234e72" for shade in SHADES}
    ),
    neutral_hue="gray",
    font=["Source Sans", "system-ui", "sans-serif"],
    font_mono=["ui-monospace", "monospace"],
    radius_size="sm",
).set(
    body_background_fill="#ffffff",
    body_background_fill_dark="#15171a",
    body_text_color="#24272b",
    body_text_color_dark="#e4e6e9",
    background_fill_primary="#ffffff",
    background_fill_primary_dark="#15171a",
    background_fill_secondary="#f4f5f6",
    background_fill_secondary_dark="#1e2125",
    block_background_fill="transparent",
    block_background_fill_dark="transparent",
    block_label_background_fill="#f4f5f6",
    block_label_background_fill_dark="#1e2125",
    input_background_fill_dark="#1e2125",
    border_color_primary="#dcdfe3",
    border_color_primary_dark="#363b41",
    color_accent="#2b5f8a",
    checkbox_background_color_dark="#1e2125",
    table_even_background_fill="#ffffff",
    table_even_background_fill_dark="#15171a",
    table_odd_background_fill="#f4f5f6",
    table_odd_background_fill_dark="#1e2125",
    button_primary_background_fill_dark="#2b5f8a",
    link_text_color="#2b5f8a",
    link_text_color_dark="#7fb2dd",
)
HEAD = f"<script>{Path(__file__).with_name('live.js').read_text(encoding='utf-8')}</script>"
# Gradio takes a selector apart at every comma, so there is no :is() here.
CSS = (
    FACE
    + """
.faces { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1.2rem 2rem; }
.faces + .faces { margin-top: 1.2rem; }
.faces h3 { font-size: 1rem; font-weight: 600; margin: 0 0 .4rem; }
.form { background: none !important; border: 0 !important; gap: 1rem !important; flex-wrap: wrap !important; }
@media (max-width: 640px) { .form { display: grid !important; } }
.form > * { padding: 0 !important; align-self: start; }
.row > .form > * { min-width: 11rem !important; }
.row > .form > .sure { min-width: 14rem !important; }
.row > .form > .auto-margin { min-width: 13rem !important; margin: 0 !important; }
@media (min-width: 720px) { .row > .form > .auto-margin { margin-top: 1.5rem !important; } }
.settings { align-items: start; }
@media (min-width: 720px) { .settings > .present { margin-top: 1.4rem; } }
.gradio-container > .main.app { padding: 0 1px !important; }
.photos .grid-wrap { min-height: 0; }
.photos .grid-container { grid-template-rows: none; grid-auto-rows: auto;
  grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); }
.photos .thumbnail-item { aspect-ratio: auto; height: auto; background: none; }
.photos .thumbnail-item > img { height: 9rem; }
.photos .caption-label { position: static; display: block; max-width: none; border: 0; white-space: normal;
  background: none; overflow-wrap: anywhere; }
.dark { --color-accent: #7fb2dd; --primary-600: #7fb2dd; }
.fer-bars { width: 100%; border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
.fer-bars th { font-weight: 400; text-align: left; padding: .12rem .6rem .12rem 0; width: 5.5rem; }
.fer-bars td { padding: .12rem 0; }
.fer-bars, .fer-bars tr, .fer-bars th, .fer-bars td { border: 0 !important; }
.fer-bars td:last-child { text-align: right; width: 4rem; }
.fer-bars tr.picked > * { font-weight: 600; }
.fer-bars .bar div { height: .7rem; border-radius: 2px; min-width: 1px; }
.dot { display: inline-block; width: .75em; height: .75em; border-radius: 50%; margin-right: .5em; }
.fer-light { color: color-mix(in srgb, currentColor 65%, transparent); font-size: .875rem; }
.scale { display: inline-block; width: 8rem; height: .7rem; margin: 0 .3rem; border-radius: 2px;
  background: linear-gradient(90deg, transparent, #3b528b, #21918c, #5ec962, #fde725); }
.say { margin: .2rem 0 .6rem; }
.problem { border-left: 3px solid #D55E00; padding: .5rem .8rem;
  background: color-mix(in srgb, #D55E00 10%, transparent); }
.warn { border-left: 3px solid #E69F00; padding: .1rem .6rem; margin: .4rem 0 0; font-size: .875rem; }
.done { height: .5rem; border-radius: 3px; background: color-mix(in srgb, currentColor 15%, transparent); }
.done > div { height: 100%; border-radius: 3px; background: var(--color-accent); }
.fer-scroll { overflow-x: auto; max-width: 100%; }
.fer-table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; margin: .4rem 0 1.2rem; }
.fer-table td { white-space: nowrap; }
.fer-table, .fer-table tr { border: 0 !important; }
.fer-table th, .fer-table td { padding: .2rem .9rem .2rem 0 !important; border: 0 !important; text-align: right;
  font-weight: 400; }
.fer-table .word { text-align: left; }
.fer-table thead th { border-bottom: 1px solid color-mix(in srgb, currentColor 25%, transparent) !important; }
.fer-table .grey > * { color: color-mix(in srgb, currentColor 55%, transparent); }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: 1rem; }
.pairs img { width: 72px; height: 72px; border-radius: 3px; margin-right: 4px; image-rendering: auto; display: inline-block; }
.seen { display: grid; grid-template-columns: repeat(auto-fit, minmax(14rem, 1fr)); gap: 1.2rem; align-items: start; }
.shot { max-width: 100%; max-height: 480px; display: block; border-radius: 4px; }
.by { display: none; }
.presenting { overflow-x: hidden; }
.presenting footer, .presenting .tab-wrapper, .presenting .more, .presenting .settings > .form { display: none !important; }
.presenting .given { position: fixed !important; left: -300vw; width: 20rem; }
.presenting .settings > .present { position: fixed; top: .5rem; right: .5rem; margin: 0; z-index: 9; opacity: .7; }
.presenting .settings > .present { font-size: 0; }
.presenting .settings > .present::after { content: "Leave (F)"; font-size: 1rem; }
.presenting .gradio-container > .main.app { padding: 2vh 2vw !important; max-width: none; }
.presenting .answer .seen { display: grid; grid-template-columns: 3fr 2fr; gap: 3vw; align-items: center; min-height: 90vh; }
.presenting .seen > * { min-width: 0 !important; }
.presenting .shot, .presenting .seen .image-container img { width: 100%; max-height: 88vh; object-fit: contain; }
.presenting .seen .image-container, .presenting .seen > .block:first-child { height: 88vh !important; border: 0; }
.presenting .seen label.float, .presenting .seen .icon-button-wrapper { display: none; }
.presenting .by { display: block; font-size: 1.4rem; margin: 0 0 .8rem; }
.presenting .faces { grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); }
.presenting .faces h3 { font-size: clamp(1.8rem, 3vw, 3.2rem); line-height: 1.15; }
.presenting .faces ~ .faces h3, .presenting .faces section:nth-child(n+3) h3 { font-size: 1.8rem; }
.presenting .fer-bars { font-size: clamp(1.1rem, 1.7vw, 2rem); }
.presenting .fer-bars th { width: 8.5rem; padding: .4rem 1rem .4rem 0; }
.presenting .fer-bars td:last-child { width: 6.5rem; }
.presenting .fer-bars .bar div { height: 1.5rem; }
.presenting .fer-light, .presenting .warn { font-size: 1.1rem; }
@media (max-width: 800px) { .presenting .answer .seen { grid-template-columns: 1fr; }
  .presenting .shot, .presenting .seen .image-container { max-height: 55vh; height: auto !important; } }
.keep > button { align-self: end; }
.icon-button-wrapper { background: var(--background-fill-primary) !important; }
.button-wrap { background: var(--background-fill-primary); border-radius: 4px; }
footer img, footer .divider { display: none !important; }
"""
)
