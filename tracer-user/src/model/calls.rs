//! Functions entered and left: what a device does, and what runs on which task.

use std::sync::Arc;

use super::{
    Change, Changes, Context, Detail, DeviceId, Entered, Left, Model, NodeId, State, Taint, bit,
    frames::{Frame, Work},
    group::GroupCall,
};
use crate::event::{Call, CallDetail, DeviceAddress, GroupId, Hook, PmDomain, Return};

impl Model {
    pub(super) fn enter(&mut self, call: &Call, changes: &mut Changes) {
        let hook = call.hook;
        self.facts.entries |= bit(hook);
        if hook == Hook::Initialise {
            self.initialise(changes);
            let device = self.devices.at(self.now.device);
            self.entered(hook, device, Detail::None, changes);
            return;
        }
        let device = self.subject(changes);
        let detail = match (&call.detail, device) {
            (CallDetail::Pm(pm), _) => Detail::Pm(*pm),
            (CallDetail::Group(group), Some(id)) => self.select_group(hook, id, *group, changes),
            (CallDetail::Irq { number, dev_id }, _) => Detail::Irq {
                number: *number,
                dev_id: *dev_id,
            },
            (CallDetail::Supply(name), _) => Detail::Supply(Arc::clone(name)),
            (CallDetail::Pointer(memory), _) if hook == Hook::Free => Detail::Memory(*memory),
            _ => Detail::None,
        };
        let mut work = Work::Nothing;
        if let Some(id) = device {
            self.enter_inside(id, hook);
            self.leave_dead(changes);
            self.leave_stale(id, hook, changes);
            self.doubt_finished_probe(id, hook, changes);
            self.begin_teardown(id, hook);
            self.advance(id, hook, changes);
            if let CallDetail::Releases(count) = call.detail {
                self.conclude_removals(id, count, changes);
            }
            work = self.begin_work(id, call, changes);
        }
        self.entered(hook, device, detail, changes);
        if let (Work::Release(batch), Some(id)) = (&mut work, device)
            && self.facts.concluded
        {
            self.conclude(id, batch, changes);
        }
        // Where returns of this function were not recorded, it is a point. Others are over at the latest
        // when what they are there for is.
        let unreturned = self.facts.entered_only & bit(hook) != 0 && hook == Hook::Delete;
        if !hook.is_frame() || unreturned {
            return;
        }
        let frame = Frame {
            hook,
            device,
            address: self.now.device,
            entered: self.now.time,
            sequence: self.sequence,
            stack: self.now.stack,
            context: None,
            work,
            inside: 0,
        };
        let sequence = self.sequence;
        let task = self.now.task;
        for forgotten in self.tasks.push(&task, sequence, frame) {
            self.abandon(&forgotten, changes);
        }
    }

    fn entered(
        &mut self,
        hook: Hook,
        device: Option<DeviceId>,
        detail: Detail,
        changes: &mut Changes,
    ) {
        let pm = match detail {
            Detail::Pm(pm) => Some(pm),
            _ => None,
        };
        changes.push(Change::Entered(Entered {
            hook,
            device,
            detail,
        }));
        let Some(id) = device else { return };
        let sequence = self.sequence;
        let attached = hook == Hook::PmAttach && !pm.is_some_and(PmDomain::detaches);
        if let Some(pm) = pm {
            if hook == Hook::PmDetach
                && let Some(record) = self.devices.get_mut(id)
            {
                record.detach_sequence = sequence;
            }
            self.saw_pm(id, pm, changes);
            if attached && let Some(record) = self.devices.get_mut(id) {
                record.attach_sequence = sequence;
            }
            if hook == Hook::PmDetach && pm.detaches() {
                self.note_pm(id, true);
            }
        }
        if hook == Hook::PmAttach {
            self.note_pm(id, false);
        }
    }

    /// Whatever runs for the same device on this task now knows that this was called.
    fn enter_inside(&mut self, id: DeviceId, hook: Hook) {
        let task = self.now.task;
        for frame in self.tasks.of_mut(&task) {
            if frame.device == Some(id) {
                frame.inside |= bit(hook);
            }
        }
    }

    fn select_group(
        &mut self,
        hook: Hook,
        id: DeviceId,
        group: GroupId,
        changes: &mut Changes,
    ) -> Detail {
        let tid = self.now.task.tid;
        let Some(record) = self.devices.get_mut(id) else {
            return Detail::None;
        };
        // The group that was opened before has not shown: it is reported under another name, or not at all. In the
        // kernel that happens only where memory is short.
        let lacks_marker = !self.facts.exact
            && (self.facts.sees(Hook::DevresLog) || self.facts.sees(Hook::AddDr))
            && record
                .group_call
                .is_some_and(|call| call.hook == Hook::OpenGroup && call.tid == tid);
        let selected = (hook != Hook::OpenGroup)
            .then(|| record.find_group(group))
            .flatten();
        let open = selected.map(|group| group.open);
        let closed = selected.is_some_and(|group| group.close.is_some());
        // Calls that close are seen, and the one that closed this group was not.
        let unexplained =
            hook == Hook::CloseGroup && closed && selected.is_some_and(|group| !group.close_called);
        record.group_call = Some(GroupCall {
            hook,
            tid,
            id: group,
            open,
        });
        if unexplained || lacks_marker {
            self.taint(id, Taint::Unfitting, changes);
        }
        Detail::Group {
            id: group,
            selected: open.map(NodeId),
            closed,
        }
    }

