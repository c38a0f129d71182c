#!/usr/bin/env python3
"""Holds the source tree to its own rules: who may include whom, how long files and functions may be,
no marks of unfinished work, no paths of one machine. Prints what it measured and every breach; exits 1
when there is one. Standard library only.

    scripts/check_house.py [ROOT]
"""

import pathlib
import re
import statistics
import subprocess
import sys

from function_lengths import functions_of

FILE_LIMITS = (400, 600)  # nine in ten, all
FUNCTION_LIMITS = (40, 80)
CODE_SUFFIXES = {'.cc', '.h', '.cu', '.py', '.js', '.mjs'}
CPP_SUFFIXES = {'.cc', '.h', '.cu'}
TEXT_SUFFIXES = CODE_SUFFIXES | {'.md', '.txt', '.cmake', '.toml', '.json', '.html', '.css', '.sh', ''}
LARGEST_TEXT = 1 << 20

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include\s+([<"])([^>"]+)[>"]', re.M)
TORCH = re.compile(r'^(torch|ATen|c10|caffe2)/')
SLOW_TORCH = {'torch/torch.h', 'torch/all.h', 'torch/nn.h'}
# Put together here so that this file does not find itself.
UNFINISHED = re.compile(r'\b(' + '|'.join(['TO' 'DO', 'FIX' 'ME', 'XX' 'X', 'HA' 'CK', 'TB' 'D']) + r')\b')
MACHINE_PATH = re.compile(r'(?<![\w.*$}])/(?:home|root|work|Users)/(?!(?:user|you|me|name)\b)\w')


def files_of(root):
    """The project's files: what git tracks or would track, or everything where there is no git."""
    if (root / '.git').exists():
        listing = subprocess.run(['git', '-C', str(root), 'ls-files', '-co', '--exclude-standard', '-z'],
                                 capture_output=True, check=True).stdout.decode()
        names = [name for name in listing.split('\0') if name]
        return sorted(root / name for name in names if (root / name).is_file())
    return sorted(path for path in root.rglob('*') if path.is_file())


def read(path):
    return path.read_text(encoding='utf-8', errors='replace')


def line_of(text, position):
    return text.count('\n', 0, position) + 1


class Table:
    """Who may include whom, from docs/architecture.md: | folder | may include | torch |."""

    def __init__(self, text):
        self.may_include = {}  # folder -> set of folders, or None for all
        self.without_torch = set()
        self.problems = []
        rows = iter(text.splitlines())
        for row in rows:
            if re.match(r'\|\s*folder\s*\|\s*may include\s*\|\s*torch\s*\|', row):
                break
        else:
            self.problems.append('docs/architecture.md: the table | folder | may include | torch | is missing')
        next(rows, None)  # the rule below the head
        for row in rows:
            cells = [cell.strip() for cell in row.strip().strip('|').split('|')]
            if not row.startswith('|') or len(cells) != 3:
                break
            self._add(*cells)

    def _add(self, folders, allowed, torch):
        for folder in re.split(r',\s*', folders):
            listed = set() if allowed in ('', '–', '-') else set(re.split(r',\s*', allowed))
            self.may_include[folder] = None if listed == {'anything'} else listed
            if torch not in ('yes', 'no'):
                self.problems.append(f'docs/architecture.md: {folder}: torch is "yes" or "no", not "{torch}"')
            if torch == 'no':
                self.without_torch.add(folder)

    def allows(self, folder, target):
        allowed = self.may_include.get(folder)
        return target == folder or (allowed is None if folder in self.may_include and allowed is None
                                    else target in (allowed or ()))


def cycle_in(graph):
    """A path of folders that comes back to its start, or []."""
    done = set()

    def visit(node, path):
        if node in path:
            return path[path.index(node):] + [node]
        if node in done:
            return []
        for target in sorted(graph.get(node, ())):
            found = visit(target, path + [node])
            if found:
                return found
        done.add(node)
        return []

    for start in sorted(graph):
        found = visit(start, [])
        if found:
            return found
    return []


def check_one_include(table, folder, relative, target):
    if TORCH.match(target):
        if folder in table.without_torch:
            return f'{folder} is a folder without torch, but includes {target}'
        if relative.suffix == '.cu':
            return f'a .cu file takes pointers and sizes, but includes {target}'
        if target in SLOW_TORCH and not (target == 'torch/nn.h' and folder == 'models'):
            return f'{target} costs half a minute a file; include what is used'
    elif '/' in target and target.split('/')[0] in table.may_include:
        wanted = target.split('/')[0]
        if not table.allows(folder, wanted):
            return f'{folder} may not include {wanted} ({target})'
    return None


def check_includes(root, files):
    table = Table(read(root / 'docs/architecture.md') if (root / 'docs/architecture.md').exists() else '')
    problems = list(table.problems)
    declared = {folder: allowed for folder, allowed in table.may_include.items() if allowed is not None}
    used = {}
    for path in files:
        relative = path.relative_to(root)
        if relative.parts[0] != 'src' or path.suffix not in CPP_SUFFIXES or len(relative.parts) < 3:
            continue
        folder = relative.parts[1]
        if folder not in table.may_include:
            problems.append(f'{relative}: the folder {folder} has no row in docs/architecture.md')
            continue
        text = read(path)
        for found in INCLUDE.finditer(text):
            quote, target = found.groups()
            where = f'{relative}:{line_of(text, found.start())}'
            if quote == '"' and '/' not in target and (path.parent / target).exists():
                problems.append(f'{where}: includes are written from src/: "{folder}/{target}"')
            problem = check_one_include(table, folder, relative, target)
            if problem:
                problems.append(f'{where}: {problem}')
            if target.split('/')[0] in table.may_include and target.split('/')[0] != folder:
                used.setdefault(folder, set()).add(target.split('/')[0])
    for name, graph in (('the table', declared), ('the includes', used)):
        found = cycle_in(graph)
        if found:
            problems.append(f'{name}: a cycle: {" -> ".join(found)}')
    return problems


def describe(what, sizes, limits):
    """Prints the distribution; `sizes` are (length, name). Returns what is beyond the limits."""
    if not sizes:
        return []
    lengths = sorted(length for length, _ in sizes)
    ninetieth = lengths[min(len(lengths) - 1, int(len(lengths) * 0.9))]
    longest = sorted(sizes, reverse=True)[:5]
    print(f'{len(sizes)} {what}: median {statistics.median(lengths):.0f} lines, '
          f'nine in ten within {ninetieth}')
    for length, name in longest:
        print(f'  {length:5} {name}')
    if ninetieth > limits[0]:
        return [f'{what}: nine in ten must be within {limits[0]} lines, and are within {ninetieth}']
    return []


def check_lengths(root, files):
    architecture = root / 'docs/architecture.md'
    excused = read(architecture) if architecture.exists() else ''
    file_sizes, function_sizes, problems = [], [], []
    for path in files:
        if path.suffix not in CODE_SUFFIXES:
            continue
        relative = path.relative_to(root).as_posix()
        text = read(path)
        file_sizes.append((text.count('\n'), relative))
        if text.count('\n') > FILE_LIMITS[1] and relative not in excused:
            problems.append(f'{relative}: {text.count(chr(10))} lines; {FILE_LIMITS[1]} is the most, '
                            'unless docs/architecture.md names the file and says why')
        if path.suffix in CPP_SUFFIXES:
            for function in functions_of(text):
                function_sizes.append((function.length, f'{relative}:{function.line} {function.name}'))
    problems += describe('files', file_sizes, FILE_LIMITS)
    problems += describe('functions', function_sizes, FUNCTION_LIMITS)
    problems += [f'{name}: a function of {length} lines; {FUNCTION_LIMITS[1]} is the most'
                 for length, name in function_sizes if length > FUNCTION_LIMITS[1]]
    return problems


def check_text(root, files):
    problems = []
    for path in files:
        if path.suffix not in TEXT_SUFFIXES or path.stat().st_size > LARGEST_TEXT:
            continue
        text = read(path)
        relative = path.relative_to(root)
        for pattern, what in ((UNFINISHED, 'a mark of unfinished work'), (MACHINE_PATH, 'a path of one machine')):
            for found in pattern.finditer(text):
                line = text.splitlines()[line_of(text, found.start()) - 1].strip()
                problems.append(f'{relative}:{line_of(text, found.start())}: {what}: {line[:100]}')
    return problems


def main(arguments):
    root = pathlib.Path(arguments[0] if arguments else pathlib.Path(__file__).parent.parent).resolve()
    files = files_of(root)
    problems = check_includes(root, files) + check_lengths(root, files) + check_text(root, files)
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f'{len(problems)} breaches of the house rules' if problems else 'the house rules hold')
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
