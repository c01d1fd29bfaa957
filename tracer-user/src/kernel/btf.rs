//! The kernel's types as BTF describes them: one pass over the types, and names looked up in an index.
//!
//! A header is followed by the types and by their names. Every type begins with three words: where its name is, its
//! kind with the number of its parts, and a size or another type's number. Types are numbered from one in the order in
//! which they stand there; number zero is `void`.

use std::{collections::BTreeMap, hash::BuildHasher as _};

use hashbrown::{DefaultHashBuilder, HashTable};

/// Why bytes are no BTF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("it does not begin as BTF does")]
    NoHeader,
    #[error("it is cut off")]
    CutOff,
    #[error("type {0} is of a kind that this tool does not know")]
    UnknownKind(usize),
}

/// What a type is, as far as anybody asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Structure,
    Union,
    Typedef,
    Function,
    Prototype,
    /// `const`, `volatile` and the like.
    Qualifier,
    Other,
}

impl Kind {
    const TYPEDEF: u32 = 8;
    const FUNCTION: u32 = 12;

    /// The kind with this number and how many bytes of it lie behind the three words, for each part and once.
    const fn from_number(number: u32) -> Option<(Self, usize, usize)> {
        Some(match number {
            // Pointers, forward declarations, floats.
            2 | 7 | 16 => (Self::Other, 0, 0),
            // Integers, variables, declaration tags.
            1 | 14 | 17 => (Self::Other, 0, 4),
            // Arrays.
            3 => (Self::Other, 0, 12),
            4 => (Self::Structure, Types::PART, 0),
            5 => (Self::Union, Types::PART, 0),
            // Enumerations.
            6 => (Self::Other, 8, 0),
            // Enumerations of 64 bits, sections of data.
            15 | 19 => (Self::Other, 12, 0),
            Self::TYPEDEF => (Self::Typedef, 0, 0),
            9 | 10 | 11 | 18 => (Self::Qualifier, 0, 0),
            Self::FUNCTION => (Self::Function, 0, 0),
            13 => (Self::Prototype, 8, 0),
            _ => return None,
        })
    }
}

/// A type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Type {
    /// Where its three words lie.
    place: usize,
    name: u32,
    pub(super) kind: Kind,
    /// How many members or parameters it has.
    pub(super) parts: usize,
    /// Whether offsets of members share their word with sizes.
    with_sizes: bool,
    /// The last word: its size in bytes, or the number of the type that it refers to.
    pub(super) last: u32,
}

/// A member of a structure or union.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member<'types> {
    /// Empty where the member is anonymous.
    pub(super) name: &'types [u8],
    /// The number of its type.
    pub(super) number: u32,
    /// In bits.
    pub(super) offset: u32,
}

/// Numbers of types by their names.
pub(super) type Numbers = BTreeMap<String, u32>;

