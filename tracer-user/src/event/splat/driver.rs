//! Whose driver it is that a splat's stacks show.

use super::{Phase, Story, frames};
use crate::event::Function;

impl<'a> Story<'a> {
    /// The driver's module: the one that comes or goes, or else of its functions on the stacks the one next to a bus's
    /// or devres' function.
    #[must_use]
    pub fn module(&self) -> Option<&'a str> {
        let loaded = self.splat.module.as_deref();
        if let Some(module) = loaded.or_else(|| self.registering()) {
            return Some(module);
        }
        let of = |function: Option<&'a Function>| function?.module.as_deref();
        let release = self.release();
        // Whatever was under way there: the outermost function that the stack still has knows most of it.
        let outermost = || {
            let is_cut = self.phase() == Phase::Unknown;
            of(frames::named(self.frames())
                .last()
                .map(|(_, function, _)| function)
                .filter(|_| is_cut))
        };
        outermost()
            .or_else(|| of(release.and_then(|release| release.callback)))
            .or_else(|| self.called_by_bus())
            .or_else(|| of(self.caller()))
            .or_else(|| of(self.allocated().and_then(|given| given.by)))
            .or_else(|| of(self.freed().and_then(|given| given.by)))
    }

    /// The module that registers or unregisters its driver: all that the driver is bound to is probed or unbound there.
    fn registering(&self) -> Option<&'a str> {
        frames::named(self.frames())
            .skip_while(|(_, function, name)| !frames::registers(function, name))
            .find_map(|(_, function, _)| function.module.as_deref())
    }

    /// Whether it was no probe of this driver: another one is registered there, by its module or by what is called at boot.
    #[must_use]
    pub fn is_of_another_driver(&self, driver: &str) -> bool {
        let outward = || {
            frames::named(self.frames())
                .skip_while(|(_, function, name)| !frames::registers(function, name))
        };
        let modules = outward().filter_map(|(_, function, _)| function.module.as_deref());
        let at_boot = outward()
            .zip(outward().skip(1))
            .find(|(_, (_, _, caller))| *caller == "do_one_initcall")
            .map(|((_, _, name), _)| name);
        let mut registering = modules.chain(at_boot).peekable();
        registering.peek().is_some() && !registering.any(|other| are_alike(driver, other))
    }

    /// The bus's name, where a function of it is on a stack.
    #[must_use]
    pub fn bus(&self) -> Option<&'static str> {
        let main = self.frames();
        let others = self.splat.stacks.iter().map(|stack| &*stack.frames);
        std::iter::once(main)
            .chain(others)
            .find_map(|frames| frames::named(frames).find_map(|(_, _, name)| frames::bus_of(name)))
    }

    /// The module of the function that a bus has called.
    fn called_by_bus(&self) -> Option<&'a str> {
        let mut inner: Option<&Function> = None;
        for (_, function, name) in frames::named(self.frames()) {
            if frames::bus_of(name).is_some() {
                return inner?.module.as_deref();
            }
            inner = Some(function);
        }
        None
    }
}

/// Whether a driver with this name can be that module's or that function's: they are spelt differently, and one often says more
/// than the other.
fn are_alike(driver: &str, module: &str) -> bool {
    let letters = |name: &str| -> String {
        name.chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|letter| letter.to_ascii_lowercase())
            .collect()
    };
    let share_a_word = || {
        driver
            .split(|letter: char| !letter.is_ascii_alphanumeric())
            .any(|word| word.len() > 3 && letters(module).contains(&letters(word)))
    };
    let (one, other) = (letters(driver), letters(module));
    one.contains(&other) || other.contains(&one) || share_a_word()
}

#[cfg(test)]
mod tests {
    use super::are_alike;

    #[test]
    fn drivers_are_told_from_other_modules() {
        for (driver, module, alike) in [
            ("rockchip-drm", "rockchipdrm", true),
            ("imx-sdma", "imx_sdma", true),
            ("wm8960", "snd_soc_wm8960", true),
            ("tegra-hda", "snd_hda_tegra", true),
            ("edt_ft5x06", "crypto_safexcel", false),
            ("demo", "other", false),
            ("imx-sdma", "sdma_driver_init", true),
            ("goodix_ts", "sf_trng_driver_init", false),
        ] {
            assert_eq!(are_alike(driver, module), alike, "{driver} and {module}");
        }
    }
}
