//! Where a device is in its life: what the entry and the return of a function do to that.

use super::{Change, Changes, DeviceId, Model, State};
use crate::event::Hook;

impl Model {
    /// Moves the device along its life at a function's entry.
    pub(super) fn advance(&mut self, id: DeviceId, hook: Hook, changes: &mut Changes) {
        let enclosing_probe = self.runs(id, Hook::Probe);
        let sees_cleanup = self.facts.sees(Hook::Cleanup);
        let sees_remove = self.facts.sees(Hook::Remove);
        let (sequence, time) = (self.sequence, self.now.time);
        let Some(record) = self.devices.get_mut(id) else {
            return;
        };
        if matches!(hook, Hook::Probe | Hook::Bound) {
            record.driver_came = 0;
        }
        match hook {
            Hook::Probe => {
                if matches!(record.phase, State::Removing | State::Cleanup) {
                    self.end_binding(id, State::Unbound, changes);
                }
                if let Some(record) = self.devices.get_mut(id) {
                    record.begin_binding(sequence, time);
                    record.binding_ended = false;
                    record.was_bound = false;
                    record.phase = State::Probing;
                }
                changes.push(Change::BindingBegan(id));
            }
            Hook::Bound => {
                // device_bind_driver() binds without a probe. Of a device that was first seen halfway it may as
                // well be the probe that was not seen to begin.
                let halfway = record.phase == State::Unknown && !record.taints.is_empty();
                if record.phase != State::Probing && !halfway {
                    record.begin_binding(sequence, time);
                    changes.push(Change::BindingBegan(id));
                }
                record.binding_ended = false;
                record.bind();
                record.phase = State::Bound;
                record.teardown = None;
                changes.push(Change::Bound(id));
            }
            Hook::Unbind => {
                // Where device_remove can't be seen, it begins with the unbind of a bound device.
                let bound = record.phase == State::Bound
                    || record.phase == State::Unknown && record.identity.driver.is_some();
                if bound && !sees_remove {
                    record.bind();
                    record.phase = State::Removing;
                }
            }
            Hook::Remove => {
                if !enclosing_probe {
                    record.bind();
                }
                record.phase = State::Removing;
            }
            Hook::Cleanup => {
                if record.phase == State::Bound {
                    record.bind();
                }
                record.phase = State::Cleanup;
            }
            Hook::ReleaseAll
                if !sees_cleanup
                    && (record.phase == State::Removing
                        || record.phase == State::Probing && enclosing_probe) =>
            {
                record.phase = State::Cleanup;
            }
            Hook::Delete => {
                record.deleted = true;
                changes.push(Change::DeviceDeleted(id));
            }
            Hook::FinalPut => record.dying = true,
            _ => {}
        }
    }

    fn end_binding(&mut self, id: DeviceId, phase: State, changes: &mut Changes) {
        let now = self.now.time;
        let Some(record) = self.devices.get_mut(id) else {
            return;
        };
        record.phase = phase;
        // What the caller of these two does is not seen.
        if let Some(teardown) = &mut record.teardown
            && matches!(teardown.root(), Hook::Remove | Hook::Cleanup)
        {
            teardown.end(now);
        }
        if !std::mem::replace(&mut record.binding_ended, true) {
            let was_bound = std::mem::take(&mut record.was_bound);
            changes.push(Change::BindingEnded {
                device: id,
                was_bound,
            });
        }
    }

    /// Moves the device along its life at a function's return.
    pub(super) fn finish(
        &mut self,
        id: DeviceId,
        hook: Hook,
        value: Option<i64>,
        changes: &mut Changes,
    ) {
        let Some(phase) = self.devices.get(id).map(|record| record.phase) else {
            return;
        };
        match hook {
            Hook::Probe => self.finish_probe(id, value, changes),
            Hook::Cleanup => self.finish_cleanup(id, changes),
            Hook::ReleaseAll if phase == State::Cleanup && !self.facts.sees(Hook::Cleanup) => {
                self.finish_cleanup(id, changes);
            }
            Hook::ReleaseAll if self.was_recorded(Hook::FinalPut) => {
                self.finish_final_put(id, changes);
            }
            Hook::Unbind if matches!(phase, State::Removing | State::Cleanup) => {
                self.end_binding(id, State::Unbound, changes);
            }
            Hook::FinalPut => self.end_device(id, true, changes),
            _ => {}
        }
    }

    fn finish_probe(&mut self, id: DeviceId, value: Option<i64>, changes: &mut Changes) {
        let Some(record) = self.devices.get_mut(id) else {
            return;
        };
        if record.phase == State::Bound {
            return;
        }
        // The value says as well as driver_bound, which a text may lack: 0 since 5.18, 1 before.
        let bound = match value {
            Some(0) => !self.facts.concluded,
            Some(1) => true,
            _ => false,
        };
        // Zero is also what a probe returned before 5.18 that had failed and cleaned up.
        if record.phase == State::Probing && bound && !record.binding_ended {
            record.bind();
            record.phase = State::Bound;
            record.teardown = None;
            changes.push(Change::Bound(id));
        } else {
            self.end_binding(id, State::Unbound, changes);
        }
    }

    fn finish_cleanup(&mut self, id: DeviceId, changes: &mut Changes) {
        // A probe that failed is still running; with CONFIG_DEBUG_TEST_DRIVER_REMOVE it even goes on.
        let phase = if self.runs(id, Hook::Probe) {
            State::Probing
        } else {
            State::Unbound
        };
        self.end_binding(id, phase, changes);
        let dropped = self.was_recorded(Hook::Unbind) && self.drop_frame(id, Hook::Unbind);
        if let Some(record) = self.devices.get_mut(id) {
            record.unbind_dropped = dropped;
        }
    }

    /// Where the return of the last put is not recorded, it is over with its `devres_release_all`.
    fn finish_final_put(&mut self, id: DeviceId, changes: &mut Changes) {
        if self.runs(id, Hook::FinalPut) {
            while self.drop_frame(id, Hook::FinalPut)
                || self.drop_frame(id, Hook::Unbind)
                || self.drop_frame(id, Hook::Delete)
            {}
            self.end_device(id, true, changes);
        }
    }

    fn drop_frame(&mut self, id: DeviceId, hook: Hook) -> bool {
        let task = self.now.task;
        let depth = self.tasks.innermost(&task, |frame| {
            frame.hook == hook && frame.device == Some(id)
        });
        let frame = depth.and_then(|depth| self.tasks.remove(&task, depth));
        if let Some(frame) = &frame {
            self.end_teardown(id, frame.sequence);
        }
        frame.is_some()
    }
}
