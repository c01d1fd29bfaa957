//! The columns of each table.

use super::{CellKind, Column, Schema};

const fn text(name: &'static str, meaning: &'static str) -> Column {
    column(name, CellKind::Text, meaning)
}

const fn number(name: &'static str, meaning: &'static str) -> Column {
    column(name, CellKind::Number, meaning)
}

const fn flag(name: &'static str, meaning: &'static str) -> Column {
    column(name, CellKind::Flag, meaning)
}

const fn column(name: &'static str, kind: CellKind, meaning: &'static str) -> Column {
    Column {
        name,
        kind,
        nullable: false,
        meaning,
    }
}

impl Column {
    const fn or_null(self) -> Self {
        Self {
            nullable: true,
            ..self
        }
    }
}

const RECORDING: Column = text(
    "recording",
    "the recording: the first 32 digits of its file's SHA-256",
);
const DEVICE: Column = text("device", "the device's name").or_null();
const DEVICE_ADDRESS: Column = text("device_address", "the address of its `struct device`");
const GENERATION: Column = number("generation", "which life at this address it is");
const BUS: Column = text("bus", "its bus, or its class").or_null();
const DRIVER: Column = text("driver", "its driver, or the last one that it had").or_null();

pub(in crate::sink::lab) const RECORDINGS: Schema = Schema {
    name: "recordings",
    row: "one recording",
    columns: &[
        RECORDING,
        text("name", "the name of its file, without directories"),
        number("schema_version", "the version of these tables"),
        text("tool", "the version of the tool that recorded it"),
        text(
            "kernel_release",
            "the kernel's release; the partition `kernel` has `unknown` for NULL",
        )
        .or_null(),
        text(
            "machine_name",
            "what `--machine` says, else the board; the partition `machine` has `unknown` for NULL",
        )
        .or_null(),
        text("architecture", "the machine's architecture").or_null(),
        text("board", "vendor and product, or the device tree's model").or_null(),
        text(
            "kernel_build",
            "the kernel's build, as `uname -v` prints it",
        )
        .or_null(),
        number("taint", "the kernel's taint bits").or_null(),
        column(
            "recorded_at",
            CellKind::Date,
            "when the recording began, in UTC; else what `--recorded` says",
        )
        .or_null(),
        number("began_at", "the time of the first event").or_null(),
        number("ended_at", "the time of the last event").or_null(),
        flag(
            "has_times",
            "whether times are nanoseconds since boot; else they count events",
        ),
        text(
            "filters",
            "the options that chose devices, when it was recorded or exported",
        )
        .or_null(),
        flag("redacted", "whether tokens stand for addresses and serials"),
        text(
            "verdict",
            "`clean`, `findings` or `inconclusive`, with `error` as the lowest severity that counts",
        ),
        number("errors", "different findings of severity `error`"),
        number("warnings", "those of severity `warn`"),
        number("infos", "those of severity `info`"),
        number("events", "events that were read"),
        number("devices", "lives of devices that were seen"),
        number("lost", "events that were lost"),
        number(
            "tainted_devices",
            "lives of devices of which something is missing",
        ),
        number("misfits", "events that do not fit those before them"),
        number(
            "desyncs",
            "disagreements of the tool's model with the kernel",
        ),
        text(
            "problems",
            "why the input is not complete, one sentence a line",
        )
        .or_null(),
        text(
            "reasons",
            "why else the verdict is not clean, one sentence a line",
        )
        .or_null(),
        text("undecided", "rules that could not decide everything").or_null(),
    ],
};

pub(in crate::sink::lab) const BINDINGS: Schema = Schema {
    name: "bindings",
    row: "one binding of a driver to a device, from its probe to its end; or a device that was bound when the recording began",
    columns: &[
        RECORDING,
        DEVICE,
        DEVICE_ADDRESS,
        GENERATION,
        BUS,
        text("driver", "the driver").or_null(),
        number(
            "number",
            "which probe of the device it is, from one; zero for a binding from before the recording",
        ),
        number("began_at", "when the probe began").or_null(),
        number("bound_at", "when the probe succeeded").or_null(),
        text(
            "outcome",
            "`bound`, `failed`, `deferred`, `open` (still probing), or `before` (bound before the recording)",
        ),
        number("error", "the probe's error, negative").or_null(),
        number(
            "resources_bound",
            "resources held when the probe had succeeded, or before the recording",
        )
        .or_null(),
        number("bytes_bound", "their payload in bytes").or_null(),
        number("unbind_at", "when the unbind began").or_null(),
        number("remove_at", "when `device_remove` began").or_null(),
        number("cleanup_at", "when `device_unbind_cleanup` began").or_null(),
        number(
            "pm_detached_at",
            "when the PM domain was detached, in the unbind or the failed probe",
        )
        .or_null(),
        number(
            "ended_at",
            "when everything that the binding left had been released",
        )
        .or_null(),
        number(
            "released",
            "resources released or removed in the unbind, or in the probe that failed",
        ),
        number(
            "resources_left",
            "resources that there still were at its end",
        )
        .or_null(),
        flag(
            "exercised",
            "whether its end was observed: the rules could look at the order of releases",
        ),
        flag("complete", "whether nothing of the device is missing"),
    ],
};

