"""Pictures decoded in little memory, against the peak of a process and against the full decode."""

from __future__ import annotations

import contextlib
import io
import re
import struct
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgefuse_runtimes import decoding
from edgefuse_runtimes.decoding import PictureFacts, decoding_bytes, facts_of, fitting_reduction, load_within
from edgefuse_runtimes.errors import DoesNotFit
from edgefuse_runtimes.image import load_image, prepare
from edgefuse_runtimes.machine import AvailableMemory
from edgefuse_runtimes.memory_plan import LIBRARIES, RESERVE
from edgefuse_runtimes.spec import Preprocess

pytestmark = pytest.mark.field

MIB = 2**20
AROUND = LIBRARIES["numpy"] + RESERVE
PREPROCESS = Preprocess("shortest", 256, "bicubic", 224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def drawn(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    """A smooth picture with some noise, as a photograph has."""
    rng = np.random.default_rng(3)
    coarse = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8))
    return coarse.resize(size, Image.Resampling.BICUBIC).convert(mode)


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


@pytest.fixture
def available(monkeypatch: pytest.MonkeyPatch):
    """Set what is available, in bytes."""

    def set_to(size: int) -> None:
        monkeypatch.setattr(decoding, "available_memory", lambda: AvailableMemory(size, "a limit of the test"))

    return set_to


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("plain.jpg", "RGB", {}),
        ("progressive.jpg", "RGB", {"progressive": True, "subsampling": 0}),
        ("turned.jpg", "RGB", {"exif": 6}),
        ("grey.jpg", "L", {}),
        ("print.jpg", "CMYK", {}),
        ("plain.png", "RGB", {}),
        ("clear.png", "RGBA", {}),
        ("deep.png", "I;16", {}),
        ("plain.webp", "RGB", {"method": 0}),
    ],
)
def test_decoding_takes_what_was_predicted(tmp_path: Path, name: str, mode: str, options: dict) -> None:
    image = drawn((2400, 2000), mode if mode != "I;16" else "L")
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    if "exif" in options:
        exif = Image.Exif()
        exif[0x0112] = options["exif"]
        options = {"exif": exif}
    small = saved(tmp_path / f"small-{name}", image.resize((64, 48)), **options)
    path = saved(tmp_path / name, image, **options)
    predicted = decoding_bytes(facts_of(Image.open(path)))
    assert 0.55 * predicted <= peak(path, small) <= predicted + 3 * MIB


