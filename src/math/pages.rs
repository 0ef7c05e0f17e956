//! Huge pages for long buffers: to clear pages of 4 KiB one by one would take a sixth of the time of F(10⁸).

#![cfg_attr(
    target_os = "linux",
    expect(unsafe_code, reason = "a system call on memory; the block says why it is sound")
)]

/// Bytes from which on a buffer is worth huge pages, which have 2 MiB.
const LONG_BYTES: usize = 4 * 1024 * 1024;

/// A page of any processor is this long at most.
const PAGE_BYTES: usize = 64 * 1024;

/// `count` zeros, in huge pages if they are many and the system has some.
pub(super) fn zeros<W: Copy + Default>(count: usize) -> Vec<W> {
    let words = vec![W::default(); count];
    if size_of_val(&words[..]) >= LONG_BYTES {
        advise(&words);
    }
    words
}

#[cfg(target_os = "linux")]
fn advise<W>(words: &[W]) {
    let range = words.as_ptr_range();
    let (start, end) = (range.start.addr().next_multiple_of(PAGE_BYTES), range.end.addr() / PAGE_BYTES * PAGE_BYTES);
    let first = range.start.with_addr(start).cast_mut().cast();
    // SAFETY: the pages from `start` to `end` are those of the words alone, and the advice changes no byte of them. That it is
    // not taken is no error.
    let _ = unsafe { rustix::mm::madvise(first, end - start, rustix::mm::Advice::LinuxHugepage) };
}

#[cfg(not(target_os = "linux"))]
fn advise<W>(_: &[W]) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_short_buffers_are_zeros() {
        for count in [0, 1, LONG_BYTES / 8 - 1, LONG_BYTES / 8, LONG_BYTES] {
            let words: Vec<u64> = zeros(count);
            assert!(words.len() == count && words.iter().all(|word| *word == 0));
        }
    }
}
