//! What many nodes have in common, kept once.

use std::{
    hash::{BuildHasher as _, Hash, Hasher as _},
    sync::Arc,
};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::{Kind, node::Site};
use crate::event::{Function, StackDefinition, Task, Text};

/// The release function that only `devm_request_irq` and its like give a resource.
const IRQ_RELEASE: &str = "devm_irq_release";
/// Entries below which nothing is swept.
const SMALL: usize = 1024;

/// Values that are kept once for as long as somebody else holds them.
#[derive(Debug)]
struct Shared<T> {
    values: HashTable<Arc<T>>,
    /// How many entries lead to the next sweep.
    sweep_at: usize,
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self {
            values: self.values.clone(),
            sweep_at: self.sweep_at,
        }
    }
}

impl<T> Shared<T> {
    fn new() -> Self {
        Self {
            values: HashTable::new(),
            sweep_at: SMALL,
        }
    }

    fn insert(&mut self, hash: u64, value: T, rehash: impl Fn(&T) -> u64) -> Arc<T> {
        if self.values.len() >= self.sweep_at {
            self.values.retain(|value| Arc::strong_count(value) > 1);
            self.values
                .shrink_to(self.values.len(), |value| rehash(value));
            self.sweep_at = (2 * self.values.len()).max(SMALL);
        }
        let value = Arc::new(value);
        self.values
            .insert_unique(hash, Arc::clone(&value), |value| rehash(value));
        value
    }
}

/// Keeps sites and tasks once.
#[derive(Debug, Clone)]
pub(super) struct Sharing {
    sites: Shared<Site>,
    tasks: Shared<Task>,
    last_task: Option<Arc<Task>>,
    hasher: DefaultHashBuilder,
}

/// What makes a site, not yet owned.
#[derive(Debug, Clone, Copy)]
pub(super) struct SiteKey<'a> {
    pub(super) name: Option<&'a Text>,
    pub(super) function: Option<&'a Arc<Function>>,
    pub(super) stack: Option<&'a Arc<StackDefinition>>,
    pub(super) action: bool,
}

impl SiteKey<'_> {
    fn hash(self, hasher: &DefaultHashBuilder) -> u64 {
        let mut state = hasher.build_hasher();
        self.name.map(|name| &**name).hash(&mut state);
        self.function
            .map(|function| function.address)
            .hash(&mut state);
        self.stack.map(Arc::as_ptr).hash(&mut state);
        state.finish()
    }

    fn is(self, site: &Site) -> bool {
        let same_stack = match (self.stack, &site.stack) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (None, None) => true,
            _ => false,
        };
        let action = matches!(site.kind, Kind::Action(_) | Kind::Memory) || site.kind.is_marker();
        same_stack
            && self.name == site.name.as_ref()
            && self.function == site.function.as_ref()
            && (!self.action || action)
    }
}

impl Sharing {
    pub(super) fn new() -> Self {
        Self {
            sites: Shared::new(),
            tasks: Shared::new(),
            last_task: None,
            hasher: DefaultHashBuilder::default(),
        }
    }

    pub(super) fn site(&mut self, key: SiteKey<'_>) -> Arc<Site> {
        let hash = key.hash(&self.hasher);
        if let Some(site) = self.sites.values.find(hash, |site| key.is(site)) {
            return Arc::clone(site);
        }
        let site = Site {
            is_interrupt: key.name.is_some_and(|name| &**name == IRQ_RELEASE),
            name: key.name.cloned(),
            function: key.function.cloned(),
            stack: key.stack.cloned(),
            kind: Kind::classify(
                key.name.map(|name| &**name),
                key.function.map(|function| &**function),
                key.action,
            ),
        };
        let hasher = &self.hasher;
        self.sites.insert(hash, site, |site| {
            SiteKey {
                name: site.name.as_ref(),
                function: site.function.as_ref(),
                stack: site.stack.as_ref(),
                action: false,
            }
            .hash(hasher)
        })
    }

    pub(super) fn task(&mut self, task: &Task) -> Arc<Task> {
        if let Some(last) = &self.last_task
            && **last == *task
        {
            return Arc::clone(last);
        }
        let hash = self.hasher.hash_one(task);
        let shared = if let Some(shared) = self.tasks.values.find(hash, |known| **known == *task) {
            Arc::clone(shared)
        } else {
            let hasher = &self.hasher;
            self.tasks.insert(hash, *task, |task| hasher.hash_one(task))
        };
        self.last_task = Some(Arc::clone(&shared));
        shared
    }
}
