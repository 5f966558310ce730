"""A corpus of hostile files, made from a seed: each with what is expected to be said of it."""

from __future__ import annotations

import io
import json
import lzma
import pickle
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image, PngImagePlugin

SEED = 20_240_229


class Evil:
    """Writes a file beside whoever unpickles it."""

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, ("unpickled", "w")


@dataclass(frozen=True)
class Hostile:
    """A file, and words of the message it is refused with: a regular expression, "" if accepted."""

    name: str
    content: bytes
    said: str = ""

    def write(self, folder: Path) -> Path:
        path = folder / self.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.content)
        return path


def cuts(name: str, whole: bytes, shares: tuple[float, ...], said: str) -> list[Hostile]:
    """A file, the same without a byte, its first twelve bytes, and parts of it."""
    stem, suffix = name.split(".")
    return [
        Hostile(f"whole-{name}", whole),
        Hostile(f"empty-{name}", b"", "the file is empty"),
        Hostile(f"head-{name}", whole[:12], "cannot be read|no samples|cut off"),
        *(
            Hostile(f"{stem}-{int(100 * share)}.{suffix}", whole[: int(share * len(whole))], said)
            for share in shares
        ),
    ]


# Pictures


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    memory = io.BytesIO()
    picture.save(memory, kind, **options)
    return memory.getvalue()


