//! Finding `devices_kset`, where the walk begins.
//!
//! The variable itself is static, and kernels without `CONFIG_KALLSYMS_ALL` (Debian's for arm64) don't list it
//! in their symbol table. But its object is the directory `/sys/devices`: whoever opens that directory has a way
//! to it through the tables of its own open files.

use std::{fs::File, os::fd::AsRawFd as _};

use super::{
    memory::{BpfMemory, Memory, Unreadable},
    walk::SnapshotError,
};
use crate::kernel::DeviceSetLayout;

/// The directory of the device set.
const DIRECTORY: &str = "/sys/devices";

/// The address of the set of all devices.
pub(in crate::source::live) fn device_set(
    memory: &mut BpfMemory<'_>,
    layout: &DeviceSetLayout,
) -> Result<u64, SnapshotError> {
    let directory = File::open(DIRECTORY)
        .map_err(|error| SnapshotError::NoDeviceSet(format!("{DIRECTORY}: {error}")))?;
    let descriptor = u64::try_from(directory.as_raw_fd())
        .map_err(|_| SnapshotError::NoDeviceSet("no file descriptor".to_owned()))?;
    let task = memory.own_task()?;
    let object = object_behind(memory, layout, task, descriptor)?;
    let name = memory.word(object.wrapping_add(layout.object_name as u64))?;
    let mut bytes = [0; 8];
    memory.read(name, &mut bytes)?;
    if &bytes != b"devices\0" {
        return Err(SnapshotError::NoDeviceSet(format!(
            "the kernel objects of {DIRECTORY} are not as expected"
        )));
    }
    Ok(object.wrapping_sub(layout.set_object as u64))
}

/// The kernel object that an open file of sysfs stands for.
fn object_behind(
    memory: &mut impl Memory,
    layout: &DeviceSetLayout,
    task: u64,
    descriptor: u64,
) -> Result<u64, Unreadable> {
    let mut at = task;
    for offset in layout.open_files {
        at = memory.word(at.wrapping_add(offset as u64))?;
    }
    at = memory.word(at.wrapping_add(8 * descriptor))?;
    for offset in layout.object_of_file {
        at = memory.word(at.wrapping_add(offset as u64))?;
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{DeviceSetLayout, Memory, Unreadable, object_behind};

    struct Words(HashMap<u64, u64>);

    impl Memory for Words {
        fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
            let word = self.0.get(&address).ok_or(Unreadable(address))?;
            into.copy_from_slice(&word.to_ne_bytes());
            Ok(())
        }
    }

    #[test]
    fn the_object_is_found_through_the_tasks_open_files() {
        let layout = DeviceSetLayout {
            device_size: 0,
            device_entry: 0,
            set_list: 0,
            set_object: 0,
            object_name: 0,
            task_name: 0,
            open_files: [8, 16, 24],
            object_of_file: [32, 40, 48],
            node_entry: 0,
            node_name: None,
            node_size: None,
        };
        let mut memory = Words(HashMap::from([
            (0x1008, 0x2000),
            (0x2010, 0x3000),
            (0x3018, 0x4000),
            (0x4000 + 8 * 5, 0x5000),
            (0x5020, 0x6000),
            (0x6028, 0x7000),
            (0x7030, 0x8000),
        ]));
        assert_eq!(object_behind(&mut memory, &layout, 0x1000, 5), Ok(0x8000));
        assert_eq!(
            object_behind(&mut memory, &layout, 0x1000, 4),
            Err(Unreadable(0x4000 + 8 * 4)),
            "another descriptor is another file"
        );
    }
}
