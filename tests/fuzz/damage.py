"""How a valid file is damaged: blindly, at its numbers and words, and where its own checksums would hide it."""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

HUGE = (0, 1, 0x7F, 0xFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF, 2**40, 2**63 - 1, 2**64 - 1)
"""Values of a field that says how many or how long."""
WORDS = (
    b"", b"0", b"-1", b"1e999", b"-1e999", b"NaN", b"nan", b"Infinity", b"1e308", b"1e-320", b"99999999999999999999",
    b"18446744073709551616", b"9" * 5000, b"0x" + b"f" * 6000, b"null", b"true", b"[]", b"{}", b'""', b'"x"', b"[1, 2]",
    b"'x'", b"../../outside/secret.png", b"/etc/passwd", b"C:\\x.png", b"http://example.org/a.png", b"\\\\host\\a.png",
    b"file:///etc/passwd", b"a" * 70_000, b"\xff\xfe", b"\x00", b"\xf0\x9f\x98\x80", b"\xed\xa0\x80", b"\\ud800",
    b"[" * 3000, b"[" * 100_000, b"[[[[]]]]", b'{"a":' * 20_000, b"a." * 50_000 + b"a", b",", b";", b"\n", b"=", b"#",
    b"1_000", b"1,5", b"=1+1", b"\x1b[31m", b"%s%n", b"(a+)+$",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 3, 2**31, 2**63, 2**64, 10**400, 1e308, -1e308, float("nan"), float("inf"), "", "x",
    "1", "../../outside/secret.png", "/etc/passwd", "a" * 5000, "\ud800", "\x1b[31m", [], [[]], {}, [None], ["x"] * 3,
    [1, 2, 3], {"x": 1}, [{}], list(range(2000)), "nan",
)  # fmt: skip
DEEP = 3000


def bits(data: bytes, random: Random, other: bytes) -> bytes:
    """Flip up to 8 bits."""
    found = bytearray(data)
    for _ in range(random.randint(1, 8)):
        found[random.randrange(len(found))] ^= 1 << random.randrange(8)
    return bytes(found)


def cut(data: bytes, random: Random, other: bytes) -> bytes:
    """Cut off the end."""
    return data[: random.randrange(len(data))]


def lengths(data: bytes, random: Random, other: bytes) -> bytes:
    """Put large numbers where lengths and counts may be, most of them at the front."""
    found = bytearray(data)
    for _ in range(random.randint(1, 3)):
        width, order = random.choice((1, 2, 4, 8)), random.choice("<>")
        place = random.randrange(min(len(found), 512) if random.random() < 0.6 else len(found))
        value = random.choice(HUGE) % 256**width
        found[place : place + width] = struct.pack(order + {1: "B", 2: "H", 4: "I", 8: "Q"}[width], value)
    return bytes(found[: len(data)])


def splice(data: bytes, random: Random, other: bytes) -> bytes:
    """Take the front of one file and the back of another, or repeat a piece, or leave one out."""
    one, two = sorted(random.randrange(len(data) + 1) for _ in range(2))
    kind = random.randrange(4)
    if kind == 0:
        return data[:one] + other[random.randrange(len(other) + 1) :]
    if kind == 1:
        return data[:two] + data[one:two] * random.choice((1, 2, 50)) + data[two:]
    return data[:one] + data[two:] if kind == 2 else data[:one] + random.randbytes(random.randint(1, 64)) + data[one:]


def words(data: bytes, random: Random, other: bytes) -> bytes:
    """Put something odd in the place of a word or number."""
    tokens = list(_TOKEN.finditer(data)) if len(data) < 2**20 else []
    for match in sorted(random.sample(tokens, min(len(tokens), random.randint(1, 3))), key=lambda m: -m.start()):
        data = data[: match.start()] + random.choice(WORDS) + data[match.end() :]
    return data


