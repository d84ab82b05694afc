//! What happens to a vector of results before it is stored.

use crate::kernels::lanes::Lanes;

/// The last step of a product.
pub(super) trait Epilogue: Copy + Send + Sync {
    /// Says whether the output's old value is needed.
    const READS: bool = false;

    /// Makes the new output of a product plus bias and of the old output (anything, unless [`Epilogue::READS`]).
    fn finish<L: Lanes>(self, lanes: L, value: L::Floats, old: L::Floats) -> L::Floats;
}

/// Nothing.
#[derive(Clone, Copy)]
pub(super) struct Bias;

impl Epilogue for Bias {
    #[inline(always)]
    fn finish<L: Lanes>(self, _lanes: L, value: L::Floats, _old: L::Floats) -> L::Floats {
        value
    }
}

/// A residual connection.
#[derive(Clone, Copy)]
pub(super) struct Add;

impl Epilogue for Add {
    const READS: bool = true;

    #[inline(always)]
    fn finish<L: Lanes>(self, lanes: L, value: L::Floats, old: L::Floats) -> L::Floats {
        lanes.add(value, old)
    }
}

/// x · Φ(x), with Φ(x) = 1/2 + x · P(x²) on −4…4 and constant beyond.
#[derive(Clone, Copy)]
pub(super) struct Gelu;

/// Coefficients of P from x¹⁴ down, fitted for the least largest error of x · Φ(x) on −4…4, which is 3.8e-5; beyond, the
/// error is 4.2e-5 · |x|. A step of the 8-bit values that follow is a hundred times larger.
const PHI: [f32; 8] = [
    -1.301_221e-9,
    1.041_917_6e-7,
    -3.657_032_3e-6,
    7.485_383e-5,
    -1.006_482_4e-3,
    9.505_37e-3,
    -6.588_78e-2,
    0.398_673_37,
];

impl Epilogue for Gelu {
    #[inline(always)]
    fn finish<L: Lanes>(self, lanes: L, value: L::Floats, _old: L::Floats) -> L::Floats {
        let x = lanes.max(lanes.min(value, lanes.splat(4.0)), lanes.splat(-4.0));
        let square = lanes.mul(x, x);
        let mut p = lanes.splat(PHI[0]);
        for coefficient in &PHI[1..] {
            p = lanes.fma(p, square, lanes.splat(*coefficient));
        }
        lanes.mul(value, lanes.fma(x, p, lanes.splat(0.5)))
    }
}
