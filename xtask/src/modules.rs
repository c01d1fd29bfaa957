//! The kernel modules that go into a guest: the wanted ones with everything they need.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Drivers of the guest's standard devices, devices without hardware, and what the guest's setup needs. Those that a
/// kernel does not have are left out: names and options differ between kernels.
pub(crate) const STANDARD_MODULES: [&str; 40] = [
    "9p",
    "9pnet_virtio",
    "ahci",
    "button",
    "configfs",
    "dummy_hcd",
    "e1000e",
    "gpio_mockup",
    "gpio_sim",
    "hid_generic",
    "i2c_dev",
    "i2c_i801",
    "i2c_stub",
    "i6300esb",
    "iTCO_wdt",
    "igb",
    "lm75",
    "lpc_ich",
    "mmc_block",
    "nvme",
    "pvpanic",
    "pvpanic_mmio",
    "pvpanic_pci",
    "qemu_fw_cfg",
    "sd_mod",
    "sdhci_pci",
    "snd_dummy",
    "snd_hda_codec_generic",
    "snd_hda_intel",
    "tmp102",
    "usb_storage",
    "usbhid",
    "vgem",
    "virtio_blk",
    "virtio_console",
    "virtio_net",
    "virtio_pci",
    "virtio_rng",
    "virtio_scsi",
    "xhci_pci",
];

/// What depmod found out about one kernel's modules.
pub(crate) struct ModuleIndex {
    /// Of each module: its file below the modules directory, and the files of all it needs.
    modules: BTreeMap<String, (String, Vec<String>)>,
    /// The modules that are built into the kernel.
    builtin: BTreeSet<String>,
    /// The same as depmod's file.
    builtin_file: String,
    /// Device identifiers with the module for each: the lines of `modules.alias`.
    aliases: String,
}

/// A set of modules that needs nothing outside of itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Closure {
    /// Files below the modules directory, in alphabetical order.
    pub(crate) files: BTreeSet<String>,
    /// Wanted modules that the kernel neither has nor contains.
    pub(crate) missing: Vec<String>,
}

impl ModuleIndex {
    /// Reads the files that depmod wrote into the modules directory `directory`.
    pub(crate) fn read(directory: &Path) -> Result<Self> {
        let read = |name: &str| {
            let path = directory.join(name);
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        Ok(Self::parse(
            &read("modules.dep")?,
            &read("modules.builtin")?,
            read("modules.alias")?,
        ))
    }

    fn parse(dependencies: &str, builtin: &str, aliases: String) -> Self {
        let modules = dependencies.lines().filter_map(|line| {
            let (file, needs) = line.split_once(':')?;
            let needs = needs.split_whitespace().map(str::to_owned).collect();
            Some((module_name(file), (file.to_owned(), needs)))
        });
        Self {
            modules: modules.collect(),
            builtin: builtin.lines().map(module_name).collect(),
            builtin_file: builtin.to_owned(),
            aliases,
        }
    }

    /// The files of the modules `names` and of all they need.
    pub(crate) fn closure(&self, names: &[String]) -> Closure {
        let mut closure = Closure::default();
        for name in names {
            let name = module_name(name);
            if let Some((file, needs)) = self.modules.get(&name) {
                closure.files.insert(file.clone());
                closure.files.extend(needs.iter().cloned());
            } else if !self.builtin.contains(&name) {
                closure.missing.push(name);
            }
        }
        closure
    }

    /// `modules.dep` for the closure, with its files decompressed.
    pub(crate) fn dependency_file(&self, closure: &Closure) -> String {
        let mut text = String::new();
        for file in &closure.files {
            let needs = self
                .modules
                .get(&module_name(file))
                .map(|(_, needs)| needs.as_slice())
                .unwrap_or_default();
            let needs: Vec<&str> = needs.iter().map(|need| uncompressed_name(need)).collect();
            text.push_str(format!("{}: {}", uncompressed_name(file), needs.join(" ")).trim_end());
            text.push('\n');
        }
        text
    }

    /// `modules.builtin`: the guest's modprobe succeeds for what is built in.
    pub(crate) fn builtin_file(&self) -> &str {
        &self.builtin_file
    }

    /// `modules.alias` for the closure.
    pub(crate) fn alias_file(&self, closure: &Closure) -> String {
        let names: BTreeSet<String> = closure.files.iter().map(|file| module_name(file)).collect();
        let is_ours = |line: &&str| {
            line.rsplit(' ')
                .next()
                .is_some_and(|module| names.contains(&module_name(module)))
        };
        let lines: Vec<&str> = self.aliases.lines().filter(is_ours).collect();
        lines.join("\n") + "\n"
    }
}

/// A module file's name without the compression's suffix.
pub(crate) fn uncompressed_name(file: &str) -> &str {
    file.strip_suffix(".xz")
        .or_else(|| file.strip_suffix(".zst"))
        .unwrap_or(file)
}

/// A module's name as the kernel writes it, from its name or its file.
fn module_name(file: &str) -> String {
    let file = uncompressed_name(file);
    let base = file.rsplit('/').next().unwrap_or(file);
    base.strip_suffix(".ko").unwrap_or(base).replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> ModuleIndex {
        let dependencies = "\
kernel/drivers/hwmon/lm75.ko.xz: kernel/drivers/base/regmap/regmap-i2c.ko.xz
kernel/drivers/base/regmap/regmap-i2c.ko.xz:
kernel/drivers/i2c/i2c-stub.ko.xz: kernel/drivers/i2c/i2c-smbus.ko.xz
kernel/drivers/i2c/i2c-smbus.ko.xz:
kernel/drivers/net/e1000e.ko.zst:
";
        let aliases = "alias i2c:lm75 lm75\nalias pci:v00008086d000010D3sv*sd*bc*sc*i* e1000e\n";
        ModuleIndex::parse(
            dependencies,
            "kernel/drivers/virt/vmgenid.ko\n",
            aliases.to_owned(),
        )
    }

    fn closure(names: &[&str]) -> Closure {
        index().closure(
            &names
                .iter()
                .map(|&name| name.to_owned())
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn a_module_brings_what_it_needs_under_either_spelling() {
        let expected = [
            "kernel/drivers/i2c/i2c-smbus.ko.xz",
            "kernel/drivers/i2c/i2c-stub.ko.xz",
        ]
        .map(str::to_owned);
        for name in ["i2c-stub", "i2c_stub"] {
            assert_eq!(
                closure(&[name]),
                Closure {
                    files: expected.clone().into(),
                    missing: Vec::new()
                }
            );
        }
    }

    #[test]
    fn built_in_modules_are_not_missing() {
        let closure = closure(&["vmgenid", "nosuch"]);
        assert_eq!(
            closure,
            Closure {
                files: BTreeSet::new(),
                missing: vec!["nosuch".to_owned()]
            }
        );
    }

    #[test]
    fn the_guests_files_name_uncompressed_modules_of_the_closure_only() {
        let closure = closure(&["lm75"]);
        assert_eq!(
            index().dependency_file(&closure),
            "kernel/drivers/base/regmap/regmap-i2c.ko:\n\
             kernel/drivers/hwmon/lm75.ko: kernel/drivers/base/regmap/regmap-i2c.ko\n"
        );
        assert_eq!(index().alias_file(&closure), "alias i2c:lm75 lm75\n");
    }
}
