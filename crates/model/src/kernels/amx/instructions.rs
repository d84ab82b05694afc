//! The primitives as blocks of assembly. Registers: 0–3 results, 4–5 left, 6–7 right.
//!
//! SAFETY of every block: callers hold [`super::Tiles`], so the instructions exist, are permitted and are configured. A block
//! reads whole tiles from its operands and writes whole tiles to its results; the tile registers are of no use to compiled code.

use std::arch::asm;

use super::{Depth, LINE, Sums, TILE, Tile};

/// The 64 bytes that `ldtilecfg` reads.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    line_bytes: [u16; 8],
    unused_bytes: [u16; 8],
    lines: [u8; 8],
    unused_lines: [u8; 8],
}

/// Gives the tile registers of this thread their shapes.
///
/// # Safety
/// The instruction exists and is permitted.
pub(super) unsafe fn configure(depth: Depth) {
    let (line, lines) = match depth {
        Depth::Full => (64, 16),
        Depth::Half => (32, 8),
    };
    let configuration = Configuration {
        palette: 1,
        start_row: 0,
        reserved: [0; 14],
        line_bytes: [64, 64, 64, 64, line, line, 64, 64],
        unused_bytes: [0; 8],
        lines: [16, 16, 16, 16, 16, 16, lines, lines],
        unused_lines: [0; 8],
    };
    // SAFETY: the caller's contract; the instruction reads 64 bytes.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const configuration, options(nostack, readonly)) }
}

/// Gives the tile registers back.
///
/// # Safety
/// The instruction exists.
pub(super) unsafe fn release() {
    // SAFETY: the caller's contract.
    unsafe { asm!("tilerelease", options(nostack, nomem)) }
}

/// One product of runs of tiles, for one left run or two.
macro_rules! multiply {
    ($name:ident, $instruction:literal, $number:ty) => {
        /// See the method of [`super::Tiles`].
        ///
        /// # Safety
        /// The tiles are configured for [`Depth::Full`]; every operand is a run of `steps` tiles. `M` is 1 or 2.
        pub(super) unsafe fn $name<const M: usize>(
            left: [*const Tile; M],
            right: [*const Tile; 2],
            steps: usize,
            out: &mut [[Sums<$number>; 2]; M],
        ) {
            const { assert!(M == 1 || M == 2) };
            if steps == 0 {
                *out = [[Sums::zero(); 2]; M];
                return;
            }
            // SAFETY: see the head of the file; `M` of the results are stored, each 1 KiB after the other.
            unsafe {
                if M == 1 {
                    asm!(
                        "tilezero tmm0", "tilezero tmm1",
                        "2:",
                        "tileloadd tmm4, [{left} + {line}]",
                        "tileloadd tmm6, [{first} + {line}]",
                        concat!($instruction, " tmm0, tmm4, tmm6"),
                        "tileloadd tmm7, [{second} + {line}]",
                        concat!($instruction, " tmm1, tmm4, tmm7"),
                        "add {left}, 1024", "add {first}, 1024", "add {second}, 1024",
                        "dec {steps}",
                        "jnz 2b",
                        "tilestored [{out} + {line}], tmm0",
                        "tilestored [{out} + {line} + 1024], tmm1",
                        left = inout(reg) left[0] => _,
                        first = inout(reg) right[0] => _,
                        second = inout(reg) right[1] => _,
                        steps = inout(reg) steps => _,
                        line = in(reg) LINE,
                        out = in(reg) out.as_mut_ptr(),
                        out("tmm0") _, out("tmm1") _, out("tmm4") _, out("tmm6") _, out("tmm7") _,
                        options(nostack),
                    );
                } else {
                    asm!(
                        "tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3",
                        "2:",
                        "tileloadd tmm4, [{upper} + {line}]",
                        "tileloadd tmm6, [{first} + {line}]",
                        concat!($instruction, " tmm0, tmm4, tmm6"),
                        "tileloadd tmm7, [{second} + {line}]",
                        concat!($instruction, " tmm1, tmm4, tmm7"),
                        "tileloadd tmm5, [{lower} + {line}]",
                        concat!($instruction, " tmm2, tmm5, tmm6"),
                        concat!($instruction, " tmm3, tmm5, tmm7"),
                        "add {upper}, 1024", "add {lower}, 1024", "add {first}, 1024", "add {second}, 1024",
                        "dec {steps}",
                        "jnz 2b",
                        "tilestored [{out} + {line}], tmm0",
                        "tilestored [{out} + {line} + 1024], tmm1",
                        "tilestored [{out} + {line} + 2048], tmm2",
                        "tilestored [{out} + {line} + 3072], tmm3",
                        upper = inout(reg) left[0] => _,
                        lower = inout(reg) left[M - 1] => _,
                        first = inout(reg) right[0] => _,
                        second = inout(reg) right[1] => _,
                        steps = inout(reg) steps => _,
                        line = in(reg) LINE,
                        out = in(reg) out.as_mut_ptr(),
                        out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                        out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                        options(nostack),
                    );
                }
            }
        }
    };
}

multiply!(multiply_i8, "tdpbssd", i32);
multiply!(multiply_bf16, "tdpbf16ps", f32);

/// See the method of [`super::Tiles`].
///
/// # Safety
/// The tiles are configured for [`Depth::Half`].
pub(super) unsafe fn multiply_blocks_i8(left: &[Tile; 2], right: &[Tile; 2], out: &mut [Sums<i32>; 4]) {
    const { assert!(TILE == 16 && LINE == 64) };
    // SAFETY: see the head of the file. Half lines lie 32 bytes apart within a left tile, right blocks are eight lines.
    unsafe {
        asm!(
            "tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3",
            "tileloadd tmm4, [{left} + {line}]",
            "tileloadd tmm6, [{right} + {line}]",
            "tdpbssd tmm0, tmm4, tmm6",
            "tileloadd tmm5, [{left} + {line} + 32]",
            "tileloadd tmm7, [{right} + {line} + 512]",
            "tdpbssd tmm1, tmm5, tmm7",
            "tileloadd tmm4, [{left} + {line} + 1024]",
            "tileloadd tmm6, [{right} + {line} + 1024]",
            "tdpbssd tmm2, tmm4, tmm6",
            "tileloadd tmm5, [{left} + {line} + 1056]",
            "tileloadd tmm7, [{right} + {line} + 1536]",
            "tdpbssd tmm3, tmm5, tmm7",
            "tilestored [{out} + {line}], tmm0",
            "tilestored [{out} + {line} + 1024], tmm1",
            "tilestored [{out} + {line} + 2048], tmm2",
            "tilestored [{out} + {line} + 3072], tmm3",
            left = in(reg) left.as_ptr(),
            right = in(reg) right.as_ptr(),
            line = in(reg) LINE,
            out = in(reg) out.as_mut_ptr(),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}
