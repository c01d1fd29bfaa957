//! A resource, or a marker of a group, in as few bytes as it takes: a recording's histories have millions.

use std::num::NonZeroU64;

use super::LabelId;

/// A resource, or a marker of a group, in a step or on a device's stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// What distinguishes it from others of its life.
    pub serial: u64,
    /// What it is, and who added it.
    pub label: LabelId,
    /// Of a resource one more than its payload size in bytes, of a marker the group's id.
    value: Option<NonZeroU64>,
    /// Of a marker whether it opens the group, and whether the group is still open.
    marker: Option<(bool, bool)>,
}

/// A marker of a group on a device's stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    /// Whether it opens the group.
    pub opens: bool,
    /// Whether the group is still open.
    pub open: bool,
    /// The group's id; `None` where NULL was passed.
    pub id: Option<u64>,
}

impl Item {
    /// A resource with its payload size in bytes, if that is known.
    #[must_use]
    pub fn resource(serial: u64, label: LabelId, size: Option<u64>) -> Self {
        Self {
            serial,
            label,
            value: size
                .and_then(|size| size.checked_add(1))
                .and_then(NonZeroU64::new),
            marker: None,
        }
    }

    /// A marker of a group.
    #[must_use]
    pub fn marking(serial: u64, label: LabelId, marker: Marker) -> Self {
        Self {
            serial,
            label,
            value: marker.id.and_then(NonZeroU64::new),
            marker: Some((marker.opens, marker.open)),
        }
    }

    /// Payload size in bytes; `None` for a marker, and where it is not known.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.value
            .filter(|_| self.marker.is_none())
            .map(|more| more.get() - 1)
    }

    /// What marker of a group it is, if it is one.
    #[must_use]
    pub fn marker(&self) -> Option<Marker> {
        self.marker.map(|(opens, open)| Marker {
            opens,
            open,
            id: self.value.map(NonZeroU64::get),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Step, Item, LabelId, Marker};

    #[test]
    fn size_and_marker_come_back() {
        for size in [None, Some(0), Some(1), Some(u64::MAX - 1)] {
            let item = Item::resource(7, LabelId::NONE, size);
            assert_eq!((item.size(), item.marker()), (size, None));
        }
        for id in [None, Some(1), Some(u64::MAX)] {
            for (opens, open) in [(true, true), (true, false), (false, false)] {
                let marker = Marker { opens, open, id };
                let item = Item::marking(7, LabelId::NONE, marker);
                assert_eq!((item.size(), item.marker()), (None, Some(marker)));
            }
        }
    }

    // `Limits` counts on it: a million steps for each recording.
    #[test]
    fn a_step_takes_fifty_six_bytes() {
        assert_eq!(size_of::<Step>(), 56);
    }
}
