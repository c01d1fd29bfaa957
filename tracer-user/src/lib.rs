//! Reconstructs each device's stack of managed resources (devres) and reports out-of-order release.
