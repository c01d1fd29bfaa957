//! Chrome's trace event format, which Perfetto shows as well: functions as spans on their tasks, what happens to nodes as
//! points there, and each life of a device as a process of its own, with its phases and resources as spans.

use std::io::{self, Write};

use hashbrown::HashMap;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Sink, json_text,
    report::words,
    tracks::{DeviceTrack, Phase, ResourceSpan},
};
use crate::{
    engine::Summary,
    event::{AddedNode, Event, EventKind, Hook, NodeReference, Task, Time},
    evidence::{Attachment, Coverage, SourceInformation},
    finding::Finding,
    history::{Histories, Names},
    model::{Device, Model},
};

/// The process numbers of devices begin here: no task has one as high.
const FIRST_DEVICE: u32 = 1 << 24;
/// The thread of a device that has its phases; its resources lie in rows behind it.
const PHASES: u32 = 0;

/// Writes one JSON object with everything in it. It is whole when [`close`](Self::close) has returned.
pub struct ChromeSink<W> {
    writer: W,
    coverage: Coverage,
    /// What runs on each task, outermost first.
    running: HashMap<Task, Vec<Hook>>,
    /// Tasks that were named, by thread.
    named: HashMap<u32, Task>,
    last: Time,
    first: bool,
}

/// One entry of `traceEvents`.
#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    /// What it is: `B` and `E` begin and end a span, `X` is a whole one, `i` is a point, `M` says something of a task.
    ph: &'static str,
    /// Microseconds.
    ts: f64,
    /// How long a whole span is, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    dur: Option<f64>,
    pid: u32,
    tid: u32,
    /// How far a point reaches: `t` is its task, `g` everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<&'static str>,
    #[serde(skip_serializing_if = "Value::is_null")]
    args: Value,
}

impl<W: Write> ChromeSink<W> {
    /// Writes to `writer`.
    pub fn new(writer: W) -> Self {
        Self {
            writer,
            coverage: Coverage::default(),
            running: HashMap::new(),
            named: HashMap::new(),
            last: Time::default(),
            first: true,
        }
    }

    fn entry(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        let separator: &[u8] = if self.first { b"\n" } else { b",\n" };
        self.first = false;
        self.writer.write_all(separator)?;
        json_text::write(&mut self.writer, entry)
    }

    fn on_task(
        &mut self,
        ph: &'static str,
        name: &str,
        time: Time,
        task: &Task,
        args: Value,
    ) -> io::Result<()> {
        self.entry(&Entry {
            name,
            ph,
            ts: microseconds(time),
            dur: None,
            pid: task.tgid,
            tid: task.tid,
            s: (ph == "i").then_some("t"),
            args,
        })
    }

    fn everywhere(&mut self, name: &str, time: Time, args: Value) -> io::Result<()> {
        self.entry(&Entry {
            name,
            ph: "i",
            ts: microseconds(time),
            dur: None,
            pid: 0,
            tid: 0,
            s: Some("g"),
            args,
        })
    }

    fn name_task(&mut self, task: &Task) -> io::Result<()> {
        if self.named.insert(task.tid, *task) == Some(*task) {
            return Ok(());
        }
        let args = json!({ "name": task.comm.name() });
        self.on_task("M", "thread_name", Time::default(), task, args)
    }

    /// Writes the lives of devices, and ends the object.
    pub fn close(mut self, histories: &Histories) -> io::Result<()> {
        for (history, number) in histories.devices.iter().zip(FIRST_DEVICE..) {
            let track = DeviceTrack::of(history, histories);
            let args = json!({
                "name": track.heading,
                "address": history.key.address,
                "generation": history.key.generation,
            });
            self.on_device(
                "process_name",
                "M",
                (Time::default(), None),
                (number, PHASES),
                args,
            )?;
            for Phase { name, begin, end } in &track.phases {
                let span = (*begin, Some(*end));
                self.on_device(name, "X", span, (number, PHASES), Value::Null)?;
            }
            for resource in &track.resources {
                self.resource(resource, number, &histories.names)?;
            }
        }
        self.writer.write_all(b"\n]}\n")?;
        self.writer.flush()
    }

    fn resource(&mut self, resource: &ResourceSpan, device: u32, names: &Names) -> io::Result<()> {
        let row = u32::try_from(resource.row).unwrap_or(u32::MAX - 1) + 1;
        let label = names.label(resource.label);
        let frames = label.and_then(|label| label.frames.as_deref());
        let frames = frames.unwrap_or_default().iter().map(ToString::to_string);
        let args = json!({
            "size": resource.size,
            "end": resource.how,
            "added_by": words::task(resource.task, names),
            "stack": frames.collect::<Vec<_>>(),
        });
        let name = words::resource(resource.label, names);
        let span = (resource.begin, Some(resource.end));
        self.on_device(&name, "X", span, (device, row), args)
    }

    fn on_device(
        &mut self,
        name: &str,
        ph: &'static str,
        (begin, end): (Time, Option<Time>),
        (pid, tid): (u32, u32),
        args: Value,
    ) -> io::Result<()> {
        self.entry(&Entry {
            name,
            ph,
            ts: microseconds(begin),
            dur: end.map(|end| microseconds(Time(end.since(begin)))),
            pid,
            tid,
            s: None,
            args,
        })
    }

    /// Whether the function's span can be shown: its return is seen as well.
    fn is_span(&self, hook: Hook) -> bool {
        hook.is_frame() && self.coverage.attachment(hook) != Some(Attachment::Recorded)
    }

