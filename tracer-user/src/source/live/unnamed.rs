//! The names that devices get after `device_initialize`.
//!
//! A probe sends a device's name before the device's first event. Many devices have none between
//! their beginning and their end: DRM cards and connectors, everything that owns nothing and has no driver. So
//! a device that was sent without a name is read again from kernel memory, after the events that came
//! meanwhile. That costs the probes nothing.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::event::{DeviceAddress, DeviceIdentity, Event, EventKind, Hook, Time};

/// Devices without a name that are polled; the names of others come with their next event.
const MOST: usize = 256;
/// Looks that pass at most between two at the same device.
const LONGEST_WAIT: u32 = 256;

/// The devices without a name.
#[derive(Debug)]
pub(super) struct Unnamed {
    /// Whether begins and ends of devices are seen: else another could be taken for one that has gone.
    sees_lives: bool,
    waiting: HashMap<DeviceAddress, Waiting>,
    /// The time of the last event.
    time: Time,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Looks to pass until the next one at this device.
    left: u32,
    /// How many passed before the last one.
    pause: u32,
    /// Who it was at the last look; it still is, unless what has happened meanwhile says otherwise.
    found: Option<DeviceIdentity>,
}

impl Unnamed {
    /// None yet. `sees_lives` says whether begins and ends of devices are seen.
    pub(super) fn new(sees_lives: bool) -> Self {
        Self {
            sees_lives,
            waiting: HashMap::new(),
            time: Time(0),
        }
    }

    /// Takes notice of an event.
    pub(super) fn see(&mut self, event: &Event) {
        self.time = event.time;
        match &event.kind {
            EventKind::Device(identity) if identity.name.is_some() => {
                self.waiting.remove(&event.device);
            }
            EventKind::Device(_) if self.sees_lives && self.waiting.len() < MOST => {
                self.waiting.insert(event.device, Waiting::default());
            }
            EventKind::Enter(call) if call.hook == Hook::FinalPut => {
                self.waiting.remove(&event.device);
            }
            EventKind::Enter(call) if call.hook == Hook::Initialise => {
                if let Some(waiting) = self.waiting.get_mut(&event.device) {
                    waiting.found = None;
                }
            }
            // What was lost may be the end of any of them.
            EventKind::Loss(_) => self.waiting.clear(),
            _ => {}
        }
    }

    /// Tells `sink` the names that were found at the last look, and looks again with `who`. To be called when every
    /// event has been seen that happened before the last look.
    pub(super) fn look(
        &mut self,
        mut who: impl FnMut(DeviceAddress) -> Option<DeviceIdentity>,
        sink: &mut impl FnMut(Event),
    ) {
        let time = self.time;
        self.waiting.retain(|address, waiting| {
            let Some(identity) = waiting.found.take() else {
                return true;
            };
            let kind = EventKind::Device(Arc::new(identity));
            sink(Event::outside_tasks(time, *address, kind));
            false
        });
        for (address, waiting) in &mut self.waiting {
            if waiting.left > 0 {
                waiting.left -= 1;
                continue;
            }
            waiting.found = who(*address).filter(|identity| identity.name.is_some());
            waiting.pause = (2 * waiting.pause + 1).min(LONGEST_WAIT);
            waiting.left = waiting.pause;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Call, CallDetail, Loss, LossCause, Text};

    const DEVICE: DeviceAddress = DeviceAddress(0x10);

    fn event(kind: EventKind) -> Event {
        Event::outside_tasks(Time(7), DEVICE, kind)
    }

    fn told(name: Option<&str>) -> Event {
        event(EventKind::Device(Arc::new(identity(name))))
    }

    fn identity(name: Option<&str>) -> DeviceIdentity {
        DeviceIdentity {
            name: name.map(Text::from),
            ..DeviceIdentity::default()
        }
    }

    fn enter(hook: Hook) -> Event {
        event(EventKind::Enter(Call {
            hook,
            detail: CallDetail::None,
        }))
    }

    /// The names found in one poll, in which the device has this name.
    fn look(unnamed: &mut Unnamed, name: Option<&str>) -> Vec<String> {
        let mut names = Vec::new();
        unnamed.look(|_| Some(identity(name)), &mut |event| {
            assert_eq!((event.device, event.time), (DEVICE, Time(7)));
            if let EventKind::Device(identity) = event.kind {
                names.extend(identity.name.as_deref().map(str::to_owned));
            }
        });
        names
    }

    fn beginning() -> Unnamed {
        let mut unnamed = Unnamed::new(true);
        unnamed.see(&told(None));
        unnamed.see(&enter(Hook::Initialise));
        unnamed
    }

    #[test]
    fn a_name_is_told_when_what_happened_meanwhile_is_known() {
        let mut unnamed = beginning();
        assert_eq!(look(&mut unnamed, Some("card0")), [""; 0]);
        assert_eq!(look(&mut unnamed, Some("card0")), ["card0"]);
        assert_eq!(look(&mut unnamed, Some("card0")), [""; 0], "told once");
    }

    #[test]
    fn a_name_is_not_told_of_another_life() {
        let ends: [fn(&mut Unnamed); 4] = [
            |unnamed| unnamed.see(&enter(Hook::FinalPut)),
            |unnamed| unnamed.see(&enter(Hook::Initialise)),
            |unnamed| unnamed.see(&told(Some("by a probe"))),
            |unnamed| {
                unnamed.see(&event(EventKind::Loss(Loss {
                    count: 1,
                    cause: LossCause::RingFull,
                })));
            },
        ];
        for (number, end) in ends.into_iter().enumerate() {
            let mut unnamed = beginning();
            look(&mut unnamed, Some("card0"));
            end(&mut unnamed);
            assert_eq!(look(&mut unnamed, None), [""; 0], "{number}");
        }
    }

    #[test]
    fn nobody_is_looked_at_where_ends_are_not_seen() {
        let mut unnamed = Unnamed::new(false);
        unnamed.see(&told(None));
        unnamed.look(|_| panic!("it may have gone"), &mut |_| {});
    }

    #[test]
    fn who_has_no_name_for_long_is_looked_at_less_often() {
        let mut unnamed = beginning();
        let mut looks = 0;
        for _ in 0..1_000 {
            unnamed.look(
                |_| {
                    looks += 1;
                    None
                },
                &mut |_| {},
            );
        }
        assert!((8..16).contains(&looks), "{looks} looks");
    }
}
