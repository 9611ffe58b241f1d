"""The texts of an ONNX file, read without any library: of the protocol buffer ``ModelProto`` its ``metadata_props``.

https://github.com/onnx/onnx/blob/main/onnx/onnx.proto: ``ModelProto.metadata_props`` is field 14, a repeated
``StringStringEntryProto`` of ``key`` (1) and ``value`` (2); https://protobuf.dev/programming-guides/encoding is the
encoding: a key (field number and wire type), then a number or a length and so many bytes.
"""

from __future__ import annotations

from collections.abc import Iterator

TEXTS, KEY, VALUE = 14, 1, 2
"""Numbers of fields."""
NUMBER, EIGHT, BYTES, FOUR = 0, 1, 2, 5
"""Wire types."""
LONGEST = 10
"""Bytes of a number, at most."""


def texts_in(content: bytes) -> dict[str, str]:
    """Return an ONNX file's texts.

    Raises:
        ValueError: it is no protocol buffer, or was cut off.
    """
    pairs = (dict(_fields(memoryview(held))) for field, held in _fields(memoryview(content)) if field == TEXTS)
    return {bytes(pair.get(KEY, b"")).decode(): bytes(pair.get(VALUE, b"")).decode() for pair in pairs}


def _fields(content: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield number and bytes of the fields that have bytes, at this level; the others are gone over."""
    place = 0
    while place < len(content):
        key, place = _number(content, place)
        kind = key & 7
        if kind == NUMBER:
            _, place = _number(content, place)
            continue
        size = {EIGHT: 8, FOUR: 4}.get(kind, 0)
        if kind == BYTES:
            size, place = _number(content, place)
        elif not size:
            raise ValueError(f"a field of wire type {kind}")
        if place + size > len(content):
            raise ValueError("a field goes on behind the end")
        if kind == BYTES:
            yield key >> 3, content[place : place + size]
        place += size


def _number(content: memoryview, place: int) -> tuple[int, int]:
    """Return a number of seven bits a byte, the least first, and the place behind it."""
    value = 0
    for count, byte in enumerate(content[place : place + LONGEST]):
        value |= (byte & 127) << (7 * count)
        if byte < 128:
            return value, place + count + 1
    raise ValueError("a number without an end")
