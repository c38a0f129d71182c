"""The house's checks find what they are there to find: each test builds a small tree with one breach."""

import pathlib
import subprocess
import sys

import pytest

SCRIPTS = pathlib.Path(__file__).resolve().parents[2] / 'scripts'
sys.path.insert(0, str(SCRIPTS))

from function_lengths import functions_of  # noqa: E402

TABLE = """# Architecture

| folder | may include | torch |
| --- | --- | --- |
| base | – | no |
| formats, image | base | no |
| models | formats, base | yes |
| commands | anything | yes |

After the table.
"""


class Tree:
    def __init__(self, root):
        self.root = root
        self.write('docs/architecture.md', TABLE)
        self.write('src/base/error.h', '#pragma once\n#include <string>\n')
        self.write('src/base/error.cc', '#include "base/error.h"\n')
        self.write('src/formats/weights.h', '#pragma once\n#include "base/error.h"\n')
        self.write('src/models/unet.cc', '#include <ATen/ATen.h>\n#include "formats/weights.h"\n')
        self.write('src/commands/train.cc', '#include "models/unet.h"\n#include "image/decode.h"\n')
        self.write('src/main.cc', '#include "commands/train.h"\n')

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def check(self):
        return subprocess.run([sys.executable, SCRIPTS / 'check_house.py', self.root],
                              capture_output=True, text=True)

    def breach(self):
        """The one breach that is found."""
        result = self.check()
        lines = result.stderr.strip().splitlines()
        assert result.returncode == 1, result.stdout + result.stderr
        assert len(lines) == 1, result.stderr
        return lines[0]


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def function_of(lines, name='f'):
    return f'void {name}() {{\n' + '  call();\n' * (lines - 2) + '}\n'


def test_a_clean_tree_passes(tree):
    result = tree.check()
    assert result.returncode == 0, result.stderr
    assert 'the house rules hold' in result.stdout


# Includes.


def test_an_include_upwards(tree):
    tree.write('src/base/log.cc', '#include <string>\n\n#include "image/decode.h"\n')
    assert tree.breach() == 'src/base/log.cc:3: base may not include image (image/decode.h)'


def test_an_include_sideways_with_angle_brackets(tree):
    tree.write('src/image/decode_test.cc', '#include <formats/weights.h>\n')
    assert 'image may not include formats' in tree.breach()


def test_nobody_includes_commands(tree):
    tree.write('src/models/unet.h', '  #  include "commands/train.h"\n')
    result = tree.check()
    assert 'models may not include commands' in result.stderr


def test_torch_in_a_folder_without_torch(tree):
    for header in ('torch/library.h', 'ATen/ATen.h', 'c10/util/Half.h'):
        tree.write('src/formats/weights.cc', f'#include <{header}>\n')
        assert tree.breach() == (f'src/formats/weights.cc:1: formats is a folder without torch, '
                                 f'but includes {header}')


def test_torch_in_a_cuda_file(tree):
    tree.write('src/models/fused.cu', '#include <ATen/ATen.h>\n')
    assert 'a .cu file takes pointers and sizes' in tree.breach()


def test_the_slow_torch_header(tree):
    tree.write('src/models/unet.h', '#include <torch/torch.h>\n')
    assert 'costs half a minute' in tree.breach()


def test_a_folder_without_a_row(tree):
    tree.write('src/utils/misc.h', '#pragma once\n')
    assert tree.breach() == 'src/utils/misc.h: the folder utils has no row in docs/architecture.md'


def test_an_include_that_is_not_written_from_src(tree):
    tree.write('src/base/log.cc', '#include "error.h"\n')
    assert tree.breach() == 'src/base/log.cc:1: includes are written from src/: "base/error.h"'


def test_a_cycle_in_the_table(tree):
    tree.write('docs/architecture.md', TABLE.replace('| base | – |', '| base | models |'))
    assert tree.breach() == 'the table: a cycle: base -> models -> base'


def test_a_cycle_of_includes_that_the_table_would_allow(tree):
    tree.write('src/models/train.h', '#include "commands/train.h"\n')
    assert 'the includes: a cycle: commands -> models -> commands' in tree.check().stderr


def test_a_missing_table(tree):
    tree.write('docs/architecture.md', '# Architecture\n')
    assert 'is missing' in tree.check().stderr


def test_a_table_that_says_neither_yes_nor_no(tree):
    tree.write('docs/architecture.md', TABLE.replace('| base | – | no |', '| base | – | perhaps |'))
    assert 'torch is "yes" or "no"' in tree.breach()


# Lengths.


def test_an_overlong_function(tree):
    short = ''.join(function_of(3) for _ in range(20))
    tree.write('src/base/long.cc', 'int before;\n\n' + function_of(81) + short)
    assert tree.breach().startswith('src/base/long.cc:3 f: a function of 81 lines')
    tree.write('src/base/long.cc', function_of(80) + short)
    assert tree.check().returncode == 0


def test_too_many_long_functions(tree):
    tree.write('src/base/long.cc', ''.join(function_of(41) for _ in range(3)) +
               ''.join(function_of(3) for _ in range(7)))
    assert tree.breach() == 'functions: nine in ten must be within 40 lines, and are within 41'


