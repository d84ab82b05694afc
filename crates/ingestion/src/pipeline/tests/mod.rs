//! The pipeline against the strict fakes: what a run does, and what is left when it dies.

mod batch;
mod crash;
mod fill;
mod place;
mod site;

use site::{Site, request};

use super::{FileStatus, IndexName};
