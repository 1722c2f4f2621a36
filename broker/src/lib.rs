//! The broker's parts, for its two programs: `regen-broker`, the kernel, and `regen`, the command line.

pub mod session;