def nodes(data: bytes, random: Random, other: bytes) -> bytes:
    """Give a value of a JSON document another type, or nest it deeply."""
    with suppress(ValueError, RecursionError):
        document = json.loads(data)
        places = list(_places(document))
        if not places:
            return json.dumps(random.choice(VALUES)).encode()
        for _ in range(random.randint(1, 2)):
            holder, key = random.choice(places)
            kind = random.randrange(12)
            if kind == 0 and isinstance(holder, dict):
                holder.pop(key, None)
            elif kind == 1 and isinstance(holder, dict):
                holder[random.choice(("x", "", "name", "id", "../x"))] = random.choice(VALUES)
            elif kind == 2:
                holder[key] = "DEEP"
            else:
                holder[key] = random.choice(VALUES)
        text = json.dumps(document, ensure_ascii=True).encode()
        return text.replace(b'"DEEP"', b"[" * DEEP + b"]" * DEEP)
    return words(data, random, other)


def inner(data: bytes, random: Random, other: bytes) -> bytes:
    """Damage what a checksum or a compression hides, and make these right again."""
    for kind in (_png, _zip, _mat, _safetensors):
        with suppress(Exception):  # not of this kind
            return kind(data, random)
    return bits(data, random, other)


def _once(data: bytes, random: Random) -> bytes:
    return random.choice((bits, lengths, cut, lengths))(data, random, data) if data else data


def _png(data: bytes, random: Random) -> bytes:
    assert data.startswith(b"\x89PNG")
    chunks, place = [], 8
    while place < len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + size]))
        place += size + 12
    number = random.randrange(len(chunks))
    kind, body = chunks[number]
    if kind == b"IDAT" and random.random() < 0.5:
        body = zlib.compress(_once(zlib.decompress(body), random))
    else:
        body = _once(body or b"\0", random)
    chunks[number] = (kind, body)
    if random.random() < 0.3:
        chunks.insert(number, chunks[random.randrange(len(chunks))])
    return data[:8] + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def _zip(data: bytes, random: Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info: archive.read(info) for info in archive.infolist()}
    chosen = random.choice(list(members))
    made = io.BytesIO()
    packed = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
    with zipfile.ZipFile(made, "w", packed) as archive:
        for info, content in members.items():
            name = info.filename if random.random() < 0.95 else f"../../outside/{info.filename}"
            archive.writestr(name, _once(content, random) if info is chosen else content)
    return made.getvalue()


def _mat(data: bytes, random: Random) -> bytes:
    assert data[126:128] == b"IM"
    order, place, made = "<", 128, data[:128]
    while place < len(data):
        kind, size = struct.unpack(f"{order}II", data[place : place + 8])
        body = data[place + 8 : place + 8 + size]
        if kind == 15:
            body = zlib.compress(_once(zlib.decompress(body), random))
        made += struct.pack(f"{order}II", kind, len(body)) + body
        place += 8 + size
    return made


def _safetensors(data: bytes, random: Random) -> bytes:
    size = int.from_bytes(data[:8], "little")
    assert 2 <= size <= len(data) - 8
    head = nodes(data[8 : 8 + size].strip(), random, data)
    if b'\\"' in head and random.random() < 0.5:  # a document within it
        held = json.loads(head)
        for name, text in held.get("__metadata__", {}).items():
            held["__metadata__"][name] = nodes(text.encode(), random, data).decode()
        head = json.dumps(held).encode()
    return len(head).to_bytes(8, "little") + head + data[8 + size :]


def _places(value: Any) -> Any:
    """Yield (holder, key) of every value of a document, without recursion."""
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        if isinstance(holder, dict | list):
            for key, held in holder.items() if isinstance(holder, dict) else enumerate(holder):
                yield holder, key
                waiting.append(held)


_TOKEN = re.compile(rb"[A-Za-z0-9_.+-]+|\"[^\"\n]{0,80}\"|[\[\]{}(),:;=\n]")

WAYS: tuple[Callable[[bytes, Random, bytes], bytes], ...] = (bits, cut, lengths, splice, words, nodes, inner)


def damaged(name: str, data: bytes, random: Random, other: bytes) -> tuple[str, bytes]:
    """Return a way's name and the file damaged by it, of those that suit a file of this name."""
    text = name.rpartition(".")[2] in ("json", "jsonl", "toml", "csv", "txt", "yaml", "pts")
    ways = (words, nodes, cut, splice, bits) if text else (bits, cut, lengths, lengths, splice, inner, inner)
    way = random.choice(ways)
    return way.__name__, way(data or b"\0", random, other or b"\0")
