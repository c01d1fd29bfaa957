//! The resource stacks of devices, as text and as JSON.

use std::io::{self, Write};

use serde::Serialize;

use crate::{
    escape::Escaped,
    event::GroupId,
    finding::text::telling,
    model::{Device, Node, Origin},
};

/// A device and what it owns.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
}

/// One entry of a device's stack.
#[derive(Debug, Clone, PartialEq, Serialize)]
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
    /// For an opening marker, whether its group is still open.
    pub open: Option<bool>,
    /// How many groups enclose it.
    pub depth: usize,
    /// Whether it was there before the trace began.
    pub from_snapshot: bool,
    /// Who added it, innermost frame first; empty if that was not seen.
    pub added_by: Vec<String>,
}

impl DeviceStack {
    /// What the model knows of a device.
    #[must_use]
    pub fn of(device: Device<'_>) -> Self {
        let groups: Vec<_> = device.groups().collect();
        let mut depth = 0_usize;
        let mut bytes = 0;
        let stack = device
            .nodes()
            .map(|(id, node)| {
                let opens = groups.iter().find(|(_, open, _)| *open == id);
                let closes = groups.iter().find(|(_, _, close)| *close == Some(id));
                if closes.is_some() {
                    depth = depth.saturating_sub(1);
                }
                bytes += node.size().unwrap_or(0);
                let mut entry = StackEntry::of(node, depth);
                entry.group = opens
                    .or(closes)
                    .map(|(GroupId(group), _, _)| format!("{group:#x}"));
                if let Some((_, _, close)) = opens {
                    entry.open = Some(close.is_none());
                    depth += 1;
                }
                entry
            })
            .collect();
        let key = device.key();
        let identity = device.identity();
        Self {
            device: identity.name.as_deref().unwrap_or_default().to_owned(),
            address: key.address.to_string(),
            generation: key.generation,
            driver: identity.driver.as_deref().map(str::to_owned),
            bus: identity.bus.as_deref().map(str::to_owned),
            state: device.state().name(),
            doubts: device.taints().map(|taint| taint.to_string()).collect(),
            bytes,
            stack,
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
            Some(driver) => write!(writer, "  driver {}", Escaped(driver))?,
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
            "  {}: {resources} resources, {} bytes",
            self.state, self.bytes
        )?;
        for doubt in &self.doubts {
            writeln!(writer, "  not certain: {doubt}")?;
        }
        for entry in self.stack.iter().rev() {
            entry.write(writer)?;
        }
        Ok(())
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
            open: None,
            depth,
            from_snapshot: node.origin() == Origin::Snapshot,
            added_by: node.stack().map(crate::finding::frames).unwrap_or_default(),
        }
    }

    fn write(&self, writer: &mut impl Write) -> io::Result<()> {
        write!(writer, "  {}", "│ ".repeat(self.depth))?;
        match (&self.group, self.open) {
            (Some(group), Some(true)) => {
                writeln!(writer, "└ group {group} opens here and is still open")
            }
            (Some(group), Some(false)) => writeln!(writer, "└ group {group} opens here"),
            (Some(group), None) => writeln!(writer, "┌ group {group} is closed here"),
            (None, _) => {
                let name = if self.name.is_empty() {
                    "(no name)"
                } else {
                    &self.name
                };
                write!(writer, "{}", Escaped(name))?;
                if let Some(function) = &self.function
                    && !function.starts_with(name)
                    && self.name != "devm_kzalloc_release"
                {
                    write!(writer, " → {}", Escaped(function))?;
                }
                if let Some(size) = self.size {
                    write!(writer, "  {size} bytes")?;
                }
                match telling(&self.added_by).first() {
                    Some(frame) => writeln!(writer, "  added by {}", Escaped(frame)),
                    None => writeln!(writer),
                }
            }
        }
    }
}
