"""Metrics of an explanation, one a file; the file's name is the metric's name.

Each file defines `measure(explanation, recording) -> float`; the first line of its docstring says what the number means
and its unit. Results are in `Explanation.metrics`, in the JSON record, in the Parquet tables (a column `metric_NAME`)
and in the report.
"""
