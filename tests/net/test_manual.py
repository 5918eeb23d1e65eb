# SPDX-License-Identifier: BSD-2-Clause
"""shuntctl(1) and `shuntctl --help` name the same verbs, arguments and options."""
import os
import re
import subprocess

from lab import ROOT, binary


def help_text(*args):
    return subprocess.run([binary("shuntctl"), *args, "--help"], capture_output=True, text=True,
                          check=True).stdout


def help_synopses(text):
    """Of each verb its line, up to the gap in front of what it does."""
    verbs = text.partition("Options:\n")[0].splitlines()
    return [re.split(r"\s{2,}", line.strip())[0] for line in verbs
            if re.match(r"  \S", line)]


def help_options(text):
    part = text.partition("Options:\n")[2].partition("\n\n")[0]
    return set(re.findall(r"^  (?:-\w, |    )(--[a-z-]+)", part, re.MULTILINE))


def man_section(name):
    with open(os.path.join(ROOT, "docs/man/shuntctl.1"), encoding="utf-8") as f:
        text = f.read()
    return re.search(rf"^\.SH {name}\n(.*?)^\.SH ", text, re.DOTALL | re.MULTILINE).group(1)


def man_heads(section):
    """The lines that stand above a paragraph of a list, as they are printed."""
    heads = []
    for line in re.findall(r"^\.T[PQ]\n(.*)$", section, re.MULTILINE):
        macro, _, rest = line.partition(" ")
        words = [quoted or word for quoted, word in re.findall(r'"([^"]*)"|(\S+)', rest)]
        head = ("" if macro in (".BR", ".RB", ".BI") else " ").join(words)
        heads.append(re.sub(r"\\f[A-Z]", "", head).replace("\\-", "-"))
    return heads


def plain(synopsis):
    return re.sub(r" *\| *", "|", synopsis)


def test_the_manual_and_the_help_have_the_same_verbs():
    verbs = {plain(v) for v in help_synopses(help_text())}
    manual = {plain(v) for v in man_heads(man_section("VERBS"))}
    assert len(verbs) > 30
    assert (sorted(verbs - manual), sorted(manual - verbs)) == ([], [])


def test_the_manual_and_the_help_have_the_same_options():
    options = help_options(help_text())
    manual = set(re.findall(r"--[a-z-]+", " ".join(man_heads(man_section("OPTIONS")))))
    assert len(options) > 10
    assert (sorted(options - manual), sorted(manual - options)) == ([], [])


def test_every_option_of_a_verb_is_among_the_options():
    text = help_text()
    used = set(re.findall(r"--[a-z-]+", " ".join(help_synopses(text))))
    assert used - help_options(text) == set()


def test_help_of_every_verb_is_of_that_verb():
    for synopsis in help_synopses(help_text()):
        words = re.split(r" (?=[\[A-Z])|\s+\S*\|", synopsis)[0].split()
        assert help_synopses(help_text(*words)) == [synopsis]
