from __future__ import annotations

import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgefuse_runtimes.frames import (
    MAGIC,
    MAX_ARRAY_BYTES,
    PREFIX,
    frame_bytes,
    parse_frame,
    read_frame,
    write_frame,
)

arrays = st.lists(
    hnp.arrays(
        st.sampled_from([np.float32, np.int32]),
        hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
    ),
    max_size=3,
)
headers = st.dictionaries(st.sampled_from(["call", "path", "threads"]), st.integers() | st.text() | st.none())


@given(header=headers, sent=arrays)
def test_what_is_written_is_read_and_nothing_behind_it(header, sent):
    pipe = io.BytesIO(write_frame(header, sent) + b"next")
    received, values = read_frame(pipe)
    assert pipe.read() == b"next"
    assert {key: received[key] for key in header} == header
    for mine, theirs in zip(values, sent, strict=True):
        assert mine.dtype == theirs.dtype
        np.testing.assert_array_equal(mine, theirs)


@given(header=headers, sent=arrays, data=st.data())
def test_a_part_of_a_frame_asks_for_more_and_an_ended_pipe_gives_none(header, sent, data):
    frame = write_frame(header, sent)
    part = frame[: data.draw(st.integers(0, len(frame) - 1))]
    assert len(part) < frame_bytes(part) <= len(frame)
    assert read_frame(io.BytesIO(part)) is None


@given(st.binary(min_size=PREFIX.size))
def test_garbage_is_no_frame(garbage):
    with pytest.raises(ValueError, match="not a frame"):
        frame_bytes(garbage)


@pytest.mark.parametrize(
    "announced",
    [
        [],
        {"arrays": 3},
        {"arrays": [3]},
        {"arrays": [{"dtype": "object", "shape": [1]}]},
        {"arrays": [{"dtype": "float32", "shape": [-1]}]},
        {"arrays": [{"dtype": "float32", "shape": [1.5]}]},
        {"arrays": [{"dtype": "float32", "shape": [MAX_ARRAY_BYTES]}]},
    ],
)
def test_a_header_that_announces_nonsense_is_refused(announced):
    text = json.dumps(announced).encode()
    with pytest.raises(ValueError, match=r"not a|too large"):
        parse_frame(PREFIX.pack(MAGIC, len(text)) + text)