def png_chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png(width: int, height: int, *more: bytes) -> bytes:
    """A PNG whose header promises so many pixels, and that holds none of them."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = png_chunk(b"IDAT", zlib.compress(b"\0" * 9))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + pixels + png_chunk(b"IEND", b"")


def patched(content: bytes, place: int, piece: bytes) -> bytes:
    return content[:place] + piece + content[place + len(piece) :]


def pictures(seed: int = SEED) -> list[Hostile]:
    dice = np.random.default_rng(seed)
    noise = Image.fromarray(dice.integers(0, 256, (40, 48, 3), dtype=np.uint8))
    grey = Image.fromarray(dice.integers(0, 65_536, (40, 48), dtype=np.uint16))
    clear = noise.copy()
    clear.putalpha(Image.fromarray(dice.integers(0, 256, (40, 48), dtype=np.uint8)))
    frames = {"save_all": True, "append_images": [noise.rotate(90), noise.rotate(180)]}
    jpeg = encoded(noise, "JPEG")
    sof = jpeg.index(b"\xff\xc0") + 5  # height and width of the frame
    whole = encoded(noise, "PNG")
    said = PngImagePlugin.PngInfo()
    said.add_text("Comment", "\0" * 20_000_000, zip=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    upright = encoded(noise, "JPEG", exif=exif)
    broken_exif = upright.replace(b"MM\0*\0\0\0\x08", b"MM\0*\0\xff\xff\xff")
    assert broken_exif != upright
    many = "80 million"
    found = []
    for kind in ("png", "jpeg", "gif", "webp", "bmp", "tiff"):
        found += cuts(f"noise.{kind}", encoded(noise, kind), (0.3, 0.7), "cannot be read")
    found += [
        Hostile("bomb-60000.png", png(60_000, 60_000), many),
        Hostile("bomb-9000.png", png(9_000, 9_000), f"9000 by 9000 pixels, more than the {many}"),
        Hostile("bomb-line.png", png(2_000_000_000, 1), many),
        Hostile("bomb.jpg", patched(jpeg, sof, b"\xff\xff\xff\xff"), many),
        Hostile("bomb.bmp", patched(encoded(noise, "BMP"), 18, b"\xff\xff\xff\x7f"), many),
        Hostile("bomb.gif", patched(encoded(noise, "GIF"), 6, b"\xff\xff\xff\xff"), many),
        Hostile("bomb.ppm", b"P6 100000 100000 255\n", many),
        Hostile("zero-wide.png", png(0, 5), "cannot be read"),
        Hostile("zero.bmp", patched(encoded(noise, "BMP"), 18, b"\0" * 8), "cannot be read"),
        Hostile("zero.ppm", b"P6 0 0 255\n", "cannot be read"),
        Hostile("text-bomb.png", encoded(noise, "PNG", pnginfo=said), "cannot be read"),
        Hostile("no-pixels.png", png(40, 40), "cannot be read"),
        Hostile("bad-sum.png", whole.replace(b"IDAT", b"IDAU", 1), "cannot be read"),
        Hostile("bad-exif.jpg", broken_exif),
        Hostile("cmyk.jpg", encoded(noise.convert("CMYK"), "JPEG")),
        Hostile("cmyk.tif", encoded(noise.convert("CMYK"), "TIFF")),
        Hostile("grey-16.png", encoded(grey, "PNG")),
        Hostile("grey-16.tif", encoded(grey, "TIFF")),
        Hostile("palette.png", encoded(noise.quantize(16), "PNG")),
        Hostile("palette-clear.png", encoded(noise.quantize(16), "PNG", transparency=3)),
        Hostile("animated.gif", encoded(noise, "GIF", **frames)),
        Hostile("animated.png", encoded(noise, "PNG", **frames)),
        Hostile("animated.webp", encoded(noise, "WEBP", **frames)),
        Hostile("clear.png", encoded(clear, "PNG")),
        Hostile("grey-clear.png", encoded(clear.convert("LA"), "PNG")),
        Hostile("one-bit.png", encoded(noise.convert("1"), "PNG")),
        Hostile("dot.png", encoded(Image.new("RGB", (1, 1), "red"), "PNG")),
        Hostile("line.png", encoded(Image.new("RGB", (1, 30_000), "red"), "PNG")),
        Hostile("progressive.jpg", encoded(noise, "JPEG", progressive=True)),
        Hostile("grey.jpg", encoded(noise.convert("L"), "JPEG")),
        Hostile("turned.jpg", upright),
        Hostile("jpeg-by-another-name.png", jpeg),
        Hostile("junk-behind.jpg", jpeg + b"<?php evil(); ?>" * 50),
        Hostile("icon.ico", encoded(noise, "ICO")),
        Hostile("deep.jp2", encoded(noise, "JPEG2000")),
        Hostile("fractions.tif", encoded(grey.convert("F"), "TIFF"), "pixels are fractions"),
        Hostile(
            "bits-32.tif",
            encoded(Image.fromarray(np.full((4, 4), 70_000, np.int32)), "TIFF"),
            "more than 16 bits",
        ),
        Hostile("lab.tif", encoded(Image.new("LAB", (9, 9), (50, 20, 10)), "TIFF")),
        Hostile("program.eps", encoded(noise, "EPS"), "PostScript is a program"),
        Hostile("drawn.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "no format that we kn"),
        Hostile("page.jpg", b"<html>404</html>", "no format that we know"),
        Hostile("zeros.png", b"\0" * 1000, "no format that we know"),
        Hostile("chance.jpg", dice.bytes(1000), "no format that we know"),
        Hostile("pickled.png", pickle.dumps(Evil()), "no format that we know"),
        Hostile("sound.png", sound(np.ones(9) / 2), "no format that we know"),
    ]
    return found


# Sounds


def sound(samples: np.ndarray, rate: int = 8_000, kind: str = "WAV", subtype: str = "") -> bytes:
    memory = io.BytesIO()
    soundfile.write(memory, samples, rate, format=kind, subtype=subtype or None)
    return memory.getvalue()


def sounds(seed: int = SEED) -> list[Hostile]:
    dice = np.random.default_rng(seed)
    noise = dice.uniform(-0.5, 0.5, 16_000)
    wav, floats = sound(noise), sound(noise, subtype="FLOAT")
    flac, ogg = sound(noise, kind="FLAC"), sound(np.tile(noise, 6), 16_000, "OGG")
    bad = np.array(noise)
    bad[77] = np.nan
    endless = patched(patched(wav, 4, b"\xff" * 4), 40, b"\xff" * 4)
    last = ogg.rindex(b"OggS")
    wide = sound(np.stack([np.tile(noise, 6)] * 6, axis=1), 48_000, "OGG")  # short pages
    middle = ogg.index(b"OggS", len(ogg) // 3)
    after = ogg.index(b"OggS", middle + 4)
    damaged = "a part of the recording is damaged or missing"
    refused = "cannot be read|cut off|no samples"
    found = []
    for name, whole in (
        ("noise.wav", wav),
        ("noise.flac", flac),
        ("noise.ogg", ogg),
        ("noise.mp3", sound(noise, kind="MP3")),
        ("noise.aiff", sound(noise, kind="AIFF")),
    ):
        found += cuts(name, whole, (0.4, 0.8), refused)
    cut_off = "the recording is cut off before its end"
    found += [
        Hostile("almost-whole.wav", wav[:-50]),  # 3 ms are lacking
        Hostile("nearly-whole.wav", wav[:-162], cut_off),  # 10 ms
        Hostile("nearly-whole.rf64", sound(noise, kind="RF64")[:-162], cut_off),
        Hostile("nearly-whole.au", sound(noise, kind="AU")[:-162], cut_off),
        Hostile("almost-whole.ogg", ogg[:-50], cut_off),
        Hostile("without-last-page.ogg", ogg[:last]),  # as whole as one whose end is not marked
        Hostile("opus.ogg", sound(noise, 16_000, "OGG", "OPUS")),
        Hostile("eight.wav", sound(noise, subtype="PCM_U8")),
        Hostile("twenty-four.wav", sound(noise, subtype="PCM_24")),
        Hostile("law.wav", sound(noise, subtype="ULAW")),
        Hostile("floats.wav", floats),
        Hostile("stereo.wav", sound(np.stack([noise, noise / 2], axis=1))),
        Hostile("six.flac", sound(np.stack([noise] * 6, axis=1), 48_000, "FLAC")),
        Hostile("cd.wav", sound(noise, 44_100)),
        Hostile("fast.wav", sound(noise, 96_000)),
        Hostile("fastest.wav", sound(noise, 2**31 - 1)),
        Hostile("slow.wav", sound(noise[:99], 100)),
        Hostile("one-sample.wav", sound(noise[:1] + 0.1)),
        Hostile("clipped.wav", sound(np.clip(100 * noise, -1, 1))),
        Hostile("as-int16.wav", sound(32_768 * noise, subtype="FLOAT")),
        Hostile("stream.wav", endless),
        Hostile("by-another-name.mp3", wav),
        Hostile("silent.wav", sound(0 * noise), "the recording is silent"),
        Hostile("nearly-silent.wav", sound(1e-5 * noise, subtype="FLOAT"), "is silent"),
        Hostile("opposite.wav", sound(np.stack([noise, -noise], axis=1))),
        Hostile("nan.wav", sound(bad, subtype="FLOAT"), "holds NaN or infinity"),
        Hostile(
            "infinite.wav", sound(np.full(99, np.inf), subtype="FLOAT"), "holds NaN or infinity"
        ),
        Hostile("loud.wav", sound(1e20 * noise, subtype="FLOAT"), "louder than 1e\\+10 times"),
        Hostile("none.wav", sound(noise[:0]), "no samples"),
        Hostile("long.wav", sound(np.ones(60_001), 100, subtype="PCM_U8"), "longer than 600 sec"),
        Hostile("huge-header.wav", patched(wav, 4, b"\xfe\xff\xff\xff")),
        Hostile("large-header.wav", patched(wav, 4, b"\xff\xff\xff\x0f"), cut_off),
        Hostile("no-channel.wav", patched(wav, 22, b"\0\0"), "cannot be read"),
        Hostile("channels.wav", patched(wav, 22, b"\xff\xff"), "cannot be read"),
        Hostile("no-rate.wav", patched(wav, 24, b"\0" * 4), "cannot be read"),
        Hostile("huge-header.flac", patched(flac, 22, b"\xff" * 4), "longer than|cannot be read"),
        Hostile("huge-header.ogg", patched(ogg, last + 6, b"\xff" * 7 + b"\x7f"), damaged),
        Hostile("flipped-page.ogg", patched(ogg, middle + 999, b"flip"), damaged),
        Hostile("wrong-checksum.ogg", patched(ogg, middle + 22, b"\0" * 4), damaged),
        Hostile("without-a-page.ogg", ogg[:middle] + ogg[after:], damaged),
        Hostile("page-of-another-length.ogg", patched(ogg, middle + 26, b"\x01"), damaged),
        Hostile("short-page.ogg", patched(wide, wide.index(b"OggS", 20_000) + 99, b"?"), damaged),
        Hostile("more-behind.ogg", ogg + b"TAG" + bytes(125)),
        Hostile("bare.raw", noise.tobytes(), "cannot be read"),
        Hostile("page.mp3", b"<html>404</html>", "cannot be read"),
        Hostile("chance.wav", b"RIFF" + dice.bytes(2000), "cannot be read"),
        Hostile("picture.wav", png(4, 4), "cannot be read"),
        Hostile("pickled.wav", pickle.dumps(Evil()), "cannot be read"),
    ]
    return found


# Texts


LONG = 100_000  # characters


def texts() -> dict[str, tuple[str, str | None]]:
    """Name of a text: the text, and what remains when it is clean (None: whatever is language)."""
    return {
        "nothing": ("", ""),
        "blanks": (" \t\n\u3000\u00a0\u2028", ""),
        "control characters": ("".join(map(chr, range(32))) + "\x7f\x9ftea", "tea"),
        "a terminal's colours": ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        "null": ("te\0a", "tea"),
        "right to left": ("\u202eevil\u202c שלום \u200fمرحبا", "evil שלום مرحبا"),
        "emoji": ("👩‍👩‍👧 👍🏽 🇨🇳 ❤️", "👩‍👩‍👧 👍🏽 🇨🇳 ❤️"),
        "half a character": ("tea \ud83d cup", "tea cup"),
        "no character": ("\ufffe\uffff tea", None),
        "private use": ("\ue000\U0010ffff", None),
        "Latin-1 read as UTF-8": ("cafÃ© naÃ¯ve", None),
        "byte order marks": ("\ufefftea\ufeff", "tea"),
        "full width": ("ＴＥＡ＜ｂ＞", "TEA"),
        "a million digits": ("&#" + "9" * 1_000_000 + ";tea", "\ufffdtea"),
        "out of range": ("&#x110000;&#0;&#xD800;tea", None),
        "escaped twice": ("&amp;amp;lt;b&amp;amp;gt;tea", "tea"),
        "escaped for ever": ("&" + "amp;" * (LONG // 4) + "lt;", None),
        "nested for ever": ("<a" * (LONG // 3) + ">" * (LONG // 3), None),
        "never closed": ("<" * LONG, "<" * LONG),
        "marks without end": ("e" + "\u0301\u0323" * (LONG // 2), None),
        "marks in order": ("e" + "\u0301" * (LONG // 2) + "\u0323" * (LONG // 2), None),
        "one word": ("a" * LONG, "a" * LONG),
        "one number": ("1" * LONG, "1" * LONG),
        "one apostrophe more": ("a'" * (LONG // 2), "a'" * (LONG // 2)),
        "Chinese without a stop": ("很好" * (LONG // 2), "很好" * (LONG // 2)),
        "an address": ("http://" + "a" * LONG, ""),
        "ligatures that unfold": ("\ufdfa" * (LONG // 18), None),
        "words": ("so soft " * (LONG // 8), ("so soft " * (LONG // 8)).strip()),
    }


# Tables: what is put in the place of a file of a good data set


ITEMS = b"item,title,text,image,audio,price\na,A,so soft,,,1\nb,B,so warm,,,2\nc,C,so blue,,,3\n"
TAKEN = b"""user,item,timestamp,rating,review
u,a,1700000005,1,good
v,b,1700000006,,
w,c,1700000007,2,
"""
ABOUT = b'{"name": "kitchen", "number_columns": ["price"]}'
INTER = b"userID\titemID\trating\ttimestamp\tx_label\n0\t0\t5\t1300000100\t0\n0\t1\t4\t1300000200\t1\n1\t2\t3\t1300000300\t2\n"


def tables() -> list[Hostile]:
    """Files for the folder of `Dataset.open`, by the name they take there and a note."""

    def items(note: str, content: bytes, said: str = "") -> Hostile:
        return Hostile(f"{note}/items.csv", content, said and f"items.csv.*{said}")

    def taken(note: str, content: bytes, said: str = "") -> Hostile:
        return Hostile(f"{note}/interactions.csv", content, said and f"interactions.csv.*{said}")

    def about(note: str, content: bytes, said: str = "") -> Hostile:
        return Hostile(f"{note}/dataset.json", content, said and f"dataset.json.*{said}")

    text = ITEMS.decode()
    marked = b'"a ""b"", \n c"'
    return [
        items("utf-16", text.encode("utf-16")),
        items("utf-16-cut", text.encode("utf-16")[:-1], "row 4: not UTF-16: byte 0x0a.*UTF-8"),
        items("utf-16-no-mark", text.encode("utf-16-le"), "null character.*UTF-8"),
        items("utf-32", text.encode("utf-32")),
        items("latin-1", ITEMS.replace(b"so warm", b"caf\xe9"), "row 3: not UTF-8: byte 0xe9"),
        items("mixed", ITEMS + "d,D,茶,,,4\n".encode("gb18030"), "row 5: not UTF-8"),
        items("with-mark", b"\xef\xbb\xbf" + ITEMS),
        items("windows", ITEMS.replace(b"\n", b"\r\n")),
        items("old-mac", ITEMS.replace(b"\n", b"\r")),
        items("lone-returns", ITEMS.replace(b"so warm", b'so\rwarm\r\r"now"')),
        items("semicolons", ITEMS.replace(b",", b";")),
        items("tabs", ITEMS.replace(b",", b"\t")),
        items("stated-mark", b"sep=|\n" + ITEMS.replace(b",", b"|")),
        items("pipes", ITEMS.replace(b",", b"|"), "separated by '|'; separate them by commas"),
        items("spaces-in-header", ITEMS.replace(b",", b", ").replace(b"item", b" item")),
        items("doubled-header", ITEMS.replace(b"title", b"text"), "'text'] occur twice"),
        items("no-header", ITEMS.split(b"\n", 1)[1], "columns .* occur twice"),
        items("spaced-id", ITEMS.replace(b"\nb,", b"\n b,"), "row 3: .*has spaces around it; trim"),
        items("inner-space", ITEMS.replace(b"\nb,", b"\nb b,"), ""),
        items("doubled-id", ITEMS.replace(b"\nb,", b"\na,"), "row 3: .*taken by row 2"),
        items("open-quote", ITEMS + b'd,D,x,,,"4\n', "row 5: a double quote opens .* never closed"),
        items(
            "text-after-quote", ITEMS.replace(b"B,", b'"B"x,'), "row 3: text follows the closing"
        ),
        items("good-quotes", ITEMS.replace(b"so warm", marked)),
        items("controls", ITEMS.replace(b"so warm", bytes(range(1, 9)) + b"\x1b[31m\x7f")),
        items("null", ITEMS.replace(b"so warm", b"so\0warm"), "row 3: holds a null character"),
        items("emoji", ITEMS.replace(b"so warm", "👩‍👩‍👧\u202eevil".encode())),
        items("long-text", ITEMS.replace(b"so warm", b"x" * LONG)),
        items(
            "wide", b"item," + b",".join(b"c%d" % n for n in range(5000)) + b"\na" + b"," * 5000, ""
        ),
        items("climbs", ITEMS.replace(b"warm,,", b"warm,../x.png,"), "row 3: .*outside the folder"),
        items("absolute", ITEMS.replace(b"warm,,", b"warm,/etc/passwd,"), "outside the folder"),
        items("backslash", ITEMS.replace(b"warm,,", b"warm,..\\x.png,"), "outside the folder"),
        items("pickled", pickle.dumps(Evil()), "UTF-8"),
        items(
            "number-too-large", ITEMS.replace(b",2\n", b",1e999\n"), "row 3: .*not a finite numb"
        ),
        items("hexadecimal", ITEMS.replace(b",2\n", b",0x1F\n"), "row 3: .*not a finite number"),
        items("empty", b"", "the file is empty"),
        items("blank-row-first", b"\n" + ITEMS, "row 1: the row is blank; remove it"),
        taken("semicolons", TAKEN.replace(b",", b";")),
        taken("doubled-header", TAKEN.replace(b"rating", b"user"), "'user'] occur twice"),
        taken("spaced-user", TAKEN.replace(b"\nv,", b"\nv ,"), "row 3: .*has spaces around it"),
        taken("spaced-item", TAKEN.replace(b",b,", b", b,"), "row 3: .*' b' is not in items.csv"),
        taken("open-quote", TAKEN.replace(b"good", b'"good'), "row 2: a double quote opens"),
        taken("fraction", TAKEN.replace(b"06,", b"06.5,")),
        taken("endless-time", TAKEN.replace(b"06,", b"6" * 5000 + b","), "not a time"),
        taken("endless-fraction", TAKEN.replace(b"06,", b"6e99,"), "not a time"),
        taken("odd-blank", TAKEN.replace(b"b,17", b"b,\x1f17")),
        taken("old-mac", TAKEN.replace(b"\n", b"\r")),
        taken("zeros", re.sub(rb"17\d+", b"0", TAKEN), "the times are zeros"),
        taken("cut", TAKEN[:-4], "row 4: has 3 cells, the header has 5"),
        about("nested", b"[" * 100_000, "nested too deep"),
        about("endless-number", b'{"name": "x", "seed": ' + b"9" * 5000 + b"}", "too long"),
        about("number-columns", b'{"name": "x", "number_columns": 5}', "number_columns cannot be"),
        about(
            "columns-in-columns", b'{"name": "x", "number_columns": [["price"]]}', "cannot be us"
        ),
        about("column-of-ids", b'{"name": "x", "number_columns": ["item"]}', "none of item, title"),
        about(
            "column-of-users",
            b'{"name": "x", "number_columns_of_interactions": ["user"]}',
            "number_columns_of_interactions cannot be used",
        ),
        about("cut", ABOUT[:20], "not JSON: .* in line 1"),
        about("list", b"[1]", "gives no name"),
        about("pickled", pickle.dumps(Evil()), "not UTF-8|not JSON"),
    ]


def inters() -> list[Hostile]:
    """Tables in MMRec's format."""

    def inter(note: str, content: bytes, said: str = "") -> Hostile:
        return Hostile(f"{note}/x.inter", content, said and f"x.inter.*{said}")

    return [
        inter("good", INTER),
        inter("commas", INTER.replace(b"\t", b","), "separated by ','; separate them by tabs"),
        inter("blanks", INTER.replace(b"\t", b" "), "lacks the columns"),
        inter("utf-16", INTER.decode().encode("utf-16")),
        inter("doubled-header", INTER.replace(b"rating", b"userID"), "occur twice"),
        inter(
            "spaced", INTER.replace(b"\n1\t", b"\n 1\t"), "row 4: the userID ' 1' is not a whole"
        ),
        inter("negative", INTER.replace(b"\n1\t", b"\n-1\t"), "row 4: .*is not a whole number"),
        inter("astronomic", INTER.replace(b"\n1\t", b"\n" + b"9" * 18 + b"\t"), "go up to 9999"),
        inter("endless", INTER.replace(b"\n1\t", b"\n" + b"9" * 5000 + b"\t"), "not a whole numb"),
        inter("arabic", INTER.replace(b"\n1\t", "\n١\t".encode()), "not a whole number"),
        inter("cut", INTER[:-3], "row 4: has 4 cells, the header has 5"),
        inter("quote", INTER.replace(b"\n1\t", b'\n"1\t'), "row 4: .*not a whole number"),
        inter("old-mac", INTER.replace(b"\n", b"\r")),
        inter("pickled", pickle.dumps(Evil()), "UTF-8|null"),
        inter("empty", b"", "the file is empty"),
    ]


