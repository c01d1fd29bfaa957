//! The wire format between the probes and userspace.
#![no_std]
