//! A finding as text for a person, at most 100 columns wide.

use std::fmt::{self, Write as _};

use super::{
    Cause, Finding, Resource, Severity,
    subject::{UNKNOWN, UNNAMED},
};
use crate::{
    escape::{Escaped, begun, escape},
    event::{Function, Time},
    model::State,
};

/// The widest line.
const WIDTH: usize = 100;
/// Frames of a stack that are shown.
const MOST_FRAMES: usize = 5;
/// Devices that are named where it was found on several.
const MOST_DEVICES: usize = 8;
/// Resources that are shown one by one.
const MOST_RESOURCES: usize = 20;

/// Shows a finding with its whole story. Strings from the kernel are escaped. A width that is asked for, as
/// in `{:80}`, is that of the widest line; `{:#}` shows whole call stacks.
#[derive(Debug, Clone, Copy)]
pub struct Text<'a>(pub &'a Finding);

impl fmt::Display for Text<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let finding = self.0;
        headline(formatter, finding)?;
        paragraph(formatter, "  ", "  ", &escape(&finding.summary))?;
        if let Some(cause) = &finding.caused_by {
            writeln!(formatter, "\n  Caused by:")?;
            culprit(formatter, cause)?;
        }
        if !finding.order.is_empty() {
            writeln!(formatter, "\n  Order seen:")?;
        }
        let since = Since::of(finding);
        for (step, number) in finding.order.iter().zip(1..) {
            let head = format!("  {number:4}. {}", since.text(step.time));
            paragraph(formatter, &head, &blank(&head), &escape(&step.what))?;
        }
        if !finding.expected.is_empty() {
            writeln!(formatter, "\n  Order expected:")?;
        }
        for (step, number) in finding.expected.iter().zip(1..) {
            let head = format!("  {number:4}. ");
            paragraph(formatter, &head, &blank(&head), &escape(step))?;
        }
        if !finding.resources.is_empty() {
            writeln!(formatter, "\n  Resources:")?;
        }
        for one in finding.resources.iter().take(MOST_RESOURCES) {
            resource(formatter, one, finding)?;
        }
        let hidden = finding.resources.len().saturating_sub(MOST_RESOURCES);
        if hidden > 0 {
            writeln!(formatter, "    and {hidden} more")?;
        }
        writeln!(formatter, "\n  What it means:")?;
        paragraph(formatter, "    ", "    ", &escape(&finding.meaning))?;
        if let Some(known) = finding.known {
            let line = format!("known: {}", known.text());
            paragraph(formatter, "    ", "      ", &line)?;
        }
        if !finding.next.is_empty() {
            writeln!(formatter, "\n  To see what came before:")?;
        }
        for command in &finding.next {
            // Not wrapped, so that it can be copied.
            writeln!(formatter, "    {}", escape(command))?;
        }
        if finding.count > 1 {
            paragraph(formatter, "    ", "    ", &seen(finding))?;
        }
        Ok(())
    }
}

/// How often it was seen, when and where.
fn seen(finding: &Finding) -> String {
    let Finding {
        count, first, last, ..
    } = finding;
    let mut line = format!("Seen {count} times");
    if !finding.numbered {
        line = format!("{line}, first at {first}, last at {last}");
    }
    let devices = finding.occurrences.devices();
    if devices.len() > 1 {
        let names: Vec<String> = devices
            .iter()
            .take(MOST_DEVICES)
            .map(|name| escape(name))
            .collect();
        line = format!("{line}, on {}", names.join(", "));
        if let Some(more) = devices.len().checked_sub(MOST_DEVICES + 1) {
            line = format!("{line} and {} more", more + 1);
        }
    }
    let hidden = finding.occurrences.hidden();
    if hidden > 0 && devices.len() > 1 {
        line = format!("{line} (not all occurrences are kept)");
    }
    format!("{line}. Shown is the most severe one, with the most evidence.")
}

fn headline(formatter: &mut fmt::Formatter<'_>, finding: &Finding) -> fmt::Result {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warn => "warning",
        Severity::Info => "info",
    };
    let mut line = format!("{} {severity}: ", finding.rule);
    if let Some(driver) = &finding.driver {
        write!(line, "driver {}, ", Escaped(driver))?;
    }
    if let Some(bus) = &finding.bus {
        write!(line, "{} ", Escaped(bus))?;
    }
    write!(line, "{}", Named(&finding.device))?;
    write!(line, "  [{}]", Escaped(&finding.fingerprint))?;
    paragraph(formatter, "", "  ", &line)
}

fn culprit(formatter: &mut fmt::Formatter<'_>, cause: &Cause) -> fmt::Result {
    let mut line = cause.frame.to_owned();
    if cause.device != UNKNOWN {
        write!(line, " of {}", Named(&cause.device))?;
    }
    if let Some(driver) = &cause.driver {
        write!(line, ", driver {}", Escaped(driver))?;
    }
    // A log may not say who it was.
    if !cause.task.is_empty() || cause.tid != 0 {
        write!(line, ", by {}[{}]", Escaped(&cause.task), cause.tid)?;
    }
    paragraph(formatter, "    ", "      ", &line)?;
    for frame in shown(formatter, &cause.stack) {
        paragraph(formatter, "        ", "          ", &escape(frame))?;
    }
    Ok(())
}

/// How it is shown when a step was, seen from the first.
enum Since {
    /// No two steps have times of their own, as in a report of the kernel, which tells at once what happened long before.
    Unknown,
    /// The input has no times.
    Event,
    Start(Time),
}

impl Since {
    fn of(finding: &Finding) -> Self {
        match &finding.order[..] {
            [first, rest @ ..] if rest.iter().any(|step| step.time != first.time) => {
                if finding.numbered {
                    Self::Event
                } else {
                    Self::Start(first.time)
                }
            }
            _ => Self::Unknown,
        }
    }