    /// Whatever of this device was entered on this task and can't run any more, now that `hook` was.
    fn leave_stale(&mut self, id: DeviceId, hook: Hook, changes: &mut Changes) {
        let over: &[Hook] = match hook {
            Hook::Probe | Hook::FinalPut => &[Hook::Probe, Hook::Unbind, Hook::Delete],
            Hook::Unbind => &[Hook::Unbind],
            _ => return,
        };
        let task = self.now.task;
        let stale = self.tasks.of(&task).iter().position(|frame| {
            frame.device == Some(id)
                && over.contains(&frame.hook)
                && (self.was_recorded(frame.hook) || self.last_loss() > Some(frame.sequence))
        });
        let depth = stale.unwrap_or(usize::MAX);
        while self.tasks.of(&task).len() > depth {
            let Some(frame) = self.tasks.pop(&task) else {
                break;
            };
            self.abandon(&frame, changes);
        }
    }

    /// A probe of another device that is over but for its return does not probe or unbind anything: that return was
    /// missed.
    fn doubt_finished_probe(&mut self, id: DeviceId, hook: Hook, changes: &mut Changes) {
        if !matches!(hook, Hook::Probe | Hook::Unbind) || self.was_recorded(Hook::Probe) {
            return;
        }
        let innermost = self.tasks.of(&self.now.task).last();
        let finished = innermost
            .filter(|frame| frame.hook == Hook::Probe)
            .and_then(|frame| frame.device)
            .filter(|other| *other != id)
            .filter(|other| {
                let record = self.devices.get(*other);
                record.is_some_and(|record| record.phase == State::Bound)
            });
        if let Some(other) = finished {
            self.taint(other, Taint::Unfitting, changes);
        }
    }

    /// The outermost frames of devices that are no more: their returns were lost.
    fn leave_dead(&mut self, changes: &mut Changes) {
        let task = self.now.task;
        while let Some(frame) = self.tasks.of(&task).first()
            && frame
                .device
                .is_some_and(|id| self.devices.get(id).is_none())
            && let Some(frame) = self.tasks.remove(&task, 0)
        {
            self.abandon(&frame, changes);
        }
    }

    /// Whether entries of this hook were recorded by another tool, perhaps without returns.
    pub(super) fn was_recorded(&self, hook: Hook) -> bool {
        self.facts.entered_only & bit(hook) != 0
    }

    fn begin_work(&mut self, id: DeviceId, call: &Call, changes: &mut Changes) -> Work {
        match (call.hook, &call.detail) {
            (Hook::ReleaseAll, _) => Work::Release(self.begin_release(id, None)),
            (Hook::ReleaseGroup, CallDetail::Group(group)) => {
                Work::Release(self.begin_release(id, Some(*group)))
            }
            // Of whichever group: what goes is not known, unless the kernel logs it.
            (Hook::ReleaseGroup, _) => {
                if self.facts.concluded {
                    self.taint(id, Taint::Indistinct, changes);
                }
                Work::Release(self.begin_release_of_unknown())
            }
            (Hook::Krealloc, CallDetail::Pointer(pointer)) => Work::Krealloc {
                pointer: *pointer,
                replaced: None,
            },
            (Hook::Krealloc, _) => Work::Krealloc {
                pointer: 0,
                replaced: None,
            },
            (Hook::RemoveGroup, CallDetail::Group(group)) if self.facts.concluded => {
                self.remove_markers(id, *group, changes);
                Work::Nothing
            }
            (Hook::Kfree, CallDetail::Pointer(pointer)) if self.facts.concluded => {
                self.remove_payload(id, *pointer, changes);
                Work::Nothing
            }
            (Hook::FreePages, CallDetail::Pointer(pointer)) if self.facts.concluded => {
                self.remove_pages(id, *pointer, changes);
                Work::Nothing
            }
            (Hook::FreePercpu, CallDetail::Pointer(pointer)) if self.facts.concluded => {
                self.remove_percpu(id, *pointer, changes);
                Work::Nothing
            }
            _ => Work::Nothing,
        }
    }

    /// Whether this function runs for this device on the current task.
    pub(super) fn runs(&self, id: DeviceId, hook: Hook) -> bool {
        self.tasks
            .innermost(&self.now.task, |frame| {
                frame.device == Some(id) && frame.hook == hook
            })
            .is_some()
    }

