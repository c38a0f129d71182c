"""Latents that `prepare` keeps, against numpy, Pillow and Diffusers' VAE on the same pictures."""

import json
import pathlib

import diffusers
import numpy
import pytest
import torch
import xxhash
from philox import normals, philox
from picture_sets import picture
from PIL import Image, ImageOps

POSTERIOR = 10  # base/philox.h: the purpose of the draw

# Sizes and what they become for a resolution of 128: shrunk by 3, by 1.5, by an uneven factor, grown,
# grown and cut, left alone.
PICTURES = {
    "third.png": ((384, 384), (128, 128), (128, 128)),
    "two thirds.jpg": ((192, 192), (128, 128), (128, 128)),
    "long.bmp": ((400, 100), (256, 64), (256, 64)),
    "odd.png": ((333, 200), (213, 128), (128, 128)),
    "grown.png": ((64, 90), (128, 180), (128, 128)),
    "high.webp": ((50, 160), (64, 205), (64, 192)),
    "same.png": ((128, 128), (128, 128), (128, 128)),
}


def area_weights(source, target):
    """[target, source]: which share of each source pixel a target pixel covers."""
    edges = numpy.arange(target + 1) * source / target
    left, right = edges[:-1, None], edges[1:, None]
    pixels = numpy.arange(source)[None]
    covered = numpy.minimum(right, pixels + 1) - numpy.maximum(left, pixels)
    return numpy.clip(covered, 0, None) * target / source


def resize(image, size):
    """Means of covered areas when no side grows, else Lanczos: sd-scripts' rule."""
    if image.size == size:
        return numpy.asarray(image)
    if size[0] > image.size[0] or size[1] > image.size[1]:
        return numpy.asarray(image.resize(size, Image.LANCZOS))
    pixels = numpy.asarray(image, dtype=numpy.float64)
    rows, columns = area_weights(image.size[1], size[1]), area_weights(image.size[0], size[0])
    return numpy.rint(numpy.einsum("yi,ijc,xj->yxc", rows, pixels, columns, optimize=True)).astype(numpy.uint8)


def expected_pixels(path, resized, bucket):
    """[1, 3, height, width] in [-1, 1], cut out of the middle."""
    with Image.open(path) as image:
        pixels = resize(ImageOps.exif_transpose(image).convert("RGB"), resized)
    x, y = (resized[0] - bucket[0]) // 2, (resized[1] - bucket[1]) // 2
    pixels = pixels[y : y + bucket[1], x : x + bucket[0]]
    return torch.from_numpy((pixels.astype(numpy.float32) / 255 - 0.5) / 0.5).permute(2, 0, 1)[None]