def test_an_overlong_file(tree):
    for i in range(20):
        tree.write(f'src/base/short{i}.h', '#pragma once\n')
    tree.write('src/base/long.h', 'int x;\n' * 601)
    assert tree.breach().startswith('src/base/long.h: 601 lines; 600 is the most')
    tree.write('docs/architecture.md', TABLE + '\nsrc/base/long.h is a table of 600 names.\n')
    assert tree.check().returncode == 0


def test_too_many_long_files(tree):
    for i in range(3):
        tree.write(f'src/base/long{i}.h', 'int x;\n' * 401)
    assert 'files: nine in ten must be within 400 lines' in tree.breach()


def test_the_distribution_is_printed(tree):
    tree.write('src/base/long.cc', function_of(30))
    printed = tree.check().stdout
    assert '7 files: median 2 lines' in printed
    assert 'src/base/long.cc:1 f' in printed
    assert 'nine in ten within' in printed


# Text.


@pytest.mark.parametrize('word', ['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK'])
def test_marks_of_unfinished_work(tree, word):
    tree.write('docs/formats.md', f'One line.\nTwo {word}: later.\n')
    assert tree.breach() == f'docs/formats.md:2: a mark of unfinished work: Two {word}: later.'


def test_words_that_only_look_like_marks(tree):
    tree.write('src/base/names.cc', 'const char* kName = "/tmp/sdtune-' + 'X' * 6 + '";  // mastodon HACKNEY\n')
    assert tree.check().returncode == 0


@pytest.mark.parametrize('path', ['/ho' 'me/ann/pictures', '/ro' 'ot/x', '/wo' 'rk/main', '/Us' 'ers/ann'])
def test_paths_of_one_machine(tree, path):
    tree.write('README.md', f'Run {path}/sdtune\n')
    assert 'README.md:1: a path of one machine' in tree.breach()


def test_paths_that_are_anybodys(tree):
    tree.write('README.md', 'Run ./work/sdtune, $HOME/work/x, https://example.org/home/page, src/home/x\n')
    assert tree.check().returncode == 0


def test_ignored_files_do_not_count(tree):
    git = ['git', '-C', str(tree.root)]
    subprocess.run(git + ['init', '-q'], check=True)
    tree.write('.gitignore', '/build/\n')
    tree.write('build/src.h', 'TO' 'DO\n')
    assert tree.check().returncode == 0
    tree.write('new.h', '// TO' 'DO\n')
    assert 'new.h:1' in tree.breach()


# The measure of functions.


def names_and_lengths(source):
    return [(function.name, function.length) for function in functions_of(source)]


@pytest.mark.parametrize('source, expected', [
    ('int f() { return 1; }\n', [('f', 1)]),
    ('int f(\n    int a,\n    int b)\n{\n  return 1;\n}\n', [('f', 6)]),
    ('namespace a::b {\nclass C final : public D {\n public:\n  C() {}\n  int g() const override {\n    return 1;\n'
     '  }\n};\n}  // namespace\n', [('C', 1), ('g', 3)]),
    ('C::C(int a) : a_{a}, b_(a), c_{{1, 2}, 3} {\n  f();\n}\n', [('C::C', 3)]),
    ('template <class T, class U = std::vector<T>>\nU f(T t) {\n  return {t};\n}\n', [('f', 4)]),
    ('const std::vector<int> kList = {\n    f(1),\n    2,\n};\nint f() {\n  return 1;\n}\n', [('f', 3)]),
    ('int f(int a = g(1), bool b = true) {\n  return 1;\n}\n', [('f', 3)]),
    ('const char* k = "}{ // \\" {";\nint f() {  // {{{\n  return \'{\'; /* }\n } */\n}\n', [('f', 4)]),
    ('const char* k = R"x(\n){\n)x";\nint f() {\n  return 1\'000;\n}\n', [('f', 3)]),
    ('#define M(a) {  \\\n  {\nint f() {\n  return 1;\n}\n', [('f', 3)]),
    ('auto f() -> std::vector<int> {\n  return {};\n}\n', [('f', 3)]),
    ('bool operator==(const A& a, const A& b) {\n  return true;\n}\n', [('operator==', 3)]),
    ('enum class E : int { kA, kB };\nstruct S { int a = 1; };\nextern "C" {\nvoid f() {\n}\n}\n', [('f', 2)]),
    ('TEST_F(Files, ReadsThem) {\n  check();\n}\n', [('TEST_F(Files, ReadsThem)', 3)]),
    ('void f() {\n  auto g = [](int a) {\n    return a;\n  };\n  if (a) {\n  } else {\n  }\n}\n', [('f', 8)]),
    ('std::unique_ptr<State> make(struct Options o) noexcept {\n  return {};\n}\n', [('make', 3)]),
    ('struct State* make() {\n  return {};\n}\n', [('make', 3)]),
    ('[[noreturn]] static inline void fail() {\n  throw 1;\n}\n', [('fail', 3)]),
    ('constexpr auto kSquare = [](int a) {\n  return a * a;\n};\nvoid f() {\n}\n', [('kSquare', 3), ('f', 2)]),
])
def test_functions_are_found_and_measured(source, expected):
    assert names_and_lengths(source) == expected


def test_line_numbers_survive_what_is_left_out():
    source = '// a\n/* b\n   c */\n#define X \\\n  1\nconst char* k = R"(\n\n)";\n\nvoid f() {\n}\n'
    assert [(f.name, f.line) for f in functions_of(source)] == [('f', 10)]
