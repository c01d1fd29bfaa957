//! The resource stacks of devices, as text and as JSON.

use std::io::{self, Write};

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    json::First,
    json_text,
    stacks_data::{Targets, pointers},
};
use crate::{
    escape::Escaped,
    event::{Comm, DeviceAddress, GroupId},
    finding::text::telling,
    model::{Device, Kind, Node, NodeId, Origin, State},
    number::plural,
};

/// A device and what it owns.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "type", rename = "device")]
pub struct DeviceStack {
    /// Its name; empty before it has one.
    pub device: String,
    /// Its address.
    pub address: String,
    /// Which use of the address it is.
    pub generation: u32,
    /// Its driver, if one is set.
    pub driver: Option<String>,
    /// The module that the driver is in, where that was looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver_module: Option<String>,
    /// Its bus or class.
    pub bus: Option<String>,
    /// Where it is in its life.
    pub state: &'static str,
    /// Why not everything about it is known; empty if it is.
    pub doubts: Vec<String>,
    /// Payload bytes in all.
    pub bytes: u64,
    /// Its resources and group markers, oldest first.
    pub stack: Vec<StackEntry>,
    /// Its address as it is.
    #[serde(skip)]
    at: DeviceAddress,
}

/// One entry of a device's stack.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StackEntry {
    /// The node's address.
    pub node: String,
    /// The name that the kernel logs.
    pub name: String,
    /// Payload size in bytes.
    pub size: Option<u64>,
    /// What runs on its release.
    pub function: Option<String>,
    /// For a group marker, the group's id.
    pub group: Option<String>,
    /// For a group marker, whether NULL was passed as the group's id.
    pub null_id: Option<bool>,
    /// For an opening marker, whether its group is still open.
    pub open: Option<bool>,
    /// For an opening marker, how many resources lie in its group.
    pub holds: Option<u64>,
    /// How many groups enclose it.
    pub depth: usize,
    /// Whether it was there before the trace began.
    pub from_snapshot: bool,
    /// The task that added it, if that was seen.
    pub task: Option<String>,
    /// Who added it, innermost frame first; empty if that was not seen.
    pub added_by: Vec<String>,
    /// What its payload points to, where that is known: an action's argument, or what else lies in its first words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// The words of its payload that may point to something.
    #[serde(skip)]
    pub pointers: Vec<u64>,
    /// Whether it is memory that the driver uses, so that what lies in it is the driver's.
    #[serde(skip)]
    is_memory: bool,
}

impl DeviceStack {
    /// What the model knows of a device.
    #[must_use]
    pub fn of(device: Device<'_>) -> Self {
        let groups: Vec<_> = device.groups().collect();
        let mut bytes = 0;
        let mut stack: Vec<StackEntry> = Vec::new();
        // The groups that enclose what comes: the place and the address of the opening marker of each.
        let mut around: Vec<(NodeId, usize, u64)> = Vec::new();
        for (id, node) in device.nodes() {
            bytes += node.size().unwrap_or(0);
            let opens = groups.iter().find(|(_, open, _)| *open == id);
            let closes = groups.iter().find(|(_, _, close)| *close == Some(id));
            let mut own = node.address().0;
            if let Some((_, open, _)) = closes
                && let Some(place) = around.iter().position(|(opened, ..)| opened == open)
            {
                own = around.remove(place).2;
            }
            let mut entry = StackEntry::of(node, around.len());
            if let Some((GroupId(group), _, _)) = opens.or(closes) {
                entry.group = Some(format!("{group:#x}"));
                entry.null_id = Some(own == *group);
            }
            if let Some((_, open, close)) = opens {
                entry.open = Some(close.is_none());
                entry.holds = Some(0);
                around.push((*open, stack.len(), own));
            } else if closes.is_none() {
                for (_, place, _) in &around {
                    if let Some(holds) =
                        stack.get_mut(*place).and_then(|entry| entry.holds.as_mut())
                    {
                        *holds += 1;
                    }
                }
            }
            stack.push(entry);
        }
        let key = device.key();
        let identity = device.identity();
        Self {
            device: identity.name.as_deref().unwrap_or_default().to_owned(),
            address: key.address.to_string(),
            generation: key.generation,
            driver: identity.driver.as_deref().map(str::to_owned),
            driver_module: None,
            bus: identity.bus.as_deref().map(str::to_owned),
            state: device.state().name(),
            doubts: device.taints().map(|taint| taint.to_string()).collect(),
            bytes,
            stack,
            at: key.address,
        }
    }

