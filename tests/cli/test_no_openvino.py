"""`sdtune tag` without `libsdtune_onnx.so`, as a build without OpenVINO leaves it."""

import subprocess

from parity import small_taggers
from picture_sets import picture
from running import BUILD


def test_tag_says_what_is_missing(tmp_path):
    tagger = small_taggers.make_tagger(tmp_path / "tagger", side=32)
    picture(40, 60, 0).save(tmp_path / "a.png")
    program = tmp_path / "bin" / "sdtune"
    program.parent.mkdir()
    program.write_bytes((BUILD / "sdtune").read_bytes())
    program.chmod(0o755)
    done = subprocess.run([program, "tag", tmp_path, f"--repo_id={tagger}"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "OpenVINO" in done.stderr and "libsdtune_onnx.so" in done.stderr
    assert not (tmp_path / "a.txt").exists()
