"""Pixels as training sees them, compared with Pillow and numpy through the program sdtune-image.

SDTUNE_BUILD names the build folder (build/release without it).
"""

import os
import pathlib
import subprocess

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = pathlib.Path(os.environ.get("SDTUNE_BUILD", ROOT / "build" / "release")) / "tests" / "sdtune-image"


def run(*args):
    return subprocess.run([TOOL, *map(str, args)], capture_output=True, text=True, timeout=60)


def read_raw(path):
    head, pixels = path.read_bytes().split(b"\n", 1)
    width, height = map(int, head.split())
    return np.frombuffer(pixels, np.uint8).reshape(height, width, 3)


def decode(path, tmp_path):
    out = tmp_path / "out.raw"
    result = run("decode", path, out)
    assert result.returncode == 0, result.stderr
    pixels = read_raw(out)
    size = run("size", path)
    assert size.stdout.split() == [str(pixels.shape[1]), str(pixels.shape[0])], size.stderr
    return pixels


def resize(path, how, size, tmp_path):
    out = tmp_path / "out.raw"
    result = run("resize", how, size[0], size[1], path, out)
    assert result.returncode == 0, result.stderr
    return read_raw(out)


def picture(width=97, height=61, seed=0):
    """Gradients with noise and hard edges."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    pixels = np.stack([x * 255 / width, y * 255 / height, (x + y) * 127 / (width + height)], -1)
    pixels = pixels + rng.normal(0, 20, pixels.shape)
    pixels[height // 3 : height // 2, width // 4 : width // 2] = [250, 5, 120]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def largest_difference(a, b):
    assert a.shape == b.shape
    return int(np.abs(a.astype(int) - b.astype(int)).max())


@pytest.mark.parametrize(
    "name, options",
    [
        ("a.png", {}),
        ("a.jpg", {"quality": 92}),
        ("444.jpg", {"quality": 80, "subsampling": 0}),
        ("progressive.jpg", {"quality": 75, "progressive": True}),
        ("a.webp", {"quality": 85}),
        ("lossless.webp", {"lossless": True}),
        ("a.bmp", {}),
        ("a.tif", {"compression": "tiff_lzw"}),
    ],
)
def test_plain_rgb_equals_pillow(tmp_path, name, options):
    path = tmp_path / name
    picture().save(path, **options)
    assert np.array_equal(decode(path, tmp_path), np.asarray(Image.open(path).convert("RGB")))


@pytest.mark.parametrize("mode", ["L", "1", "P"])
def test_grey_and_palette_equal_pillow(tmp_path, mode):
    path = tmp_path / "a.png"
    picture().convert(mode).save(path)
    assert np.array_equal(decode(path, tmp_path), np.asarray(Image.open(path).convert("RGB")))


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, orientation, extension):
    path = tmp_path / f"a.{extension}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture().save(path, exif=exif)
    expected = ImageOps.exif_transpose(Image.open(path)).convert("RGB")
    assert np.array_equal(decode(path, tmp_path), np.asarray(expected))


def on_white(image):
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return np.asarray(Image.alpha_composite(white, image).convert("RGB"))


@pytest.mark.parametrize("name", ["a.png", "a.webp"])
def test_alpha_is_composited_on_white(tmp_path, name):
    image = picture().convert("RGBA")
    alpha = np.add.outer(np.arange(image.height) * 2, np.arange(image.width)).clip(0, 255)
    image.putalpha(Image.fromarray(alpha.astype(np.uint8)))
    path = tmp_path / name
    image.save(path, lossless=True) if name.endswith("webp") else image.save(path)
    pixels = decode(path, tmp_path)
    assert largest_difference(pixels, on_white(Image.open(path))) <= 1
    assert tuple(pixels[0, 0]) == (255, 255, 255)  # fully transparent: the hidden colour does not show


def test_grey_with_alpha(tmp_path):
    path = tmp_path / "a.png"
    image = picture().convert("LA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.save(path)
    assert largest_difference(decode(path, tmp_path), on_white(Image.open(path))) <= 1


def test_palette_with_transparency(tmp_path):
    path = tmp_path / "a.png"
    picture().quantize(16).save(path, transparency=3)
    expected = on_white(Image.open(path))
    assert (expected == 255).all(-1).any()
    assert largest_difference(decode(path, tmp_path), expected) <= 1


def save_png16(path, pixels):
    """A 16-bit PNG, which Pillow does not write in colour."""
    import struct
    import zlib

    height, width = pixels.shape[:2]
    colour = {(): 0, (3,): 2, (4,): 6}[pixels.shape[2:]]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("shape", [(61, 97, 3), (61, 97)])
def test_16_bits_become_the_upper_8(tmp_path, shape):
    path = tmp_path / "a.png"
    pixels = np.random.default_rng(0).integers(0, 65536, shape, dtype=np.uint16)
    save_png16(path, pixels)
    expected = (pixels >> 8).astype(np.uint8)
    if expected.ndim == 2:
        expected = np.stack([expected] * 3, -1)
    assert np.array_equal(decode(path, tmp_path), expected)


def test_16_bits_with_alpha(tmp_path):
    path = tmp_path / "a.png"
    pixels = np.random.default_rng(0).integers(0, 65536, (61, 97, 4), dtype=np.uint16)
    save_png16(path, pixels)
    alpha = pixels[..., 3:] / 65535
    expected = pixels[..., :3] / 257 * alpha + 255 * (1 - alpha)
    assert np.abs(decode(path, tmp_path) - expected).max() <= 3  # both cut to 8 bits


@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_cmyk_without_profile_equals_pillow(tmp_path, name):
    path = tmp_path / name
    image = picture().convert("CMYK")
    image.putdata([(c, m, y, (c + m) // 4) for c, m, y, _ in image.getdata()])
    image.save(path)
    assert np.array_equal(decode(path, tmp_path), np.asarray(Image.open(path).convert("RGB")))


def test_embedded_srgb_profile_changes_nothing(tmp_path):
    path = tmp_path / "a.png"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture().save(path, icc_profile=profile)
    assert np.array_equal(decode(path, tmp_path), np.asarray(picture()))


def wide_gamut_profile():
    """sRGB's profile with red and green colorants swapped: visibly another colour space."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = profile.find(b"rXYZ", 128), profile.find(b"gXYZ", 128)
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp"])
def test_embedded_profile_is_converted(tmp_path, name):
    path = tmp_path / name
    picture().save(path, icc_profile=wide_gamut_profile())
    image = Image.open(path)
    raw = np.asarray(image.convert("RGB"))
    pixels = decode(path, tmp_path)
    assert largest_difference(pixels, raw[..., [1, 0, 2]]) <= 2