/// All types of a kernel.
pub(super) struct Types {
    bytes: Vec<u8>,
    /// Whether words are in the other byte order than this machine's.
    swapped: bool,
    /// Where the names begin.
    names: usize,
    /// Where each type lies; nothing for number zero.
    places: Vec<u32>,
    /// Numbers of structures, functions and typedefs by name.
    by_name: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Types {
    /// `struct btf_header`.
    const HEADER: usize = 24;
    const MAGIC: u16 = 0xeb9f;
    /// The three words that every type begins with.
    const TYPE: usize = 12;
    /// `struct btf_member`.
    const PART: usize = 12;
    /// References are followed no further: the kernel's own chains are shorter, and others may go in a circle.
    const LONGEST_CHAIN: usize = 32;

    /// Reads BTF in either byte order.
    pub(super) fn parse(bytes: Vec<u8>) -> Result<Self, Malformed> {
        let magic = bytes
            .first_chunk()
            .map(|magic| u16::from_ne_bytes(*magic))
            .ok_or(Malformed::NoHeader)?;
        if magic != Self::MAGIC && magic != Self::MAGIC.swap_bytes() {
            return Err(Malformed::NoHeader);
        }
        let mut types = Self {
            bytes,
            swapped: magic != Self::MAGIC,
            names: 0,
            places: vec![0],
            by_name: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
        };
        let header = |at| types.length(at).ok_or(Malformed::CutOff);
        let length = header(4)?;
        if length < Self::HEADER {
            return Err(Malformed::NoHeader);
        }
        let within = |offset: usize, size: usize| {
            let begin = length.checked_add(offset)?;
            let end = begin.checked_add(size)?;
            (end <= types.bytes.len()).then_some((begin, end))
        };
        let (begin, end) = within(header(8)?, header(12)?).ok_or(Malformed::CutOff)?;
        let (names, names_end) = within(header(16)?, header(20)?).ok_or(Malformed::CutOff)?;
        types.names = names;
        types.bytes.truncate(names_end.max(end));
        types.index(begin, end)?;
        Ok(types)
    }

    /// Finds out where each type lies, and keeps those that are asked for by name.
    fn index(&mut self, begin: usize, end: usize) -> Result<(), Malformed> {
        // In the kernel a type takes some thirty bytes.
        self.places.reserve((end - begin) / 24);
        let mut named = Vec::with_capacity((end - begin) / 48);
        let mut at = begin;
        while at < end {
            let number = self.places.len();
            let (found, length) = self.type_at(at, number)?;
            let place = u32::try_from(at).map_err(|_| Malformed::CutOff)?;
            self.places.push(place);
            if matches!(found.kind, Kind::Structure | Kind::Function | Kind::Typedef) {
                named.push(u32::try_from(number).map_err(|_| Malformed::CutOff)?);
            }
            at += length;
        }
        if at > end {
            return Err(Malformed::CutOff);
        }
        let mut by_name = HashTable::with_capacity(named.len());
        let hash = |number: &u32| self.hasher.hash_one(self.name_of(*number));
        for number in named {
            by_name.insert_unique(hash(&number), number, hash);
        }
        self.by_name = by_name;
        Ok(())
    }

    /// The type of this number, whose words lie there, with the bytes that it takes in all.
    fn type_at(&self, at: usize, number: usize) -> Result<(Type, usize), Malformed> {
        let word = |at| self.word(at).ok_or(Malformed::CutOff);
        let (name, information, last) = (word(at)?, word(at + 4)?, word(at + 8)?);
        let (kind, for_each, once) =
            Kind::from_number(information >> 24 & 0x1f).ok_or(Malformed::UnknownKind(number))?;
        let parts = (information & 0xffff) as usize;
        let found = Type {
            place: at,
            name,
            kind,
            parts,
            with_sizes: information >> 31 == 1,
            last,
        };
        Ok((found, Self::TYPE + for_each * parts + once))
    }

    /// The type with this number.
    pub(super) fn get(&self, number: u32) -> Option<Type> {
        let place = *self.places.get(number as usize).filter(|_| number > 0)?;
        let (found, _) = self.type_at(place as usize, number as usize).ok()?;
        Some(found)
    }

    /// The first type of this name and kind: a structure, a function or a typedef.
    pub(super) fn named(&self, name: &str, kind: Kind) -> Option<(u32, Type)> {
        let hash = self.hasher.hash_one(name.as_bytes());
        let numbers = self.by_name.iter_hash(hash).copied();
        let found = numbers
            .filter(|number| self.name_of(*number) == name.as_bytes())
            .filter_map(|number| Some((number, self.get(number)?)));
        found
            .filter(|(_, found)| found.kind == kind)
            .min_by_key(|(number, _)| *number)
    }

    /// The type with this number, behind typedefs and qualifiers.
    pub(super) fn resolved(&self, mut number: u32) -> Option<Type> {
        for _ in 0..Self::LONGEST_CHAIN {
            let found = self.get(number)?;
            if !matches!(found.kind, Kind::Typedef | Kind::Qualifier) {
                return Some(found);
            }
            number = found.last;
        }
        None
    }

    /// The members of a structure or union.
    pub(super) fn members(&self, of: Type) -> impl Iterator<Item = Member<'_>> {
        let first = of.place + Self::TYPE;
        (0..of.parts).filter_map(move |index| {
            let at = first + index * Self::PART;
            let offset = self.word(at + 8)?;
            Some(Member {
                name: self.text(self.word(at)?),
                number: self.word(at + 4)?,
                offset: if of.with_sizes {
                    offset & 0x00ff_ffff
                } else {
                    offset
                },
            })
        })
    }

