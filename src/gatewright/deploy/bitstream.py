"""Generated Verilog and a board in, a packed bitstream with its host program out."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from gatewright.chips import Part, check_fit, router
from gatewright.deploy.boards import Board
from gatewright.deploy.buffered import LEAVES as BUFFER_LEAVES
from gatewright.deploy.buffered import buffered
from gatewright.deploy.links.table import BEAT_BITS, LinkTop, link_top
from gatewright.deploy.pins.table import pin_file
from gatewright.errors import BudgetError
from gatewright.rtl.captured import LEAVES as CAPTURE_LEAVES
from gatewright.rtl.captured import Captured, captured_top
from gatewright.rtl.leaves import Leaves
from gatewright.rtl.manifest import RtlManifest
from gatewright.rtl.names import unused
from gatewright.rtl.reshell import reshelled
from gatewright.rtl.shell import StreamPort
from gatewright.synth import PlaceReport, tool_for
from gatewright.tools import write_atomic, write_json
from gatewright.version import __version__

SEEDS = 3
"""Placements tried before a missed clock is an error: one seed's clock differs from the next one's by some per cent."""


def build_bitstream(
    *,
    manifest: RtlManifest,
    rtl: Path,
    board: Board,
    part: Part,
    clock_mhz: float,
    seed: int,
    out: Path,
    captured: Captured | None = None,
    seeds: int = SEEDS,
) -> Path:
    """Wrap the core in a byte-wide stream and the board's link, synthesize, place, route and pack it.

    rtl: the folder that the manifest describes. out: gets the shell, the top and the link's cells in Verilog, the pin
    constraints, logs, the bitstream, uart_host.py (the host's program) and board.json (what the host must know,
    utilisation, Fmax).
    captured: the unit in front of the core, which then takes the host's samples; None: there is none.
    seeds: placements before a missed clock is an error.
    Returns the bitstream's path. Raises BudgetError where the design does not fit or misses the clock.
    """
    linked = linked_design(manifest, board=board, clock_mhz=clock_mhz, captured=captured)
    top, source, result = linked.top, linked.source, linked.result
    pins, tool = pin_file(board), tool_for(part.family)
    for name, text in linked.files.items():
        write_atomic(out / name, text)
    write_atomic(out / pins.name, pins.text)
    report = tool.synthesize(
        sources=linked.sources(manifest, rtl, out),
        top=top.module,
        family=part.family,
        out=out,
        dsp=manifest.claims.dsp,
        pads=True,
    )
    check_fit(part, lut=report.sites, ff=report.ff, dsp=report.dsp, bram=report.bram)
    placed = _place(
        out, pins=out / pins.name, board=board, part=part, clock_mhz=top.clock_mhz, seeds=range(seed, seed + seeds)
    )
    bitstream = tool.pack(placed.textcfg, out / f"{manifest.top}{router(part.family).packer.suffix}", part=part)
    shutil.copyfile(top.host, out / top.host.name)
    write_json(
        out / "board.json",
        {
            "board": board.name,
            "title": board.title,
            "part": part.name,
            "clock_mhz": top.clock_mhz,
            "fmax_mhz": placed.slowest_mhz,
            "seed": placed.seed,
            "input": f"{source.elements} x {source.width_bits} bit",
            "input_signed": source.signed,
            "output": f"{result.elements} x {result.width_bits} bit",
            "output_signed": result.signed,
            "input_bytes": source.beats,
            "output_bytes": result.beats,
            **top.facts,
            **({"stream": True} if captured is not None else {}),
            "loader": board.loader,
            "used": dict(placed.used),
            "available": dict(placed.available),
            "tool": placed.tool,
        },
    )
    return bitstream


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """A design behind a board's link. source, result: of whole vectors; files: name -> new Verilog, the top last."""

    top: LinkTop
    source: StreamPort
    result: StreamPort
    files: dict[str, str]

    def sources(self, manifest: RtlManifest, rtl: Path, out: Path) -> list[Path]:
        """Return the core's files in `rtl`, and these, written to `out`."""
        inner = [path for path in manifest.sources(rtl) if path.stem != manifest.top]
        return [*inner, *(out / name for name in self.files)]


def linked_design(manifest: RtlManifest, *, board: Board, clock_mhz: float, captured: Captured | None = None) -> Linked:
    """Return the board's top around a design's core: a shell of bytes, with room for a vector on streams, and the link.

    A vector's bytes are the same in one piece and in many, for every code fills whole bytes. captured: as for
    build_bitstream; a sample is what else is a vector, and the unit's ring is the room.
    """
    taken = manifest.source if captured is None else captured.source
    source, result = (replace(port, beat_bits=BEAT_BITS) for port in (taken, manifest.result))
    leaves, stems = Leaves(prefix=manifest.prefix), [Path(file).stem for file in manifest.files]
    link = unused(f"{manifest.top}_link", stems)
    inner = unused(f"{link}_stream", [*stems, link]) if manifest.core_frames or captured else link
    code_bits = 0 if captured is None else manifest.source.lane_bits
    shell = reshelled(manifest, name=inner, beat_bits=BEAT_BITS, source_bits=code_bits)
    texts, cells = {inner: shell.verilog}, shell.leaves
    if captured is not None:
        texts[link] = captured_top(link, captured.unit, inner=inner, result=result, beat_bits=BEAT_BITS, link=True)
        cells = (*cells, *(cell for cell in CAPTURE_LEAVES if cell not in cells))
    elif manifest.core_frames:
        texts[link], cells = buffered(link, shell=inner, vector_bytes=source.beats), (*cells, *BUFFER_LEAVES)
    top = link_top(
        board=board,
        shell=link,
        source=source,
        result=result,
        clock_mhz=clock_mhz,
        module=unused(f"{manifest.top}_{board.name}", [*stems, *texts]),
        header=f"generated by gatewright {__version__} from program {manifest.program_hash[:16]}",
    )
    new = {name: text for name, text in leaves.files(*cells).items() if name not in manifest.files}
    files = new | leaves.files(*top.leaves)
    files |= {f"{name}.v": leaves.renamed(text) for name, text in (texts | {top.module: top.verilog}).items()}
    return Linked(top=top, source=source, result=result, files=files)


def _place(out: Path, *, pins: Path, board: Board, part: Part, clock_mhz: float, seeds: range) -> PlaceReport:
    """Place and route with one seed after the other until the clock is met, or is not known for nothing was timed.

    Raises BudgetError naming the best clock.
    """
    reached: list[float] = []
    for number in seeds:
        placed = tool_for(part.family).place(
            netlist=out / "netlist.json",
            part=part,
            pins=pins,
            freq_mhz=clock_mhz,
            seed=number,
            out=out,
        )
        if placed.slowest_mhz is None or placed.meets_timing:
            return placed
        reached.append(placed.slowest_mhz)
    raise BudgetError(
        f"the design on {board.name} reaches {max(reached):.1f} MHz after place and route (best of {len(seeds)} "
        f"seeds), its clock is {clock_mhz:g} MHz: lower hardware.clock_mhz below that, or set another synthesis.seed; "
        f"log in {out}"
    )
