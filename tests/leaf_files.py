"""Where the hand-written cells lie: tests of the cells themselves read them in place."""

from pathlib import Path

from gatewright.deploy.links.uart import LEAVES

LEAF = Path(__file__).parents[1] / "src" / "gatewright" / "rtl" / "leaf"
UART_SOURCES = tuple(LEAF / f"{name}.v" for name in LEAVES)
