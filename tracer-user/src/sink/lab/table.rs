//! One file of a table: rows are collected, and written by columns as soon as there are enough.

use std::{fs::File, io, sync::Arc};

use parquet::{
    basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel},
    data_type::{BoolType, ByteArray, ByteArrayType, Int64Type},
    errors::ParquetError,
    file::{
        metadata::KeyValue,
        properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr},
        writer::SerializedFileWriter,
    },
    schema::types::{Type, TypePtr},
};

use super::schema::{CellKind, Column, Schema, VERSION};

/// Rows that are written together. No more are kept.
const ROW_GROUP: usize = 16 << 10;

/// How hard is tried to make a file small.
const LEVEL: i32 = 3;

/// A cell of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    /// Not known, or there is none.
    Null,
    /// A text, harmless.
    Text(String),
    /// A whole number.
    Number(i64),
    /// True or false.
    Flag(bool),
}

impl Cell {
    /// A number; one beyond what the format has becomes its largest.
    pub(super) fn number(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }

    /// A cell, or NULL.
    pub(super) fn or_null<T>(value: Option<T>, cell: impl FnOnce(T) -> Self) -> Self {
        value.map_or(Self::Null, cell)
    }
}

/// A file of a table, while it is being written.
pub(super) struct Table {
    schema: &'static Schema,
    writer: SerializedFileWriter<File>,
    columns: Vec<Cells>,
    /// Rows that were collected and not written.
    rows: usize,
}

/// The cells of a column that were collected.
#[derive(Debug)]
struct Cells {
    values: Values,
    /// For a column that may have NULL: one for each value, zero for each NULL.
    levels: Vec<i16>,
}

#[derive(Debug)]
enum Values {
    Texts(Vec<ByteArray>),
    Numbers(Vec<i64>),
    Flags(Vec<bool>),
}

impl Table {
    /// Begins a file.
    pub(super) fn begin(schema: &'static Schema, file: File) -> io::Result<Self> {
        let columns: Result<Vec<TypePtr>, _> = schema.columns.iter().map(leaf).collect();
        let root = Type::group_type_builder(schema.name)
            .with_fields(columns.map_err(told)?)
            .build()
            .map_err(told)?;
        let writer = SerializedFileWriter::new(file, Arc::new(root), properties(schema)?);
        Ok(Self {
            schema,
            writer: writer.map_err(told)?,
            columns: schema.columns.iter().map(Cells::of).collect(),
            rows: 0,
        })
    }

    /// Adds a row. Its cells are those of the columns, in their order.
    pub(super) fn row<const N: usize>(&mut self, cells: [Cell; N]) -> io::Result<()> {
        self.cells(cells.into())
    }

    /// The same for a row that was kept.
    pub(super) fn cells(&mut self, cells: Vec<Cell>) -> io::Result<()> {
        if cells.len() != self.columns.len() {
            let name = self.schema.name;
            return Err(io::Error::other(format!(
                "a row of {name} has {} cells",
                cells.len()
            )));
        }
        let places = self.columns.iter_mut().zip(self.schema.columns);
        for ((column, described), cell) in places.zip(cells) {
            column.push(cell, described)?;
        }
        self.rows += 1;
        if self.rows >= ROW_GROUP {
            self.flush()?;
        }
        Ok(())
    }

    /// Writes what was collected.
    fn flush(&mut self) -> io::Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        self.rows = 0;
        let mut group = self.writer.next_row_group().map_err(told)?;
        for (cells, described) in self.columns.iter_mut().zip(self.schema.columns) {
            let levels = described.nullable.then_some(cells.levels.as_slice());
            let Some(mut column) = group.next_column().map_err(told)? else {
                return Err(io::Error::other("a file has fewer columns than its table"));
            };
            match &cells.values {
                Values::Texts(texts) => column
                    .typed::<ByteArrayType>()
                    .write_batch(texts, levels, None),
                Values::Numbers(numbers) => column
                    .typed::<Int64Type>()
                    .write_batch(numbers, levels, None),
                Values::Flags(flags) => column.typed::<BoolType>().write_batch(flags, levels, None),
            }
            .map_err(told)?;
            column.close().map_err(told)?;
            cells.clear();
        }
        group.close().map_err(told)?;
        Ok(())
    }

    /// Ends the file.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.writer.close().map_err(told)?;
        Ok(())
    }
}

impl Cells {
    fn of(column: &Column) -> Self {
        let values = match column.kind {
            CellKind::Text => Values::Texts(Vec::new()),
            CellKind::Number | CellKind::Date => Values::Numbers(Vec::new()),
            CellKind::Flag => Values::Flags(Vec::new()),
        };
        Self {
            values,
            levels: Vec::new(),
        }
    }

    fn push(&mut self, cell: Cell, column: &Column) -> io::Result<()> {
        let is_null = cell == Cell::Null;
        match (&mut self.values, cell) {
            (_, Cell::Null) if column.nullable => {}
            (Values::Texts(texts), Cell::Text(text)) => texts.push(text.into_bytes().into()),
            (Values::Numbers(numbers), Cell::Number(number)) => numbers.push(number),
            (Values::Flags(flags), Cell::Flag(flag)) => flags.push(flag),
            (_, cell) => {
                let name = column.name;
                return Err(io::Error::other(format!(
                    "{cell:?} is no cell of column {name}"
                )));
            }
        }
        self.levels.push(i16::from(!is_null));
        Ok(())
    }

    fn clear(&mut self) {
        self.levels.clear();
        match &mut self.values {
            Values::Texts(texts) => texts.clear(),
            Values::Numbers(numbers) => numbers.clear(),
            Values::Flags(flags) => flags.clear(),
        }
    }
}

/// A column as the format describes it.
fn leaf(column: &Column) -> Result<TypePtr, ParquetError> {
    let (physical, logical) = match column.kind {
        CellKind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        CellKind::Number => (Physical::INT64, None),
        CellKind::Flag => (Physical::BOOLEAN, None),
        CellKind::Date => (
            Physical::INT64,
            // As UTC, each engine would show it in the time zone of whoever asks.
            Some(LogicalType::timestamp(false, TimeUnit::MICROS)),
        ),
    };
    let repetition = if column.nullable {
        Repetition::OPTIONAL
    } else {
        Repetition::REQUIRED
    };
    let column = Type::primitive_type_builder(column.name, physical)
        .with_logical_type(logical)
        .with_repetition(repetition)
        .build()?;
    Ok(Arc::new(column))
}

fn properties(schema: &Schema) -> io::Result<WriterPropertiesPtr> {
    let level = ZstdLevel::try_new(LEVEL).map_err(told)?;
    let told_of_it = [
        ("devres_tracer.table", schema.name.to_owned()),
        ("devres_tracer.schema_version", VERSION.to_string()),
    ];
    let told_of_it = told_of_it.map(|(key, value)| KeyValue::new(key.to_owned(), value));
    Ok(Arc::new(
        WriterProperties::builder()
            .set_created_by(format!("devres-tracer {}", env!("CARGO_PKG_VERSION")))
            .set_compression(Compression::ZSTD(level))
            // Of pages, as files are small: an index would be larger than what it tells.
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_key_value_metadata(Some(told_of_it.into()))
            .build(),
    ))
}

fn told(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(source) => io::Error::other(source),
        },
        error => io::Error::other(error),
    }
}
