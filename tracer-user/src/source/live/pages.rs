//! Pages of the kernel's memory that came along with the records.

use hashbrown::HashMap;
use tracer_ebpf::wire::{PAGE, PageRecord};

use super::snapshot::{Memory, Unreadable};

/// Pages by address, until the record comes that they were sent for.
#[derive(Default)]
pub(super) struct Pages {
    by_task: HashMap<u32, OfTask>,
    kept: usize,
}

/// The pages that one task has sent.
#[derive(Default)]
pub(super) struct OfTask(HashMap<u64, Box<[u8; PAGE]>>);

impl Pages {
    /// More than modules that are loaded at the same time send. The record that these belong to was lost.
    const MOST: usize = 4096;

    /// Keeps a page.
    pub(super) fn add(&mut self, page: &PageRecord) {
        if self.kept >= Self::MOST {
            *self = Self::default();
        }
        self.kept += 1;
        let OfTask(pages) = self.by_task.entry(page.header.tid).or_default();
        pages.insert(page.address, Box::new(page.bytes));
    }

    /// Hands out the pages of a task.
    pub(super) fn take(&mut self, task: u32) -> OfTask {
        let pages = self.by_task.remove(&task).unwrap_or_default();
        self.kept = self.kept.saturating_sub(pages.0.len());
        pages
    }
}

impl Memory for OfTask {
    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), Unreadable> {
        let mut at = address;
        let mut rest = into;
        while !rest.is_empty() {
            let offset = at % PAGE as u64;
            let page = self.0.get(&(at - offset)).ok_or(Unreadable(at))?;
            let known = page.get(usize::try_from(offset).unwrap_or(PAGE)..);
            let known = known.unwrap_or_default();
            let (part, behind) = rest.split_at_mut(known.len().min(rest.len()));
            part.copy_from_slice(known.get(..part.len()).ok_or(Unreadable(at))?);
            at = at.wrapping_add(part.len() as u64);
            rest = behind;
        }
        Ok(())
    }
}
