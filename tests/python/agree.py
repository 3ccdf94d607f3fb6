"""Compares answers of two servers, allowing for rounding and for ties."""

import math

TOLERANCE = 2e-4


def close(left, right):
    return math.isclose(left, right, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def runs(hits):
    """Ids in the order of the scores, those of (nearly) equal score together."""
    grouped, previous = [], None
    for hit in hits:
        if previous is not None and close(previous, hit.score):
            grouped[-1].add(str(hit.id))
        else:
            grouped.append({str(hit.id)})
        previous = hit.score
    return grouped


def assert_same_hits(found, expected, cut=True):
    """The same points in the same order. With `cut`, a limit may have split the last tie."""
    assert len(found) == len(expected), (ids(found), ids(expected))
    for left, right in zip(found, expected):
        assert close(left.score, right.score), (scores(found), scores(expected))
    left, right = runs(found), runs(expected)
    if cut:
        left, right = left[:-1], right[:-1]
    assert left == right
    if not cut:
        by_id = {str(hit.id): hit for hit in expected}
        for hit in found:
            assert hit.payload == by_id[str(hit.id)].payload
            assert same_vectors(hit.vector, by_id[str(hit.id)].vector), (hit, by_id[str(hit.id)])


def assert_same_records(found, expected):
    """The same points with the same payload and vectors, in the same order."""
    assert ids(found) == ids(expected)
    for left, right in zip(found, expected):
        assert left.payload == right.payload
        assert same_vectors(left.vector, right.vector), (left, right)


def ids(points):
    return [point.id for point in points]


def scores(hits):
    return [(hit.id, round(hit.score, 6)) for hit in hits]


def same_vectors(left, right):
    """Equal but for rounding: dense, sparse, multi or a dictionary of them."""
    if not left or not right:
        return not left and not right
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same_vectors(left[k], right[k]) for k in left)
    if hasattr(left, "indices"):
        pairs = [sorted(zip(v.indices, v.values)) for v in (left, right)]
        return [i for i, _ in pairs[0]] == [i for i, _ in pairs[1]] and all(
            close(a, b) for (_, a), (_, b) in zip(*pairs)
        )
    if isinstance(left[0], list):
        return len(left) == len(right) and all(same_vectors(a, b) for a, b in zip(left, right))
    return len(left) == len(right) and all(close(a, b) for a, b in zip(left, right))
