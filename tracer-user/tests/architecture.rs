//! No room of the program imports a room above it, and no files of a room import each other in a circle. Which room lies
//! where is what docs/architecture.md says.
#![expect(clippy::unwrap_used, reason = "a helper of tests may fail like one")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// A module's path within the crate.
type Module = Vec<String>;

/// An import: which module has it, and which module it is of.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Import {
    by: Module,
    of: Module,
}

#[test]
fn no_room_imports_a_room_above_it() {
    let floors = floors(&document());
    let modules = modules();
    let rooms: BTreeSet<&str> = modules.keys().map(|module| module[0].as_str()).collect();
    let written: BTreeSet<&str> = floors.keys().map(String::as_str).collect();
    assert_eq!(
        written, rooms,
        "docs/architecture.md lists other rooms than tracer-user/src has"
    );
    let upward: Vec<String> = imports(&modules)
        .iter()
        .filter(|import| import.by[0] != import.of[0])
        .filter(|import| floors[&import.of[0]] >= floors[&import.by[0]])
        .map(|import| format!("{} imports {}", show(&import.by), show(&import.of)))
        .collect();
    assert!(upward.is_empty(), "upward:\n{}", upward.join("\n"));
}

#[test]
fn no_files_of_a_room_import_each_other_in_a_circle() {
    let mut siblings: BTreeMap<Module, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for Import { by, of } in imports(&modules()) {
        let common = by.iter().zip(&of).take_while(|(one, other)| one == other);
        let common = common.count();
        // What a file takes from the one that declares it is no circle.
        if let (Some(one), Some(other)) = (by.get(common), of.get(common))
            && common > 0
        {
            let edges = siblings.entry(by[..common].to_vec()).or_default();
            edges.entry(one.clone()).or_default().insert(other.clone());
        }
    }
    let circles: Vec<String> = siblings
        .iter()
        .filter_map(|(room, edges)| {
            let in_circle = edges.keys().filter(|file| reaches_itself(file, edges));
            let files: Vec<&str> = in_circle.map(String::as_str).collect();
            (!files.is_empty()).then(|| format!("{}: {}", show(room), files.join(", ")))
        })
        .collect();
    assert!(circles.is_empty(), "in circles:\n{}", circles.join("\n"));
}

#[test]
fn imports_are_found_in_whatever_form() {
    let source = "
        use super::{sibling::Type, other::{self, Deep}};
        // use crate::comment::X;
        /* use crate::comment::Y; */
        fn f(a: &crate::a::B<'_>, c: char) { let s = \"crate::string::Z\"; let q = '\"'; g(c, s) }
        const RAW: &str = r#\"\" crate::string::Z\"#;
        mod tests {
            use super::child::Y;
        }
    ";
    let by = module("room::file");
    let mut known = BTreeMap::new();
    for name in [
        "room",
        "room::file",
        "room::file::child",
        "room::sibling",
        "room::other",
        "a",
        "comment",
        "string",
    ] {
        known.insert(module(name), String::new());
    }
    let found: BTreeSet<String> = imports_of(&by, source, &known)
        .iter()
        .map(|import| show(&import.of))
        .collect();
    let expected = ["a", "room::file::child", "room::other", "room::sibling"];
    assert_eq!(found.iter().collect::<Vec<_>>(), expected);
}

fn document() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join("../docs/architecture.md")).unwrap()
}

/// The floor of each room: the number of its row in the table under "Rooms".
fn floors(document: &str) -> BTreeMap<String, usize> {
    let (_, section) = document.split_once("\n## Rooms\n").unwrap();
    let rows = section
        .lines()
        .skip_while(|line| !line.starts_with("|---"))
        .skip(1)
        .take_while(|line| line.starts_with('|'));
    rows.enumerate()
        .flat_map(|(floor, row)| {
            let rooms = row.split('|').nth(1).unwrap_or_default();
            let names = rooms.split('`').skip(1).step_by(2);
            names.map(move |name| (name.to_owned(), floor))
        })
        .collect()
}

