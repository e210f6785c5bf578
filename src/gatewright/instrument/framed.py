"""A program's hash and the frames of its vectors and results in; what any design on streams says of itself out."""

from __future__ import annotations

from dataclasses import dataclass

from gatewright.instrument.registers import Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Framed:
    """The module `name` around the program of a hash. x, y: frames of a vector and of its result, in beats."""

    name: str
    program_hash: str
    x: Frame
    y: Frame

    @property
    def data_bits(self) -> int:
        """Bits of a beat."""
        return self.x.beat_bits

    def vector_bytes(self, frame: Frame) -> int:
        """Return the bytes that a vector of this frame takes."""
        return frame.words * self.data_bits // 8

    def identity(self, magic: int, who: str, x_bytes: str, y_bytes: str) -> tuple[tuple[str, int, str], ...]:
        """Return name, value and meaning of the words by which a host knows a design. who: the letters of `magic`."""
        return (
            ("ID", magic, f'Who answers: 0x{magic >> 16:04X}, "{who}", and the version of this map.'),
            ("HASH_HIGH", int(self.program_hash[:8], 16), "First 32 bits of the hash of the program inside."),
            ("HASH_LOW", int(self.program_hash[8:16], 16), "The next 32 bits of it."),
            ("X_BYTES", self.vector_bytes(self.x), x_bytes),
            ("Y_BYTES", self.vector_bytes(self.y), y_bytes),
        )
