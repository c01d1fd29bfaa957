//! The kernel's variables by address: what a pointer that was found in its memory points into.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs::File,
    io::{self, BufRead, BufReader},
};

use super::symbols::{KALLSYMS, Line};

/// Names the variables of the kernel and its modules that these pointers point into, as far as `/proc/kallsyms` lists
/// variables (`CONFIG_KALLSYMS_ALL`).
pub fn variables(pointers: &BTreeSet<u64>) -> io::Result<BTreeMap<u64, String>> {
    if pointers.is_empty() {
        return Ok(BTreeMap::new());
    }
    named(
        BufReader::with_capacity(1 << 16, File::open(KALLSYMS)?),
        pointers,
    )
}

/// The nearest symbol before a pointer.
struct Nearest {
    address: u64,
    /// What to call it; none if it is no variable.
    name: Option<String>,
}

/// The same from a table in the format of `/proc/kallsyms`.
fn named(mut table: impl BufRead, pointers: &BTreeSet<u64>) -> io::Result<BTreeMap<u64, String>> {
    /// The table has no ends. What lies farther behind a variable's start is hardly in it.
    const LARGEST: u64 = 1 << 16;
    let mut nearest: BTreeMap<u64, Nearest> = BTreeMap::new();
    let mut line = Vec::with_capacity(128);
    while table.read_until(b'\n', &mut line)? > 0 {
        if let Ok(text) = std::str::from_utf8(&line)
            && let Some(symbol) = Line::read(text.trim_end())
        {
            let reach = symbol.address..symbol.address.saturating_add(LARGEST);
            for pointer in pointers.range(reach) {
                let known = nearest.get(pointer);
                // Of several names for one address the first in the table is the one that the kernel prints.
                if known.is_none_or(|known| known.address < symbol.address) {
                    let found = Nearest {
                        address: symbol.address,
                        name: is_variable(symbol.kind).then(|| name(&symbol, *pointer)),
                    };
                    nearest.insert(*pointer, found);
                }
            }
        }
        line.clear();
    }
    let named = nearest
        .into_iter()
        .filter_map(|(pointer, nearest)| Some((pointer, nearest.name?)));
    Ok(named.collect())
}

/// Whether a symbol of this kind is data: initialised, not initialised, or constant.
fn is_variable(kind: &str) -> bool {
    matches!(kind, "d" | "D" | "b" | "B" | "r" | "R" | "v" | "V")
}

fn name(symbol: &Line<'_>, pointer: u64) -> String {
    let mut name = symbol.name.to_owned();
    if pointer > symbol.address {
        let _ = write!(name, "+{:#x}", pointer - symbol.address);
    }
    if let Some(module) = symbol.module {
        let _ = write!(name, " [{module}]");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
0000000000001000 A some_per_cpu_variable
ffffffff82000000 D init_task
ffffffff82000000 D alias_of_it
ffffffff82003000 R some_table
ffffffff82004000 t some_function
ffffffffc0002000 b acme_state\t[acme]
ffffffffc0001000 t acme_stop\t[acme]
garbage
";

    fn found(pointer: u64) -> Option<String> {
        let pointers = BTreeSet::from([pointer, 0xffff_8880_0000_0000]);
        named(TABLE.as_bytes(), &pointers).unwrap().remove(&pointer)
    }

    #[test]
    fn a_pointer_is_into_the_variable_before_it() {
        assert_eq!(found(0xffff_ffff_8200_0000).as_deref(), Some("init_task"));
        assert_eq!(
            found(0xffff_ffff_8200_3010).as_deref(),
            Some("some_table+0x10")
        );
        assert_eq!(
            found(0xffff_ffff_c000_2008).as_deref(),
            Some("acme_state+0x8 [acme]")
        );
    }

    #[test]
    fn code_and_what_lies_far_from_everything_are_no_variables() {
        assert_eq!(found(0xffff_ffff_8200_4010), None);
        assert_eq!(found(0xffff_ffff_c000_1010), None);
        assert_eq!(found(0xffff_ffff_d000_0000), None);
        assert_eq!(found(0xffff_8880_0000_0000), None);
        assert_eq!(found(0x1010), None);
    }
}
