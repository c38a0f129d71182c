"""What is done to decoded pixels, compared with Pillow, with numpy's own arithmetic and, where it is
installed, with the package cv2."""

import colorsys

import numpy as np
import pytest
from PIL import Image

SIZES = [(50, 40), (300, 200), (97, 120), (40, 61), (500, 20), (7, 3), (48, 30), (1, 1)]


@pytest.fixture
def path(tmp_path, picture):
    picture.save(tmp_path / "a.png")
    return tmp_path / "a.png"


def largest_difference(a, b):
    assert a.shape == b.shape
    return np.abs(a.astype(float) - b).max()


@pytest.mark.parametrize("size", SIZES)
def test_box_equals_pillow(tool, path, picture, size):
    expected = np.asarray(picture.resize(size, Image.Resampling.BOX))
    assert np.array_equal(tool("resize", "box", *size, path), expected)


@pytest.mark.parametrize("size", SIZES)
def test_wide_bicubic_equals_pillow(tool, path, picture, size):
    expected = np.asarray(picture.resize(size, Image.Resampling.BICUBIC))
    assert np.array_equal(tool("resize", "wide_bicubic", *size, path), expected)


@pytest.mark.parametrize("size", SIZES)
def test_nearest_takes_the_pixel_under_the_centre(tool, path, picture, size):
    columns, rows = [(2 * np.arange(t) + 1) * s // (2 * t) for s, t in zip(picture.size, size)]
    expected = np.asarray(picture)[rows][:, columns]
    assert np.array_equal(tool("resize", "nearest", *size, path), expected)


def tap_weights(source, target, kernel, reach):
    """[target, source]: the kernel around each target position's place in the source, not widened
    when shrinking; what would lie outside is the border's pixel."""
    weights = np.zeros((target, source))
    for i in range(target):
        place = (i + 0.5) * source / target - 0.5
        for s in range(int(np.floor(place)) - reach + 1, int(np.floor(place)) + reach + 1):
            weights[i, min(max(s, 0), source - 1)] += kernel(abs(s - place))
    return weights


def linear(x):
    return max(0, 1 - x)


def cubic(x, a=-0.75):
    if x < 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a if x < 2 else 0


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("method, kernel, reach", [("bilinear", linear, 1), ("bicubic", cubic, 2)])
def test_linear_and_cubic_follow_their_kernels(tool, path, picture, method, kernel, reach, size):
    across = tap_weights(picture.width, size[0], kernel, reach)
    down = tap_weights(picture.height, size[1], kernel, reach)
    exact = np.einsum("ty,yxc,sx->tsc", down, np.asarray(picture, float), across).clip(0, 255)
    assert largest_difference(tool("resize", method, *size, path), exact) <= 1.01


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "method, name, bound",
    [
        ("area", "INTER_AREA", 0),
        ("nearest", "INTER_NEAREST_EXACT", 0),
        ("bilinear", "INTER_LINEAR", 0),
        ("bicubic", "INTER_CUBIC", 1),  # OpenCV's versions differ among themselves
    ],
)
def test_equals_cv2(tool, path, picture, method, name, bound, size):
    cv2 = pytest.importorskip("cv2")
    expected = cv2.resize(np.asarray(picture), size, interpolation=getattr(cv2, name))
    assert largest_difference(tool("resize", method, *size, path), expected) <= bound


@pytest.mark.parametrize("degrees", [-16, -7.3, 0, 0.5, 16, 120, 200])
def test_hue_turns_as_colorsys_says(tool, path, picture, degrees):
    def turned(pixel):
        hue, saturation, value = colorsys.rgb_to_hsv(*(pixel / 255))
        return [255 * v for v in colorsys.hsv_to_rgb((hue + degrees / 360) % 1, saturation, value)]

    expected = np.apply_along_axis(turned, -1, np.asarray(picture, float))
    assert largest_difference(tool("hue", degrees, path), expected) <= 0.51  # rounded once


def test_hue_goes_the_way_of_cv2(tool, path, picture):
    cv2 = pytest.importorskip("cv2")
    hsv = cv2.cvtColor(np.asarray(picture), cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(int) + 8) % 180
    expected = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    assert np.abs(tool("hue", 16, path) - expected.astype(float)).mean() < 2  # whose hues are rounded


@pytest.mark.parametrize("gamma", [0.95, 0.987, 1, 1.05])
def test_gamma_is_a_power_of_the_byte(tool, path, picture, gamma):
    expected = np.clip(np.asarray(picture).astype(float) ** gamma, 0, 255).astype(np.uint8)
    assert np.array_equal(tool("gamma", gamma, path), expected)


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif"])
def test_alpha_equals_pillow(tool, tmp_path, picture, name):
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    picture.save(tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
    assert np.array_equal(tool("alpha", tmp_path / name), np.asarray(picture)[..., 3])


def test_alpha_of_grey_and_palette(tool, tmp_path, picture):
    grey = picture.convert("LA")
    grey.putalpha(Image.linear_gradient("L").resize(grey.size))
    grey.save(tmp_path / "grey.png")
    assert np.array_equal(tool("alpha", tmp_path / "grey.png"), np.asarray(grey)[..., 1])
    picture.quantize(16).save(tmp_path / "palette.png", transparency=3)
    expected = np.asarray(Image.open(tmp_path / "palette.png").convert("RGBA"))[..., 3]
    assert (expected == 0).any()
    assert np.array_equal(tool("alpha", tmp_path / "palette.png"), expected)
    picture.save(tmp_path / "opaque.png")
    assert tool("alpha", tmp_path / "opaque.png") is None


@pytest.mark.parametrize("extension", ["jpg", "webp"])
def test_shrink_on_load_is_near_the_mean(tool, tmp_path, picture, extension):
    path = tmp_path / f"a.{extension}"
    picture.resize((776, 488), Image.Resampling.BICUBIC).save(path, quality=92)
    pixels = tool("fast", 190, 120, path)
    assert pixels.shape == (122, 194, 3)
    expected = np.asarray(Image.open(path).convert("RGB").reduce(4), float)
    assert np.abs(pixels - expected).mean() < 2


def test_written_jpeg_opens_in_pillow(tmp_path, path, picture, say):
    out = tmp_path / "out.jpg"
    say("jpeg", 95, path, out)
    read = Image.open(out)
    assert (read.format, read.mode, read.size) == ("JPEG", "RGB", picture.size)
    assert np.abs(np.asarray(read, float) - np.asarray(picture)).mean() < 4


def test_hash_compares_neighbouring_means(path, picture, say):
    means = np.asarray(picture.resize((9, 8), Image.Resampling.BOX), float) @ [0.299, 0.587, 0.114]
    bits = (means[:, :-1] < means[:, 1:]).ravel()
    expected = int("".join("01"[int(bit)] for bit in bits), 2)
    assert bin(int(say("hash", path), 16) ^ expected).count("1") <= 1  # a mean may round the other way