pub(in crate::sink::lab) const RESOURCES: Schema = Schema {
    name: "resources",
    row: "the life of one resource",
    columns: &[
        RECORDING,
        DEVICE,
        DEVICE_ADDRESS,
        GENERATION,
        BUS,
        DRIVER,
        text("node", "the address of its `struct devres_node`"),
        number(
            "sequence",
            "what distinguishes it from others of the recording",
        ),
        text("name", "the name that the kernel logs").or_null(),
        text(
            "label",
            "what findings call it: the function where the kernel names all actions alike",
        ),
        text("action", "what runs on its release").or_null(),
        text("kind", "what it is: memory, clock, interrupt and so on"),
        flag("touches_hardware", "whether its release may touch hardware"),
        number("size", "payload in bytes").or_null(),
        number(
            "added_at",
            "when it was added; NULL if that was before the recording",
        )
        .or_null(),
        text("added_by", "the task that added it").or_null(),
        text("added_in", "what the device was doing then").or_null(),
        text(
            "added_for",
            "the device whose probe, unbind or release was running then",
        )
        .or_null(),
        number("binding", "the number of the binding in which it was added"),
        text("call_site", "the frame that asked for it").or_null(),
        text("stack", "the call stack of its addition, innermost first").or_null(),
        text(
            "ended",
            "`released`, `removed`, `missed` (removal not observed), `left` (the device is gone) or `held`",
        ),
        number("ended_at", "when that was; NULL if it is held").or_null(),
        text("ended_in", "the function of devres that it ended in").or_null(),
        text("ended_by", "the task").or_null(),
        text(
            "ended_for",
            "the other device whose probe, unbind or end did it",
        )
        .or_null(),
        number(
            "release_order",
            "its place among what was released in this unbind or probe, from one",
        )
        .or_null(),
        number(
            "release_took",
            "nanoseconds until the next release, or the return of the function that releases",
        )
        .or_null(),
        text("state_at_end", "what the device was doing at the end"),
        text("driver_at_end", "the driver it had then").or_null(),
    ],
};

pub(in crate::sink::lab) const FINDINGS: Schema = Schema {
    name: "findings",
    row: "one finding of a recording, however often it was found",
    columns: &[
        RECORDING,
        text("rule", "the rule's id"),
        text("severity", "`error`, `warn` or `info`"),
        text("certainty", "`confirmed` or `likely`"),
        text("device", "the device's name"),
        DEVICE_ADDRESS,
        GENERATION,
        BUS,
        DRIVER,
        text(
            "fingerprint",
            "the same for the same fault in every recording",
        ),
        number("count", "how often it was found"),
        text("summary", "one sentence"),
        text("meaning", "what it means"),
        number("first_at", "when it was first found"),
        number("last_at", "when it was last found"),
        number("resources", "resources that it is about"),
        text(
            "caused_by_device",
            "the device whose driver did it, where that is another one",
        )
        .or_null(),
        text("caused_by_driver", "that driver").or_null(),
        flag(
            "known_fixed",
            "whether an upstream change is known that fixed it",
        ),
        text("known", "which").or_null(),
    ],
};

pub(in crate::sink::lab) const EVENTS: Schema = Schema {
    name: "events",
    row: "one event or loss, in the order of the recording",
    columns: &[
        RECORDING,
        number("number", "its place, from one"),
        number("time", "when it happened"),
        number("cpu", "the CPU"),
        number("tid", "the thread"),
        number("tgid", "the process"),
        text("task", "the task's name"),
        text("device_address", "the address of the `struct device`").or_null(),
        DEVICE,
        text("driver", "its driver, while it has one").or_null(),
        BUS,
        text("event", "its kind, as in [json.md](json.md), or `loss`"),
        text("function", "the function that was entered or has returned").or_null(),
        text("node", "the address of the `struct devres_node`").or_null(),
        text(
            "name",
            "the node's name, or the module's, clock's or regulator's",
        )
        .or_null(),
        number("size", "payload in bytes").or_null(),
        text("action", "what runs on the node's release").or_null(),
        number("result", "the function's return value").or_null(),
        number("lost", "how many events were lost").or_null(),
        text("cause", "why they were lost").or_null(),
        number("stack", "the number of the call stack").or_null(),
        text("call_site", "the frame of it that shows who it was").or_null(),
        text(
            "frames",
            "the frames, innermost first, where a stack is defined",
        )
        .or_null(),
        text("words", "the event in words").or_null(),
    ],
};
