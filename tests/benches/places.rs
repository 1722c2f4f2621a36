//! Search, completion and the command bar over a history of 100,000 pages, on one thread, as the broker's event loop does them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "a benchmark fails by panicking"
)]

use std::hint::black_box;
use std::time::Instant;

use regen_places::{Filter, History, SavedVisit};
use regen_tests::bench::bound;

const PAGES: u64 = 100_000;
const NOW: u64 = 1_800_000_000;
const RUNS: usize = 20;

fn main() {
    let word = |n: u64| format!("{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let visit = |id: u64| SavedVisit {
        id,
        at: NOW - PAGES * 60 + id * 60,
        url: format!("https://{}.example{}.test/articles/{}?id={id}", word(id % 50), id % 3000, word(id)),
        title: format!("An article about {} and {} – Example {}", word(id / 3), word(id / 7), id % 3000),
        ..SavedVisit::default()
    };
    let start = Instant::now();
    let history = History::restored([(1..=PAGES).map(visit).collect()]);
    bound("reading 100,000 visits at the start", start.elapsed().as_secs_f64() * 1000.0, "ms", 400.0);
    let longest = |what: &dyn Fn(&str), queries: &[&str]| {
        let mut longest = 0.0_f64;
        for query in queries {
            let mut times: Vec<f64> = Vec::new();
            for _ in 0..RUNS {
                let start = Instant::now();
                what(query);
                times.push(start.elapsed().as_secs_f64() * 1000.0);
            }
            times.sort_by(f64::total_cmp);
            longest = longest.max(times[RUNS / 2]);
        }
        longest
    };
    let queries = ["a", "article", "example 299", "nothing has this", "9e37 example1 article"];
    let search = |query: &str| {
        let filter = Filter { words: query.to_owned(), ..Filter::default() };
        black_box(history.list(&filter, None, 100));
    };
    bound("search in 100,000 visits, slowest query", longest(&search, &queries), "ms", 20.0);
    let complete = |query: &str| {
        black_box(history.complete(query, NOW, 8));
    };
    let typed = ["a", "exa", "https://1", "nothing", "0.example1.test/art"];
    bound("completion over 100,000 visits, slowest key", longest(&complete, &typed), "ms", 16.0);
    let find = |query: &str| {
        black_box(history.find(query, NOW, 12));
    };
    let typed = ["a", "art", "exmple", "nothing", "9e37 example1 article"];
    bound("command bar over 100,000 visits, slowest key", longest(&find, &typed), "ms", 16.0);
}