    fn leave(&mut self, hook: Hook, time: Time, task: &Task, args: &Value) -> io::Result<()> {
        let Some(frames) = self.running.get_mut(task) else {
            return Ok(());
        };
        let Some(position) = frames.iter().rposition(|running| *running == hook) else {
            return Ok(());
        };
        // Whatever it had called has returned as well.
        let ended = frames.split_off(position);
        if frames.is_empty() {
            self.running.remove(task);
        }
        for hook in ended.into_iter().rev() {
            self.on_task("E", hook.symbol(), time, task, args.clone())?;
        }
        Ok(())
    }
}

/// A fraction of a nanosecond is lost after a hundred days.
#[expect(
    clippy::cast_precision_loss,
    reason = "the format wants a number of microseconds"
)]
fn microseconds(time: Time) -> f64 {
    time.0 as f64 / 1000.0
}

fn of_device(device: Option<Device<'_>>) -> Value {
    let Some(device) = device else {
        return json!({});
    };
    let identity = device.identity();
    json!({
        "device": identity.name,
        "driver": identity.driver,
        "bus": identity.bus,
        "address": device.address(),
    })
}

fn with(mut args: Value, more: Value) -> Value {
    if let (Value::Object(args), Value::Object(more)) = (&mut args, more) {
        args.extend(more);
    }
    args
}

fn added(node: &AddedNode) -> (String, Value) {
    let name = node.name.as_deref().unwrap_or("(no name)");
    (
        format!("ADD {name}"),
        json!({ "node": node.node, "size": node.size }),
    )
}

fn referred(what: &str, node: &NodeReference) -> (String, Value) {
    let name = node.name.as_deref().unwrap_or("(no name)");
    (
        format!("{what} {name}"),
        json!({ "node": node.node, "size": node.size }),
    )
}

impl<W: Write> Sink for ChromeSink<W> {
    fn begin(&mut self, source: &SourceInformation) -> io::Result<()> {
        self.coverage = source.coverage.clone();
        let mut metadata = json!({
            "tool": format!("devres-tracer {}", source.tool),
            "kernel": source.kernel,
            "machine": source.machine,
        });
        if !source.filters.is_empty() {
            metadata = with(metadata, json!({ "filters": source.filters }));
        }
        write!(self.writer, "{{\"displayTimeUnit\":\"ns\",\"metadata\":")?;
        json_text::write(&mut self.writer, &metadata)?;
        write!(self.writer, ",\"traceEvents\":[")
    }

    fn event(&mut self, event: &Event, model: &Model) -> io::Result<()> {
        self.last = self.last.max(event.time);
        let (time, task) = (event.time, &event.task);
        let device = of_device(model.device(event.device));
        let (name, args) = match &event.kind {
            EventKind::Device(_) | EventKind::Stack(_) | EventKind::Snapshot(_) => return Ok(()),
            EventKind::Loss(loss) => {
                return self.everywhere("events were lost", time, json!(loss));
            }
            EventKind::Add(node) => {
                let (name, args) = added(node);
                let stack = model.current_stack().map(|stack| {
                    let frames = stack.frames.iter().map(ToString::to_string);
                    json!({ "stack": frames.collect::<Vec<_>>() })
                });
                (name, with(args, stack.unwrap_or_default()))
            }
            EventKind::Remove(node) => referred("REM", node),
            EventKind::Release(node) => referred("REL", node),
            EventKind::Replace(node) => referred("REPLACE", node),
            EventKind::RemoveAction { .. } => ("REM action".to_owned(), json!({})),
            EventKind::ModuleFree { module, .. } => (format!("module_free {module}"), json!({})),
            EventKind::Message(message) => (
                "the kernel's message".to_owned(),
                json!({ "message": message }),
            ),
            EventKind::Enter(call) if self.is_span(call.hook) => {
                self.name_task(task)?;
                self.running.entry(*task).or_default().push(call.hook);
                return self.on_task("B", call.hook.symbol(), time, task, device);
            }
            EventKind::Enter(call) => (call.hook.symbol().to_owned(), json!({})),
            EventKind::Leave(left) if self.is_span(left.hook) => {
                let args = left
                    .value
                    .map_or(Value::Null, |value| json!({ "returned": value }));
                return self.leave(left.hook, time, task, &args);
            }
            EventKind::Leave(left) => (format!("{} returned", left.hook.symbol()), json!({})),
        };
        self.name_task(task)?;
        self.on_task("i", &name, time, task, with(device, args))
    }

    /// What becomes of it is known at the end.
    fn finding(&mut self, _: &Finding) -> io::Result<()> {
        Ok(())
    }

    /// Each finding has a point for each time that it was made. What still runs ends with the trace.
    fn end(&mut self, findings: &[Finding], _: &Summary) -> io::Result<()> {
        for finding in findings {
            for occurrence in finding.occurrences.iter() {
                let mut args = json!({
                    "device": &*occurrence.device,
                    "address": occurrence.instance.address,
                    "generation": occurrence.instance.generation,
                    "severity": occurrence.severity,
                    "certainty": occurrence.certainty,
                    "fingerprint": finding.fingerprint,
                    "count": finding.count,
                });
                // The summary names the device of the one that is shown.
                if occurrence.instance == finding.instance {
                    args = with(args, json!({ "summary": finding.summary }));
                }
                self.everywhere(finding.rule, occurrence.time, args)?;
            }
        }
        let mut running: Vec<_> = std::mem::take(&mut self.running).into_iter().collect();
        // Several tasks may have the same thread number, one after the other.
        running.sort_unstable_by_key(|(task, _)| (task.tid, task.tgid, task.comm.0));
        for (task, hooks) in running {
            for hook in hooks.into_iter().rev() {
                self.on_task("E", hook.symbol(), self.last, &task, Value::Null)?;
            }
        }
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
