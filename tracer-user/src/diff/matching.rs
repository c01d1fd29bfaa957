//! Which device of one recording is which of the other.

use hashbrown::HashMap;

use super::Renamed;
use crate::history::{DeviceHistory, Histories};

/// A device of both recordings, or of one.
pub(super) struct Pair<'a> {
    pub(super) good: Vec<&'a DeviceHistory>,
    pub(super) bad: Vec<&'a DeviceHistory>,
    pub(super) renamed: Option<Renamed>,
}

/// The lives of one device.
struct Device<'a> {
    name: String,
    bus: Option<&'a str>,
    driver: Option<&'a str>,
    histories: Vec<&'a DeviceHistory>,
    other: Option<usize>,
}

/// What two devices have in common that are paired.
type Key = fn(&Device<'_>) -> Option<String>;

/// Pairs the devices: by name and bus, by name, by driver, by what is left of a name without its numbers.
pub(super) fn devices<'a>(
    good: &'a Histories,
    bad: &'a Histories,
    map: &[(String, String)],
) -> Vec<Pair<'a>> {
    let mut mine = gather(good, map);
    let mut theirs = gather(bad, &[]);
    let mut why: HashMap<usize, &'static str> = HashMap::new();
    for (how, key) in [
        (None, (|device| Some(by_name_and_bus(device))) as Key),
        (None, |device| {
            (!device.name.is_empty()).then(|| device.name.clone())
        }),
        (Some("the driver and the order are the same"), by_driver),
        (Some("the names differ only in numbers"), by_shape),
    ] {
        let places = pair_by(key, &mut mine, &mut theirs);
        why.extend(
            how.into_iter()
                .flat_map(|how| places.iter().map(move |place| (*place, how))),
        );
    }
    let mut pairs: Vec<Pair<'a>> = mine
        .iter()
        .enumerate()
        .map(|(place, device)| {
            let other = device.other.and_then(|other| theirs.get(other));
            Pair {
                good: device.histories.clone(),
                bad: other
                    .map(|other| other.histories.clone())
                    .unwrap_or_default(),
                renamed: other.and_then(|other| {
                    Some(Renamed {
                        good: device.name.clone(),
                        bad: other.name.clone(),
                        why: why.get(&place).copied()?,
                    })
                }),
            }
        })
        .collect();
    pairs.extend(
        theirs
            .iter()
            .filter(|device| device.other.is_none())
            .map(|device| Pair {
                good: Vec::new(),
                bad: device.histories.clone(),
                renamed: None,
            }),
    );
    pairs
}

/// Pairs the devices that are still alone and of which a key is the same. Returns the places in `mine` of those.
fn pair_by(key: Key, mine: &mut [Device<'_>], theirs: &mut [Device<'_>]) -> Vec<usize> {
    let mut waiting: HashMap<String, Vec<usize>> = HashMap::new();
    for (place, device) in theirs.iter().enumerate().rev() {
        if let (None, Some(key)) = (device.other, key(device)) {
            waiting.entry(key).or_default().push(place);
        }
    }
    let mut paired = Vec::new();
    for (place, device) in mine.iter_mut().enumerate() {
        if device.other.is_some() {
            continue;
        }
        let Some(found) = key(device).and_then(|key| waiting.get_mut(&key)?.pop()) else {
            continue;
        };
        device.other = Some(found);
        if let Some(other) = theirs.get_mut(found) {
            other.other = Some(place);
        }
        paired.push(place);
    }
    paired
}

fn gather<'a>(histories: &'a Histories, map: &[(String, String)]) -> Vec<Device<'a>> {
    let mut devices: Vec<Device<'a>> = Vec::new();
    let mut places: HashMap<(String, Option<&'a str>), usize> = HashMap::new();
    for history in &histories.devices {
        let name = history.name.as_deref().unwrap_or_default();
        let mapped = map.iter().find(|(old, _)| old == name);
        let name = mapped.map_or(name, |(_, new)| new).to_owned();
        let (bus, driver) = (history.bus.as_deref(), history.driver.as_deref());
        let place = *places.entry((name.clone(), bus)).or_insert(devices.len());
        match devices.get_mut(place) {
            Some(device) => {
                device.driver = device.driver.or(driver);
                device.histories.push(history);
            }
            None => devices.push(Device {
                name,
                bus,
                driver,
                histories: vec![history],
                other: None,
            }),
        }
    }
    devices
}

fn by_name_and_bus(device: &Device<'_>) -> String {
    format!("{}\0{}", device.name, device.bus.unwrap_or("\0"))
}

fn by_driver(device: &Device<'_>) -> Option<String> {
    device.driver.map(str::to_owned)
}

fn by_shape(device: &Device<'_>) -> Option<String> {
    let mut shape = String::new();
    for character in device.name.chars() {
        match character {
            '0'..='9' if shape.ends_with('#') => {}
            '0'..='9' => shape.push('#'),
            other => shape.push(other),
        }
    }
    shape.contains('#').then_some(shape)
}
