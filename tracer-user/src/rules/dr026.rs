//! DR026 registered-in-managed-memory: a block of memory goes in which something is pending or registered.

use hashbrown::HashMap;
use tracer_ebpf::Trait;

use super::{Rule, blame, dr013};
use crate::{
    event::{Hook, Registered, Role, Text, registered},
    finding::{self, Doubt, Finding, Report, RuleInfo, Severity, Step, Subject},
    model::{Change, Detail, DeviceId, Entered, Model, NodeId},
};

/// How many hooks report what lies in memory that goes.
const HOOKS: usize = Hook::with(Trait::InMemory).count_ones() as usize;
/// These hooks: one of them is enough.
static IN_MEMORY: [Hook; HOOKS] = Hook::having(Trait::InMemory);
/// Of each it must be known what it is about.
static DETAILS: [(Hook, Role); HOOKS] = {
    let mut details = [(Hook::TimerStart, Role::Callback); HOOKS];
    let mut index = 0;
    while index < HOOKS {
        details[index].0 = IN_MEMORY[index];
        index += 1;
    }
    details
};

pub(super) static INFO: RuleInfo = RuleInfo {
    id: "DR026",
    name: "registered-in-managed-memory",
    severities: &[Severity::Error],
    description: "Managed memory is freed in which a timer is pending, work is queued, or a character device, notifier or input \
                  handler is registered.",
    needs: &[&[Hook::DevresLog, Hook::AddDr], &IN_MEMORY],
    details: &DETAILS,
    sharpened_by: &[],
    optional: true,
    page: include_str!("dr026.md"),
};

/// The rule. What is in the memory is reported right before that goes, by the same task.
#[derive(Debug, Default)]
pub(super) struct RegisteredInManagedMemory {
    /// By the task's thread id.
    pending: HashMap<u32, Pending>,
}

/// What is pending or registered.
#[derive(Debug)]
struct Pending {
    device: DeviceId,
    is: Registered,
    /// For the finding's key: a character device's number may be another each time.
    known_by: Text,
}

impl Rule for RegisteredInManagedMemory {
    fn observe(&mut self, change: &Change, model: &Model, report: &mut Report) {
        match change {
            Change::Entered(Entered {
                hook,
                device: Some(device),
                detail: Detail::Supply(known_by),
            }) => {
                if let Some(is) = registered(*hook, known_by) {
                    let pending = Pending {
                        device: *device,
                        is,
                        known_by: match hook {
                            Hook::CdevAdd => Text::from("cdev"),
                            _ => Text::clone(known_by),
                        },
                    };
                    self.pending.insert(model.current_task().tid, pending);
                }
            }
            _ if self.pending.is_empty() => {}
            Change::NodeReleased { node, .. } => self.goes(*node, "released", model, report),
            Change::NodeRemoved(node) => self.goes(*node, "freed", model, report),
            Change::NodeReplaced { node, .. } => {
                self.goes(*node, "moved by devm_krealloc()", model, report);
            }
            Change::Lost(_) => {
                for (_, pending) in self.pending.drain() {
                    if let Some(device) = model.device_by_id(pending.device) {
                        report.stay_silent(INFO.id, device.key(), Doubt::PendingAfterMiss);
                    }
                }
            }
            _ => {}
        }
    }
}

impl RegisteredInManagedMemory {
    /// This is what it lies in.
    fn goes(&mut self, id: NodeId, how: &str, model: &Model, report: &mut Report) {
        let Some(pending) = self.pending.remove(&model.current_task().tid) else {
            return;
        };
        let Some((node, device)) = model
            .node(id)
            .and_then(|node| Some((node, model.owner(node)?)))
        else {
            return;
        };
        // Any other release may stop what is in its resource.
        if device.id() != pending.device
            || !dr013::is_block(node) && how != "moved by devm_krealloc()"
        {
            return;
        }
        let subject = Subject::of(device);
        if !device.is_whole_since(node.sequence()) {
            report.stay_silent(INFO.id, subject.key, Doubt::PendingAfterMiss);
            return;
        }
        let Registered { what, state } = pending.is;
        let name = subject.name();
        let mark = format!("{}/{}", finding::mark(node), pending.known_by);
        let resource = finding::resource(node, Some(model.now()), model.now());
        report.submit(Finding {
            summary: format!("Memory of {name} was {how} in which {what} was {state}."),
            meaning: "The kernel goes on to use it there: it corrupts its lists, or calls whatever the next owner of the \
                      memory has put in its place."
                .to_owned(),
            order: vec![
                Step::at(node.added(), format!("the memory is added to {name}")),
                Step::at(model.now(), format!("the memory is {how}; {what} is in it")),
            ],
            expected: vec![
                "what is in the memory is stopped or unregistered for good, and what could start it again before that".to_owned(),
                format!("the memory is {how}"),
            ],
            resources: vec![resource],
            caused_by: blame::caller_as_cause(&subject, model),
            ..subject.finding(&INFO, Severity::Error, &mark, model.now())
        });
    }
}
