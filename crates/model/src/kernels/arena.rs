//! One block of memory in huge pages that holds all packed weights of a model.
//!
//! Reading weights is what a generated token waits for, and with 4-KiB pages half of that time goes into address
//! translation: on Zen 4 two threads read 28–33 GB/s from 4-KiB pages and 61–63 GB/s from 2-MiB pages. Linux gives
//! those to anonymous memory that asks (`madvise`), and to mapped files where the file system keeps its cache in large
//! folios (XFS, ext4 from 6.16 on). One block, because a page that holds the end of one tensor and the start of the next
//! wastes nothing.
//!
//! Where the system has no such pages, or no such call, the arena is ordinary memory and everything works.

use std::{io, ops::Range};

use memmap2::MmapMut;

/// 2 MiB: the huge page of x86-64 and of most 64-bit Arm systems.
pub(crate) const HUGE_PAGE: usize = 2 << 20;

/// The alignment of every part: a cache line, and a 512-bit vector.
const ALIGNMENT: usize = 64;

/// Memory that is filled once, by this process from zeros or by an earlier one, and then read by all threads.
pub struct Arena {
    /// Anonymous, or a file mapped for this process alone: then nothing writes to it, and if something did the file would not
    /// see it. One type for both keeps every reader as it is.
    map: MmapMut,
    /// Offset of the first huge page.
    start: usize,
    used: usize,
    capacity: usize,
}

impl Arena {
    /// Reserves address space for `capacity` bytes; the system provides memory when it is first written.
    ///
    /// # Errors
    /// The system's refusal, when there is not so much address space or its policy forbids overcommitting.
    pub fn new(capacity: usize) -> io::Result<Self> {
        let len = capacity.checked_add(2 * HUGE_PAGE).ok_or(io::ErrorKind::OutOfMemory)?;
        let map = MmapMut::map_anon(len)?;
        #[cfg(target_os = "linux")]
        {
            // Refusal (a kernel without huge pages) costs speed, not correctness.
            let _ = map.advise(memmap2::Advice::HugePage);
        }
        let start = map.as_ptr().align_offset(HUGE_PAGE);
        Ok(Self { map, start, used: 0, capacity })
    }

    /// An arena whose first `len` bytes were filled by an earlier one and come from a file: `map` is that file, mapped for this
    /// process alone, and at least as long. Its parts are taken in the order in which they were taken then.
    pub fn filled(map: MmapMut, len: usize) -> Self {
        Self { start: 0, used: 0, capacity: len.min(map.len()), map }
    }

    /// Bytes that a part of `len` bytes takes up.
    pub fn footprint(len: usize) -> usize {
        len.next_multiple_of(ALIGNMENT)
    }

    /// Takes the next `len` bytes, aligned to 64. Returns nothing when the arena is full.
    pub fn take(&mut self, len: usize) -> Option<Range<usize>> {
        let end = self.used.checked_add(len)?;
        if end > self.capacity {
            return None;
        }
        let part = self.used..end;
        self.used = Self::footprint(end);
        Some(part)
    }

    /// The content of a part.
    pub fn bytes(&self, part: &Range<usize>) -> &[u8] {
        &self.map[self.start + part.start..self.start + part.end]
    }

    /// The content of a part, to be filled.
    pub fn bytes_mut(&mut self, part: &Range<usize>) -> &mut [u8] {
        &mut self.map[self.start + part.start..self.start + part.end]
    }

    /// Everything taken so far.
    pub fn content(&self) -> &[u8] {
        &self.map[self.start..self.start + self.used.min(self.capacity)]
    }

    /// Bytes taken so far.
    pub fn used(&self) -> usize {
        self.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_aligned_zeroed_and_apart() {
        let mut arena = Arena::new(1000).unwrap();
        let first = arena.take(65).unwrap();
        let second = arena.take(100).unwrap();
        assert_eq!(arena.bytes(&first).as_ptr() as usize % HUGE_PAGE, 0);
        assert_eq!(arena.bytes(&second).as_ptr() as usize % ALIGNMENT, 0);
        arena.bytes_mut(&first).fill(1);
        assert!(arena.bytes(&second).iter().all(|&byte| byte == 0));
        assert_eq!(arena.used(), 128 + 128);
    }

    #[test]
    fn a_filled_arena_hands_out_what_was_put_in() {
        let mut first = Arena::new(200).unwrap();
        let part = first.take(70).unwrap();
        first.bytes_mut(&part).fill(3);
        let other = first.take(70).unwrap();
        first.bytes_mut(&other).fill(4);
        let mut map = MmapMut::map_anon(4096).unwrap();
        map[..first.content().len()].copy_from_slice(first.content());
        let mut second = Arena::filled(map, first.content().len());
        let (part, other) = (second.take(70).unwrap(), second.take(70).unwrap());
        assert!(second.bytes(&part) == [3; 70] && second.bytes(&other) == [4; 70]);
        assert!(second.take(1).is_none(), "it is no longer than what it holds");
    }

    #[test]
    fn a_full_arena_says_so() {
        let mut arena = Arena::new(128).unwrap();
        assert!(arena.take(64).is_some());
        assert!(arena.take(65).is_none());
        assert!(arena.take(usize::MAX).is_none());
        assert!(arena.take(64).is_some());
    }
}
