"""Folders of generated pictures: every format, many sizes, nested folders, names of all kinds.

What is drawn is a function of the arguments alone. JPEG XL, which Pillow cannot write, comes from libvips.
"""

import ctypes
import dataclasses
import pathlib

import numpy
from PIL import Image

FORMATS = (".png", ".jpg", ".webp", ".bmp", ".gif", ".tif", ".avif", ".jxl", ".jpeg", ".tiff", ".PNG", ".Jpg")
FOLDERS = ("", "one", "one/two deep", "größe", "日本/猫")
NAMES = ("picture", "mit ü und ß", "写真", "a.b", "двор", "🐈 cat", "x_y-z", "CAPS")

# Captions and tags before and after `clean`: worked out by hand from the rules.
CAPTIONS = (
    ("a young woman with a cat", "a girl with a cat"),
    ("anime anime anime sky over {n} hills", "anime sky over {n} hills"),
    ("a lady and people near a river", "a girl and girls near a river"),
    ("an anime cartoon image of tree {n}", "an image of tree {n}"),
    ("a cartoon drawing of house {n}", "a drawing of house {n}"),
    ("nothing to clean, number {n}", "nothing to clean, number {n}"),
    ("a female person", "a girl"),
    ("日本の猫 {n}", "日本の猫 {n}"),
)
TAGS = (
    ("1girl, long_hair, solo, rating:safe", "1girl, long hair, solo"),
    ("blue_sky, sky, cloud, ^_^, tag{n}", "blue sky, cloud, ^_^, tag{n}"),
    ("2girls, blue_eyes, red_eyes, smile", "2girls, smile"),
    ("2boys, long_hair, short_hair, hat", "2boys, hat"),
    ("number {n}, größe, another_tag", "number {n}, größe, another tag"),
)


@dataclasses.dataclass
class Picture:
    path: str  # below the folder
    size: tuple  # upright
    caption: tuple  # before and after cleaning; None: there is no file
    tags: tuple


def picture(width, height, seed):
    """Soft random colours with an edge, cheap at any size."""
    generator = numpy.random.default_rng(seed)
    small = generator.integers(0, 256, (4, 5, 3), dtype=numpy.uint8)
    image = Image.fromarray(small).resize((width, height), Image.BILINEAR)
    image.paste(tuple(map(int, small[0, 0])), (width // 4, height // 4, width // 2, height // 2))
    return image


def save_jxl(image, path):
    """Writes through libvips' C functions; raises OSError where the library or its module is missing."""
    vips = ctypes.CDLL("libvips.so.42")
    vips.vips_init(b"picture_sets")
    vips.vips_image_new_from_memory_copy.restype = ctypes.c_void_p
    vips.vips_image_new_from_memory_copy.argtypes = [ctypes.c_char_p, ctypes.c_size_t] + [ctypes.c_int] * 4
    vips.vips_jxlsave.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    vips.g_object_unref.argtypes = [ctypes.c_void_p]
    pixels = image.convert("RGB").tobytes()
    loaded = vips.vips_image_new_from_memory_copy(pixels, len(pixels), *image.size, 3, 0)
    failed = vips.vips_jxlsave(loaded, str(path).encode(), None)
    vips.g_object_unref(loaded)
    if failed:
        raise OSError(f"libvips could not write {path}")


def save(image, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    extension = path.suffix.lower()
    if extension == ".jxl":
        save_jxl(image, path)
    elif extension == ".avif":
        image.save(path, quality=60, speed=10)
    elif extension == ".gif":
        image.quantize(32).save(path)
    elif extension == ".png":
        image.save(path, compress_level=1)
    else:
        image.save(path)


def save_turned(width, height, path):
    """A JPEG whose EXIF orientation makes it `width` x `height` when it is shown."""
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(height, width, 1).save(path, exif=exif)


def size_of(number, generator):
    """A few huge, many small: 64 x 64 to 6000 x 4000."""
    listed = {0: (64, 64), 1: (6000, 4000), 2: (4000, 500), 3: (1920, 1080), 4: (1080, 1920), 6: (2400, 64)}
    if number in listed:
        return listed[number]
    return tuple(int(side) for side in generator.integers(64, 420, 2))


def texts_of(number, table):
    before, after = table[number % len(table)]
    return before.format(n=number), after.format(n=number)


def make_picture_set(folder, count=204):
    """Fills `folder` and returns what lies there, sorted by path. Some pictures lack one text or both."""
    folder = pathlib.Path(folder)
    generator = numpy.random.default_rng(3)
    made = []
    for number in range(count):
        extension = FORMATS[number % len(FORMATS)]
        name = f"{NAMES[number % len(NAMES)]} {number}{extension}"
        path = pathlib.PurePosixPath(FOLDERS[number % len(FOLDERS)]) / name
        size = size_of(number, generator)
        caption = texts_of(number, CAPTIONS) if number % 11 else None
        tags = texts_of(number, TAGS) if number % 13 else None
        if number == 9:
            path = path.with_suffix(".jpg")
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            save_turned(*size, folder / path)
        else:
            save(picture(*size, number), folder / path)
        for text, suffix in ((caption, ".caption"), (tags, ".txt")):
            if text:
                (folder / path).with_suffix(suffix).write_text(text[0] + "\n", encoding="utf-8")
        made.append(Picture(str(path), size, caption, tags))
    return sorted(made, key=lambda made_picture: made_picture.path.encode())
