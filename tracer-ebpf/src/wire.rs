//! Records in the ring buffer.
