"""docs/guarantees.md and README's selection of it: every guarantee has a test."""

import re

import guarantees_page as script

README = (script.ROOT / "README.md").read_text(encoding="utf-8")


def test_page_is_current():
    """docs/guarantees.md lists exactly the guarantees that tests carry."""
    listed = re.findall(r"^\| (?!Guarantee|---)(.+?) \|", script.PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(listed) == sorted(script.guarantees())


def test_readme_selects_ten():
    """README names ten guarantees in the words of the marks, each with a file that carries it."""
    rows = re.findall(r"^\| (.+?) \| \[`[\w.]+`\]\((tests/.+?)\) \|", README, re.MULTILINE)
    known = script.guarantees()
    assert len(rows) == 10
    assert [text for text, file in rows if file not in {proof.file for proof in known.get(text, ())}] == []


def test_marked_tests_are_collected():
    """Each mark is on a test function or a module's pytestmark, where pytest runs it."""
    proofs = [proof for proofs in script.guarantees().values() for proof in proofs]
    assert [proof for proof in proofs if proof.name and not proof.name.startswith("test_")] == []
