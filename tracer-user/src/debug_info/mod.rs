//! Lines of the source for the frames of call stacks, from debug info (DWARF) of the kernel and its modules.
//!
//! A frame names a function and how far into it the call is. The same function is looked up in a debug file of the same
//! build; where several functions of a file have that name, where the kernel or module lay in memory tells which. What is
//! not certain has no line.

mod debug_file;
mod error;
mod placement;
mod relocations;
mod remarks;
mod search;
mod sections;

use std::{path::PathBuf, sync::Arc};

use hashbrown::HashMap;

use debug_file::{DebugFile, Position};
pub use error::DebugFileError;
use placement::Placement;
use remarks::Remarks;
use search::Search;

use crate::{
    event::{
        Event, EventKind, Function, Message, SourceLine, StackFrame, Text,
        splat::{Role, Splat},
    },
    kernel::{KernelImage, LoadedModule},
    source::recording::Annotator,
};

/// Where debug info is looked for.
#[derive(Debug, Clone, Default)]
pub struct DebugFiles {
    /// Directories, with everything below them.
    pub directories: Vec<PathBuf>,
    /// The kernel's own file.
    pub vmlinux: Option<PathBuf>,
    /// Whether `debuginfod-find` is asked for what is in none of them.
    pub debuginfod: bool,
}

/// The kernel that a recording is of.
#[derive(Debug, Clone, Default)]
pub struct Recorded {
    /// Its release, as `uname -r` prints it.
    pub release: Option<String>,
    /// Its build and place.
    pub image: KernelImage,
}

/// Lines of the source for one recording.
pub struct SourceLines {
    search: Search,
    image: KernelImage,
    /// Modules as the recording has them loaded now.
    loaded: HashMap<Text, LoadedModule>,
    /// Debug files by module, `None` for the kernel.
    files: HashMap<Option<Text>, Option<DebugFile>>,
    known: HashMap<Site, Option<Arc<SourceLine>>>,
    remarks: Remarks,
    /// Whether the running kernel is asked for modules that the recording does not list.
    running: bool,
}

/// A place in the code.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Site {
    function: Arc<Function>,
    /// How far into it the instruction is whose line is wanted.
    offset: u64,
}

impl SourceLines {
    /// Looks for the lines of a recording of this kernel.
    ///
    /// # Errors
    /// The kernel's own file was named, and can't be used.
    pub fn new(files: DebugFiles, recorded: Recorded) -> Result<Self, DebugFileError> {
        let mut lines = Self {
            search: Search::new(files, recorded.release),
            image: recorded.image,
            loaded: HashMap::new(),
            files: HashMap::new(),
            known: HashMap::new(),
            remarks: Remarks::default(),
            running: false,
        };
        if let Some(path) = lines.search.vmlinux() {
            let file = DebugFile::open(path)?;
            file.verify(lines.image.build_id.as_deref())?;
            if lines.image.build_id.is_none() {
                lines.remarks.unchecked(None);
            }
            lines.files.insert(None, Some(file));
        }
        Ok(lines)
    }

