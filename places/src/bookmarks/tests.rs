use super::*;

fn page(parent: BookmarkId, url: &str) -> Bookmark {
    Bookmark { parent, url: Some(url.to_owned()), title: format!("Title of {url}"), ..Bookmark::default() }
}

fn folder(parent: BookmarkId, title: &str) -> Bookmark {
    Bookmark { parent, title: title.to_owned(), ..Bookmark::default() }
}

fn of_parent(parent: BookmarkId) -> BookmarkFilter {
    BookmarkFilter { parent: Some(parent), ..BookmarkFilter::default() }
}

fn titles(bookmarks: &Bookmarks, filter: &BookmarkFilter) -> Vec<String> {
    bookmarks.list(filter).into_iter().map(|one| one.title.replace("Title of ", "")).collect()
}

fn saved_and_restored(bookmarks: &mut Bookmarks, disk: &mut BTreeMap<u64, Vec<Bookmark>>) -> Bookmarks {
    for (chunk, saved) in bookmarks.take_changed() {
        match saved {
            Some(saved) => drop(disk.insert(chunk, saved)),
            None => drop(disk.remove(&chunk)),
        }
    }
    Bookmarks::restored(disk.values().cloned())
}

#[test]
fn bookmarks_keep_their_order_through_moves_and_restarts() {
    let (mut bookmarks, mut disk) = (Bookmarks::default(), BTreeMap::new());
    let [a, b, c] = ["a", "b", "c"].map(|url| bookmarks.add(page(BAR, url)).unwrap());
    let inside = bookmarks.add(folder(BAR, "Folder")).unwrap();
    bookmarks.edit(c, BookmarkEdit { to: Some((BAR, 0)), ..BookmarkEdit::default() }).unwrap();
    bookmarks.edit(a, BookmarkEdit { to: Some((inside, 99)), ..BookmarkEdit::default() }).unwrap();
    let title = Some("New\ntitle".to_owned());
    bookmarks
        .edit(b, BookmarkEdit { title, tags: Some(vec!["x".into(), "x".into()]), ..BookmarkEdit::default() })
        .unwrap();
    let all = ["c", "New title", "Folder", "a"];
    assert_eq!(titles(&bookmarks, &BookmarkFilter::default()), all);
    let restored = saved_and_restored(&mut bookmarks, &mut disk);
    assert_eq!(titles(&restored, &BookmarkFilter::default()), all);
    assert_eq!(titles(&restored, &of_parent(inside)), ["a"]);
    assert_eq!(restored.get(b).unwrap().tags, ["x"]);
}

#[test]
fn a_folder_is_removed_with_everything_in_it_and_comes_back() {
    let mut bookmarks = Bookmarks::default();
    let outer = bookmarks.add(folder(OTHER, "Outer")).unwrap();
    let inner = bookmarks.add(folder(outer, "Inner")).unwrap();
    bookmarks.add(page(inner, "deep")).unwrap();
    bookmarks.add(page(OTHER, "last")).unwrap();
    assert_eq!(bookmarks.remove(outer), Ok(3));
    assert_eq!(titles(&bookmarks, &BookmarkFilter::default()), ["last"]);
    assert_eq!(bookmarks.undo(), 3);
    assert_eq!(titles(&bookmarks, &BookmarkFilter::default()), ["Outer", "Inner", "deep", "last"]);
    assert_eq!(bookmarks.undo(), 0);
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let mut bookmarks = Bookmarks::default();
    let outer = bookmarks.add(folder(OTHER, "Outer")).unwrap();
    let inner = bookmarks.add(folder(outer, "Inner")).unwrap();
    let leaf = bookmarks.add(page(inner, "leaf")).unwrap();
    let to = |folder| BookmarkEdit { to: Some((folder, 0)), ..BookmarkEdit::default() };
    assert_eq!(bookmarks.edit(outer, to(inner)), Err(BookmarkError::Cycle));
    assert_eq!(bookmarks.edit(outer, to(outer)), Err(BookmarkError::Cycle));
    assert_eq!(bookmarks.edit(inner, to(leaf)), Err(BookmarkError::NoFolder(leaf)));
    assert_eq!(bookmarks.edit(BAR, BookmarkEdit::default()), Err(BookmarkError::Fixed));
    assert_eq!(bookmarks.remove(OTHER), Err(BookmarkError::Fixed));
    assert_eq!(bookmarks.remove(999), Err(BookmarkError::Unknown(999)));
    assert_eq!(bookmarks.add(page(leaf, "x")), Err(BookmarkError::NoFolder(leaf)));
    assert_eq!(bookmarks.add(page(BAR, &"x".repeat(9000))), Err(BookmarkError::Address));
    let mut deepest = inner;
    while let Ok(next) = bookmarks.add(folder(deepest, "deeper")) {
        deepest = next;
    }
    assert_eq!(bookmarks.add(folder(deepest, "x")), Err(BookmarkError::Depth));
    let tower = bookmarks.add(folder(BAR, "tower")).unwrap();
    bookmarks.add(folder(tower, "top")).unwrap();
    assert_eq!(bookmarks.edit(tower, to(deepest)), Err(BookmarkError::Depth));
}

#[test]
fn bookmarks_are_found_by_words_and_by_address() {
    let mut bookmarks = Bookmarks::default();
    bookmarks.add(Bookmark { tags: vec!["Reading".into()], ..page(BAR, "https://a.test/") }).unwrap();
    bookmarks.add(page(OTHER, "https://b.test/")).unwrap();
    let found = |words: &str| titles(&bookmarks, &BookmarkFilter { words: words.into(), ..BookmarkFilter::default() });
    assert_eq!(
        (found("reading TITLE"), found("b.test")),
        (vec!["https://a.test/".into()], vec!["https://b.test/".into()])
    );
    let renamed = BookmarkEdit { title: Some("Else".into()), tags: Some(Vec::new()), ..BookmarkEdit::default() };
    bookmarks.edit(OTHER + 1, renamed).unwrap();
    let found = |words: &str| titles(&bookmarks, &BookmarkFilter { words: words.into(), ..BookmarkFilter::default() });
    assert_eq!((found("reading").len(), found("ELSE").len()), (0, 1), "the search has the old words");
    let folders = BookmarkFilter { folders: true, ..BookmarkFilter::default() };
    assert_eq!(bookmarks.list(&folders).len(), 0);
    let of_url = |url: &str| BookmarkFilter { url: Some(url.into()), ..BookmarkFilter::default() };
    assert_eq!(titles(&bookmarks, &of_url("https://b.test/")).len(), 1);
    assert_eq!(titles(&bookmarks, &of_url("https://b.test")).len(), 0);
}

#[test]
fn a_damaged_tree_loses_no_page() {
    let lost = Bookmark { id: 10, ..page(77, "lost folder") };
    let in_a_page = Bookmark { id: 11, ..page(10, "in a page") };
    let cycle = [(12, 13), (13, 12)].map(|(id, parent)| Bookmark { id, ..folder(parent, "cycle") });
    let in_a_cycle = Bookmark { id: 14, ..page(12, "in a cycle") };
    let bookmarks = Bookmarks::restored([vec![lost, in_a_page, in_a_cycle], cycle.to_vec()]);
    assert_eq!((bookmarks.len(), bookmarks.list(&BookmarkFilter::default()).len()), (5, 5));
}
