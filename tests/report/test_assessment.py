"""What was measured behind a processor, as the page says it."""

from __future__ import annotations

from gatewright.report.assessment import facts, one_vector_picture, sections

FOUND = {
    "vectors": 2,
    "mismatches": 0,
    "test_vectors": 2,
    "test_accuracy": 0.985,
    "clock_mhz": 100.0,
    "core_interval_cycles": 1,
    "core_latency_cycles": 11,
    "stream_latency_cycles": 12,
    "bus_latency_cycles": 1353,
    "write_cycles_per_word": 16.9,
    "read_cycles_per_word": 17.0,
    "words_cycles_per_vector": 160.0,
    "client_cycles_per_vector": 6522.0,
    "one_vector_cycles": [1353, 1360],
    "processor": "PicoRV32, RV32IM",
    "compiler": "gcc 12",
    "ram_bytes": 131072,
    "simulated_cycles": 3434113,
}


def test_cycles_and_rates():
    said = {name: value.replace("\u202f", " ") for name, value in facts(FOUND)}
    assert said["accuracy on the 2 test samples"] == "98.5 %"
    assert said["latency with bus and client, one vector"] == "1 353 cycles"
    assert said["a word written in bulk"] == "16.9 cycles"
    assert said["throughput, core"] == "1 cycle a vector, 100 000 000 vectors/s at 100 MHz"
    assert said["throughput, packed words"] == "160 cycles a vector, 625 000 vectors/s at 100 MHz"
    assert said["energy per inference"].startswith("not estimated")


def test_the_page_has_no_section_of_a_run_that_was_not_assessed():
    assert sections({}) == {"assessment": None}
    shown = sections({"assessment": FOUND})["assessment"]
    assert shown["pictures"] == [one_vector_picture(FOUND)]
    assert "2 vectors, each alone, take 1353 to 1360 cycles" in shown["pictures"][0].alt
