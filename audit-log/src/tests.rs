use super::*;

fn whole(lines: u64) -> Verification {
    Verification { lines, breaks: Vec::new() }
}

fn written() -> (tempfile::TempDir, String, Head) {
    let folder = tempfile::tempdir().unwrap();
    let mut audit = Audit::open(folder.path(), None).unwrap();
    for n in 0..3 {
        audit.record("spawned", serde_json::json!({ "role": "tab-host", "child": n }));
    }
    // A second run continues the chain of the first.
    let head = audit.head().clone();
    drop(audit);
    let mut audit = Audit::open(folder.path(), Some(&head)).unwrap();
    audit.record("ended", serde_json::json!({ "child": 1 }));
    let head = audit.head().clone();
    let text = fs::read_to_string(path(folder.path())).unwrap();
    (folder, text, head)
}

#[test]
fn a_log_that_nobody_touched_is_whole() {
    let (_folder, text, head) = written();
    assert_eq!(verify(&text, &head), Ok(whole(4)));
    let entry = parse(text.lines().next().unwrap()).unwrap();
    assert_eq!((entry.entry["event"].as_str(), entry.entry["n"].as_u64()), (Some("spawned"), Some(1)));
    // Lines that are newer than the store's head are no damage.
    let former = Head { length: 3, hash: parse(text.lines().nth(2).unwrap()).unwrap().hash };
    assert_eq!(verify(&text, &former), Ok(whole(4)));
}

#[test]
fn a_line_that_was_cut_short_by_a_crash_is_no_damage() {
    let (_folder, text, head) = written();
    let folder = tempfile::tempdir().unwrap();
    fs::write(path(folder.path()), format!("{text}{}", &text[..40])).unwrap();
    let mut audit = Audit::open(folder.path(), Some(&head)).unwrap();
    assert_eq!((audit.head(), audit.breaks()), (&head, 0));
    audit.record("started", serde_json::json!({}));
    assert_eq!(verify(&fs::read_to_string(path(folder.path())).unwrap(), audit.head()), Ok(whole(5)));
}

#[test]
fn an_edit_a_cut_and_a_rewritten_log_show() {
    let (_folder, text, head) = written();
    assert_eq!(verify(&text.replacen("tab-host", "ui-shell", 1), &head), Err(TamperError::Edited(1)));
    let without_second: Vec<&str> = text.lines().enumerate().filter(|(n, _)| *n != 1).map(|(_, line)| line).collect();
    assert_eq!(verify(&without_second.join("\n"), &head), Err(TamperError::Edited(2)));
    let without_last: Vec<&str> = text.lines().take(3).collect();
    assert_eq!(verify(&without_last.join("\n"), &head), Err(TamperError::Cut { found: 3, known: 4 }));
    let (_other, other, _) = written();
    let rewritten = verify(&other, &Head { length: 4, hash: "0".repeat(64) });
    assert_eq!(rewritten, Err(TamperError::Rewritten(4)));
}

/// Changes a log while no browser runs: the next start and every later one report it.
#[test]
fn whatever_was_done_to_a_log_is_told_for_ever() {
    type Deed<'a> = &'a dyn Fn(&Path, &str);
    let deeds: [(&str, Deed<'_>); 5] = [
        ("cut", &|log, text| {
            fs::write(log, text.lines().take(2).map(|line| format!("{line}\n")).collect::<String>()).unwrap()
        }),
        ("emptied", &|log, _| fs::write(log, "").unwrap()),
        ("deleted", &|log, _| fs::remove_file(log).unwrap()),
        ("edited", &|log, text| fs::write(log, text.replacen("tab-host", "ui-shell", 1)).unwrap()),
        ("replaced", &|log, _| {
            let other = tempfile::tempdir().unwrap();
            let mut audit = Audit::open(other.path(), None).unwrap();
            (0..9).for_each(|n| audit.record("spawned", serde_json::json!({ "child": n })));
            fs::copy(path(other.path()), log).unwrap();
        }),
    ];
    for (deed, done) in deeds {
        let (folder, text, head) = written();
        done(&path(folder.path()), &text);
        let audit = Audit::open(folder.path(), Some(&head)).unwrap();
        assert_eq!(audit.breaks(), 1, "{deed}");
        let head = audit.head().clone();
        drop(audit);
        let again = Audit::open(folder.path(), Some(&head)).unwrap();
        assert_eq!(again.breaks(), 1, "{deed}: the start after that tells of it, and of nothing more");
        let text = fs::read_to_string(path(folder.path())).unwrap();
        let broken = text.lines().filter_map(parse).find(|entry| entry.entry["event"] == BROKEN).unwrap();
        assert!(broken.entry["why"].as_str().unwrap().len() > 10, "{deed}: {broken:?}");
    }
}

#[test]
fn a_log_whose_end_the_store_does_not_know_is_not_whole() {
    let (folder, _, _) = written();
    assert_eq!(Audit::open(folder.path(), None).unwrap().breaks(), 1, "the store was deleted, too");
    let fresh = tempfile::tempdir().unwrap();
    assert_eq!(Audit::open(fresh.path(), None).unwrap().breaks(), 0, "the control: a first start");
}

#[test]
fn a_log_that_is_replaced_while_it_is_open_is_put_right() {
    let (folder, text, head) = written();
    let mut audit = Audit::open(folder.path(), Some(&head)).unwrap();
    assert!(!audit.check_file().unwrap());
    fs::write(folder.path().join("other"), "nothing happened\n").unwrap();
    fs::rename(folder.path().join("other"), path(folder.path())).unwrap();
    assert!(audit.check_file().unwrap());
    assert!(!audit.check_file().unwrap(), "once");
    fs::remove_file(path(folder.path())).unwrap();
    assert!(audit.check_file().unwrap());
    let now = fs::read_to_string(path(folder.path())).unwrap();
    assert!(now.starts_with(&text), "all that was written is there");
    let verified = verify(&now, audit.head()).unwrap();
    assert_eq!(verified.breaks.len(), 2, "{verified:?}");
}

#[test]
fn a_log_that_grows_goes_on_in_another_file_with_the_same_chain() {
    let folder = tempfile::tempdir().unwrap();
    let mut audit = Audit::open(folder.path(), None).unwrap();
    let long = "x".repeat(1 << 20);
    (0..40).for_each(|_| audit.record("spawned", serde_json::json!({ "what": long })));
    let head = audit.head().clone();
    drop(audit);
    let files = files(folder.path()).unwrap();
    assert_eq!(files.len(), 3);
    let read = |path: &PathBuf| fs::read_to_string(path).unwrap();
    let mut chain = Chain::default();
    files.iter().for_each(|file| chain.take(&read(file), &[&head]).unwrap());
    assert_eq!(chain.finish(&[&head]).unwrap(), whole(head.length));
    // The last file alone is valid, too, and the next start continues it.
    let again = Audit::open(folder.path(), Some(&head)).unwrap();
    assert_eq!((again.head(), again.breaks()), (&head, 0));
    let mut without_one = Chain::default();
    without_one.take(&read(&files[0]), &[]).unwrap();
    assert!(matches!(without_one.take(&read(&files[2]), &[]), Err(TamperError::Gap(_))));
}
