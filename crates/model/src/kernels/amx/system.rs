//! Whether processor and system grant the tile registers.

/// Checks CPUID and asks Linux for the registers (`arch_prctl`, since 5.16). The permission is for the process and all of its
/// threads, and cannot be lost.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
pub(super) fn request() -> bool {
    use std::arch::{asm, x86_64::__cpuid_count};

    /// Leaf 7, register edx: bf16 products, tiles, int8 products.
    const NEEDED: u32 = 1 << 22 | 1 << 24 | 1 << 25;
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: i64 = 0x1023;
    const XFEATURE_XTILEDATA: i64 = 18;

    // `avx512f` stands for a system that saves extended registers, and for leaf 7.
    if !is_x86_feature_detected!("avx512f") || __cpuid_count(7, 0).edx & NEEDED != NEEDED {
        return false;
    }
    let refused: i64;
    // SAFETY: the call takes two integers and touches no memory; the instruction overwrites rcx and r11.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => refused,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    refused == 0
}

/// No such registers elsewhere.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
pub(super) fn request() -> bool {
    false
}
