"""Kinds of evidence: a file is what its first bytes say, whatever its sender calls it."""

from collections.abc import Iterable

import pytest

from api.evidence import CHUNK_BYTES
from api.media import SIGNATURES, look_for, media_type_of
from tests.support.keys import code_of

SAMPLES = {
    "application/pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "image/jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
    "image/png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "image/webp": b"RIFF\x24\x00\x00\x00WEBPVP8 ",
    "audio/mpeg": b"ID3\x04\x00\x00\x00\x00\x00\x00",
    "audio/mp4": b"\x00\x00\x00\x1cftypM4A \x00\x00\x02\x00",
    "audio/wav": b"RIFF\x24\x00\x00\x00WAVEfmt ",
    "audio/ogg": b"OggS\x00\x02",
    "audio/amr": b"#!AMR\n\x0c\x91\x8d",
    "video/mp4": b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00",
    "text/plain": "口头同意\n".encode(),
}


def take(pieces: Iterable[bytes], announced: str) -> str:
    """The name under which the file is taken, looked at as `api.evidence` does."""
    name = media_type_of(announced)
    look = look_for(name)
    for piece in pieces:
        look.feed(piece, last=False)
    look.feed(b"", last=True)
    return name


@pytest.mark.parametrize("announced", SAMPLES)
@pytest.mark.parametrize("content", SAMPLES)
@pytest.mark.parametrize("size", ["short", "long"])
def test_a_file_is_taken_for_what_its_first_bytes_say_alone(announced, content, size):
    """Sound and film in an MP4 begin alike; a text may hold what it likes as long as it is one."""
    data = SAMPLES[content] + (b"" if size == "short" else b"x" * 2 * CHUNK_BYTES)
    fits = (
        announced == content
        or {announced, content} == {"audio/mp4", "video/mp4"}
        or (announced == "text/plain" and _is_text(data))
    )
    if fits:
        assert take([data], announced) == announced
    else:
        assert code_of(take, [data], announced) == "evidence.type_not_allowed"


def _is_text(data: bytes) -> bool:
    try:
        return "\0" not in data.decode()
    except UnicodeDecodeError:
        return False


def test_every_kind_that_is_allowed_has_a_sample():
    assert SAMPLES.keys() == SIGNATURES.keys() | {"text/plain"}


@pytest.mark.parametrize(
    ("announced", "kept"),
    [
        ("text/plain; charset=utf-8", "text/plain"),
        ('Text/Plain;charset="UTF-8"', "text/plain"),
        ("audio/x-m4a", "audio/mp4"),
        ("audio/mp3", "audio/mpeg"),
        ("audio/x-wav", "audio/wav"),
        ("application/ogg", "audio/ogg"),
        ("audio/amr-wb", "audio/amr"),
        ("APPLICATION/PDF", "application/pdf"),
    ],
)
def test_a_kind_has_one_name(announced, kept):
    assert take([SAMPLES[kept]], announced) == kept


@pytest.mark.parametrize(
    "announced",
    [
        "text/html",
        "image/svg+xml",
        "application/octet-stream",
        "",
        "text/plain; charset=gbk",
        "a" * 999,
    ],
)
def test_a_kind_that_is_not_on_the_list_is_refused(announced):
    for content in SAMPLES.values():
        assert code_of(take, [content], announced) == "evidence.type_not_allowed"


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([b"yes\0"], id="NUL"),
        pytest.param(["同意".encode("gb18030")], id="another encoding"),
        pytest.param(["同意".encode()[:-1]], id="cut within a letter"),
        pytest.param([b"x" * CHUNK_BYTES * 2, b"\xff"], id="late"),
    ],
)
def test_a_text_that_is_not_utf_8_is_refused(pieces):
    assert code_of(take, pieces, "text/plain") == "evidence.type_not_allowed"


def test_a_letter_may_lie_across_two_pieces():
    assert take([bytes([one]) for one in "同意".encode()], "text/plain") == "text/plain"


@pytest.mark.parametrize(
    ("content", "is_one"),
    [
        pytest.param(b"\xff\xfb\x90\x64", True, id="MPEG 1 layer III"),
        pytest.param(b"\xff\xf3\x40\xc0", True, id="MPEG 2 layer III"),
        pytest.param(b"\xff\xfd\x90\x64", False, id="layer II"),
        pytest.param(b"\xff\xf1\x50\x80", False, id="AAC"),
        pytest.param(b"\xff\xfb\xf0\x64", False, id="no such bit rate"),
        pytest.param("ä".encode("utf-16"), False, id="text in UTF-16"),
        pytest.param(b"\xff", False, id="one byte"),
    ],
)
def test_an_mp3_without_a_tag_is_known_by_its_first_frame(content, is_one):
    if is_one:
        assert take([content], "audio/mpeg") == "audio/mpeg"
    else:
        assert code_of(take, [content], "audio/mpeg") == "evidence.type_not_allowed"
