from edgefuse.leaks import leak_sentences, recorded

USUAL = {"name": "ham10000", "licence": "CC BY-NC 4.0", "drawn": False}


def test_a_usual_data_set_has_nothing_to_say() -> None:
    assert leak_sentences(USUAL) == []
    assert recorded((), "grouped") == {}


def test_fields_that_tell_the_label_are_named() -> None:
    (sentence,) = leak_sentences(USUAL | recorded(("dx_type", "dx"), "grouped"))
    assert sentence.startswith("LEAK: the notes hold dx_type, dx, which tells the label")


def test_the_papers_split_is_said_to_flatter_and_a_split_in_time_is_not() -> None:
    (sentence,) = leak_sentences(USUAL | recorded((), "paper"))
    assert "by picture" in sentence
    assert leak_sentences(USUAL | recorded((), "time")) == []
