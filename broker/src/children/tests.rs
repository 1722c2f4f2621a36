//! Children without processes.