    fn name_of(&self, number: u32) -> &[u8] {
        self.get(number).map_or(&[], |found| self.text(found.name))
    }

    /// The name at this offset.
    fn text(&self, offset: u32) -> &[u8] {
        let text = self
            .names
            .checked_add(offset as usize)
            .and_then(|begin| self.bytes.get(begin..))
            .unwrap_or_default();
        let end = memchr::memchr(0, text).unwrap_or(text.len());
        text.get(..end).unwrap_or_default()
    }

    fn word(&self, at: usize) -> Option<u32> {
        let bytes = self.bytes.get(at..)?.first_chunk()?;
        let word = u32::from_ne_bytes(*bytes);
        Some(if self.swapped {
            word.swap_bytes()
        } else {
            word
        })
    }

    fn length(&self, at: usize) -> Option<usize> {
        self.word(at).map(|word| word as usize)
    }
}

/// BTF in this machine's byte order that has nothing but functions and typedefs of these names and numbers: enough for
/// whoever looks up what to attach to, and a thousandth of the work to parse.
pub(super) fn names_only(functions: &Numbers, typedefs: &Numbers) -> Vec<u8> {
    let functions = functions.iter().map(|entry| (Kind::FUNCTION, entry));
    let typedefs = typedefs.iter().map(|entry| (Kind::TYPEDEF, entry));
    let all: Vec<_> = functions
        .chain(typedefs)
        .map(|(kind, (name, number))| (*number as usize, kind, name))
        .collect();
    let last = all.iter().map(|(number, ..)| *number).max().unwrap_or(0);
    let mut types = vec![0; last * Types::TYPE];
    let mut names = vec![0];
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(0);
    for (number, kind, name) in all {
        let words = [length(&names), kind << 24, 0];
        names.extend_from_slice(name.as_bytes());
        names.push(0);
        let place = number.saturating_sub(1) * Types::TYPE;
        for (place, word) in types[place..].as_chunks_mut().0.iter_mut().zip(words) {
            *place = word.to_ne_bytes();
        }
    }
    let mut bytes = Vec::with_capacity(Types::HEADER + types.len() + names.len());
    bytes.extend_from_slice(&Types::MAGIC.to_ne_bytes());
    // The format's version, and no flags.
    bytes.extend_from_slice(&[1, 0]);
    #[expect(clippy::cast_possible_truncation, reason = "it is 24")]
    let header = Types::HEADER as u32;
    for word in [header, 0, length(&types), length(&types), length(&names)] {
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    bytes.append(&mut types);
    bytes.append(&mut names);
    bytes
}

#[cfg(test)]
mod tests {
    use aya_obj::btf::BtfKind;

    use super::*;

    /// Writes BTF by hand.
    #[derive(Default)]
    struct Written {
        types: Vec<u32>,
        names: Vec<u8>,
    }

    impl Written {
        fn name(&mut self, name: &str) -> u32 {
            if self.names.is_empty() {
                self.names.push(0);
            }
            if name.is_empty() {
                return 0;
            }
            let at = u32::try_from(self.names.len()).unwrap();
            self.names.extend_from_slice(name.as_bytes());
            self.names.push(0);
            at
        }

        fn add(&mut self, name: &str, information: u32, last: u32, rest: &[u32]) {
            let name = self.name(name);
            self.types.extend([name, information, last]);
            self.types.extend(rest);
        }

        fn bytes(&self, word: fn(u32) -> [u8; 4], half: fn(u16) -> [u8; 2]) -> Vec<u8> {
            let types = u32::try_from(self.types.len() * 4).unwrap();
            let names = u32::try_from(self.names.len()).unwrap();
            let mut bytes = half(0xeb9f).to_vec();
            bytes.extend([1, 0]);
            for number in [24, 0, types, types, names] {
                bytes.extend(word(number));
            }
            for number in &self.types {
                bytes.extend(word(*number));
            }
            bytes.extend(&self.names);
            bytes
        }
    }

    /// An integer, a structure with an anonymous union in it, a function with its prototype, and a tracepoint.
    fn written() -> Written {
        let mut written = Written::default();
        written.add("int", 1 << 24, 4, &[32]);
        let (first, second) = (written.name("first"), written.name("second"));
        written.add("", 5 << 24 | 1, 4, &[second, 1, 0]);
        written.add(
            "device",
            4 << 24 | 2 | 1 << 31,
            8,
            &[first, 1, 8 << 24, 0, 2, 32],
        );
        written.add("", 13 << 24 | 2, 0, &[0, 1, 0, 1]);
        written.add("device_add", 12 << 24, 4, &[]);
        written.add("btf_trace_devres_log", 8 << 24, 1, &[]);
        written
    }

    fn native() -> Vec<u8> {
        written().bytes(u32::to_ne_bytes, u16::to_ne_bytes)
    }

    #[test]
    fn types_are_found_by_name_in_either_byte_order() {
        let little = written().bytes(u32::to_le_bytes, u16::to_le_bytes);
        let big = written().bytes(u32::to_be_bytes, u16::to_be_bytes);
        for bytes in [little, big] {
            let types = Types::parse(bytes).unwrap();
            let (number, device) = types.named("device", Kind::Structure).unwrap();
            assert_eq!((number, device.last), (3, 8));
            let members: Vec<_> = types
                .members(device)
                .map(|member| (member.name, member.number, member.offset))
                .collect();
            assert_eq!(members, [(&b"first"[..], 1, 0), (&b""[..], 2, 32)]);
            let (number, function) = types.named("device_add", Kind::Function).unwrap();
            assert_eq!(number, 5);
            assert_eq!(types.resolved(function.last).unwrap().parts, 2);
            assert!(types.named("device_add", Kind::Structure).is_none());
            assert!(types.named("device_ad", Kind::Function).is_none());
        }
    }

    #[test]
    fn names_alone_keep_their_numbers() {
        let numbers = |name: &str, number| Numbers::from([(name.to_owned(), number)]);
        let reduced = names_only(
            &numbers("device_add", 5),
            &numbers("btf_trace_devres_log", 6),
        );
        let loader = aya::Btf::parse(&reduced, aya::Endianness::default()).unwrap();
        let number = |name, kind| loader.id_by_type_name_kind(name, kind).ok();
        assert_eq!(number("device_add", BtfKind::Func), Some(5));
        assert_eq!(number("btf_trace_devres_log", BtfKind::Typedef), Some(6));
        assert_eq!(number("device", BtfKind::Struct), None);
    }

    #[test]
    fn damage_is_an_error_wherever_it_is() {
        let whole = native();
        for length in 0..whole.len() {
            assert!(Types::parse(whole[..length].to_vec()).is_err(), "{length}");
        }
        let mut unknown = Written::default();
        unknown.add("new", 31 << 24, 0, &[]);
        let unknown = unknown.bytes(u32::to_ne_bytes, u16::to_ne_bytes);
        assert_eq!(Types::parse(unknown).err(), Some(Malformed::UnknownKind(1)));
        // Whatever a byte is: an answer or an error, never a crash or an endless loop.
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                if let Ok(types) = Types::parse(bytes)
                    && let Some((_, device)) = types.named("device", Kind::Structure)
                {
                    types.members(device).for_each(drop);
                    types.resolved(device.last);
                }
            }
        }
    }
}
