"""Every text can be read on what lies behind it: WCAG 2's AA, 4.5 to 1, in light and in dark."""

import re

import pytest

from dashboards.pages.render import FOLDER, SHADES

CSS = (FOLDER / "static" / "pages.css").read_text()
INKS = ("ink", "soft", "link", "bad", "good", "warm")
AA = 4.5


def luminance(colour):
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return sum(weight * value for weight, value in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("which", [0, 1], ids=["light", "dark"])
def test_inks_on_paper_and_shade(which):
    colours = dict(re.findall(r"--(\w+): (#\w{6})", re.findall(r":root \{(.*?)\}", CSS, flags=re.DOTALL)[which]))
    for ink in INKS:
        assert min(contrast(colours[ink], colours[behind]) for behind in ("paper", "shade")) >= AA, ink


def test_inks_on_the_colours_of_the_grid():
    shades = re.findall(r"\.shade-(\d+) \{ background: (#\w{6}); --on: (#\w{6}); \}", CSS)
    assert [int(number) for number, _, _ in shades] == list(range(SHADES + 1))
    assert min(contrast(behind, on) for _, behind, on in shades) >= AA