# Arrays


def npy(header: str, body: bytes = b"") -> bytes:
    """A file of NumPy's with a header of one's own."""
    text = header.encode("latin-1")
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


def shaped(shape: str, kind: str = "<f4") -> str:
    return f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}"


def saved(array: np.ndarray) -> bytes:
    memory = io.BytesIO()
    np.save(memory, array, allow_pickle=True)
    return memory.getvalue()


def zipped_arrays(compressed: bool = False, **arrays: np.ndarray) -> bytes:
    memory = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(memory, **arrays)
    return memory.getvalue()


def arrays(seed: int = SEED) -> list[Hostile]:
    """Features for three items."""
    good = np.random.default_rng(seed).random((3, 4), dtype=np.float32)
    whole = saved(good)
    refused = "not a plain NumPy array .*; write it with numpy.save"
    memory = "its header asks for more memory than there is|not a plain NumPy array"
    return [
        Hostile("good.npy", whole),
        Hostile("doubles.npy", saved(good.astype(np.float64))),
        Hostile("halves.npy", saved(good.astype(np.float16))),
        Hostile("other-end.npy", saved(good.astype(">f4"))),
        Hostile("columns-first.npy", saved(np.asfortranarray(good))),
        Hostile("empty.npy", b"", refused),
        Hostile("head.npy", whole[:8], refused),
        Hostile("cut.npy", whole[:-5], refused),
        Hostile("objects.npy", saved(np.array([[Evil()]] * 3, dtype=object)), refused),
        Hostile("pickled.npy", pickle.dumps(Evil()), refused),
        Hostile("archive.npy", zipped_arrays(a=good), refused),
        Hostile("later.npy", b"\x93NUMPY\x09\x00" + whole[8:], refused),
        Hostile("huge.npy", npy(shaped("(1000000000000, 4)")), memory),
        Hostile("huger.npy", npy(shaped("(99999999999999999999999, 4)")), refused),
        Hostile("below-zero.npy", npy(shaped("(-3, 4)")), refused),
        Hostile("brackets.npy", npy("(" * 5000), refused),
        Hostile("unhashable.npy", npy("{[]: 1}"), refused),
        Hostile("no-shape.npy", npy("{'descr': '<f4'}"), refused),
        Hostile("object-header.npy", npy(shaped("(3, 4)", "|O"), pickle.dumps([Evil()])), refused),
        Hostile("no-columns.npy", saved(good[:, :0]), r"float32 with shape \(3, 0\); it must be"),
        Hostile("flat.npy", saved(good[:, 0]), r"float32 with shape \(3,\); it must be floats"),
        Hostile("words.npy", saved(good.astype(str)), "it must be floats"),
        Hostile("complex.npy", saved(good.astype(np.complex64)), "it must be floats"),
        Hostile("fewer.npy", saved(good[:2]), "has 2 rows for 3 items; write one row an item"),
        Hostile(
            "nan.npy",
            saved(good * np.float32(np.nan)),
            "NaN or infinity, first in the row of item 'a'",
        ),
        Hostile("too-large.npy", saved(good.astype(np.float64) + 1e300), "NaN or infinity"),
    ]


