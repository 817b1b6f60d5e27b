"""Covers for the demo's products, drawn from a few colours and a motif: always the same bytes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from math import cos, pi, sin

from PIL import Image, ImageDraw, ImageFilter, ImageFont

WIDTH, HEIGHT = 960, 600
_SCALE = 2  # drawn larger, then reduced: smooth edges
_CARD = (250, 120, 710, 440)
_INK = (255, 255, 255)

Box = tuple[float, float, float, float]
Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Look:
    """`prefix` is also what the product's demo keys begin with. Colours as #rrggbb."""

    prefix: str
    motif: str
    dark: str
    bright: str
    glow: str


@cache
def cover(look: Look) -> bytes:
    """A WebP of WIDTH × HEIGHT: a tilted card with the motif over a soft sky of the look's colours."""
    picture = _sky(look)
    card, shadow = _card(look)
    picture.paste((6, 8, 20), mask=shadow)
    picture.paste(card, mask=card.getchannel("A"))
    reduced = picture.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    out = BytesIO()
    reduced.save(out, "WEBP", quality=86, method=6)
    return out.getvalue()


def _rgb(text: str) -> Colour:
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def _scaled(box: Box) -> Box:
    x0, y0, x1, y1 = box
    return x0 * _SCALE, y0 * _SCALE, x1 * _SCALE, y1 * _SCALE