    /// Writes it as text: newest resource on top, groups as brackets.
    pub fn write(&self, writer: &mut impl Write) -> io::Result<()> {
        let name = if self.device.is_empty() {
            "(no name yet)"
        } else {
            &self.device
        };
        write!(writer, "{}", Escaped(name))?;
        match &self.driver {
            Some(driver) => {
                write!(writer, "  driver {}", Escaped(driver))?;
                if let Some(module) = &self.driver_module {
                    write!(writer, " [{}]", Escaped(module))?;
                }
            }
            None => write!(writer, "  no driver")?,
        }
        if let Some(bus) = &self.bus {
            write!(writer, "  bus {}", Escaped(bus))?;
        }
        let resources = self
            .stack
            .iter()
            .filter(|entry| entry.open.is_none() && entry.group.is_none())
            .count();
        writeln!(
            writer,
            "  {}: {resources} {}, {} bytes",
            self.state,
            plural(resources, "resource", "resources"),
            self.bytes
        )?;
        for doubt in &self.doubts {
            writeln!(writer, "  not certain: {doubt}")?;
        }
        if let Some(driver) = self.who_put_it_there() {
            writeln!(
                writer,
                "  added on behalf of {}, in its probe or later (a device that has resources can't be probed)",
                Escaped(driver)
            )?;
        }
        for entry in self.stack.iter().rev() {
            entry.write(writer)?;
        }
        Ok(())
    }

    /// Adds to each entry what its payload points to.
    pub fn name_data(&mut self, targets: &Targets) {
        for entry in &mut self.stack {
            entry.data = targets.named(&entry.pointers, self.at);
        }
    }

    /// The driver on whose behalf everything was added that was there before the trace, as far as that can be told without
    /// having seen it: `really_probe` refuses a device that has resources.
    fn who_put_it_there(&self) -> Option<&str> {
        let unseen = self
            .stack
            .iter()
            .any(|entry| entry.from_snapshot && entry.added_by.is_empty());
        let bound = self.state == State::Bound.name();
        self.driver.as_deref().filter(|_| unseen && bound)
    }
}

impl DeviceStack {
    /// Writes it as one line of JSON.
    pub fn write_json(&self, writer: &mut impl Write) -> io::Result<()> {
        json_text::write(&mut *writer, &First::of(self))?;
        writeln!(writer)
    }
}

impl StackEntry {
    fn of(node: &Node, depth: usize) -> Self {
        Self {
            node: node.address().to_string(),
            name: node
                .name()
                .map(std::string::ToString::to_string)
                .unwrap_or_default(),
            size: node.size(),
            function: node.function().map(std::string::ToString::to_string),
            group: None,
            null_id: None,
            open: None,
            holds: None,
            depth,
            from_snapshot: node.origin() == Origin::Snapshot,
            task: (node.origin() == Origin::Seen && node.task().comm != Comm::default())
                .then(|| format!("{}[{}]", node.task().comm.name(), node.task().tid)),
            added_by: node.stack().map(crate::finding::frames).unwrap_or_default(),
            data: None,
            pointers: pointers(node),
            is_memory: node.kind() == Kind::Memory,
        }
    }

    fn write(&self, writer: &mut impl Write) -> io::Result<()> {
        write!(writer, "  {}", "│ ".repeat(self.depth))?;
        match (&self.group, self.open) {
            (Some(_), Some(open)) => {
                let state = if open { "still open" } else { "closed" };
                let holds = self.holds.unwrap_or(0);
                let resources = plural(holds, "resource", "resources");
                writeln!(
                    writer,
                    "└ group (grp<) opened with {}{}; {state}, {holds} {resources} in it",
                    self.group_id(),
                    self.opener()
                )
            }
            (Some(_), None) => writeln!(writer, "┌ group ({}) closed here (grp>)", self.group_id()),
            (None, _) => {
                let name = if self.name.is_empty() {
                    "(no name)"
                } else {
                    &self.name
                };
                write!(writer, "{}", Escaped(name))?;
                if let Some(function) = &self.function
                    && self.name != "devm_kzalloc_release"
                {
                    match function.strip_prefix(name) {
                        // Of its own release function only the module is news.
                        Some(rest) => write!(writer, "{}", Escaped(rest))?,
                        None => write!(writer, " → {}", Escaped(function))?,
                    }
                }
                if let Some(size) = self.size {
                    write!(writer, "  {size} bytes")?;
                }
                if let Some(data) = &self.data {
                    let how = if self.is_memory { "refers to" } else { "data:" };
                    write!(writer, "  {how} {}", Escaped(data))?;
                }
                match telling(&self.added_by).first().or(self.task.as_ref()) {
                    Some(adder) => writeln!(writer, "  added by {}", Escaped(adder)),
                    None => writeln!(writer),
                }
            }
        }
    }

    fn group_id(&self) -> String {
        match (&self.group, self.null_id) {
            (Some(group), Some(false)) => format!("id {group}"),
            _ => "id NULL".to_owned(),
        }
    }

    /// Who opened the group: the frame that shows it, else the task.
    fn opener(&self) -> String {
        let frame = telling(&self.added_by).first().or(self.task.as_ref());
        frame.map_or_else(String::new, |frame| format!(" by {}", Escaped(frame)))
    }
}
