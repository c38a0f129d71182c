"""Which device is chosen, with a stand-in for NVIDIA's driver."""

import os
import subprocess

import pytest
from running import BUILD, run_sdtune

KERNELS = BUILD / "libsdtune_cuda.so"
DRIVER = """
int cuInit(unsigned flags) { return 0; }
int cuDeviceGetCount(int* count) { *count = 1; return 0; }
int cuDriverGetVersion(int* version) { *version = VERSION; return 0; }
int cuDeviceGetAttribute(int* value, int attribute, int device) {
  *value = attribute == 75 ? MAJOR : 0;
  return 0;
}
"""


@pytest.mark.parametrize(
    "version, major, reason",
    [
        (12040, 8, "its driver knows CUDA up to 12.4, torch needs 13.0"),
        (13000, 6, "device 0 has compute capability 6.0, and 7.5 is the least"),
        # Torch asks this driver for more than it has. Without nvcc our library was not built.
        (13000, 8, "torch finds none" if KERNELS.exists() else "libsdtune_cuda.so cannot be opened"),
    ],
)
def test_a_driver_that_torch_cannot_use_is_told_and_left(tmp_path, version, major, reason):
    (tmp_path / "driver.c").write_text(DRIVER)
    library = tmp_path / "libcuda.so.1"
    numbers = [f"-DVERSION={version}", f"-DMAJOR={major}"]
    subprocess.run(["cc", "-shared", "-fPIC", *numbers, "-o", library, tmp_path / "driver.c"], check=True)
    variables = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}
    arguments = ["sample", f"--ckpt={tmp_path}/none", "--prompt=a", f"--outdir={tmp_path}/out"]
    done = run_sdtune(*arguments, env=variables)
    assert reason in done.stderr
    assert f"{tmp_path}/none" in done.stderr, "it did not go on to the CPU"
    done = run_sdtune(*arguments, "--device=cuda", env=variables)
    assert reason in done.stderr
    assert "there is no usable NVIDIA GPU" in done.stderr
