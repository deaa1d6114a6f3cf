from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.data import list_faces, read_faces
from model.errors import UserError
from model.evaluate import evaluate, read_pairs
from model.insightface import MAGIC, Records, read_bin
from tests.training_world import pickled_bin

CUT = struct.pack("<I", MAGIC)


def image(grey: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), (grey,) * 3).save(file, "PNG")
    return file.getvalue()


def packed(labels: Sequence[float], data: bytes, *, array: bool = False) -> bytes:
    """A record's data, as mxnet.recordio.pack makes it."""
    if array or len(labels) > 1:
        header = struct.pack("<IfQQ", len(labels), 0.0, 0, 0)
        return header + struct.pack(f"<{len(labels)}f", *labels) + data
    return struct.pack("<IfQQ", 0, labels[0], 0, 0) + data


def write(path: Path, records: Sequence[bytes], keys: Sequence[int] | None = None) -> Path:
    """A .rec and its .idx, as MXIndexedRecordIO writes them: data is cut where the magic number occurs."""
    offsets, data = [], b""
    for record in records:
        offsets.append(len(data))
        parts = record.split(CUT)
        for number, part in enumerate(parts):
            kind = 0 if len(parts) == 1 else 1 if number == 0 else 3 if number == len(parts) - 1 else 2
            data += struct.pack("<II", MAGIC, kind << 29 | len(part)) + part + bytes(-len(part) % 4)
    path.write_bytes(data)
    lines = [f"{key}\t{offset}" for key, offset in zip(keys or range(len(records)), offsets, strict=True)]
    path.with_suffix(".idx").write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def training_set(tmp_path: Path) -> Path:
    """Record 0 says that images end before key 4; records 4 and 5 are of the identities."""
    images = [packed([7], image(10)), packed([7, 0.5], image(20)), packed([9], image(30))]
    return write(
        tmp_path / "casia.rec",
        [packed([4, 6], b""), *images, packed([1, 3], b""), packed([3, 4], b"")],
    )


def test_images_of_a_rec_have_the_identity_of_their_label(training_set: Path) -> None:
    files = list_faces([training_set])
    assert [(file.name, file.identity) for file in files] == [
        ("1", "casia/7"),
        ("2", "casia/7"),
        ("3", "casia/9"),
    ]
    faces = read_faces(files, 16)
    assert faces.images[:, 0, 0, 0].tolist() == [10, 20, 30]
    assert faces.identities == ("casia/7", "casia/7", "casia/9")
    assert len(list_faces([training_set], ["casia/7"])) == 1


def test_a_rec_without_record_of_the_identities(tmp_path: Path) -> None:
    """Only images: record 0 is one."""
    path = write(tmp_path / "a.rec", [packed([0], image(1)), packed([1], image(2))])
    assert [file.identity for file in list_faces([path])] == ["a/0", "a/1"]
    keys = write(tmp_path / "b.rec", [packed([0], image(1)), packed([1, 0], image(2))], keys=[5, 3])
    assert [file.name for file in list_faces([keys])] == ["3", "5"]


def test_data_that_holds_the_magic_number_is_put_together(tmp_path: Path) -> None:
    data = b"abcd" + CUT + b"ef" + CUT + CUT + b"g"
    path = write(tmp_path / "a.rec", [packed([2], data), packed([3], b"next")])
    records = Records(path)
    assert records.image("0") == data
    assert records.image("1") == b"next"
    assert records.people() == {"0": "2", "1": "3"}
    records.close()


def test_a_broken_image_is_named_and_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.rec", [packed([0], image(1)), packed([1], b"no image"), packed([2], image(3))])
    whole = path.read_bytes()
    path.write_bytes(whole[:-40])
    faces = read_faces(list_faces([path]), 16)
    assert faces.images[:, 0, 0, 0].tolist() == [1]
    (first, wrong), (second, short) = faces.rejected
    assert (str(first), str(second)) == ("a.rec:1", "a.rec:2")
    assert wrong.startswith("not a readable image (cannot identify image file")
    assert short == "not a readable image (the file ends within a record)"