def noise_of(path, bucket, mirrored=False):
    content = xxhash.xxh3_128_hexdigest(path.read_bytes())
    seed = xxhash.xxh3_128_intdigest(content.encode()) >> 64
    shape = (4, bucket[1] // 8, bucket[0] // 8)
    values = normals(seed, int(numpy.prod(shape)), POSTERIOR, *bucket, int(mirrored))
    return torch.from_numpy(values.reshape(shape))


def test_philox_has_the_published_values():
    # Known answers of Random123, kat_vectors
    ones = numpy.full((1, 4), 0xFFFFFFFF)
    assert philox(numpy.zeros((1, 4)), (0, 0))[0].tolist() == [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert philox(ones, (2**32 - 1,) * 2)[0].tolist() == [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]


def draw(folder):
    folder.mkdir(parents=True)
    for number, (name, (size, _, _)) in enumerate(PICTURES.items()):
        picture(*size, number).save(folder / name, **({"lossless": True} if name.endswith("webp") else {}))
    return folder


def prepare(sdtune, model, folder, *more):
    (folder.parent / "empty.json").write_text("{}")
    result = sdtune("prepare", folder, folder.parent / "empty.json", folder.parent / "lat.json", model,
                    "--max_resolution=128", "--min_bucket_reso=64", "--max_bucket_reso=256", "--device=cpu", *more)
    assert result.returncode == 0, result.stderr
    assert f"latents: {len(PICTURES)} encoded, 0 reused" in result.stderr


def arrays_of(folder, name):
    size = PICTURES[name][0]
    path = folder / f"{pathlib.Path(name).stem}_{size[0]:04}x{size[1]:04}_sd.npz"
    with numpy.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


@pytest.fixture(scope="module")
def prepared(sdtune, small_models, tmp_path_factory):
    patch = pytest.MonkeyPatch()
    patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    folder = draw(tmp_path_factory.mktemp("latents") / "data")
    prepare(sdtune, small_models(), folder, "--cache_posterior", "--flip_aug")
    yield folder
    patch.undo()


@pytest.fixture(scope="module")
def vae(small_models):
    return diffusers.AutoencoderKL.from_pretrained(small_models(), subfolder="vae").eval()


def test_arrays_and_their_types(prepared):
    for name, (size, _, bucket) in PICTURES.items():
        arrays = arrays_of(prepared, name)
        shape = (4, bucket[1] // 8, bucket[0] // 8)
        for key in ("latents", "latents_flipped", "latents_mean", "latents_logvar"):
            assert arrays[key].shape == shape and arrays[key].dtype == numpy.float32, (name, key)
        assert arrays["original_size"].dtype.kind == "i" and arrays["original_size"].tolist() == list(size)
        assert arrays["crop_ltrb"].shape == (4,) and arrays["crop_ltrb"].dtype.kind == "f"
        assert "alpha_mask" not in arrays
        record = json.loads(arrays["sdtune"].tobytes())
        assert record["image"] == xxhash.xxh3_128_hexdigest((prepared / name).read_bytes())
        assert record["bucket"] == list(bucket)


def test_crop_ltrb_is_the_picture_with_bars(prepared):
    # 400 x 100 fills 256 x 64; 64 x 90 in 128 x 128 is 91.02 wide; 333 x 200 is 76.88 high.
    assert arrays_of(prepared, "long.bmp")["crop_ltrb"].tolist() == [0, 0, 256, 64]
    assert arrays_of(prepared, "grown.png")["crop_ltrb"] == pytest.approx([18, 0, 18 + 128 * 64 / 90, 128])
    assert arrays_of(prepared, "odd.png")["crop_ltrb"] == pytest.approx([0, 25, 128, 25 + 128 * 200 / 333])


def assert_close(found, expected):
    bound = 1e-5 * max(1.0, float(expected.abs().max()))
    assert float((torch.from_numpy(found) - expected).abs().max()) <= bound


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("mirrored", [False, True])
def test_latents_are_diffusers(prepared, vae, name, mirrored):
    """Diffusers with its default layout: with channels last its group norm is off by up to 6e-5 itself."""
    _, resized, bucket = PICTURES[name]
    arrays = arrays_of(prepared, name)
    ending = "_flipped" if mirrored else ""
    pixels = expected_pixels(prepared / name, resized, bucket)
    with torch.no_grad():
        posterior = vae.encode(pixels.flip(-1) if mirrored else pixels).latent_dist
    assert_close(arrays["latents_mean" + ending], posterior.mean[0])
    logvar = torch.from_numpy(arrays["latents_logvar" + ending]).clamp(-30, 20)
    assert_close(logvar.numpy(), posterior.logvar[0])
    noise = noise_of(prepared / name, bucket, mirrored)
    assert abs(float(noise.mean())) < 0.15 and abs(float(noise.std()) - 1) < 0.15
    assert_close(arrays["latents" + ending], posterior.mean[0] + posterior.std[0] * noise)


@pytest.mark.parametrize("more, bound", [([], 0.0), (["--max_data_loader_n_workers=1"], 0.0), (["--batch_size=3"], 1e-5)])
def test_neither_folder_nor_threads_nor_batch_change_latents(prepared, sdtune, small_models, tmp_path, more, bound):
    folder = draw(tmp_path / "elsewhere" / "data")
    prepare(sdtune, small_models(), folder, *more)
    for name in PICTURES:
        found, expected = arrays_of(folder, name), arrays_of(prepared, name)
        assert "latents_flipped" not in found and "latents_mean" not in found
        largest = max(1.0, float(numpy.abs(expected["latents"]).max()))
        assert numpy.abs(found["latents"] - expected["latents"]).max() <= bound * largest, name


def test_alpha_mask_is_the_pictures_alpha(sdtune, small_models, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    image = picture(128, 128, 5).convert("RGBA")
    alpha = numpy.zeros((128, 128), dtype=numpy.uint8)
    alpha[16:48, 32:] = 255
    alpha[64:, :64] = 51
    image.putalpha(Image.fromarray(alpha))
    image.save(tmp_path / "data" / "see-through.png")
    (tmp_path / "empty.json").write_text("{}")
    result = sdtune("prepare", tmp_path / "data", tmp_path / "empty.json", tmp_path / "lat.json", small_models(),
                    "--max_resolution=128", "--min_bucket_reso=64", "--alpha_mask", "--device=cpu")
    assert result.returncode == 0, result.stderr
    with numpy.load(tmp_path / "data" / "see-through_0128x0128_sd.npz", allow_pickle=False) as file:
        assert file["alpha_mask"].dtype == numpy.float32
        assert file["alpha_mask"] == pytest.approx(alpha / 255)
