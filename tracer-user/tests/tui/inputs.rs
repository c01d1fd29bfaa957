//! What keys and mouse do.