    fn text(&self, time: Time) -> String {
        match self {
            Self::Unknown => String::new(),
            Self::Event => format!("{:>12}  ", time.as_event()),
            Self::Start(start) => format!("{:>12}  ", Milliseconds(time.since(*start))),
        }
    }
}

/// A time as it is shown.
fn moment(finding: &Finding, time: Time) -> String {
    if finding.numbered {
        time.as_event()
    } else {
        time.to_string()
    }
}

fn resource(
    formatter: &mut fmt::Formatter<'_>,
    resource: &Resource,
    finding: &Finding,
) -> fmt::Result {
    let since = finding.delay_since;
    let mut line = escape(resource.label());
    match resource.size {
        Some(size) => write!(line, " ({size} bytes, {})", resource.kind)?,
        None => write!(line, " ({})", resource.kind)?,
    }
    if resource.touches_hardware {
        line.push_str(", may touch hardware");
    }
    match resource.delay {
        _ if since.is_empty() => {}
        Some(_) if finding.numbered => write!(line, ", released after {since}")?,
        Some(delay) => write!(line, ", released {} after {since}", Milliseconds(delay))?,
        None => line.push_str(", not released when the trace ended"),
    }
    paragraph(formatter, "    ", "      ", &line)?;
    let added = &resource.added;
    let time = added.time.map(|time| moment(finding, time));
    let mut line = match (&added.task, added.tid, time) {
        (Some(task), Some(0), Some(time)) if task.is_empty() => format!("added at {time}"),
        (Some(task), Some(tid), Some(time)) => {
            format!("added by {}[{tid}] at {time}", Escaped(task))
        }
        _ => "added before the trace began".to_owned(),
    };
    if added.phase != State::Unknown.name() {
        write!(line, " while {}", added.phase)?;
    }
    paragraph(formatter, "      ", "        ", &line)?;
    for frame in shown(formatter, &added.stack) {
        paragraph(formatter, "        ", "          ", &escape(frame))?;
    }
    Ok(())
}

/// The frames that are wanted.
fn shown<'a>(formatter: &fmt::Formatter<'_>, stack: &'a [String]) -> &'a [String] {
    if formatter.alternate() {
        stack
    } else {
        telling(stack)
    }
}

/// The frames that show who it was: without what every addition passes through at the inner end, and what
/// every probe passes through at the outer.
#[must_use]
pub fn telling(stack: &[String]) -> &[String] {
    let inner = stack
        .iter()
        .position(|frame| is_module(frame) || !is_devres(symbol(frame)))
        .unwrap_or(0);
    let rest = stack.get(inner..).unwrap_or_default();
    let outer = rest
        .iter()
        .position(|frame| is_driver_core(symbol(frame)))
        .filter(|outer| *outer > 0)
        .unwrap_or(rest.len());
    rest.get(..outer.min(MOST_FRAMES)).unwrap_or_default()
}

/// Devres and the driver core are never modules; a module's function with such a name is its own.
fn is_module(frame: &str) -> bool {
    let function = frame.split(" at ").next().unwrap_or_default();
    function.ends_with(']')
}

fn symbol(frame: &str) -> &str {
    frame.split(['+', ' ']).next().unwrap_or_default()
}

/// Whether the function is a part of devres, which every addition passes through.
pub(super) fn is_of_devres(function: &Function) -> bool {
    function.module.is_none() && function.name.as_deref().is_some_and(is_devres)
}

/// Whether the function is the one that runs the releases of several resources.
pub(super) fn runs_releases(function: &Function) -> bool {
    function.module.is_none() && function.base_name() == Some("release_nodes")
}

fn is_devres(symbol: &str) -> bool {
    let symbol = symbol.trim_start_matches('_');
    [
        "devres_",
        "devm_",
        "pcim_",
        "dmam_",
        "traceiter_devres",
        "add_dr",
    ]
    .iter()
    .any(|beginning| symbol.starts_with(beginning))
}

fn is_driver_core(symbol: &str) -> bool {
    matches!(
        symbol,
        "really_probe"
            | "call_driver_probe"
            | "__driver_probe_device"
            | "driver_probe_device"
            | "platform_probe"
            | "platform_drv_probe"
            | "i2c_device_probe"
            | "spi_probe"
            | "spi_drv_probe"
            | "local_pci_probe"
            | "pci_device_probe"
            | "usb_probe_interface"
            | "usb_probe_device"
            | "amba_probe"
            | "auxiliary_bus_probe"
            | "serdev_drv_probe"
            | "sdio_bus_probe"
            | "hid_device_probe"
            | "virtio_dev_probe"
            | "faux_probe"
            | "do_one_initcall"
            | "do_init_module"
    )
}

fn blank(head: &str) -> String {
    " ".repeat(head.len())
}

fn paragraph(
    formatter: &mut fmt::Formatter<'_>,
    first: &str,
    others: &str,
    text: &str,
) -> fmt::Result {
    let options = textwrap::Options::new(formatter.width().unwrap_or(WIDTH))
        .initial_indent(first)
        .subsequent_indent(others);
    for line in textwrap::wrap(text, options) {
        writeln!(formatter, "{}", begun(line.trim_end()))?;
    }
    Ok(())
}

/// A device by its name, if it has one.
struct Named<'a>(&'a str);

impl fmt::Display for Named<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            UNKNOWN | UNNAMED => formatter.write_str(self.0),
            name => write!(formatter, "device {}", Escaped(name)),
        }
    }
}

/// A length of time given in nanoseconds.
struct Milliseconds(u64);

impl fmt::Display for Milliseconds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&format!(
            "{}.{:03} ms",
            self.0 / 1_000_000,
            self.0 / 1_000 % 1_000
        ))
    }
}
