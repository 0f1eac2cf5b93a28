import string
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgefuse.datasets.template import check, read_template, template_of
from edgefuse_runtimes.errors import BadInput

FIELDS = {"age": "years", "sex": "male or female"}
LEAKS = {"dx_type": "it says how the diagnosis was made"}


def test_fields_are_replaced_by_their_words() -> None:
    template = template_of("Age: {age}. Sex: { sex }. {{sic}}")
    assert template.fields == ("age", "sex")
    assert template.fill({"age": "45 years", "sex": "male"}) == "Age: 45 years. Sex: male. {sic}"


def test_words_are_taken_as_they_are() -> None:
    template = template_of("{age} {sex}")
    assert template.fill({"age": "{sex} \\1 %s", "sex": "{{}}"}) == "{sex} \\1 %s {{}}"


@given(st.text(string.printable), st.text(string.printable), st.text(string.ascii_letters, min_size=1))
def test_what_is_written_with_doubled_braces_comes_back(before: str, after: str, value: str) -> None:
    written = [text.replace("{", "{{").replace("}", "}}") for text in (before, after)]
    template = template_of(f"{written[0]} {{field}} {written[1]}")
    assert template.fill({"field": value}) == f"{before} {value} {after}"


@given(st.text(alphabet="{}ab. "))
def test_any_text_is_a_template_or_a_sentence(text: str) -> None:
    with suppress(BadInput):
        template = template_of(text)
        assert "x" in template.fill(dict.fromkeys(template.fields, "x"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Age: {age", "a single '{' at character 6"),
        ("Age: age}", "a single '}' at character 9"),
        ("Age: {}", "a field without a name"),
        ("Age: unknown", "has no field"),
    ],
)
def test_a_text_that_is_no_template(text: str, complaint: str) -> None:
    with pytest.raises(BadInput, match=complaint):
        template_of(text)


@pytest.mark.parametrize("field", ["age.__class__", "age[0]", "age!r", "age:>9", "0", "weight"])
def test_a_field_is_a_name_and_nothing_else(field: str) -> None:
    with pytest.raises(BadInput, match="which ham10000 does not have; it has age, sex"):
        check(template_of(f"{{{field}}}"), FIELDS, LEAKS, (), "ham10000")


def test_a_field_that_tells_the_label_is_refused_unless_it_is_allowed() -> None:
    template = template_of("{age} {dx_type}")
    with pytest.raises(BadInput, match=r"\{dx_type\}, which tells the label \(it says how .* --allow-leak dx_type"):
        check(template, FIELDS, LEAKS, (), "ham10000")
    assert check(template, FIELDS, LEAKS, ("dx_type",), "ham10000") == ("dx_type",)
    assert check(template_of("{age}"), FIELDS, LEAKS, (), "ham10000") == ()


def test_allowing_in_vain_is_a_mistake() -> None:
    with pytest.raises(BadInput, match=r"the template has no \{dx_type\}"):
        check(template_of("{age}"), FIELDS, LEAKS, ("dx_type",), "ham10000")
    with pytest.raises(BadInput, match="names no leaking field of ham10000; those that leak are dx_type"):
        check(template_of("{age}"), FIELDS, LEAKS, ("age",), "ham10000")


def test_a_template_may_come_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text("Âge : {age}.\n", encoding="utf-8")
    assert read_template(str(path)).text == "Âge : {age}."
    assert read_template("{age}").text == "{age}"
    with pytest.raises(BadInput, match=r"none\.txt' has no field in braces and is no file"):
        read_template(str(tmp_path / "none.txt"))
    path.write_bytes(b"\xff{age}")
    with pytest.raises(BadInput, match="not UTF-8"):
        read_template(str(path))
