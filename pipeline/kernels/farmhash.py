"""FarmHash's Fingerprint64 of texts, which `tf.strings.to_hash_bucket_fast` uses: equal on all machines and versions.

After `farmhashna::Hash64` of https://github.com/google/farmhash (MIT licence), whose names are kept. Numbers are
unsigned, with 64 bits; sums and products wrap around.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiled import compiled, helper, inlined, read_only, writable

_K0, _K1, _K2 = np.uint64(0xC3A5C85C97CB3127), np.uint64(0xB492B66FBE98F273), np.uint64(0x9AE16A3B2F90404F)


@inlined
def _fetch64(data: Any, at: Any) -> Any:
    value = np.uint64(data[at])
    for i in range(1, 8):
        value |= np.uint64(data[at + i]) << np.uint64(8 * i)
    return value


@inlined
def _fetch32(data: Any, at: Any) -> Any:
    value = np.uint64(data[at])
    for i in range(1, 4):
        value |= np.uint64(data[at + i]) << np.uint64(8 * i)
    return value


@helper
def _rotate(value: Any, shift: Any) -> Any:
    return value >> np.uint64(shift) | value << np.uint64(64 - shift)


@helper
def _shift_mix(value: Any) -> Any:
    return value ^ value >> np.uint64(47)


@helper
def _hash_len_16(u: Any, v: Any, mul: Any) -> Any:
    a = _shift_mix((u ^ v) * mul)
    return _shift_mix((v ^ a) * mul) * mul


@inlined
def _hash_len_0_to_16(data: Any, at: Any, size: Any) -> Any:
    length = np.uint64(size)
    mul = _K2 + length + length
    if size >= 8:
        a = _fetch64(data, at) + _K2
        b = _fetch64(data, at + size - 8)
        return _hash_len_16(_rotate(b, 37) * mul + a, (_rotate(a, 25) + b) * mul, mul)
    if size >= 4:
        return _hash_len_16(length + (_fetch32(data, at) << np.uint64(3)), _fetch32(data, at + size - 4), mul)
    if size > 0:
        y = np.uint64(data[at]) + (np.uint64(data[at + (size >> 1)]) << np.uint64(8))
        z = length + (np.uint64(data[at + size - 1]) << np.uint64(2))
        return _shift_mix(y * _K2 ^ z * _K0) * _K2
    return _K2


@inlined
def _hash_len_17_to_32(data: Any, at: Any, size: Any) -> Any:
    mul = _K2 + np.uint64(2 * size)
    a = _fetch64(data, at) * _K1
    b = _fetch64(data, at + 8)
    c = _fetch64(data, at + size - 8) * mul
    d = _fetch64(data, at + size - 16) * _K2
    return _hash_len_16(_rotate(a + b, 43) + _rotate(c, 30) + d, a + _rotate(b + _K2, 18) + c, mul)


@inlined
def _hash_len_33_to_64(data: Any, at: Any, size: Any) -> Any:
    mul = _K2 + np.uint64(2 * size)
    a = _fetch64(data, at) * _K2
    b = _fetch64(data, at + 8)
    c = _fetch64(data, at + size - 8) * mul
    d = _fetch64(data, at + size - 16) * _K2
    y = _rotate(a + b, 43) + _rotate(c, 30) + d
    z = _hash_len_16(y, a + _rotate(b + _K2, 18) + c, mul)
    e = _fetch64(data, at + 16) * mul
    f = _fetch64(data, at + 24)
    g = (y + _fetch64(data, at + size - 32)) * mul
    h = (z + _fetch64(data, at + size - 24)) * mul
    return _hash_len_16(_rotate(e + f, 43) + _rotate(g, 30) + h, e + _rotate(f + a, 18) + g, mul)


@inlined
def _weak_hash_len_32(data: Any, at: Any, a: Any, b: Any) -> Any:
    a = a + _fetch64(data, at)
    z = _fetch64(data, at + 24)
    b = _rotate(b + a + z, 21)
    c = a
    a = a + _fetch64(data, at + 8) + _fetch64(data, at + 16)
    return a + z, b + _rotate(a, 44) + c


@inlined
def _hash_len_over_64(data: Any, at: Any, size: Any) -> Any:
    """Mixes blocks of 64 bytes, the last of which overlaps the one before it."""
    seed = np.uint64(81)
    y = seed * _K1 + np.uint64(113)
    z = _shift_mix(y * _K2 + np.uint64(113)) * _K2
    v0, v1, w0, w1 = np.uint64(0), np.uint64(0), np.uint64(0), np.uint64(0)
    x = seed * _K2 + _fetch64(data, at)
    mul, nine = _K1, np.uint64(1)
    blocks = (size - 1) // 64
    for block in range(blocks + 1):
        start = at + 64 * block
        if block == blocks:
            start = at + size - 64
            mul, nine = _K1 + ((z & np.uint64(0xFF)) << np.uint64(1)), np.uint64(9)
            w0 += np.uint64((size - 1) & 63)
            v0 += w0
            w0 += v0
        x = _rotate(x + y + v0 + _fetch64(data, start + 8), 37) * mul
        y = _rotate(y + v1 + _fetch64(data, start + 48), 42) * mul
        x ^= w1 * nine
        y += v0 * nine + _fetch64(data, start + 40)
        z = _rotate(z + w0, 33) * mul
        v0, v1 = _weak_hash_len_32(data, start, v1 * mul, x + w0)
        w0, w1 = _weak_hash_len_32(data, start + 32, z + w1, y + _fetch64(data, start + 16))
        x, z = z, x
    first = _hash_len_16(v0, w0, mul) + _shift_mix(y) * _K0 + z
    return _hash_len_16(first, _hash_len_16(v1, w1, mul) + x, mul)


@compiled(read_only(np.int64), read_only(np.uint8), writable(np.uint64))
def fingerprint64(splits: Any, data: Any, out: Any) -> None:
    """Sets `out` to the fingerprint of each text, uint64 `[texts]`; text i is `data[splits[i]:splits[i + 1]]`."""
    for i in range(len(out)):
        at, size = splits[i], splits[i + 1] - splits[i]
        if size <= 16:
            out[i] = _hash_len_0_to_16(data, at, size)
        elif size <= 32:
            out[i] = _hash_len_17_to_32(data, at, size)
        elif size <= 64:
            out[i] = _hash_len_33_to_64(data, at, size)
        else:
            out[i] = _hash_len_over_64(data, at, size)
