"""Results of a run in, one self-contained HTML page out; and the schema of results.json."""

from gatewright.report.page import write_report
from gatewright.report.schema import results_schema, validate_results
from gatewright.report.stage import FileRow, StageRow, run_files

__all__ = ["FileRow", "StageRow", "results_schema", "run_files", "validate_results", "write_report"]