/// Every module of the library with its source text. A command's entry and the crate's root are no rooms.
fn modules() -> BTreeMap<Module, String> {
    let mut found = BTreeMap::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut directories = vec![root.clone()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let name = path.strip_prefix(&root).unwrap().with_extension("");
            let mut name: Module = name
                .iter()
                .map(|part| part.to_str().unwrap().to_owned())
                .collect();
            name.pop_if(|last| last == "mod");
            if !matches!(name.join("::").as_str(), "lib" | "main") {
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

fn imports(modules: &BTreeMap<Module, String>) -> BTreeSet<Import> {
    modules
        .iter()
        .flat_map(|(by, source)| imports_of(by, source, modules))
        .collect()
}

/// What a file imports, by `use` or by a path where it is used.
fn imports_of(by: &Module, source: &str, known: &BTreeMap<Module, String>) -> BTreeSet<Import> {
    let tokens = tokens(source);
    let mut found = BTreeSet::new();
    // The braces at which modules within the file began: `super` is this file there.
    let mut inner = Vec::new();
    let mut depth = 0;
    for (place, token) in tokens.iter().enumerate() {
        match *token {
            "{" => {
                depth += 1;
                if place >= 2 && tokens[place - 2] == "mod" {
                    inner.push(depth);
                }
            }
            "}" => {
                inner.pop_if(|began| *began == depth);
                depth -= 1;
            }
            "crate" | "super" if tokens.get(place + 1) == Some(&"::") => {
                // A further `super` of the same path is read with the first.
                if place > 0 && tokens[place - 1] == "::" {
                    continue;
                }
                let mut paths = Vec::new();
                read_tree(&tokens, place, &[], &mut paths);
                let paths = paths.iter().filter_map(|path| {
                    let path = absolute(path, by, inner.len());
                    // What is named last is a module, or something in one.
                    let lengths = (1..=path.len()).rev();
                    let mut prefixes = lengths.map(|length| path[..length].to_vec());
                    prefixes.find(|prefix| known.contains_key(prefix))
                });
                found.extend(paths.map(|of| Import { by: by.clone(), of }));
            }
            _ => {}
        }
    }
    found
}

/// Reads `a::{b, c::d}` from a token on. Returns the place behind it.
fn read_tree<'s>(
    tokens: &[&'s str],
    mut place: usize,
    before: &[&'s str],
    paths: &mut Vec<Vec<&'s str>>,
) -> usize {
    let mut path = before.to_vec();
    loop {
        match tokens.get(place).copied() {
            Some("{") => {
                place += 1;
                while let Some(token) = tokens.get(place).copied() {
                    match token {
                        "}" => return place + 1,
                        "," => place += 1,
                        _ => place = read_tree(tokens, place, &path, paths),
                    }
                }
                return place;
            }
            Some("self") => {}
            Some(name) if is_name(name) => path.push(name),
            _ => {}
        }
        place += 1;
        if tokens.get(place) == Some(&"::") {
            place += 1;
            continue;
        }
        // `name as other`
        if tokens.get(place) == Some(&"as") {
            place += 2;
        }
        paths.push(path);
        return place;
    }
}

fn absolute(path: &[&str], by: &Module, inner: usize) -> Module {
    if path.first() == Some(&"crate") {
        return path[1..].iter().map(ToString::to_string).collect();
    }
    let up = path.iter().take_while(|part| **part == "super").count();
    let base = by.len().saturating_sub(up.saturating_sub(inner));
    let rest = path[up..].iter().map(ToString::to_string);
    by[..base].iter().cloned().chain(rest).collect()
}

/// Names, `::` and single signs, without comments, strings and characters.
fn tokens(source: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = literal(rest) {
            length
        } else if is_name(rest) {
            let other = |sign: char| !sign.is_alphanumeric() && sign != '_';
            let length = rest.find(other).unwrap_or(rest.len());
            found.push(&rest[..length]);
            length
        } else if rest.starts_with("::") {
            found.push("::");
            2
        } else {
            if !first.is_whitespace() {
                found.push(&rest[..first.len_utf8()]);
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    found
}

/// The length of the string or character that a text begins with.
fn literal(text: &str) -> Option<usize> {
    let prefixless = text.strip_prefix('b').unwrap_or(text);
    let prefix = text.len() - prefixless.len();
    if let Some(raw) = prefixless.strip_prefix('r') {
        let signs = raw.len() - raw.trim_start_matches('#').len();
        let content = raw[signs..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(signs));
        let length = content.find(&end)? + end.len();
        return Some(prefix + 1 + signs + 1 + length);
    }
    let quote = prefixless
        .chars()
        .next()
        .filter(|sign| "\"'".contains(*sign))?;
    let mut escaped = false;
    let mut count = 0;
    for (place, sign) in prefixless.char_indices().skip(1) {
        count += 1;
        match sign {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if sign == quote => return Some(prefix + place + 1),
            // A lifetime, and no character.
            _ if quote == '\'' && count > 1 && !prefixless.starts_with("'\\") => return None,
            _ => {}
        }
    }
    None
}

fn is_name(text: &str) -> bool {
    text.starts_with(|sign: char| sign.is_alphabetic() || sign == '_')
}

/// Whether a file imports itself by way of others.
fn reaches_itself(file: &str, edges: &BTreeMap<String, BTreeSet<String>>) -> bool {
    let mut reached = BTreeSet::new();
    let mut ahead: Vec<&String> = edges.get(file).into_iter().flatten().collect();
    while let Some(next) = ahead.pop() {
        if reached.insert(next) {
            ahead.extend(edges.get(next).into_iter().flatten());
        }
    }
    reached.iter().any(|other| other.as_str() == file)
}

fn module(path: &str) -> Module {
    path.split("::").map(str::to_owned).collect()
}

fn show(module: &Module) -> String {
    module.join("::")
}