def test_embedded_profile_beside_alpha(tmp_path):
    path = tmp_path / "a.png"
    image = picture().convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.save(path, icc_profile=wide_gamut_profile())
    red, green, blue, alpha = image.split()
    expected = on_white(Image.merge("RGBA", (green, red, blue, alpha)))
    assert largest_difference(decode(path, tmp_path), expected) <= 2


def test_broken_profile_is_ignored(tmp_path):
    path = tmp_path / "a.png"
    picture().save(path, icc_profile=wide_gamut_profile()[:200])
    assert np.array_equal(decode(path, tmp_path), np.asarray(picture()))


def test_first_frame_of_an_animation(tmp_path):
    path = tmp_path / "a.gif"
    frames = [picture(seed=s).quantize(64) for s in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    expected = np.asarray(Image.open(path).convert("RGB"))
    assert np.array_equal(decode(path, tmp_path), expected)


@pytest.mark.parametrize("size", [(50, 40), (300, 200), (97, 120), (40, 61), (500, 20), (7, 3)])
def test_lanczos_equals_pillow(tmp_path, size):
    path = tmp_path / "a.png"
    picture().save(path)
    expected = np.asarray(picture().resize(size, Image.Resampling.LANCZOS))
    assert np.array_equal(resize(path, "lanczos", size, tmp_path), expected)


def area_weights(source, target):
    """[target, source]: the share of each source pixel in each target pixel."""
    edges = np.arange(target + 1) * source / target
    low = np.maximum(edges[:-1, None], np.arange(source)[None])
    high = np.minimum(edges[1:, None], np.arange(1, source + 1)[None])
    return np.maximum(high - low, 0) * target / source


@pytest.mark.parametrize("size", [(50, 40), (97, 30), (48, 61), (32, 20), (13, 9), (1, 1)])
def test_area_is_the_mean_of_what_is_covered(tmp_path, size):
    path = tmp_path / "a.png"
    picture().save(path)
    pixels = np.asarray(picture()).astype(float)
    expected = np.einsum("ty,yxc,sx->tsc", area_weights(61, size[1]), pixels, area_weights(97, size[0]))
    difference = np.abs(resize(path, "area", size, tmp_path) - expected)
    assert difference.max() <= 0.51  # rounded once


def test_bad_files_end_with_a_message(tmp_path):
    picture().save(tmp_path / "good.jpg")
    data = (tmp_path / "good.jpg").read_bytes()
    for name, content in {"cut.jpg": data[: len(data) // 2], "empty.png": b"", "text.png": b"text"}.items():
        (tmp_path / name).write_bytes(content)
        result = run("decode", tmp_path / name, tmp_path / "out.raw")
        assert result.returncode == 1 and name in result.stderr, result.stderr
        assert not (tmp_path / "out.raw").exists()