    /// Looks for the lines of the running kernel.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of_running_kernel(
        files: DebugFiles,
        release: Option<String>,
    ) -> Result<Self, DebugFileError> {
        let image = KernelImage::running();
        let mut lines = Self::new(files, Recorded { release, image })?;
        lines.running = true;
        Ok(lines)
    }

    fn frames(
        &mut self,
        frames: &Arc<[StackFrame]>,
        exact: Option<&Function>,
    ) -> Option<Arc<[StackFrame]>> {
        let mut lines = Vec::with_capacity(frames.len());
        for (place, frame) in frames.iter().enumerate() {
            let is_exact = place == 0
                && exact.is_some_and(|function| frame.function.as_deref() == Some(function));
            lines.push(self.line(frame, is_exact));
        }
        if lines.iter().all(Option::is_none) {
            return None;
        }
        let with = frames.iter().zip(lines).map(|(frame, line)| StackFrame {
            line: line.or_else(|| frame.line.clone()),
            ..frame.clone()
        });
        Some(with.collect())
    }

    /// The line of a frame; `exact` if its address is the instruction's own, not the one that a call returns to.
    fn line(&mut self, frame: &StackFrame, exact: bool) -> Option<Arc<SourceLine>> {
        let function = frame.function.as_ref()?;
        function.name.as_ref()?;
        // Where a source doesn't say how far into the function the call is, there is no line to tell.
        if frame.address == 0 && frame.offset == 0 {
            return None;
        }
        let site = Site {
            function: Arc::clone(function),
            offset: if exact {
                frame.offset
            } else {
                frame.offset.saturating_sub(1)
            },
        };
        if let Some(known) = self.known.get(&site) {
            return known.clone();
        }
        let line = self.find(&site).map(Arc::new);
        self.known.insert(site, line.clone());
        line
    }

    fn find(&mut self, site: &Site) -> Option<SourceLine> {
        let module = site.function.module.as_ref();
        self.open(module);
        let file = self.files.get(&module.cloned())?.as_ref()?;
        let name = site.function.name.as_deref()?;
        let placement = match module {
            None => Placement::of_kernel(&self.image),
            Some(module) => Placement::of_module(self.loaded.get(module)),
        };
        match file.position(name, site.function.address, &placement) {
            // What lies behind the function's end is in another, whatever the name says.
            Position::At(begin, length) if length == 0 || site.offset < length => {
                file.line(begin.checked_add(site.offset)?)
            }
            Position::At(..) | Position::Nowhere => None,
            Position::Ambiguous => {
                self.remarks.ambiguous(&site.function);
                None
            }
        }
    }

    /// Looks for the file of a module or the kernel, unless that was done before.
    fn open(&mut self, module: Option<&Text>) {
        let key = module.cloned();
        if self.files.contains_key(&key) {
            return;
        }
        if self.running
            && let Some(name) = module
            && let Some(loaded) = LoadedModule::running(name)
        {
            self.loaded.insert(name.clone(), loaded);
        }
        let build_id = match module {
            None => self.image.build_id.as_deref(),
            Some(module) => self
                .loaded
                .get(module)
                .and_then(|loaded| loaded.build_id.as_deref()),
        };
        let file = self.search.find(module, build_id, &mut self.remarks);
        if file.is_none() {
            self.remarks.missing(module);
        } else if build_id.is_none() {
            self.remarks.unchecked(module);
        }
        self.files.insert(key, file);
    }

    fn splat(&mut self, splat: &Splat) -> Option<Splat> {
        let mut with = splat.clone();
        let mut any = false;
        for stack in &mut with.stacks {
            // The report's innermost frame is the instruction that failed, where it is the function that is told for it.
            let exact = splat
                .function
                .as_deref()
                .filter(|_| stack.role == Role::Report);
            if let Some(frames) = self.frames(&stack.frames, exact) {
                stack.frames = frames;
                any = true;
            }
        }
        any.then_some(with)
    }
}

impl Annotator for SourceLines {
    fn loaded(&mut self, modules: &[LoadedModule]) {
        for module in modules {
            let before = self.loaded.insert(module.name.clone(), module.clone());
            let same = before.is_some_and(|before| before.build_id == module.build_id);
            if !same {
                self.files.remove(&Some(module.name.clone()));
            }
            self.known
                .retain(|site, _| site.function.module.as_ref() != Some(&module.name));
        }
    }

    fn annotated(&mut self, event: &Event) -> Option<Event> {
        let kind = match &event.kind {
            EventKind::Stack(definition) => {
                let mut definition = definition.clone();
                definition.frames = self.frames(&definition.frames, None)?;
                EventKind::Stack(definition)
            }
            EventKind::Message(Message::Splat(splat)) => {
                EventKind::Message(Message::Splat(Box::new(self.splat(splat)?)))
            }
            _ => return None,
        };
        Some(Event {
            kind,
            ..event.clone()
        })
    }

    fn remarks(&self) -> Vec<String> {
        self.remarks.sentences()
    }
}