# Archives: of the files a/one and two, below the folder top


INSIDE = {"a/one": b"one" * 999, "two": b"two"}


def zipped(
    entries: list[tuple[str | zipfile.ZipInfo, bytes]], how: int = zipfile.ZIP_STORED
) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", how) as archive:
        for name, content in entries:
            archive.writestr(name, content, how)
    return memory.getvalue()


def archives(seed: int = SEED) -> list[Hostile]:
    good = [(f"top/{name}", content) for name, content in INSIDE.items()]
    link = zipfile.ZipInfo("top/two")
    link.external_attr = 0o120777 << 16
    device = zipfile.ZipInfo("top/dev")
    device.external_attr = 0o020666 << 16
    whole = zipped(good)
    packed = zipped(good, zipfile.ZIP_DEFLATED)
    stream = packed.index(b"a/one") + len("a/one")
    later = whole.replace(b"PK\x01\x02\x14\x03\x14\0", b"PK\x01\x02\x14\x03\xff\0")
    locked = bytearray(whole)
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[whole.index(mark) + place] |= 1
    strange = bytearray(whole)
    for mark, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        strange[whole.index(mark) + place] = 99
    xz = zipped(good, zipfile.ZIP_LZMA)
    xz_stream = xz.index(b"a/one") + len("a/one") + 12
    no_zip = "not a zip file|File is not a zip"
    other = "in the archive is not the published file"
    return [
        Hostile("good.zip", whole),
        Hostile("packed.zip", packed),
        Hostile("lzma.zip", xz),
        Hostile("junk-before.zip", b"#!/bin/sh\n" + whole),
        Hostile("climbs.zip", zipped([("top/../../up", b"x"), ("../up", b"x"), *good])),
        Hostile("absolute.zip", zipped([("/up", b"x"), ("//up", b"x"), *good])),
        Hostile("windows.zip", zipped([("..\\up", b"x"), ("C:\\up", b"x"), *good])),
        Hostile("device.zip", zipped([(device, b"x"), *good])),
        Hostile("link.zip", zipped([good[0], (link, b"/etc/passwd")]), f"two {other}"),
        Hostile("linked-folder.zip", zipped([("top/a", b"/tmp"), good[1]]), "lacks a/one"),
        Hostile("forged.zip", zipped([good[0], ("top/two", b"TWO")]), f"two {other}"),
        Hostile("longer.zip", zipped([good[0], ("top/two", b"twotwo")]), f"two {other}"),
        Hostile(
            "bomb.zip",
            zipped([good[0], ("top/two", b"\0" * 20_000_000)], zipfile.ZIP_DEFLATED),
            f"two {other}",
        ),
        Hostile("lacks.zip", zipped(good[:1]), "the archive lacks two"),
        Hostile("empty.zip", b"", no_zip),
        Hostile("cut.zip", whole[:-30], no_zip),
        Hostile("head.zip", whole[:60], no_zip),
        Hostile("page.zip", b"<html>404</html>", no_zip),
        Hostile("tar.zip", lzma.compress(b"top/two"), no_zip),
        Hostile("pickled.zip", pickle.dumps(Evil()), no_zip),
        Hostile("locked.zip", bytes(locked), "a/one in the archive cannot be unpacked .*encrypted"),
        Hostile("strange.zip", bytes(strange), "a/one in the archive cannot be unpacked"),
        Hostile("later.zip", later, "zip file version"),
        Hostile("damaged.zip", patched(packed, stream, b"\xff"), "a/one in the archive cannot be"),
        Hostile("damaged-lzma.zip", patched(xz, xz_stream, b"\xff" * 9), "a/one in the archive"),
        Hostile("bad-sum.zip", whole.replace(b"oneone", b"oneONE", 1), "a/one in the archive"),
    ]


