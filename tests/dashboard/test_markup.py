"""The bar of shares below an image."""

from dashboard.markup import stack


def test_a_bar_says_in_words_what_it_shows_in_colours() -> None:
    bar = stack("<voters>", {"sad": 0.3, "happy": 0.7, "angry": 0.0})
    assert 'aria-label="&lt;voters&gt;: happy 70 %, sad 30 %"' in bar
    assert bar.index("width:70.0%;background:#E69F00") < bar.index("width:30.0%;background:#0072B2")
    assert "angry" not in bar
    assert "<voters>" not in bar
