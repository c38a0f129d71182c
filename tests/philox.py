"""The program's random draws, written down a second time from base/philox.h."""

import numpy


def philox(counter, key):
    """[N, 4] counters and a key of two words to [N, 4] random words: Philox4x32-10."""
    counter = counter.astype(numpy.uint64)
    low = numpy.uint64(0xFFFFFFFF)
    for _ in range(10):
        first = counter[:, 0] * numpy.uint64(0xD2511F53)
        second = counter[:, 2] * numpy.uint64(0xCD9E8D57)
        counter = numpy.stack([
            (second >> numpy.uint64(32)) ^ counter[:, 1] ^ numpy.uint64(key[0]),
            second & low,
            (first >> numpy.uint64(32)) ^ counter[:, 3] ^ numpy.uint64(key[1]),
            first & low,
        ], axis=1)
        key = ((key[0] + 0x9E3779B9) % 2**32, (key[1] + 0xBB67AE85) % 2**32)
    return counter.astype(numpy.uint32)


def stream_of(*numbers):
    state = 0
    for number in numbers:
        z = (state + 0x9E3779B97F4A7C15 + number) % 2**64
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        state = z ^ (z >> 31)
    return state


def normals(seed, count, *purpose):
    """Box-Muller on pairs of 53-bit uniforms, four words to a pair."""
    stream = stream_of(*purpose)
    counter = numpy.zeros((count // 2, 4), dtype=numpy.uint64)
    counter[:, 0] = numpy.arange(count // 2)
    counter[:, 2], counter[:, 3] = stream % 2**32, stream >> 32
    words = philox(counter, (seed % 2**32, seed >> 32)).astype(numpy.uint64)
    high, low = words[:, 0::2] >> numpy.uint64(5), words[:, 1::2] >> numpy.uint64(6)
    uniform = ((high << numpy.uint64(26)) | low).astype(numpy.float64) * 2.0**-53
    radius, angle = numpy.sqrt(-2 * numpy.log(1 - uniform[:, 0])), 2 * numpy.pi * uniform[:, 1]
    pairs = numpy.stack([radius * numpy.cos(angle), radius * numpy.sin(angle)], axis=1)
    return pairs.reshape(-1).astype(numpy.float32)