# Saved recommenders and vocabularies


def recommenders(about: dict[str, object], content: dict[str, np.ndarray]) -> list[Hostile]:
    """Files for the folder of a saved recommender that holds these."""

    def told(note: str, said: str, **changes: object) -> Hostile:
        changed = json.dumps({**about, **changes}).encode()
        return Hostile(f"{note}/recommender.json", changed, said)

    def kept(note: str, said: str, **changes: np.ndarray) -> Hostile:
        changed = {**content, **{name.replace("__", "/"): each for name, each in changes.items()}}
        return Hostile(f"{note}/arrays.npz", zipped_arrays(**changed), said)

    def also(note: str, extra: bytes, said: str) -> Hostile:
        memory = io.BytesIO(zipped_arrays(**content))
        with zipfile.ZipFile(memory, "a") as archive:
            archive.writestr("learnt/extra.npy", extra)
        return Hostile(f"{note}/arrays.npz", memory.getvalue(), said)

    damaged, not_ours = "is damaged, or was saved by", "recommender.json is damaged, or not ours"
    item, users = content["train/log/item"], content["train/users"]
    whole = zipped_arrays(**content)
    return [
        told("commands", "unknown class", **{"class": "mmtutorial.__main__.Evil"}),
        told("system", "unknown class", **{"class": "os.system"}),
        told("dots", "unknown class", **{"class": "mmtutorial..."}),
        told("no-class", "unknown class", **{"class": ""}),
        told("numbers-for-files", not_ours, files=[3]),
        told("lists-for-files", not_ours, files=[[]]),
        told("long-file", "is damaged: 'xxx.* is missing", files=["x" * 5000]),
        told("null-file", r"is damaged: 'a\\x00' is missing", files=["a\0"]),
        told("options", damaged, options={"size": 3, "evil": 1}),
        Hostile("nested/recommender.json", b"[" * 100_000, not_ours),
        Hostile("endless/recommender.json", b'{"class": ' + b"9" * 5000 + b"}", not_ours),
        Hostile("pickled/recommender.json", pickle.dumps(Evil()), not_ours),
        Hostile("empty/recommender.json", b"", not_ours),
        Hostile("cut/arrays.npz", whole[: len(whole) // 2], damaged),
        Hostile("empty/arrays.npz", b"", damaged),
        Hostile("pickled/arrays.npz", pickle.dumps(Evil()), damaged),
        Hostile("single/arrays.npz", saved(item), damaged),
        Hostile("packed/arrays.npz", zipped_arrays(compressed=True, **content), "is compressed"),
        kept("objects", damaged, learnt__table=np.array([Evil()], dtype=object)),
        kept("item-beyond", "unknown item row 1", **{"train__log__item": item + 99}),
        kept("item-below", "unknown item row -", **{"train__log__item": item - 9}),
        kept("item-between", "items must be a one-dim", **{"train__log__item": item + 0.5}),
        kept("user-beyond", "unknown user row", train__users=users[:1]),
        also("huge", npy(shaped("(1000000000000, 4)")), damaged),
        also("brackets", npy("{[]: 1}"), damaged),
        also("object", npy(shaped("(1,)", "|O"), pickle.dumps([Evil()])), damaged),
    ]


def vocabularies() -> list[Hostile]:
    said = "holds no vocabulary: .*save it again"
    return [
        Hostile("nested.json", b"[" * 100_000, said),
        Hostile("endless.json", b"[" + b"9" * 5000 + b"]", said),
        Hostile("latin-1.json", b'["<padding>", "caf\xe9"]', said),
        Hostile("cut.json", b'["<padding>", "<unk', said),
        Hostile("numbers.json", b'["<padding>", 1]', said),
        Hostile("null.json", b"null", said),
        Hostile("pickled.json", pickle.dumps(Evil()), said),
    ]
