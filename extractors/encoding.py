"""Find the encoding of a file instead of assuming it, and tell broken bytes from whole ones."""

from __future__ import annotations

import codecs
import unicodedata
from dataclasses import dataclass

LFS_MARK = b"version https://git-lfs.github.com/spec/"
DAMAGED = "\ufffd"
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_SAMPLE = 1 << 20
_NO_TEXT = frozenset({"Cc", "Cn", "Co", "Cs"})
_COMMON = frozenset(
    "的一是不了人我在有他这为之大来以个中上们到说国和地也子时道出而要于就下得可你年生自会那后能对着事其里所去行过家十用发天如然作方成者多"
    "日都三小军二无同么经法当起与好看学进种将还分此心前面又定见只主没公从病症儿患治疗热痛血医药小婴幼诊检查感染童肺炎咳嗽腹泻"
    "，。、：；！？（）《》“”0123456789"
)


@dataclass(frozen=True, slots=True)
class Decoded:
    r"""Text with line ends made ``\n``. ``damaged`` says that some bytes fitted no encoding and became U+FFFD."""

    text: str
    encoding: str
    damaged: bool


def detect(data: bytes) -> str:
    """The encoding that fits ``data`` best.

    A BOM decides, then strict UTF-8, then the least damage and the most common characters among UTF-8, GB18030,
    UTF-16 and Big5.
    """
    for bom, name in _BOMS:
        if data.startswith(bom):
            return name
    sample = data[:_SAMPLE]
    whole = len(sample) == len(data)
    if 0 not in sample and _is_utf8(sample, whole):  # English in UTF-16 is valid UTF-8 too, full of NULs
        return "utf-8"
    candidates = ["utf-8", "gb18030", "big5"]
    if 0 in sample:
        little = sample[1::2].count(0) >= sample[0::2].count(0)
        candidates = [*(("utf-16-le", "utf-16-be") if little else ("utf-16-be", "utf-16-le")), *candidates]
    elif len(data) % 2 == 0:
        candidates += ["utf-16-le", "utf-16-be"]
    return max(candidates, key=lambda name: _fit(sample, name))


def _is_utf8(sample: bytes, whole: bool) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample, final=whole)
    except UnicodeDecodeError:
        return False
    return True


def _fit(sample: bytes, encoding: str) -> float:
    """How much like Chinese, or failing that like English, ``sample`` reads in ``encoding``."""
    seen = [character for character in sample.decode(encoding, "replace") if not character.isspace()]
    if not seen:
        return 0.0
    common = sum(character in _COMMON for character in seen)
    latin = sum(character.isascii() and character.isalpha() for character in seen)
    wrong = sum(character == DAMAGED or character < " " for character in seen)
    return (common + 0.1 * latin - 3 * wrong) / len(seen)


def decode(data: bytes, encoding: str | None = None) -> Decoded:
    """Decode a whole file; broken bytes become U+FFFD and ``damaged`` is set."""
    name = encoding or detect(data)
    try:
        text, damaged = data.decode(name), False
    except UnicodeDecodeError:
        text, damaged = data.decode(name, "replace"), True
    return Decoded(unify_lines(text), name, damaged or DAMAGED in text)


def unify_lines(text: str) -> str:
    r"""Every kind of line end as ``\n``."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\x85", "\n").replace("\u2028", "\n")


def is_lfs_pointer(data: bytes) -> bool:
    """Whether a Git-LFS pointer stands in for the file."""
    return data.startswith(LFS_MARK)


def is_binary(data: bytes) -> bool:
    """Whether the bytes are no text at all: a known container's mark, or NULs and no encoding in which they read."""
    if data.startswith(
        (b"PK\x03\x04", b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"\x1f\x8b", b"\xd0\xcf\x11\xe0", b"7z\xbc\xaf", b"Rar!")
    ):
        return True
    if any(data.startswith(bom) for bom, _ in _BOMS):
        return False
    sample = data[:4096]
    if 0 not in sample:
        return False
    text = sample.decode(detect(sample), "replace")
    odd = sum(
        character == DAMAGED or (unicodedata.category(character) in _NO_TEXT and not character.isspace())
        for character in text
    )
    return odd * 20 > len(text)
