"""Input for fuzz tests: seeds from `corpus`, and their mutations."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

CORPUS = Path(__file__).parent / "corpus"


def seeds(name: str) -> list[bytes]:
    """The seeds of a kind; a file has one Python bytes literal per line."""
    lines = (CORPUS / f"{name}.txt").read_text("ascii").splitlines()
    found = [
        eval(line, {"__builtins__": {}}) for line in lines
    ]  # ours, and bytes may be added and multiplied
    assert found
    assert all(isinstance(seed, bytes) for seed in found)
    return found


@st.composite
def mutated(draw: st.DrawFn, name: str) -> bytes:
    """A seed with up to eight parts changed, duplicated, removed, or replaced by parts of another seed."""
    kept = seeds(name)
    data = draw(st.sampled_from(kept))
    for _ in range(draw(st.integers(0, 8))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 40)))
        other = draw(st.sampled_from(kept))
        part = draw(
            st.binary(max_size=8)
            | st.just(data[start:end] * 3)
            | st.just(b"")
            | st.integers(0, len(other)).map(lambda at, other=other: other[at : at + 40])  # type: ignore[misc]
        )
        data = data[:start] + part + data[end:]
    return data
