"""The renderer without CSS sees the colours that a browser sees in the light mode."""

from eval.drawing.light_styles import palette, style_of


def test_an_entrys_hue_fills_its_glyph_bar_and_name() -> None:
    for element, classes in (("circle", {"glyph", "e1"}), ("rect", {"bar", "e1"})):
        assert style_of(element, frozenset(classes))["fill"] == palette()["--e1"]
    assert style_of("text", frozenset({"label", "t1"}))["fill"] == palette()["--e1"]


def test_a_hollow_glyph_is_paper_with_an_outline() -> None:
    style = style_of("circle", frozenset({"glyph", "e2", "hollow"}))
    assert style["fill"] == palette()["--paper"]
    assert style["stroke"] == palette()["--e2"]


def test_plain_text_is_ink_and_ticks_are_muted() -> None:
    assert style_of("text", frozenset())["fill"] == palette()["--ink"]
    assert style_of("text", frozenset({"tick"}))["fill"] == palette()["--muted"]
    assert "fill" not in style_of("line", frozenset({"grid"}))


def test_rules_of_dark_mode_print_and_phones_do_not_count() -> None:
    assert palette()["--paper"] == "#fff"
    assert style_of("path", frozenset({"curve", "e0"}))["stroke"] == palette()["--e0"]
