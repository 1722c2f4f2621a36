use super::*;

fn visit(url: &str, at: u64) -> Visit {
    Visit { at, url: url.to_owned(), ..Visit::default() }
}

fn urls(listing: &Listing) -> Vec<&str> {
    listing.visits.iter().map(|visit| visit.url.as_str()).collect()
}

fn of_words(words: &str) -> Filter {
    Filter { words: words.to_owned(), ..Filter::default() }
}

/// Saves what has changed, as the broker does, and reads it back.
fn saved_and_restored(history: &mut History, disk: &mut BTreeMap<u64, Vec<SavedVisit>>) -> History {
    for (chunk, visits) in history.take_changed() {
        match visits {
            Some(visits) => drop(disk.insert(chunk, visits)),
            None => drop(disk.remove(&chunk)),
        }
    }
    History::restored(disk.values().cloned())
}

#[test]
fn visits_are_listed_newest_first_and_page_by_page() {
    let mut history = History::default();
    for n in 0..5 {
        history.visit(visit(&format!("https://a.test/{n}"), 100 + n)).unwrap();
    }
    let first = history.list(&Filter::default(), None, 2);
    assert_eq!((urls(&first), first.has_more), (vec!["https://a.test/4", "https://a.test/3"], true));
    let rest = history.list(&Filter::default(), Some(first.visits[1].id), 9);
    assert_eq!((rest.visits.len(), rest.has_more), (3, false));
    let range = Filter { since: Some(101), until: Some(103), ..Filter::default() };
    assert_eq!(urls(&history.list(&range, None, 9)), ["https://a.test/2", "https://a.test/1"]);
    assert_eq!(history.count(&Filter { since: Some(200), until: Some(100), ..Filter::default() }), 0);
}

#[test]
fn pages_that_are_no_places_are_not_recorded() {
    let mut history = History::default();
    for url in ["about:blank", "data:text/html,x", "blob:https://a.test/1", "javascript:1", "", "regen://history"] {
        assert_eq!(history.visit(visit(url, 1)), None, "{url}");
    }
    assert_eq!(history.visit(visit(&format!("https://a.test/{}", "x".repeat(9000)), 1)), None);
    assert!(history.is_empty() && history.take_changed().is_empty());
}

#[test]
fn a_site_is_deleted_with_its_subdomains_and_comes_back() {
    let mut history = History::default();
    for url in ["https://a.test/", "http://sub.a.test/x", "https://b.test/a.test", "https://nota.test/"] {
        history.visit(visit(url, 7)).unwrap();
    }
    history.set_title("https://a.test/", "A");
    let site = Filter { domain: Some("a.test".to_owned()), ..Filter::default() };
    assert_eq!((history.delete(&site), history.len()), (2, 2));
    assert_eq!(history.count(&of_words("a.test")), 2);
    assert_eq!((history.undo(), history.len(), history.undo()), (2, 4, 0));
    assert_eq!(history.list(&of_words("https://a.test/"), None, 9).visits[0].title, "A");
    assert_eq!(history.delete(&site), 2);
    history.settle();
    assert_eq!(history.undo(), 0, "a deletion that is final came back");
}

#[test]
fn only_changed_chunks_are_saved_and_everything_comes_back() {
    let (mut history, mut disk) = (History::default(), BTreeMap::new());
    for n in 0..CHUNK * 3 {
        history.visit(visit(&format!("https://a.test/{}", n % 7), n)).unwrap();
    }
    history.set_title("https://a.test/1", "One");
    let restored = saved_and_restored(&mut history, &mut disk);
    assert_eq!(restored.list(&Filter::default(), None, 9999), history.list(&Filter::default(), None, 9999));
    assert!(history.take_changed().is_empty());
    let first = history.list(&Filter { until: Some(1), ..Filter::default() }, None, 1).visits[0].id;
    assert_eq!(history.delete(&Filter { visits: vec![first], ..Filter::default() }), 1);
    let changed: Vec<u64> = history.take_changed().into_iter().map(|(chunk, _)| chunk).collect();
    assert_eq!(changed, [0, 2], "the deleted visit's chunk, and that of its page's last visit");
    assert_eq!(history.delete(&Filter::default()), usize::try_from(CHUNK * 3 - 1).unwrap());
    assert!(saved_and_restored(&mut history, &mut disk).is_empty() && disk.is_empty());
}

#[test]
fn a_visit_after_a_restart_gets_an_identifier_of_its_own() {
    let (mut history, mut disk) = (History::default(), BTreeMap::new());
    history.visit(visit("https://a.test/", 1)).unwrap();
    let mut restored = saved_and_restored(&mut history, &mut disk);
    restored.visit(visit("https://b.test/", 2)).unwrap();
    assert_eq!(restored.len(), 2);
}

#[test]
fn the_oldest_visits_make_room() {
    let mut history = History::default();
    for n in 0..MAX_VISITS as u64 + 10 {
        history.visit(visit("https://a.test/", n)).unwrap();
    }
    assert_eq!(history.len(), MAX_VISITS);
    assert_eq!(history.count(&Filter { until: Some(10), ..Filter::default() }), 0);
}
