//! What the events of a block have in common is written once and then referred to by number. Every block
//! begins with empty tables.

use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use super::bytes::{Cursor, Malformed, Put as _};
use crate::event::{Comm, Function, Task, Text};

/// Stands for a thing that isn't there: the string of a device without a name, the address zero.
const NOTHING: u64 = 0;
/// The thing itself follows, and has the next number from now on.
const NEW: u64 = 1;
/// The first thing in a table has this number.
const FIRST: u64 = 2;

/// The tables, for writing.
#[derive(Debug, Default)]
pub(super) struct WritingTables {
    texts: HashMap<Text, u64>,
    functions: HashMap<Arc<Function>, u64>,
    words: HashMap<u64, u64>,
    tasks: HashMap<Task, u64>,
    /// The address of the last function that was written.
    function: u64,
}

impl WritingTables {
    pub(super) fn clear(&mut self) {
        self.texts.clear();
        self.functions.clear();
        self.words.clear();
        self.tasks.clear();
        self.function = 0;
    }

    pub(super) fn put_text(&mut self, bytes: &mut Vec<u8>, text: Option<&Text>) {
        let Some(text) = text else {
            return bytes.put_varint(NOTHING);
        };
        if let Some(number) = self.texts.get(text) {
            return bytes.put_varint(*number);
        }
        self.texts
            .insert(Arc::clone(text), FIRST + self.texts.len() as u64);
        bytes.put_varint(NEW);
        bytes.put_varint(text.len() as u64);
        bytes.extend_from_slice(text.as_bytes());
    }

    pub(super) fn put_function(&mut self, bytes: &mut Vec<u8>, function: Option<&Arc<Function>>) {
        let Some(function) = function else {
            return bytes.put_varint(NOTHING);
        };
        if let Some(number) = self.functions.get(function) {
            return bytes.put_varint(*number);
        }
        self.functions
            .insert(Arc::clone(function), FIRST + self.functions.len() as u64);
        bytes.put_varint(NEW);
        bytes.put_difference(function.address, self.function);
        self.function = function.address;
        self.put_text(bytes, function.name.as_ref());
        self.put_text(bytes, function.module.as_ref());
    }

    /// A word that comes again and again, such as a device's address.
    pub(super) fn put_word(&mut self, bytes: &mut Vec<u8>, word: u64) {
        if word == 0 {
            return bytes.put_varint(NOTHING);
        }
        if let Some(number) = self.words.get(&word) {
            return bytes.put_varint(*number);
        }
        self.words.insert(word, FIRST + self.words.len() as u64);
        bytes.put_varint(NEW);
        bytes.put_word(word);
    }

    pub(super) fn put_task(&mut self, bytes: &mut Vec<u8>, task: &Task) {
        if *task == Task::default() {
            return bytes.put_varint(NOTHING);
        }
        if let Some(number) = self.tasks.get(task) {
            return bytes.put_varint(*number);
        }
        self.tasks.insert(*task, FIRST + self.tasks.len() as u64);
        bytes.put_varint(NEW);
        bytes.put_varint(u64::from(task.tid));
        bytes.put_varint(u64::from(task.tgid));
        bytes.extend_from_slice(&task.comm.0);
    }
}

/// The tables, for reading.
#[derive(Debug, Default)]
pub(super) struct ReadingTables {
    texts: Vec<Text>,
    functions: Vec<Arc<Function>>,
    words: Vec<u64>,
    tasks: Vec<Task>,
    function: u64,
    shared: Shared,
}

/// What a number refers to.
enum Reference<'table, Thing> {
    Nothing,
    New,
    Known(&'table Thing),
}

fn refer<'table, Thing>(
    cursor: &mut Cursor<'_>,
    table: &'table [Thing],
) -> Result<Reference<'table, Thing>, Malformed> {
    match cursor.varint()? {
        NOTHING => Ok(Reference::Nothing),
        NEW => Ok(Reference::New),
        number => usize::try_from(number - FIRST)
            .ok()
            .and_then(|position| table.get(position))
            .map(Reference::Known)
            .ok_or(Malformed("it refers to an undefined entry")),
    }
}

impl ReadingTables {
    /// Empties the tables, for the next block.
    pub(super) fn clear(&mut self) {
        self.texts.clear();
        self.functions.clear();
        self.words.clear();
        self.tasks.clear();
        self.function = 0;
    }

    pub(super) fn text(&mut self, cursor: &mut Cursor<'_>) -> Result<Option<Text>, Malformed> {
        match refer(cursor, &self.texts)? {
            Reference::Nothing => Ok(None),
            Reference::Known(text) => Ok(Some(Arc::clone(text))),
            Reference::New => {
                let length = cursor.count(1)?;
                let text = std::str::from_utf8(cursor.bytes(length)?)
                    .map_err(|_| Malformed("a string is not UTF-8"))?;
                let text = self.shared.text(text);
                self.texts.push(Arc::clone(&text));
                Ok(Some(text))
            }
        }
    }

    pub(super) fn function(
        &mut self,
        cursor: &mut Cursor<'_>,
    ) -> Result<Option<Arc<Function>>, Malformed> {
        match refer(cursor, &self.functions)? {
            Reference::Nothing => Ok(None),
            Reference::Known(function) => Ok(Some(Arc::clone(function))),
            Reference::New => {
                let address = cursor.difference(self.function)?;
                self.function = address;
                let function = Function {
                    address,
                    name: self.text(cursor)?,
                    module: self.text(cursor)?,
                };
                let function = self.shared.function(function);
                self.functions.push(Arc::clone(&function));
                Ok(Some(function))
            }
        }
    }

    pub(super) fn word(&mut self, cursor: &mut Cursor<'_>) -> Result<u64, Malformed> {
        match refer(cursor, &self.words)? {
            Reference::Nothing => Ok(0),
            Reference::Known(word) => Ok(*word),
            Reference::New => {
                let word = cursor.word()?;
                self.words.push(word);
                Ok(word)
            }
        }
    }

    pub(super) fn task(&mut self, cursor: &mut Cursor<'_>) -> Result<Task, Malformed> {
        match refer(cursor, &self.tasks)? {
            Reference::Nothing => Ok(Task::default()),
            Reference::Known(task) => Ok(*task),
            Reference::New => {
                let task = Task {
                    tid: cursor.small()?,
                    tgid: cursor.small()?,
                    comm: Comm(cursor.array()?),
                };
                self.tasks.push(task);
                Ok(task)
            }
        }
    }
}

/// Strings and functions that several blocks have in common, so that whoever keeps them has each once.
#[derive(Debug, Default)]
struct Shared {
    texts: HashSet<Text>,
    functions: HashSet<Arc<Function>>,
}

impl Shared {
    /// So many are kept; with more it begins anew.
    const MOST: usize = 1 << 14;
    /// Longer strings are not kept.
    const LONGEST: usize = 256;

    fn text(&mut self, text: &str) -> Text {
        if let Some(known) = self.texts.get(text) {
            return Arc::clone(known);
        }
        if self.texts.len() >= Self::MOST {
            self.texts.clear();
        }
        let text = Text::from(text);
        if text.len() <= Self::LONGEST {
            self.texts.insert(Arc::clone(&text));
        }
        text
    }

    fn function(&mut self, function: Function) -> Arc<Function> {
        if let Some(known) = self.functions.get(&function) {
            return Arc::clone(known);
        }
        if self.functions.len() >= Self::MOST {
            self.functions.clear();
        }
        let function = Arc::new(function);
        self.functions.insert(Arc::clone(&function));
        function
    }
}
