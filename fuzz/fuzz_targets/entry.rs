//! Stored entries, of which none is believed.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| phipi_fuzz::entry(data));
