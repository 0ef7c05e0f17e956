//! Documents, held against the library's parser.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| phipi_fuzz::grammar(data));