@pytest.mark.parametrize(
    ("index", "rule"),
    [
        (None, "its a.idx is no index (No such file or directory)"),
        ("0\t0\t0\n", "its a.idx is no index (too many values to unpack (expected 2))"),
        ("", "its a.idx names no record, or one outside of the file"),
        ("0\t99999\n", "its a.idx names no record, or one outside of the file"),
        ("0\t-8\n", "its a.idx names no record, or one outside of the file"),
        ("0\t4\n", "is no file of insightface's (no record at the place that the index names)"),
    ],
)
def test_bad_indices(tmp_path: Path, index: str | None, rule: str) -> None:
    path = write(tmp_path / "a.rec", [packed([0], image(1))])
    path.with_suffix(".idx").unlink()
    if index is not None:
        path.with_suffix(".idx").write_text(index)
    with pytest.raises(UserError) as caught:
        list_faces([path])
    assert str(caught.value) == f"images = '{path}': {rule}"


def test_a_record_that_is_none(tmp_path: Path) -> None:
    path = write(tmp_path / "a.rec", [b"short"])
    with pytest.raises(UserError, match=r"is no file of insightface's \(a record without header\)$"):
        list_faces([path])
    path = write(tmp_path / "b.rec", [struct.pack("<IfQQ", 2, 0, 0, 0)])
    with pytest.raises(UserError, match=r"is no file of insightface's \(a record without its labels\)$"):
        list_faces([path])


# --- .bin ---


@pytest.fixture
def pairs_bin(tmp_path: Path) -> Path:
    """Twenty pairs, of one person where both faces are equally bright."""
    greys = [(10 * k, 10 * k + (0 if k % 2 else 60)) for k in range(1, 21)]
    path = tmp_path / "agedb.bin"
    path.write_bytes(
        pickled_bin([image(grey) for pair in greys for grey in pair], [k % 2 == 1 for k in range(1, 21)])
    )
    return path


def test_pairs_of_a_bin(pairs_bin: Path) -> None:
    pairs = read_pairs(pairs_bin)
    assert pairs.same.tolist() == [True, False] * 10
    assert pairs.fold.tolist() == [k // 2 for k in range(20)]
    assert (pairs.left.tolist()[:2], pairs.right.tolist()[:2]) == ([0, 2], [1, 3])

    def embed(faces: np.ndarray) -> np.ndarray:
        bright = faces.mean((1, 2, 3)) / 255
        return np.stack([bright, 1 - bright], 1)

    assert evaluate(embed, pairs_bin, pairs, size=16).accuracy == 1.0


def test_python_2_wrote_strings(tmp_path: Path) -> None:
    """As the published sets are: protocol 2, images as SHORT_BINSTRING."""
    path = tmp_path / "lfw.bin"
    path.write_bytes(b"\x80\x02](U\x03abcU\x03defe](\x88e\x86.")
    assert read_bin(path) == ([b"abc", b"def"], [True])


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"\x80\x03cos\nsystem\nU\x02lsR.", "is no .bin of faces (it names os.system)"),
        (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "is no .bin of faces (it names os.system)"),
        (b"(S'ls'\nios\nsystem\n.", "is no .bin of faces (it names os.system)"),
        (b"cbuiltins\neval\n.", "is no .bin of faces (it names builtins.eval)"),
        (b"U\x02idQ.", "is no .bin of faces (it refers to something outside)"),
        (b"\x80\x03](U\x01ae", "is no .bin of faces (Ran out of input)"),
        (b"no pickle", "is no .bin of faces (invalid load key, 'n'.)"),
        (pickled_bin([b"a", b"b"], [True])[:-2] + b".", "not a list of images and one of bools"),
        (b"\x80\x03](K\x01K\x02e](\x88e\x86.", "not a list of images and one of bools"),
        (b"\x80\x03](U\x01aU\x01be](K\x01e\x86.", "not a list of images and one of bools"),
        (pickled_bin([b"a", b"b", b"c"], [True]), "has 3 images for 1 pairs"),
        (pickled_bin([], []), "has 0 images for 0 pairs"),
    ],
    ids=str,
)
def test_other_pickles_are_refused(tmp_path: Path, data: bytes, rule: str) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(data)
    with pytest.raises(UserError) as caught:
        read_bin(path)
    assert rule in str(caught.value)
    assert caught.value.field == "images"


def test_a_missing_bin(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is no \.bin of faces \(No such file or directory\)$"):
        read_bin(tmp_path / "x.bin")
