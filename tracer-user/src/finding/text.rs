//! Findings as readable text.
