"""A study's file, and the sentence for everything that is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgefuse.datasets.table import Columns
from edgefuse.study.config import Sweep, read_study
from edgefuse_runtimes.errors import BadInput

WHOLE = """
name = "lesions"
like = "HAM10000"
[data]
dataset = "pictures.csv"
root = "pictures"
allow_leaks = ["dx_type"]
image_column = "path"
group_column = "patient"
subgroups = ["sex", "site"]
limit = 40
multilabel = true
views = 4
[encoders]
"DINOv2-S + SmolLM2" = "E"
[tables]
"DINOv2-S + MiniLM" = "V"
[training]
fusion = ["late"]
folds = 3
seeds = 2
shifts = [0, -0.5]
match = "project"
refer_accuracy = 0.9
average_image = true
epochs = 10
dropout = 0.5
learning_rate = 3e-4
[sweep]
seeds = 3
[raw]
"BERT + ViT" = "raw.json"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "study.toml"
    path.write_text(text)
    return path


def test_everything_that_a_study_may_say(tmp_path: Path) -> None:
    study = read_study(write(tmp_path, WHOLE))
    assert (study.name, study.like) == ("lesions", "HAM10000")
    assert study.data is not None
    assert (study.data.dataset, study.data.root) == (str(tmp_path / "pictures.csv"), tmp_path / "pictures")
    assert study.data.allow_leaks == ("dx_type",)
    assert study.data.columns == Columns(image="path", group="patient", subgroups=("sex", "site"))
    assert (study.data.limit, study.data.multilabel, study.data.skip_missing) == (40, True, False)
    assert study.views == 4
    assert study.names == ("DINOv2-S + SmolLM2", "DINOv2-S + MiniLM")
    assert study.encoders["DINOv2-S + SmolLM2"] == tmp_path / "E"
    training = study.training
    assert (training.fusion, training.folds, training.seeds, training.shifts) == (("late",), 3, 2, (0.0, -0.5))
    assert (training.match, training.refer_accuracy, training.average_image) == ("project", 0.9, True)
    settings = training.settings
    assert (settings.epochs, settings.dropout, settings.optimizer.learning_rate) == (10, 0.5, 3e-4)
    assert settings.optimizer.weight_decay == 0.01
    assert study.sweep == Sweep(21, 3)
    assert study.raw == {"BERT + ViT": tmp_path / "raw.json"}


def test_little_is_enough(tmp_path: Path) -> None:
    study = read_study(write(tmp_path, '[tables]\nmine = "V"'))
    assert (study.name, study.like, study.sweep) == ("study", None, None)
    assert (study.training.folds, study.training.seeds, study.training.fusion) == (5, 5, ("early", "late"))


def test_widths_that_stay_unequal_are_not_shifted(tmp_path: Path) -> None:
    study = read_study(write(tmp_path, '[tables]\na = "V"\n[training]\nmatch = "none"'))
    assert study.training.shifts == (0.0,)


@pytest.mark.parametrize(("template", "wanted"), [("Age: {age}.", "Age: {age}."), ("note.txt", "FOLDER/note.txt")])
def test_a_template_is_its_text_or_a_file_beside_the_study(tmp_path: Path, template: str, wanted: str) -> None:
    study = read_study(write(tmp_path, f'[encoders]\na = "E"\n[data]\ndataset = "ham10000"\ntemplate = "{template}"'))
    assert study.data is not None
    assert study.data.template == wanted.replace("FOLDER", str(tmp_path))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('name = 3\n[tables]\na = "V"', "has name = 3, which is of the wrong kind"),
        ("name = ", "cannot be read"),
        ("", "names no encoders"),
        ('[encoders]\na = "E"', r"has \[encoders\] but no \[data\]"),
        ('[encoders]\na = "E"\n[data]\nroot = "x"', "without a dataset"),
        *(
            (f'[encoders]\na = "E"\n[data]\ndataset = "x.csv"\n{line}', sentence)
            for line, sentence in (
                ("limit = 0", "has limit = 0; it must be 1 or more"),
                ("label_column = 3", "has label_column = 3, which is of the wrong kind"),
                ("multilabel = 1", "has multilabel = 1, which is of the wrong kind"),
                ("views = 3", "has views = 3; it is one of 2, 4, 8"),
                (
                    'label = "dx"',
                    r"has the key 'label' under \[data\]; known there are allow_leaks, dataset",
                ),
            )
        ),
        ('[encoders]\na = "E"\n[tables]\na = "V"', "names 'a' under both"),
        ("[tables]\na = 3", "has 3 for 'a' under"),
        ('[tables]\na = "V"\n[trainig]', "has the key 'trainig'"),
        ('[tables]\na = "V"\n[training]\nepoch = 3', r"has the key 'epoch' under \[training\]"),
        ('[tables]\na = "V"\n[training]\nepochs = "many"', "has epochs = 'many'"),
        ('[tables]\na = "V"\n[training]\nepochs = true', "has epochs = True"),
        ('[tables]\na = "V"\n[training]\naverage_image = 1', "has average_image = 1, which is of the wrong kind"),
        ('[tables]\na = "V"\n[training]\nfusion = ["both"]', "it is a list of early, late or both"),
        ('[tables]\na = "V"\n[training]\nshifts = [2]', "between -1 and 1"),
        ('[tables]\na = "V"\n[training]\nfolds = 1', "it must be 2 or more"),
        ('[tables]\na = "V"\n[training]\nmatch = "x"', "it is one of"),
        ('[tables]\na = "V"\n[training]\nrefer_accuracy = 1.5', "between 0 and 1"),
        *(
            (f'[tables]\na = "V"\n[training]\n{key} = {value}', f"has {key} = .*; it must be {words}")
            for key, value, words in (
                ("epochs", "0", "1 or more"),
                ("batch", "1", "2 or more"),
                ("members", "17", "1 to 16"),
                ("dropout", "1", "0 or more and below 1"),
                ("noise", "nan", "0 or more"),
                ("learning_rate", "0", "above 0"),
                ("class_weights", '"some"', "balanced or none"),
            )
        ),
        ('[tables]\na = "V"\n[training]\nalignment_loss = 0.1', "which only late fusion has"),
        ('[tables]\na = "V"\n[training]\nnoise = 0.1\ntext_components = 3', "leave out one of the two"),
        ('[tables]\n"a b" = "V"\n"A+B" = "W"', r"the names 'a b' and 'A\+B', which differ in no letter"),
        ('[tables]\n"+" = "V"', "has the name '\\+' without a letter"),
        ('training = 3\n[tables]\na = "V"', "has 'training' as a value"),
        ('like = "MNIST"\n[tables]\na = "V"', "is like 'MNIST', which the paper has not"),
    ],
)
def test_what_no_study_says_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        read_study(write(tmp_path, text))


def test_a_study_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="There is no study at"):
        read_study(tmp_path / "study.toml")
