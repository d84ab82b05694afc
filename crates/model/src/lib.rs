//! Placeholder header; replaced as the modules arrive.

pub mod decoder;
