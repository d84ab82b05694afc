//! xIELU as one pass over memory.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor};

use crate::decoder::config::XIelu;

/// Applies xIELU to every element of an `f32` tensor.
pub(super) fn xielu(x: &Tensor, parameters: &XIelu) -> Result<Tensor> {
    if x.device().is_cpu() {
        return x.contiguous()?.apply_op1_no_bwd(&Pointwise(*parameters));
    }
    composed(x, parameters)
}

struct Pointwise(XIelu);

impl CustomOp1 for Pointwise {
    fn name(&self) -> &'static str {
        "xielu"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (start, end) =
            layout.contiguous_offsets().ok_or_else(|| candle_core::Error::RequiresContiguous { op: "xielu" })?;
        let output = storage.as_slice::<f32>()?[start..end].iter().map(|&x| self.0.apply(x)).collect();
        Ok((CpuStorage::F32(output), layout.shape().clone()))
    }
}

/// The same from tensor operations, for devices without a kernel of ours. `exp(x) − 1` cancels near zero, which
/// costs up to 1e-7 there.
fn composed(x: &Tensor, p: &XIelu) -> Result<Tensor> {
    let (alpha_p, alpha_n, beta) = (f64::from(p.alpha_p), f64::from(p.alpha_n), f64::from(p.beta));
    let linear = x.affine(beta, 0.0)?;
    let above = x.sqr()?.affine(alpha_p, 0.0)?;
    let below = ((x.minimum(p.eps)?.exp()? - 1.0)? - x)?.affine(alpha_n, 0.0)?;
    x.gt(0.0_f32)?.to_dtype(DType::U8)?.where_cond(&above, &below)? + linear
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn both_ways_agree() {
        let parameters = XIelu::from_stored(0.75, -0.25, 0.5, -0.0625);
        let x = Tensor::new(&[-30_f32, -1.0, -0.0625, -0.03, -1e-6, 0.0, 1e-6, 0.1, 2.5, 10.0], &Device::Cpu).unwrap();
        let fast = xielu(&x, &parameters).unwrap().to_vec1::<f32>().unwrap();
        let slow = composed(&x, &parameters).unwrap().to_vec1::<f32>().unwrap();
        for (fast, slow) in fast.iter().zip(&slow) {
            assert!((fast - slow).abs() <= 1e-6 * slow.abs().max(1.0), "{fast} {slow}");
        }
    }
}
