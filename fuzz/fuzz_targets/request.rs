//! Requests in JSON, from the bytes to the answer.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| phipi_fuzz::request(data));
