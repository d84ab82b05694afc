//! The inputs of products, quantised in the one or two ways that the matrices of a step want.

use crate::kernels::{Activations, Arena, Isa, Output, PackedMatrix, Product, Scaling, ThreadPool, multiply};

/// Quantised activations of the present step. Files mix formats, so both scalings can be wanted for the same values; as a
/// rule one is.
pub(super) struct Inputs {
    per_32: Activations,
    per_256: Activations,
}

impl Inputs {
    pub(super) fn new(isa: Isa) -> Self {
        Self { per_32: Activations::new(isa, Scaling::Per32), per_256: Activations::new(isa, Scaling::Per256) }
    }

    /// Quantises `rows` rows of `cols` values, as `produce` writes them, for the products of `matrices`.
    pub(super) fn fill<'m>(
        &mut self,
        pool: &ThreadPool,
        [rows, cols]: [usize; 2],
        matrices: impl IntoIterator<Item = &'m PackedMatrix>,
        produce: impl Fn(usize, &mut [f32]) + Sync,
    ) {
        let (mut fine, mut coarse) = (false, false);
        for matrix in matrices {
            match matrix.format().scaling() {
                Scaling::Per32 => fine = true,
                Scaling::Per256 => coarse = true,
            }
        }
        if fine {
            self.per_32.fill(pool, rows, cols, &produce);
        }
        if coarse {
            self.per_256.fill(pool, rows, cols, &produce);
        }
    }

    /// Multiplies with several matrices.
    pub(super) fn multiply<'a>(
        &self,
        pool: &ThreadPool,
        arena: &Arena,
        output: Output,
        products: impl IntoIterator<Item = (&'a PackedMatrix, &'a mut [f32])>,
    ) {
        let (mut fine, mut coarse) = (Vec::with_capacity(3), Vec::with_capacity(3));
        for (matrix, out) in products {
            let product = Product { matrix, out, output };
            match matrix.format().scaling() {
                Scaling::Per32 => fine.push(product),
                Scaling::Per256 => coarse.push(product),
            }
        }
        for (activations, mut products) in [(&self.per_32, fine), (&self.per_256, coarse)] {
            if !products.is_empty() {
                multiply(pool, arena, activations, &mut products);
            }
        }
    }
}
