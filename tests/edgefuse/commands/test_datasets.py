"""`edgefuse datasets` as a user meets it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from edgefuse.datasets import ADAPTERS
from edgefuse.datasets.template import check, template_of

Cli = Callable[..., Any]


def test_every_data_set_is_listed_with_a_line(cli: Cli) -> None:
    lines = cli("datasets").out.splitlines()
    assert [line.split()[0] for line in lines] == list(ADAPTERS)
    assert lines[0] == "ham10000        dermoscopy photographs of pigmented skin lesions, seven diagnoses"


def test_the_list_as_json_tells_all(cli: Cli) -> None:
    found = json.loads(cli("datasets", "--json").out)
    assert list(found) == list(ADAPTERS)
    assert found["brset"]["label"] == "retinopathy where DR_ICDR is over 0, else no retinopathy"
    assert found["ham10000"] == json.loads(cli("datasets", "show", "ham10000", "--json").out)


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_page_tells_what_must_be_known(cli: Cli, name: str) -> None:
    page, adapter = cli("datasets", "show", name).out, ADAPTERS[name]
    for told in (*adapter.layout, *adapter.fields, *adapter.leaks, adapter.template, adapter.label, adapter.licence):
        assert told in page
    assert ("only serves to compare gaps" in page) == adapter.comparison


@pytest.mark.parametrize("name", ADAPTERS)
def test_no_data_sets_own_note_leaks(name: str) -> None:
    adapter = ADAPTERS[name]
    assert check(template_of(adapter.template), adapter.fields, adapter.leaks, (), name) == ()


def test_a_name_that_is_none(cli: Cli) -> None:
    said = cli("datasets", "show", "ham1000").refusal
    assert said.startswith("There is no data set called 'ham1000'; name one of ham10000, brset, satellitebench")
