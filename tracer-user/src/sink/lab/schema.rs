//! The tables of a lab: what each column is. The rows are made elsewhere, in the same order.

use std::fmt::Write as _;

mod columns;

pub(super) use columns::{BINDINGS, EVENTS, FINDINGS, RECORDINGS, RESOURCES};

/// The version of the tables. It counts up when a column changes its meaning or goes; not when one is added.
pub const VERSION: i64 = 1;

/// One table.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// Its name, and that of its directory.
    pub name: &'static str,
    /// What a row of it is, in a sentence.
    pub row: &'static str,
    /// What each row has.
    pub columns: &'static [Column],
}

/// One column of a table.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What its cells hold.
    pub kind: CellKind,
    /// Whether a cell may be NULL: not known, or there is none.
    pub nullable: bool,
    /// What it says, in a few words.
    pub meaning: &'static str,
}

/// What the cells of a column hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellKind {
    /// A text.
    Text,
    /// A whole number.
    Number,
    /// True or false.
    Flag,
    /// A time of day in UTC, in microseconds since 1970.
    Date,
}

impl CellKind {
    /// The type in SQL.
    #[must_use]
    pub const fn sql(self) -> &'static str {
        match self {
            Self::Text => "VARCHAR",
            Self::Number => "BIGINT",
            Self::Flag => "BOOLEAN",
            Self::Date => "TIMESTAMP",
        }
    }
}

/// All tables, in the order in which the documents list them.
#[must_use]
pub fn tables() -> [&'static Schema; 5] {
    [&RECORDINGS, &BINDINGS, &RESOURCES, &FINDINGS, &EVENTS]
}

/// The description of all tables, in Markdown.
#[must_use]
pub fn document() -> String {
    let mut text = String::new();
    for table in tables() {
        let _ = writeln!(text, "### {}\n\nA row is {}.\n", table.name, table.row);
        text.push_str("| column | type | what it says |\n|---|---|---|\n");
        for column in table.columns {
            let _ = writeln!(
                text,
                "| `{}` | {}{} | {} |",
                column.name,
                column.kind.sql(),
                if column.nullable { "" } else { " NOT NULL" },
                column.meaning
            );
        }
        text.push('\n');
    }
    text
}
