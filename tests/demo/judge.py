"""Looks at pictures as the demo's prompts name them, and says whether the right colour is in the right place.

Colours and places are those of src/commands/demo_pictures.cc. A picture of a shape passes when most of a disc at the
named place has the named colour and most of what lies farther away has the named ground. One of a mushroom passes when
most of what is not ground is cap and stem, the cap above the stem, both together at the named place, and the rest
again ground. Each pixel counts as the colour of the palette that it is nearest to, so what passes looks right to a
person too.
"""

import dataclasses
import itertools
import random

import numpy

COLOURS = {
    "red": (214, 40, 40),
    "green": (42, 157, 80),
    "blue": (38, 84, 196),
    "yellow": (247, 197, 37),
    "purple": (123, 44, 191),
    "orange": (244, 122, 24),
}
GROUNDS = {"white": (250, 250, 247), "black": (24, 24, 28), "grey": (150, 152, 156), "pink": (250, 190, 210)}
MUSHROOM = {"cap": (20, 200, 210), "stem": (120, 72, 32)}
PALETTE = {**COLOURS, **GROUNDS, **MUSHROOM}
SHAPES = ("circle", "square", "triangle", "diamond")
PLACES = {  # phrase and centre, in shares of the sides
    "left": ("on the left", 0.27, 0.5),
    "right": ("on the right", 0.73, 0.5),
    "top": ("at the top", 0.5, 0.27),
    "bottom": ("at the bottom", 0.5, 0.73),
    "middle": ("in the middle", 0.5, 0.5),
}

# In shares of the shorter side, areas of its square. Things have radii of 0.17 to 0.22 and stray by 0.03.
INNER = 0.08
OUTER = 0.34
MOST = 0.7  # share of the disc
NEARLY_ALL = 0.85  # share of the rest
# Edges between two colours look like a third one.
MOST_WITHOUT_EDGES = 0.6
SMALLEST_CAP, SMALLEST_STEM = 0.02, 0.01  # drawn ones have 0.045 and 0.026 at least
LEAST_ABOVE = 0.08  # from the stem's middle up to the cap's; 0.158 at least in drawn ones
FARTHEST = 0.1  # from the place's centre to that of cap and stem


@dataclasses.dataclass(frozen=True)
class Prompt:
    """What a picture shows."""

    colour: str
    shape: str
    place: str
    ground: str

    @property
    def caption(self):
        article = "an" if self.colour == "orange" else "a"
        return f"{article} {self.colour} {self.shape} {PLACES[self.place][0]}, {self.ground} background"


def shape_prompts(count=64, seed=0):
    """Different ones, over all colours, shapes, places and grounds."""
    every = [Prompt(*words) for words in itertools.product(COLOURS, SHAPES, PLACES, GROUNDS)]
    return random.Random(seed).sample(every, count)


def mushroom_prompts(count=64):
    """Each of the 20 in turn."""
    every = [Prompt("cyan", "mushroom", *words) for words in itertools.product(PLACES, GROUNDS)]
    return [every[i % len(every)] for i in range(count)]


def name_pixels(picture):
    """[height, width] of names: the palette's nearest colour to each pixel of [height, width, 3] bytes."""
    palette = numpy.array(list(PALETTE.values()), dtype=numpy.float32)
    distance = numpy.square(picture[:, :, None].astype(numpy.float32) - palette).sum(-1)
    return numpy.array(list(PALETTE))[distance.argmin(-1)]


def shows(picture, prompt):
    """Whether the picture, [height, width, 3] bytes, has the prompt's colours where it wants them."""
    names = name_pixels(picture)
    height, width = names.shape
    side = min(height, width)
    y, x = numpy.mgrid[:height, :width] + 0.5
    _, centre_x, centre_y = PLACES[prompt.place]
    y = (y - centre_y * height) / side
    x = (x - centre_x * width) / side
    far = numpy.hypot(x, y) > OUTER
    if (names[far] == prompt.ground).mean() < NEARLY_ALL:
        return False
    if prompt.shape != "mushroom":
        return (names[numpy.hypot(x, y) < INNER] == prompt.colour).mean() >= MOST
    return shows_mushroom(names, ~far & (names != prompt.ground), x, y)


def shows_mushroom(names, thing, x, y):
    """Whether what is not ground is a mushroom at x, y = 0."""
    cap, stem = thing & (names == "cap"), thing & (names == "stem")
    both = cap | stem
    pixel = 1 / min(names.shape) ** 2
    if cap.sum() * pixel < SMALLEST_CAP or stem.sum() * pixel < SMALLEST_STEM:
        return False
    return bool(
        both.sum() / thing.sum() >= MOST_WITHOUT_EDGES
        and y[stem].mean() - y[cap].mean() >= LEAST_ABOVE
        and numpy.hypot(x[both].mean(), y[both].mean()) <= FARTHEST
    )


def share_shown(pictures, prompts):
    """Share of the pictures that show their prompts."""
    return numpy.mean([shows(picture, prompt) for picture, prompt in zip(pictures, prompts, strict=True)])