    pub(super) fn leave(&mut self, returned: &Return, changes: &mut Changes) {
        let hook = returned.hook;
        // Returns of this hook are recorded after all.
        self.facts.entered_only &= !bit(hook);
        let task = self.now.task;
        let subject = self.now.device;
        let device = self.known_subject(changes);
        let depth = self.tasks.innermost(&task, |frame| {
            frame.hook == hook && (subject == DeviceAddress::NONE || frame.address == subject)
        });
        let Some(depth) = depth else {
            // Entered before the source began, or the entry was lost.
            changes.push(Change::Left(Left {
                hook,
                device,
                entered: self.now.time,
                sequence: 0,
                stack: None,
                value: returned.value,
                pm: returned.pm,
                inferred: false,
                inside: 0,
            }));
            if let Some(id) = device {
                if self.must_have_been_entered(id, hook) {
                    self.taint(id, Taint::Unfitting, changes);
                }
                self.finish(id, hook, returned.value, changes);
            }
            return;
        };
        while self.tasks.of(&task).len() > depth + 1 {
            let Some(frame) = self.tasks.pop(&task) else {
                break;
            };
            self.watch_missed_return(&frame, changes);
            self.abandon(&frame, changes);
        }
        let Some(frame) = self.tasks.pop(&task) else {
            return;
        };
        self.watch_return(&frame, returned.value, changes);
        if let (Some(id), Some(pm)) = (frame.device, returned.pm) {
            self.saw_pm(id, pm, changes);
        }
        changes.push(Change::Left(frame.left(returned.value, returned.pm, false)));
        if let (Some(id), Work::Krealloc { pointer, replaced }, Some(node)) =
            (frame.device, frame.work, returned.node)
        {
            self.finish_krealloc(id, pointer, replaced, node, changes);
        }
        if let Some(id) = frame.device {
            self.settle(id, &frame, returned.value, false, changes);
            self.finish(id, hook, returned.value, changes);
            self.end_teardown(id, frame.sequence);
        }
    }

    /// Whether a function that is left now was entered when it would have been seen: since the device's state was
    /// known, or since something began that still runs on the task.
    fn must_have_been_entered(&self, id: DeviceId, hook: Hook) -> bool {
        let Some(record) = self.devices.get(id) else {
            return false;
        };
        if hook == Hook::Unbind && record.unbind_dropped {
            return false;
        }
        // A filter by driver lets the return of these through when the driver has gone, and not the entry.
        let chosen = match hook {
            Hook::Delete => false,
            Hook::Cleanup => matches!(record.phase, State::Removing | State::Cleanup),
            _ => true,
        };
        chosen
            && self.facts.entries & bit(hook) != 0
            && self.last_loss().is_none()
            && (record.known_since > 0 || !self.tasks.of(&self.now.task).is_empty())
    }

    /// A function's return was not seen, and it can't run any more.
    pub(super) fn abandon(&mut self, frame: &Frame, changes: &mut Changes) {
        changes.push(Change::Left(frame.left(None, None, true)));
        let Some(id) = frame.device else { return };
        if self.devices.get(id).is_none() {
            return;
        }
        if matches!(frame.work, Work::Release(_)) {
            self.settle(id, frame, None, true, changes);
        }
        if !self.was_recorded(frame.hook) {
            // Nothing is said to be lost, and the return is not there.
            if self.last_loss().is_none_or(|lost| lost < frame.sequence) {
                self.misfit();
            }
            self.taint(id, Taint::MissedReturn, changes);
        }
        if let Hook::Probe | Hook::Cleanup | Hook::Unbind | Hook::FinalPut = frame.hook {
            self.finish(id, frame.hook, None, changes);
        }
        self.end_teardown(id, frame.sequence);
    }

    /// What runs around the current event: the innermost frame that says whose doing it is.
    pub(super) fn context(&mut self) -> Option<Arc<Context>> {
        let task = self.now.task;
        let depth = self.tasks.innermost(&task, |frame| {
            matches!(
                frame.hook,
                Hook::Probe
                    | Hook::Unbind
                    | Hook::Remove
                    | Hook::Cleanup
                    | Hook::ReleaseAll
                    | Hook::ReleaseGroup
                    | Hook::Delete
                    | Hook::FinalPut
            )
        })?;
        let frame = self.tasks.of(&task).get(depth)?;
        if let Some(context) = &frame.context {
            return Some(Arc::clone(context));
        }
        let record = self.devices.get(frame.device?)?;
        let context = Arc::new(Context {
            hook: frame.hook,
            device: record.key,
            name: record.identity.name.clone(),
        });
        let frame = self.tasks.of_mut(&task).get_mut(depth)?;
        frame.context = Some(Arc::clone(&context));
        Some(context)
    }
}
