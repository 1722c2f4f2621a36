//! Printing for people: whatever a line holds of pages or processes is escaped. Every `println!` and `eprintln!` of this program
//! is one of these two.

use std::fmt::Arguments;

use regen_broker::observe::foreign_text::escape;

macro_rules! println {
    () => { std::println!() };
    ($($words:tt)*) => { $crate::terminal::print(format_args!($($words)*)) };
}

macro_rules! eprintln {
    () => { std::eprintln!() };
    ($($words:tt)*) => { $crate::terminal::complain(format_args!($($words)*)) };
}

/// Prints a line, or several.
pub(crate) fn print(words: Arguments<'_>) {
    std::println!("{}", escape(&words.to_string()));
}

/// Prints a line to stderr.
pub(crate) fn complain(words: Arguments<'_>) {
    std::eprintln!("{}", escape(&words.to_string()));
}
