//! Placeholder header; replaced as the modules arrive.