def test_a_turned_print_is_not_held_three_times(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    small = saved(tmp_path / "small.jpg", drawn((64, 48), "CMYK"), exif=exif)
    path = saved(tmp_path / "turned.jpg", drawn((2400, 2000), "CMYK"), exif=exif)
    assert peak(path, small) <= decoding_bytes(facts_of(Image.open(path))) + 3 * MIB


def test_a_strip_of_one_pixel_has_as_many_rows_as_pixels(tmp_path: Path) -> None:
    small, path = (
        saved(tmp_path / f"{height}.png", Image.new("RGB", (1, height), (9, 90, 200))) for height in (48, 3_000_000)
    )
    predicted = decoding_bytes(facts_of(Image.open(path)))
    assert 0.55 * predicted <= peak(path, small) <= predicted + 3 * MIB


def run_length_bmp(path: Path, width: int, height: int) -> Path:
    """A grey BMP that is packed by run lengths, which Pillow reads and does not write."""
    line = b"\xff\x80" * (width // 255) + bytes([width % 255, 0x80]) + b"\0\0"
    palette = b"".join(bytes([grey, grey, grey, 0]) for grey in range(256))
    data, offset = line * height + b"\0\1", 14 + 40 + len(palette)
    header = struct.pack("<2sIHHI", b"BM", offset + len(data), 0, 0, offset)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(data), 2835, 2835, 256, 0)
    path.write_bytes(header + info + palette + data)
    return path


def test_a_bmp_of_run_lengths_is_unpacked_within_the_plan(tmp_path: Path) -> None:
    small = run_length_bmp(tmp_path / "small.bmp", 64, 48)
    path = run_length_bmp(tmp_path / "packed.bmp", 4000, 3000)
    assert np.asarray(load_image(path)).min() == 0x80
    predicted = decoding_bytes(facts_of(Image.open(path)))
    assert 0.55 * predicted <= peak(path, small) <= predicted + 3 * MIB


def satellite_tiff(path: Path, width: int, height: int) -> Path:
    """Twelve bands of 16 bits, as Pillow neither reads nor writes: band k holds 100 k."""
    pixels = struct.pack("<12H", *range(100, 1300, 100)) * (width * height)
    numbers = {256: width, 257: height, 258: 16, 259: 1, 262: 1, 273: 8, 277: 12, 278: height, 279: len(pixels)}
    entries = b"".join(struct.pack("<HHLL", tag, 4, 1, number) for tag, number in numbers.items())
    head, count = struct.pack("<2sHL", b"II", 42, 8 + len(pixels)), struct.pack("<H", len(numbers))
    path.write_bytes(head + pixels + count + entries + bytes(4))
    return path


def test_many_bands_are_unpacked_within_the_plan(tmp_path: Path) -> None:
    small = satellite_tiff(tmp_path / "small.tiff", 64, 48)
    path = satellite_tiff(tmp_path / "week.tiff", 900, 600)
    assert np.asarray(load_image(small))[0, 0].tolist() == [round(255 * k / 40) for k in (4, 3, 2)]
    predicted = decoding_bytes(PictureFacts("TIFF", "L", 900 * 24, 600))
    assert 0.55 * predicted <= peak(path, small) <= predicted + 3 * MIB


def peak(path: Path, small: Path) -> int:
    """Bytes at the peak while a picture is decoded, in a process that has decoded a small one of its kind."""
    code = f"""
        import re
        from pathlib import Path
        from PIL import Image
        from edgefuse_runtimes.image import load_image
        Image.init()
        load_image({str(small)!r})
        def kib(name):
            return int(re.search(name + r":\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
        before = kib("VmRSS")
        load_image({str(path)!r})
        print((kib("VmHWM") - before) * 1024)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    return int(done.stdout)


def test_a_jpeg_is_reduced_no_more_than_the_memory_asks_for_and_never_below_the_encoders_size() -> None:
    photo = PictureFacts("JPEG", "RGB", 4000, 3000)
    by_reduction = {reduction: decoding_bytes(photo, reduction) + AROUND for reduction in (1, 2, 4, 8)}

    for reduction, enough in by_reduction.items():
        assert fitting_reduction(photo, enough, 256) == reduction
    assert fitting_reduction(photo, by_reduction[8] - 1, 256) is None
    assert fitting_reduction(photo, by_reduction[4] - 1, 400) is None
    assert fitting_reduction(PictureFacts("PNG", "RGB", 4000, 3000), by_reduction[1] - 1, 256) is None


@pytest.mark.parametrize(("megabytes", "reduction"), [(64, 1), (20, 2), (10, 4)])
def test_a_reduced_picture_is_noted_and_close_to_the_full_one(
    tmp_path: Path, available, megabytes: int, reduction: int
) -> None:
    path = saved(tmp_path / "photo.jpg", drawn((4000, 3000)), quality=92)
    notes: list[str] = []
    available(megabytes * MIB + AROUND)

    image = load_within(path, PREPROCESS, notes.append)

    assert image.size == (4000 // reduction, 3000 // reduction)
    assert [re.findall(r"1/(\d)", note) for note in notes] == ([[str(reduction)]] if reduction > 1 else [])
    full, found = (prepare(one, PREPROCESS).ravel() for one in (load_image(path), image))
    assert full @ found / np.linalg.norm(full) / np.linalg.norm(found) > 0.9995


def test_a_turned_photo_is_turned_after_it_was_reduced(tmp_path: Path, available) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = saved(tmp_path / "turned.jpg", drawn((2400, 1800)), exif=exif)
    available(16 * MIB + AROUND)

    assert load_within(path, PREPROCESS, lambda note: None).size == (900, 1200)


def test_what_cannot_be_reduced_is_refused_with_a_sentence(tmp_path: Path, available) -> None:
    path = saved(tmp_path / "photo.webp", drawn((2400, 2000)), method=0)
    available(40 * MIB)

    with pytest.raises(DoesNotFit, match=r"photo\.webp \(WEBP of 5 megapixels\) needs \d+ MiB .* save it as a JPEG"):
        load_within(path, PREPROCESS, lambda note: None)


def test_small_pictures_and_decoded_ones_are_taken_without_asking(available) -> None:
    available(0)
    stream = io.BytesIO()
    drawn((640, 480)).save(stream, "PNG")

    assert load_within(stream.getvalue(), PREPROCESS, lambda note: None).size == (640, 480)
    assert load_within(drawn((2000, 1500)), PREPROCESS, lambda note: None).size == (2000, 1500)


@pytest.mark.parametrize(("room", "at_a_time"), [(1, 1), (3, 2)])
def test_pictures_are_decoded_side_by_side_only_where_they_fit_together(
    tmp_path: Path, available, monkeypatch: pytest.MonkeyPatch, room: int, at_a_time: int
) -> None:
    """Else two threads would both be told of memory that is there only once."""
    available(room * decoding_bytes(PictureFacts("JPEG", "RGB", 1600, 1200)) + AROUND)
    path = saved(tmp_path / "photo.jpg", drawn((1600, 1200)))
    lock, both, decoding_now, most = threading.Lock(), threading.Barrier(2), [0], [0]

    def counting(opened: Image.Image) -> Image.Image:
        with lock:
            decoding_now[0] += 1
            most[0] = max(most[0], decoding_now[0])
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(1)  # the other one, if it is let in
        opened.load()
        with lock:
            decoding_now[0] -= 1
        return opened

    monkeypatch.setattr("edgefuse_runtimes.image._upright", counting)
    with ThreadPoolExecutor(2) as pool:
        sizes = [image.size for image in pool.map(lambda _: load_within(path, PREPROCESS, lambda note: None), range(2))]
    assert (sizes, most) == ([(1600, 1200)] * 2, [at_a_time])


def test_a_picture_that_is_refused_does_not_keep_the_next_one_waiting(tmp_path: Path, available) -> None:
    path = saved(tmp_path / "photo.jpg", drawn((1600, 1200)))
    available(0)
    with pytest.raises(DoesNotFit):
        load_within(path, PREPROCESS, lambda note: None)
    available(2**33)
    assert load_within(path, PREPROCESS, lambda note: None).size == (1600, 1200)


def test_the_facts_of_a_png_are_read_without_decoding_it(tmp_path: Path) -> None:
    opened = Image.open(saved(tmp_path / "picture.png", drawn((300, 200))))

    assert facts_of(opened) == PictureFacts("PNG", "RGB", 300, 200)
    assert opened.tile
