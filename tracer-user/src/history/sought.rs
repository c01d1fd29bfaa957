//! Single resources that are looked for, by name or address: when each came and how it went.

use hashbrown::HashMap;

use crate::{
    engine::Observer,
    event::{NodeAddress, Time},
    finding::label,
    glob::{BadGlob, GlobList},
    model::{Change, InstanceKey, Model, Node, NodeId, Origin},
};

/// Resources that are kept; the rest is counted.
const MOST_FOUND: usize = 10_000;

/// Which resources are looked for.
#[derive(Debug, Clone)]
pub enum Wish {
    /// Those with this address: the node's, or one in the memory that its payload is.
    Address(u64),
    /// Those whose logged name, action or release function matches.
    Name(GlobList),
}

/// A resource that was looked for, from when it came into view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sought {
    /// The device that it is on.
    pub device: InstanceKey,
    /// What tells it apart from others of its device's life.
    pub serial: u64,
    /// Its address; zero where not known.
    pub address: NodeAddress,
    /// Where its payload is; zero where not known.
    pub payload: u64,
    /// An action's argument; zero where there is none.
    pub data: u64,
    /// When it was added; `None` if that was not seen.
    pub added: Option<Time>,
    /// Which probe of the device it came in or after; zero for before the first.
    pub binding: u32,
    /// When it went; `None` if it was still there at the end.
    pub ended: Option<Time>,
}

/// Looks for resources in everything that is added, read from the kernel's memory, or first named when it goes.
#[derive(Debug)]
pub struct ResourceSearch {
    wish: Wish,
    found: Vec<Sought>,
    /// Those that have not gone yet.
    present: HashMap<(InstanceKey, u64), usize>,
    hidden: u64,
}

impl Wish {
    /// Reads what is looked for: an address has `0x` before it, or sixteen digits as in the kernel's log; anything else is
    /// a name or glob.
    ///
    /// ```
    /// use devres_tracer::history::Wish;
    /// assert!(matches!(Wish::of("0x1f00"), Ok(Wish::Address(0x1f00))));
    /// assert!(matches!(Wish::of("ffff888003d1f300"), Ok(Wish::Address(_))));
    /// assert!(matches!(Wish::of("devm_*"), Ok(Wish::Name(_))));
    /// assert!(Wish::of("[").is_err());
    /// ```
    pub fn of(text: &str) -> Result<Self, BadGlob> {
        let digits = text
            .strip_prefix("0x")
            .or((text.len() == 16).then_some(text));
        let address = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        match address {
            Some(address) => Ok(Self::Address(address)),
            None => GlobList::new(&[text]).map(Self::Name),
        }
    }

    fn is_of(&self, node: &Node) -> bool {
        match self {
            Self::Address(0) => false,
            Self::Address(address) => {
                let within = address.checked_sub(node.payload_address());
                let is_payload = node.payload_address() != 0
                    && within.is_some_and(|within| within < node.size().unwrap_or(1).max(1));
                node.address().0 == *address || is_payload
            }
            Self::Name(names) => {
                let function = node
                    .function()
                    .and_then(|function| function.name.as_deref());
                let names_it = |name: &str| names.is_match(name);
                node.name().is_some_and(|name| names_it(name))
                    || function.is_some_and(names_it)
                    || names_it(label(node))
            }
        }
    }
}

impl ResourceSearch {
    /// Looks for these.
    #[must_use]
    pub fn new(wish: Wish) -> Self {
        Self {
            wish,
            found: Vec::new(),
            present: HashMap::new(),
            hidden: 0,
        }
    }

    /// What was found, in the order in which it came into view, and how much more there was.
    #[must_use]
    pub fn finish(self) -> (Vec<Sought>, u64) {
        (self.found, self.hidden)
    }

    fn came(&mut self, id: NodeId, model: &Model) {
        let Some(node) = model.node(id).filter(|node| !node.kind().is_marker()) else {
            return;
        };
        let Some(device) = model.owner(node) else {
            return;
        };
        let key = (device.key(), node.sequence());
        if !self.wish.is_of(node) || self.present.contains_key(&key) {
            return;
        }
        if self.found.len() >= MOST_FOUND {
            self.hidden += 1;
            return;
        }
        self.present.insert(key, self.found.len());
        self.found.push(Sought {
            device: device.key(),
            serial: node.sequence(),
            address: node.address(),
            payload: node.payload_address(),
            data: node.action_data(),
            added: (node.origin() == Origin::Seen).then(|| node.added()),
            binding: node.binding(),
            ended: None,
        });
    }

    fn went(&mut self, id: NodeId, model: &Model) {
        // What was first named when it went comes into view by that.
        self.came(id, model);
        let Some(node) = model.node(id) else { return };
        let Some(device) = model.owner(node) else {
            return;
        };
        if let Some(place) = self.present.remove(&(device.key(), node.sequence()))
            && let Some(sought) = self.found.get_mut(place)
        {
            sought.ended = Some(model.now());
        }
    }
}

impl Observer for ResourceSearch {
    fn observe(&mut self, change: &Change, model: &Model) {
        match change {
            // A block that was moved may be where it is looked for.
            Change::NodeAdded(id) | Change::NodeMoved(id) => self.came(*id, model),
            Change::NodeRemoved(id)
            | Change::NodeReleased { node: id, .. }
            | Change::NodeVanished(id) => self.went(*id, model),
            _ => {}
        }
    }
}
