//! What the kernel's words about a node mean.

use tracer_ebpf::wire::{AddRecord, NodeRecord};
use zerocopy::FromBytes;

use super::Decoder;
use crate::event::{AddedNode, Function, GroupId, NodeAddress, NodeReference, Text};

/// The kernel's words about a node.
#[derive(Debug, Clone)]
pub(in crate::source::live) struct NodeFacts {
    pub(in crate::source::live) node: u64,
    pub(in crate::source::live) size: u64,
    pub(in crate::source::live) release: u64,
    pub(in crate::source::live) behind: [u64; 2],
    pub(in crate::source::live) payload: [u64; 4],
    pub(in crate::source::live) name: Option<Text>,
}

impl Decoder {
    pub(super) fn added(&mut self, record: &[u8]) -> Option<AddedNode> {
        let (
            AddRecord {
                header: _,
                node,
                size,
                release,
                behind,
                payload,
            },
            name,
        ) = AddRecord::read_from_prefix(record).ok()?;
        let name = self.texts.get(name);
        Some(self.node(&NodeFacts {
            node,
            size,
            release,
            behind,
            payload,
            name,
        }))
    }

    /// What the kernel's words about a node mean. The snapshot asks the same of nodes that it finds.
    pub(in crate::source::live) fn node(&mut self, facts: &NodeFacts) -> AddedNode {
        let release = self.symbols.function(facts.release);
        let release_name = release.name.clone();
        let release_name = release_name.as_deref().unwrap_or_default();
        let is_group = matches!(release_name, "group_open_release" | "group_close_release")
            || matches!(facts.name.as_deref(), Some("grp<" | "grp>"));
        let (mut function, mut action_data) = (release, 0);
        let mut payload_at = facts.node.wrapping_add(u64::from(self.layout.payload));
        let mut payload = facts.payload;
        if is_group {
            payload_at = 0;
        } else if release_name == "devm_action_release" {
            let action = if self.layout.release_behind_node == 0 {
                action_data = facts.payload[0];
                facts.payload[1]
            } else {
                action_data = facts.behind[0];
                payload_at = 0;
                facts.behind[1]
            };
            function = self.symbols.function(action);
        } else if release_name == "dr_node_release" {
            function = self.symbols.function(facts.behind[0]);
        }
        if payload_at == 0 {
            payload = [0; 4];
        } else if self.logged {
            // What lies behind the payload is not the resource's.
            for (index, word) in payload.iter_mut().enumerate() {
                if facts.size < 8 * (index as u64 + 1) {
                    *word = 0;
                }
            }
        }
        // Without a name to give a group by, what was read begins where a resource's payload does.
        let id_word = match facts.name {
            Some(_) => 0,
            None => usize::try_from(self.layout.group_id.saturating_sub(self.layout.payload) / 8)
                .unwrap_or(usize::MAX),
        };
        let group = (is_group
            && release_name != "group_close_release"
            && facts.name.as_deref() != Some("grp>"))
        .then(|| facts.payload.get(id_word).copied().map(GroupId))
        .flatten();
        AddedNode {
            node: NodeAddress(facts.node),
            name: facts
                .name
                .clone()
                .or_else(|| self.name_without_log(&function, release_name)),
            size: self.logged.then_some(facts.size),
            function: Some(function),
            action: false,
            action_data,
            payload_address: payload_at,
            payload,
            group,
        }
    }

    /// What kernels that log call a node, as far as its functions show.
    fn name_without_log(&mut self, function: &Function, release: &str) -> Option<Text> {
        match release {
            "group_open_release" => Some(self.texts.of("grp<")),
            "group_close_release" => Some(self.texts.of("grp>")),
            "devm_action_release" | "dr_node_release" => function.name.clone(),
            "" => None,
            release => Some(self.texts.of(release)),
        }
    }

    pub(super) fn reference(&mut self, record: &[u8]) -> Option<NodeReference> {
        let (found, name) = NodeRecord::read_from_prefix(record).ok()?;
        Some(NodeReference {
            node: NodeAddress(found.node),
            name: self.texts.get(name),
            size: Some(found.size),
        })
    }
}
