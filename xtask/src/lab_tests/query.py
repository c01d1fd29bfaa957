"""Runs queries over the tables of a lab, and prints what they answer as JSON.

usage: query.py duckdb|spark REGISTRATION QUERY...    in the directory that has `lab`
"""

import decimal
import json
import pathlib
import sys
import time


def statements(text):
    """The statements of a file in which each ends with a line."""
    lines = [line for line in text.splitlines() if line and not line.startswith("--")]
    return [one.strip() for one in "\n".join(lines).split(";\n") if one.strip()]


class DuckDb:
    """DuckDB, in this process."""

    def __init__(self):
        import duckdb

        self.version = duckdb.__version__
        self.connection = duckdb.connect()

    def run(self, statement):
        """Runs a statement, and gives back its columns and rows."""
        found = self.connection.execute(statement)
        columns = [column[0] for column in found.description or []]
        return columns, found.fetchall()


class Spark:
    """Spark, with all of its parts on this machine."""

    def __init__(self):
        import pyspark
        from pyspark.sql import SparkSession

        self.version = pyspark.__version__
        self.session = (
            SparkSession.builder.master("local[2]")
            .config("spark.ui.enabled", "false")
            .config("spark.ui.showConsoleProgress", "false")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.sql.shuffle.partitions", "4")
            .getOrCreate()
        )
        self.session.sparkContext.setLogLevel("ERROR")

    def run(self, statement):
        """Runs a statement, and gives back its columns and rows."""
        found = self.session.sql(statement)
        return found.columns, [tuple(row) for row in found.collect()]


def plain(value):
    """A value that JSON has."""
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)


def main():
    kind, registration, *queries = sys.argv[1:]
    began = time.monotonic()
    engine = {"duckdb": DuckDb, "spark": Spark}[kind]()
    for statement in statements(pathlib.Path(registration).read_text() + "\n"):
        engine.run(statement.removesuffix(";"))
    answers = {"engine": kind, "version": engine.version, "start": time.monotonic() - began}
    answers["queries"] = {}
    for path in map(pathlib.Path, queries):
        began = time.monotonic()
        columns, rows = engine.run(path.read_text())
        answers["queries"][path.stem] = {
            "columns": columns,
            "rows": [[plain(value) for value in row] for row in rows],
            "seconds": time.monotonic() - began,
        }
    print("ANSWERS " + json.dumps(answers))


main()
