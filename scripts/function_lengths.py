"""Finds the functions of a C++ file and how many lines each takes, signature to closing brace.

Brace counting on text without comments and literals: good enough to hold a house to a limit, no parser.
A lambda counts as part of the function it stands in.
"""

import re
from typing import NamedTuple


class Function(NamedTuple):
    name: str
    line: int
    length: int


_LITERALS = re.compile(
    r'//[^\n]*'  # comments
    r'|/\*.*?\*/'
    r'|R"(?P<mark>[^(\s]{0,16})\(.*?\)(?P=mark)"'  # raw strings
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-zA-Z])'(?:\\.|[^'\\\n])+'"  # not a digit separator
    r'|^[ \t]*\#(?:\\\n|[^\n])*',  # directives with their continued lines
    re.S | re.M)

_SCOPE = re.compile(r'^(?:inline\s+)?(?:namespace|class|struct|union|enum)\b|^extern\s*""?\s*$')


def _blank(match):
    """The same lines without their text; a string stays a string."""
    text = match.group(0)
    return ('""' if text[0] in '"R' else '') + '\n' * text.count('\n')


def _without_templates(head):
    """Drops leading template<...> so that their `class` is not taken for a class."""
    while (found := re.match(r'\s*template\s*<', head)):
        depth, at = 1, found.end()
        while at < len(head) and depth:
            depth += {'<': 1, '>': -1}.get(head[at], 0)
            at += 1
        head = re.sub(r'^\s*requires\s*\([^{]*?\)\s*(?=\w)', '', head[at:])
    return head.strip()


def _kind(head):
    """What a brace after `head` opens: 'scope', 'function' or 'value' (an initialiser)."""
    text = _without_templates(head)
    before = re.sub(r'\[\[.*?\]\]', '', text)
    if _SCOPE.match(before) and not re.search(r'\)\s*(const|noexcept|override|final|\s)*$', before):
        return 'scope'
    if '(' not in text or re.search(r'(=|,|\(|return)\s*$', text):
        return 'value'
    if re.search(r'\)\s*:[^:]', text) and re.search(r'[\w>]\s*$', text):
        return 'value'  # a member's braces in a constructor's list
    if re.search(r'(^|[^=!<>])=\s*[^=]*$', text) and not re.search(r'\boperator\b|\]\s*\([^)]*\)', text):
        # `x = f(a) {`; a default argument's `=` lies inside parentheses.
        outside = re.sub(r'\([^()]*\)', '', re.sub(r'\([^()]*\)', '', text))
        if '=' in outside:
            return 'value'
    return 'function'


def _name(head):
    text = _without_templates(head)
    case = re.match(r'(\w*(?:TEST|PROP)\w*)\s*\(([\w\s,]*\w)', text)
    if case:
        return f'{case.group(1)}({case.group(2)})'
    lambda_name = re.search(r'(\w+)\s*=\s*\[[^\]]*\]', text)
    if lambda_name:
        return lambda_name.group(1)
    found = re.search(r'((?:\w+::)*(?:operator\s*[^\s(]+|~?\w+))\s*\(', text)
    return found.group(1) if found else '?'


def _end_of_braces(text, at):
    """The place behind the brace that closes the one at `at`."""
    depth = 0
    for i in range(at, len(text)):
        if text[i] == '{':
            depth += 1
        elif text[i] == '}':
            depth -= 1
            if depth == 0:
                return i + 1
    return len(text)


def functions_of(source):
    """Every function with a body in `source`, in order."""
    text = _LITERALS.sub(_blank, source)
    found = []
    at = head_start = 0
    while at < len(text):
        letter = text[at]
        if letter == '{':
            head = text[head_start:at]
            kind = _kind(head)
            if kind == 'scope':
                at = head_start = at + 1
                continue
            end = _end_of_braces(text, at)
            if kind == 'function':
                start = head_start + len(head) - len(head.lstrip())
                first = text.count('\n', 0, start) + 1
                found.append(Function(_name(head), first, text.count('\n', start, end) + 1))
                head_start = end
            at = end
            continue
        if letter in ';}':
            head_start = at + 1
        elif letter == ':' and re.search(r'\b(public|private|protected)\s*$', text[head_start:at]):
            head_start = at + 1
        at += 1
    return found
