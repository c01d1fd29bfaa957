//! The symbol table, read and read again in the background.

use std::{sync::Arc, thread::JoinHandle};

use super::symbols::{ModuleSymbols, SymbolError, Symbols};
use crate::event::{Function, StackFrame};

/// Resolves addresses; waits for the table where an answer depends on it.
pub struct SymbolService {
    table: Symbols,
    reading: Option<JoinHandle<Result<Symbols, SymbolError>>>,
    /// A module came while the table was being read: what is being read may lack it.
    stale: bool,
    /// It never reads again.
    fixed: bool,
    error: Option<SymbolError>,
}

impl SymbolService {
    /// Begins to read the running kernel's table.
    #[must_use]
    pub fn start() -> Self {
        let mut service = Self {
            fixed: false,
            ..Self::fixed(Symbols::default())
        };
        service.read();
        service
    }

    /// Uses a table that was read before, and never reads again.
    #[must_use]
    pub fn fixed(table: Symbols) -> Self {
        Self {
            table,
            reading: None,
            stale: false,
            fixed: true,
            error: None,
        }
    }

    /// Why there are no symbols, if there are none.
    pub fn error(&mut self) -> Option<&SymbolError> {
        self.wait();
        self.error.as_ref()
    }

    /// The table, when it has been read.
    pub fn table(&mut self) -> &mut Symbols {
        self.wait();
        &mut self.table
    }

    /// The function that begins at or holds this address.
    pub fn function(&mut self, address: u64) -> Arc<Function> {
        self.ready_for(address);
        self.table.function(address)
    }

    /// One frame of a stack.
    pub fn frame(&mut self, address: u64) -> StackFrame {
        self.ready_for(address.saturating_sub(1));
        self.table.frame(address)
    }

    /// A module was loaded, and these are its functions.
    pub(super) fn add_module(&mut self, module: ModuleSymbols) {
        self.wait();
        self.table.add_module(module);
    }

    /// A module was unloaded.
    pub(super) fn remove_module(&mut self, name: &str) {
        self.wait();
        self.table.remove_module(name);
    }

    /// A module was loaded, and its functions could not be read: they are in the kernel's table from now on.
    pub(super) fn read_again(&mut self) {
        if self.fixed {
            return;
        }
        if self.reading.is_some() {
            self.stale = true;
        } else if self.error.is_none() {
            self.read();
        }
    }

    /// Waits for the table unless it already knows what lies at the address: the kernel's own functions
    /// don't move.
    fn ready_for(&mut self, address: u64) {
        if self.reading.is_some() && !self.table.is_of_kernel_itself(address) {
            self.wait();
        }
    }

    fn wait(&mut self) {
        while let Some(reading) = self.reading.take() {
            let table = reading.join().unwrap_or_else(|_| {
                let error = std::io::Error::other("its reader failed");
                Err(SymbolError::Unreadable(error))
            });
            self.take(table);
            if std::mem::take(&mut self.stale) {
                self.read();
            }
        }
    }

    fn take(&mut self, table: Result<Symbols, SymbolError>) {
        match table {
            Ok(table) => {
                let earlier = std::mem::replace(&mut self.table, table);
                self.table.take_over(earlier);
            }
            Err(error) => self.error = Some(error),
        }
    }

    /// Begins to read the table; where there is no room for another thread, here and now.
    fn read(&mut self) {
        match std::thread::Builder::new().spawn(Symbols::of_running_kernel) {
            Ok(reading) => self.reading = Some(reading),
            Err(_) => self.take(Symbols::of_running_kernel()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_fixed_is_not_read_again() {
        let table = Symbols::read(&b"ffffffff81000000 t made_up\n"[..]).unwrap();
        let mut service = SymbolService::fixed(table);
        service.read_again();
        assert!(service.reading.is_none());
        let function = service.function(0xffff_ffff_8100_0000);
        assert_eq!(function.name.as_deref(), Some("made_up"));
    }
}
