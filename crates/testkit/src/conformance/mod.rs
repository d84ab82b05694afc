//! The contracts of the index seams, written as checks that panic. Run each on every implementation.

mod lexical;
mod vector;

pub use lexical::lexical_index;
pub use vector::vector_index;
