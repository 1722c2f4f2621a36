//! Printing to terminals. `println!` and `eprintln!` are shadowed in this program, so that control characters from
//! pages and processes are escaped.

use std::fmt::Arguments;

use regen_runtime::foreign_text::escape;

macro_rules! println {
    () => { std::println!() };
    ($($words:tt)*) => { $crate::terminal::print(format_args!($($words)*)) };
}

macro_rules! eprintln {
    () => { std::eprintln!() };
    ($($words:tt)*) => { $crate::terminal::complain(format_args!($($words)*)) };
}

/// Prints to stdout, with control characters escaped.
pub(crate) fn print(words: Arguments<'_>) {
    std::println!("{}", escape(&words.to_string()));
}

/// Prints to stderr, with control characters escaped.
pub(crate) fn complain(words: Arguments<'_>) {
    std::eprintln!("{}", escape(&words.to_string()));
}
