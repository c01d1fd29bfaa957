//! `devres-tracer export --format parquet`: recordings into the tables of a lab.
//!
//! The program can be built without the tables (feature `lab`), as packages are: they are an eighth of it.

#[cfg(feature = "lab")]
mod tables;

use clap::Args;
use jiff::{civil::DateTime, tz::Offset};

#[cfg(feature = "lab")]
pub(super) use tables::LabExport;

/// What a lab knows of recordings that they don't say themselves.
#[derive(Debug, Args)]
pub(super) struct LabOptions {
    /// With parquet: what the lab calls the machine, instead of the board's name in the recording
    #[arg(long, value_name = "NAME")]
    machine: Option<String>,
    /// With parquet: when it was recorded, in UTC, for recordings that don't say (logs, JSON lines): 2026-03-31 or
    /// 2026-03-31T17:30:00
    #[arg(long, value_name = "TIME", value_parser = microseconds)]
    recorded: Option<i64>,
}

impl LabOptions {
    /// Whether any was given.
    pub(super) fn is_given(&self) -> bool {
        self.machine.is_some() || self.recorded.is_some()
    }
}

/// A date, or a date and a time of day, in UTC.
fn microseconds(text: &str) -> Result<i64, String> {
    let time: DateTime = text
        .trim_end_matches('Z')
        .parse()
        .map_err(|error: jiff::Error| error.to_string())?;
    let time = Offset::UTC
        .to_timestamp(time)
        .map_err(|error| error.to_string())?;
    Ok(time.as_microsecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_in_utc() {
        assert_eq!(microseconds("1970-01-02"), Ok(86_400_000_000));
        assert_eq!(microseconds("1970-01-01T00:00:01"), Ok(1_000_000));
        assert_eq!(microseconds("1970-01-01T00:00:01Z"), Ok(1_000_000));
        assert!(microseconds("yesterday").is_err());
    }
}