def _sky(look: Look) -> Image.Image:
    """A diagonal gradient with three blurred lights, made small and enlarged: blur is cheap there."""
    small = (WIDTH // 4, HEIGHT // 4)
    slope = Image.linear_gradient("L").rotate(58, Image.Resampling.BICUBIC, expand=True)
    side = slope.width // 4
    slope = slope.crop((side, side, slope.width - side, slope.height - side)).resize(small)
    sky = Image.composite(
        Image.new("RGB", small, _rgb(look.bright)), Image.new("RGB", small, _rgb(look.dark)), slope
    )
    for (x, y, radius), colour, strength in (
        ((205, 20, 80), look.glow, 190),
        ((30, 140, 70), look.bright, 150),
        ((120, 165, 60), look.dark, 120),
    ):
        light = Image.new("L", small, 0)
        ImageDraw.Draw(light).ellipse((x - radius, y - radius, x + radius, y + radius), fill=strength)
        sky.paste(_rgb(colour), mask=light.filter(ImageFilter.GaussianBlur(34)))
    return sky.resize((WIDTH * _SCALE, HEIGHT * _SCALE), Image.Resampling.BICUBIC)


def _card(look: Look) -> tuple[Image.Image, Image.Image]:
    """The card with its motif, and its shadow's mask, both tilted."""
    size = (WIDTH * _SCALE, HEIGHT * _SCALE)
    shape = Image.new("L", size, 0)
    ImageDraw.Draw(shape).rounded_rectangle(_scaled(_CARD), 34 * _SCALE, fill=255)
    across = Image.linear_gradient("L").rotate(90).resize(size)
    face = Image.composite(
        Image.new("RGB", size, _rgb(look.glow)), Image.new("RGB", size, _rgb(look.dark)), across
    )
    face = Image.blend(face, Image.new("RGB", size, _rgb(look.bright)), 0.35).convert("RGBA")
    _sheen(face)
    ImageDraw.Draw(face).rounded_rectangle(_scaled(_CARD), 34 * _SCALE, outline=(*_INK, 90), width=2 * _SCALE)
    ink = Image.new("RGBA", size, (0, 0, 0, 0))
    MOTIFS[look.motif](ImageDraw.Draw(ink))
    _wordmark(ImageDraw.Draw(ink), look.prefix)
    face.alpha_composite(ink)
    face.putalpha(shape)
    tilted = face.rotate(7, Image.Resampling.BICUBIC)
    fallen = Image.new("L", size, 0)
    fallen.paste(tilted.getchannel("A"), (0, 26 * _SCALE))
    small = fallen.resize((WIDTH // 2, HEIGHT // 2)).filter(ImageFilter.GaussianBlur(14))
    return tilted, small.resize(size).point(lambda value: value * 0.42)


def _sheen(face: Image.Image) -> None:
    """A pale diagonal band, as light falls on plastic."""
    x0, y0, x1, y1 = _scaled(_CARD)
    band = Image.new("L", face.size, 0)
    third = (x1 - x0) / 3
    ImageDraw.Draw(band).polygon(
        [(x0 + third, y0), (x0 + 2.1 * third, y0), (x0 + 1.3 * third, y1), (x0 + 0.2 * third, y1)],
        fill=46,
    )
    face.paste(_INK, mask=band.filter(ImageFilter.GaussianBlur(12 * _SCALE)))


def _wordmark(draw: ImageDraw.ImageDraw, text: str) -> None:
    font = ImageFont.load_default(27 * _SCALE)
    x: float = (_CARD[0] + 40) * _SCALE
    for letter in text:
        draw.text((x, (_CARD[3] - 62) * _SCALE), letter, font=font, fill=(*_INK, 235))
        x += font.getlength(letter) + 6 * _SCALE
    right = (_CARD[2] - 40) * _SCALE
    for row in range(3):
        y = (_CARD[3] - 56 + row * 9) * _SCALE
        draw.line(
            (right - (66 - row * 16) * _SCALE, y, right, y),
            fill=(*_INK, 130),
            width=3 * _SCALE,
        )


# Motifs live in the card's upper part, around this point.
_X, _Y = 480, 242


def _points(pairs: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [((_X + x) * _SCALE, (_Y + y) * _SCALE) for x, y in pairs]


def _circle(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, **style: object) -> None:
    box = _scaled((_X + x - radius, _Y + y - radius, _X + x + radius, _Y + y + radius))
    draw.ellipse(box, **style)  # type: ignore[arg-type]


def _crystal(draw: ImageDraw.ImageDraw) -> None:
    draw.polygon(_points([(0, -92), (62, -30), (0, 92), (-62, -30)]), fill=(*_INK, 200))
    draw.polygon(_points([(0, -92), (22, -30), (0, 92), (-22, -30)]), fill=(*_INK, 255))
    draw.polygon(_points([(62, -30), (22, -30), (0, 92)]), fill=(*_INK, 120))
    for x, y, size in ((-120, 20, 26), (124, -40, 20), (104, 52, 13)):
        draw.polygon(
            _points([(x, y - size * 1.5), (x + size, y), (x, y + size * 1.5), (x - size, y)]),
            fill=(*_INK, 150),
        )


def _harbour(draw: ImageDraw.ImageDraw) -> None:
    _circle(draw, 70, -44, 40, fill=(*_INK, 235))
    draw.polygon(_points([(-170, 66), (-74, -62), (18, 66)]), fill=(*_INK, 220))
    draw.polygon(_points([(-60, 66), (34, -18), (128, 66)]), fill=(*_INK, 130))
    for row, width in enumerate((170, 128, 80)):
        y = 84 + row * 15
        draw.line(_points([(-width, y), (width, y)]), fill=(*_INK, 170 - 45 * row), width=5 * _SCALE)


def _mountains(draw: ImageDraw.ImageDraw) -> None:
    _circle(draw, 96, -58, 30, fill=(*_INK, 235))
    for offset, alpha in ((0, 70), (44, 62), (92, 54)):  # to the card's edges, which cut them
        ridge = [
            (x, offset - 26 + 34 * sin(x / 47 + offset) + 11 * sin(x / 19 + offset * 2))
            for x in range(-240, 241, 5)
        ]
        draw.polygon(_points([(-240, 220), *ridge, (240, 220)]), fill=(*_INK, alpha))


def _pages(draw: ImageDraw.ImageDraw) -> None:
    draw.polygon(_points([(-96, -76), (-6, -52), (-6, 92), (-96, 68)]), fill=(*_INK, 235))
    draw.polygon(_points([(96, -76), (6, -52), (6, 92), (96, 68)]), fill=(*_INK, 165))
    draw.line(_points([(132, -84), (60, 24), (46, 58)]), fill=(*_INK, 255), width=9 * _SCALE, joint="curve")


def _shield(draw: ImageDraw.ImageDraw) -> None:
    outline = [(0.0, -96.0), (80.0, -66.0), (80.0, 0.0)]
    outline += [(80 * cos(t * pi / 40), 14 + 84 * sin(t * pi / 40)) for t in range(21)]
    mirrored = [(-x, y) for x, y in reversed(outline)]
    draw.polygon(_points(outline + mirrored), fill=(*_INK, 215))
    draw.polygon(_points([(0.0, 98.0), *mirrored]), fill=(*_INK, 120))
    draw.line(
        _points([(-34, 0), (-8, 28), (40, -32)]),
        fill=(20, 60, 66, 255),
        width=13 * _SCALE,
        joint="curve",
    )


def _screen(draw: ImageDraw.ImageDraw) -> None:
    draw.rounded_rectangle(_scaled((_X - 122, _Y - 84, _X + 122, _Y + 70)), 20 * _SCALE, fill=(*_INK, 215))
    draw.polygon(_points([(-26, -46), (44, -7), (-26, 32)]), fill=(60, 22, 52, 255))
    draw.line(_points([(-60, 94), (60, 94)]), fill=(*_INK, 170), width=8 * _SCALE)
    for x, y, radius in ((150, -90, 6), (172, -58, 4), (-152, -64, 5)):
        _circle(draw, x, y, radius, fill=(*_INK, 230))


def _waves(draw: ImageDraw.ImageDraw) -> None:
    for index in range(17):
        x = -144 + index * 18
        height = 14 + 74 * abs(sin(index * 0.62)) * (0.45 + 0.55 * sin(pi * index / 16))
        draw.rounded_rectangle(
            _scaled((_X + x - 5, _Y - height, _X + x + 5, _Y + height)),
            5 * _SCALE,
            fill=(*_INK, 235 if index % 2 else 165),
        )


def _cloud(draw: ImageDraw.ImageDraw) -> None:
    for x, y, radius in ((-64, 22, 46), (0, -18, 66), (68, 18, 50)):
        _circle(draw, x, y, radius, fill=(*_INK, 225))
    draw.rounded_rectangle(_scaled((_X - 108, _Y + 12, _X + 116, _Y + 68)), 28 * _SCALE, fill=(*_INK, 225))
    draw.line(
        _points([(0, 46), (0, -26), (-26, 2)]),
        fill=(24, 66, 128, 255),
        width=11 * _SCALE,
        joint="curve",
    )
    draw.line(_points([(0, -26), (26, 2)]), fill=(24, 66, 128, 255), width=11 * _SCALE)


def _stars(draw: ImageDraw.ImageDraw) -> None:
    def star(x: float, y: float, size: float, alpha: int) -> None:
        spikes = [
            (
                x + (size if corner % 2 == 0 else size * 0.3) * sin(corner * pi / 4),
                y - (size if corner % 2 == 0 else size * 0.3) * cos(corner * pi / 4),
            )
            for corner in range(8)
        ]
        draw.polygon(_points(spikes), fill=(*_INK, alpha))

    star(0, -6, 96, 255)
    for x, y, size, alpha in (
        (-112, -48, 34, 200),
        (112, 40, 40, 200),
        (128, -66, 20, 170),
        (-128, 62, 22, 170),
    ):
        star(x, y, size, alpha)


MOTIFS: dict[str, Callable[[ImageDraw.ImageDraw], None]] = {
    "crystal": _crystal,
    "harbour": _harbour,
    "mountains": _mountains,
    "pages": _pages,
    "shield": _shield,
    "screen": _screen,
    "waves": _waves,
    "cloud": _cloud,
    "stars": _stars,
}
