use std::fs::{self, File};
use std::io::Write;

use regen_net_config::site::Site;

use super::*;

struct Scene {
    folder: tempfile::TempDir,
    downloads: Downloads,
}

fn host(name: &str) -> HostKey {
    HostKey { site: Site::of(&format!("https://{name}.test/")).unwrap(), workspace: String::new() }
}

fn from(child: ChildId, number: u64) -> HostDownload {
    HostDownload { child, tab: 1, number }
}

fn offer(name: &str) -> Report {
    let source = Some(Source { referrer: String::new(), validator: "\"1\"".to_owned() });
    Report::Wanted(Offer { url: format!("https://a.test/{name}"), name: name.to_owned(), total: 10, source })
}

fn broke() -> Report {
    Report::Failed { error: "the connection broke".to_owned(), try_again: true, changed: false }
}

fn kept(actions: &[Action]) -> Vec<bool> {
    actions
        .iter()
        .filter_map(|action| if let Action::Keep { is_needed, .. } = action { Some(*is_needed) } else { None })
        .collect()
}

fn stopped(actions: &[Action]) -> usize {
    actions.iter().filter(|action| matches!(action, Action::Stop(_))).count()
}

fn file(actions: Vec<Action>) -> File {
    actions
        .into_iter()
        .find_map(|action| if let Action::Write { file, .. } = action { Some(File::from(file)) } else { None })
        .unwrap()
}

fn last_shown(actions: &[Action]) -> &DownloadView {
    actions.iter().rev().find_map(|action| if let Action::Show(shown) = action { Some(shown) } else { None }).unwrap()
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let downloads = Self::open(&folder);
        let mut scene = Self { folder, downloads };
        scene.downloads.host_ready(&host("a"), 1);
        scene
    }

    fn open(folder: &tempfile::TempDir) -> Downloads {
        Downloads::open(folder.path().join("saved"), folder.path())
    }

    fn report(&mut self, from: HostDownload, report: Report) -> Vec<Action> {
        let now = Instant::now();
        self.downloads.reported(&host("a"), from, report, Some(now), now)
    }

    /// Begins a download that receives 4 bytes.
    fn begun(&mut self, name: &str) -> u64 {
        let started = self.report(from(1, 1), offer(name));
        let id = last_shown(&started).id;
        file(started).write_all(b"0123").unwrap();
        id
    }

    fn order(&mut self, order: Order) -> Vec<Action> {
        self.downloads.order(order).unwrap()
    }

    fn listed(&self) -> Vec<(String, Progress, u64)> {
        self.downloads.shown().into_iter().map(|one| (one.name, one.progress, one.received)).collect()
    }

    fn saved(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.folder.path().join("saved").join(name)).ok()
    }
}

#[test]
fn a_download_goes_on_where_it_stopped_when_its_host_is_there_again() {
    let mut scene = Scene::new();
    scene.begun("file.iso");
    let ended = scene.downloads.host_ended(&host("a"), 1);
    let DownloadView { progress, received, error, .. } = last_shown(&ended).clone();
    assert_eq!((progress, received, error.as_str()), (Progress::Interrupted, 4, "the page's process ended"));
    assert!(kept(&ended).is_empty(), "its host stays needed: {ended:?}");
    let again = scene.downloads.host_ready(&host("a"), 2);
    let Some(Action::GoOn { to, url, source, from, total, file }) =
        again.into_iter().find(|action| matches!(action, Action::GoOn { .. }))
    else {
        panic!("it does not go on")
    };
    assert_eq!(
        (to.child, url.as_str(), source.validator.as_str(), from, total),
        (2, "https://a.test/file.iso", "\"1\"", 4, 10)
    );
    File::from(file).write_all(b"456789").unwrap();
    let done = scene.downloads.reported(&host("a"), to, Report::Done { received: 10 }, None, Instant::now());
    assert_eq!(last_shown(&done).progress, Progress::Done);
    assert_eq!(kept(&done), [false]);
    assert_eq!(scene.saved("file.iso").unwrap(), b"0123456789");
}

#[test]
fn a_download_outlives_the_browser() {
    let mut scene = Scene::new();
    scene.begun("file.iso");
    let empty = scene.report(from(1, 2), offer("empty.iso"));
    assert_eq!(kept(&empty), [] as [bool; 0]);
    scene.downloads.end();
    assert_eq!(scene.saved("empty.iso.part"), None, "a part without a byte is not left behind");
    scene.downloads = Scene::open(&scene.folder);
    assert_eq!(kept(&scene.downloads.start()), [true], "its host is started, without any tab");
    let waits = [("file.iso".to_owned(), Progress::Interrupted, 4), ("empty.iso".to_owned(), Progress::Interrupted, 0)];
    assert_eq!(scene.listed(), waits);
    let again = scene.downloads.host_ready(&host("a"), 7);
    assert!(again.iter().any(|action| matches!(action, Action::GoOn { from: 4, .. })), "{again:?}");
    // The user removes the part, so the download is not resumed by itself.
    scene.downloads.end();
    fs::remove_file(scene.folder.path().join("saved/file.iso.part")).unwrap();
    scene.downloads = Scene::open(&scene.folder);
    assert_eq!(scene.listed()[0], ("file.iso".to_owned(), Progress::Failed, 0));
}

#[test]
fn what_cannot_be_had_again_fails_and_its_part_stays() {
    let mut scene = Scene::new();
    let answer = Report::Wanted(Offer { url: "https://a.test/".into(), name: "answer".into(), total: 0, source: None });
    file(scene.report(from(1, 1), answer)).write_all(b"0123").unwrap();
    let failed = scene.report(from(1, 1), broke());
    assert_eq!(last_shown(&failed).progress, Progress::Failed);
    assert!(last_shown(&failed).error.ends_with("answer.part"), "{failed:?}");
    assert_eq!(scene.saved("answer.part").unwrap(), b"0123");
    // The control: a file that can be requested again.
    scene.begun("file.iso");
    assert_eq!(last_shown(&scene.report(from(1, 1), broke())).progress, Progress::Interrupted);
}

#[test]
fn a_file_without_a_validator_or_with_another_one_begins_anew() {
    for changed in [false, true] {
        let mut scene = Scene::new();
        let source = Source { validator: if changed { "\"1\"".into() } else { String::new() }, ..Source::default() };
        let wanted = Offer { url: "https://a.test/f".into(), name: "f".into(), total: 10, source: Some(source) };
        let started = scene.report(from(1, 1), Report::Wanted(wanted));
        let id = last_shown(&started).id;
        file(started).write_all(b"0123").unwrap();
        scene.report(from(1, 1), Report::Failed { error: "it".into(), try_again: true, changed });
        let again = scene.downloads.try_again(id);
        assert!(again.iter().any(|action| matches!(action, Action::GoOn { from: 0, .. })), "{again:?}");
        assert_eq!(scene.saved("f.part").unwrap(), b"");
    }
}

#[test]
fn pauses_grow_and_end_when_bytes_come() {
    let mut scene = Scene::new();
    let id = scene.begun("file.iso");
    let mut pauses = Vec::new();
    let mut at = from(1, 1);
    for _ in 0..9 {
        let broken = scene.report(at, broke());
        pauses.extend(
            broken.iter().filter_map(|action| {
                if let Action::Later { after, .. } = action { Some(after.as_secs()) } else { None }
            }),
        );
        scene.downloads.try_again(id);
        at = from(1, OWN_NUMBERS + id);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    scene.report(at, Report::Received { received: 5, total: 10 });
    let broken = scene.report(at, broke());
    assert!(
        broken.iter().any(|action| matches!(action, Action::Later { after, .. } if after.as_secs() == 1)),
        "{broken:?}"
    );
}

#[test]
fn no_download_is_lost_however_many_a_page_saves_at_once() {
    let mut scene = Scene::new();
    let many: Vec<Vec<Action>> = (1..=12).map(|n| scene.report(from(1, n), offer("file"))).collect();
    assert_eq!(many.iter().flatten().filter(|action| matches!(action, Action::Write { .. })).count(), 8);
    assert_eq!(many.iter().map(|actions| stopped(actions)).sum::<usize>(), 0);
    let next = scene.report(from(1, 1), Report::Done { received: 0 });
    assert_eq!(next.iter().filter(|action| matches!(action, Action::Write { .. })).count(), 1, "{next:?}");
}

#[test]
fn a_host_says_nothing_of_another_ones_downloads_and_takes_no_number_twice() {
    let mut scene = Scene::new();
    let id = scene.begun("file.iso");
    assert!(
        scene.report(from(9, 1), Report::Done { received: 4 }).iter().all(|action| !matches!(action, Action::Show(_)))
    );
    assert_eq!(stopped(&scene.report(from(1, 1), offer("again"))), 1);
    assert_eq!(stopped(&scene.report(from(1, OWN_NUMBERS + id), offer("own"))), 1);
    assert_eq!(scene.saved("file.iso"), None);
    // The control: its own host.
    scene.report(from(1, 1), Report::Done { received: 4 });
    assert_eq!(scene.saved("file.iso").unwrap(), b"0123");
}

#[test]
fn a_cancelled_download_leaves_nothing() {
    let mut scene = Scene::new();
    let id = scene.begun("file.iso");
    assert_eq!(stopped(&scene.order(Order::Cancel(id))), 1);
    let over = scene.report(from(1, 1), broke());
    assert_eq!(last_shown(&over).progress, Progress::Cancelled);
    let id = scene.begun("other.iso");
    scene.downloads.host_ended(&host("a"), 1);
    assert_eq!(last_shown(&scene.order(Order::Cancel(id))).progress, Progress::Cancelled);
    assert_eq!(fs::read_dir(scene.folder.path().join("saved")).unwrap().count(), 0);
    assert_eq!(scene.downloads.unfinished(), 0);
}

#[test]
fn a_download_without_a_click_waits_for_the_users_word() {
    let mut scene = Scene::new();
    let now = Instant::now();
    let asked = scene.downloads.reported(&host("a"), from(1, 1), offer("file"), None, now);
    assert!(asked.iter().any(|action| matches!(action, Action::Ask { files: 1, .. })), "{asked:?}");
    assert_eq!(kept(&asked), [true]);
    let allowed = scene.downloads.answered(&host("a"), true);
    assert!(allowed.iter().any(|action| matches!(action, Action::Write { .. })), "{allowed:?}");
    assert!(allowed.iter().any(|action| matches!(action, Action::Ask { files: 0, .. })), "{allowed:?}");
}

#[test]
fn a_paused_download_waits_for_its_user_even_when_the_browser_ends() {
    let mut scene = Scene::new();
    let id = scene.begun("file.iso");
    let paused = scene.order(Order::Pause(id));
    assert_eq!((stopped(&paused), last_shown(&paused).progress), (1, Progress::Paused));
    assert_eq!(scene.downloads.unfinished(), 0, "quitting interrupts nothing");
    let stopped = Report::Failed { error: "User cancelled the download".to_owned(), try_again: false, changed: false };
    let stopped = scene.report(from(1, 1), stopped);
    assert_eq!((last_shown(&stopped).progress, kept(&stopped)), (Progress::Paused, vec![false]));
    assert!(scene.downloads.order(Order::Pause(id)).is_none(), "once");
    scene.downloads.end();
    scene.downloads = Scene::open(&scene.folder);
    assert_eq!(kept(&scene.downloads.start()), [] as [bool; 0], "no host is started for it");
    scene.downloads.host_ready(&host("a"), 3);
    assert_eq!(scene.listed(), [("file.iso".to_owned(), Progress::Paused, 4)]);
    let on = scene.order(Order::Resume(id));
    assert!(on.iter().any(|action| matches!(action, Action::GoOn { from: 4, .. })), "{on:?}");
}

#[test]
fn a_download_that_is_resumed_before_its_host_has_stopped_goes_on() {
    let mut scene = Scene::new();
    let id = scene.begun("file.iso");
    scene.order(Order::Pause(id));
    assert_eq!(last_shown(&scene.order(Order::Resume(id))).progress, Progress::Running);
    let stopped = Report::Failed { error: "User cancelled the download".to_owned(), try_again: false, changed: false };
    let on = scene.report(from(1, 1), stopped);
    assert!(on.iter().any(|action| matches!(action, Action::GoOn { from: 4, .. })), "{on:?}");
}

#[test]
fn what_cannot_be_requested_again_is_not_paused() {
    let mut scene = Scene::new();
    let answer = Report::Wanted(Offer { url: "https://a.test/".into(), name: "answer".into(), total: 0, source: None });
    let started = scene.report(from(1, 1), answer);
    let shown = last_shown(&started);
    assert!(!shown.can_resume);
    assert!(scene.downloads.order(Order::Pause(shown.id)).is_none());
}

#[test]
fn a_failed_or_cancelled_download_is_retried_under_a_name_that_is_free() {
    let mut scene = Scene::new();
    let id = scene.begun("file.iso");
    scene.report(from(1, 1), Report::Failed { error: "the disk is full".into(), try_again: false, changed: false });
    let again = scene.order(Order::Resume(id));
    assert!(again.iter().any(|action| matches!(action, Action::GoOn { from: 4, .. })), "{again:?}");
    scene.order(Order::Cancel(id));
    let over = scene.report(from(1, OWN_NUMBERS + id), broke());
    assert_eq!(last_shown(&over).progress, Progress::Cancelled);
    // The same name is taken by another download meanwhile.
    let other = scene.begun("file.iso");
    assert_eq!(last_shown(&scene.order(Order::Resume(id))).name, "file (1).iso");
    assert_eq!(scene.saved("file.iso.part").unwrap(), b"0123", "the other one is untouched");
    scene.order(Order::Cancel(id));
    scene.report(from(1, OWN_NUMBERS + id), broke());
    assert_eq!(scene.saved("file.iso.part").unwrap(), b"0123");
    scene.report(from(1, 1), Report::Done { received: 4 });
    assert!(scene.downloads.order(Order::Resume(other)).is_none(), "it is complete");
}

#[test]
fn the_list_outlives_the_browser_until_its_user_clears_it() {
    let mut scene = Scene::new();
    let id = scene.begun("file.iso");
    scene.report(from(1, 1), Report::Done { received: 4 });
    scene.begun("other.iso");
    scene.downloads.end();
    scene.downloads = Scene::open(&scene.folder);
    assert_eq!(scene.listed()[0], ("file.iso".to_owned(), Progress::Done, 4));
    let shown = scene.order(Order::ShowFolder(id));
    let path = scene.folder.path().join("saved/file.iso");
    assert!(shown.iter().any(|action| matches!(action, Action::ShowFolder(shown) if *shown == path)), "{shown:?}");
    assert!(scene.order(Order::ForgetEnded).iter().any(|action| matches!(action, Action::Gone(gone) if *gone == id)));
    assert_eq!(scene.listed(), [("other.iso".to_owned(), Progress::Interrupted, 4)], "an unfinished one stays");
    assert_eq!(scene.saved("file.iso").unwrap(), b"0123", "its file stays");
    scene.downloads.end();
    assert_eq!(Scene::open(&scene.folder).shown().len(), 1);
}

#[test]
fn what_waits_for_its_turn_survives_its_host_and_never_more_than_eight_run() {
    let mut scene = Scene::new();
    (1..=20).for_each(|number| drop(scene.report(from(1, number), offer(&format!("{number}.iso")))));
    let ended = scene.downloads.host_ended(&host("a"), 1);
    assert!(
        ended.iter().all(|action| !matches!(action, Action::Show(DownloadView { progress: Progress::Failed, .. })))
    );
    let again = scene.downloads.host_ready(&host("a"), 2);
    let on: Vec<HostDownload> =
        again.iter().filter_map(|action| if let Action::GoOn { to, .. } = action { Some(*to) } else { None }).collect();
    assert_eq!(on.len(), 8);
    let next = scene.downloads.reported(&host("a"), on[0], Report::Done { received: 0 }, None, Instant::now());
    assert_eq!(next.iter().filter(|action| matches!(action, Action::GoOn { .. })).count(), 1);
    assert_eq!(scene.downloads.shown().len(), 20);
}

fn failed() -> Report {
    Report::Failed { error: "the page was not drawn".to_owned(), try_again: false, changed: false }
}

#[test]
fn what_fails_before_its_turn_or_before_the_answer_holds_no_place() {
    let mut scene = Scene::new();
    (1..=9).for_each(|number| drop(scene.report(from(1, number), offer("file"))));
    let over = scene.report(from(1, 9), failed());
    assert_eq!((last_shown(&over).progress, scene.downloads.unfinished()), (Progress::Failed, 8));
    let mut scene = Scene::new();
    let now = Instant::now();
    scene.downloads.reported(&host("a"), from(1, 1), offer("file"), None, now);
    let over = scene.downloads.reported(&host("a"), from(1, 1), failed(), None, now);
    assert!(over.iter().any(|action| matches!(action, Action::Ask { files: 0, .. })), "{over:?}");
    assert!(over.iter().any(|action| matches!(action, Action::Tell(text) if text.contains("not drawn"))), "{over:?}");
    assert_eq!(kept(&over), [false]);
}

#[test]
fn downloads_of_one_name_are_never_mixed() {
    // A cancelled download is retried while another one has left a part under its name.
    let mut scene = Scene::new();
    let first = scene.begun("file.iso");
    scene.order(Order::Cancel(first));
    scene.report(from(1, 1), broke());
    scene.begun("file.iso");
    scene.report(from(1, 1), failed());
    let again = scene.order(Order::Resume(first));
    assert!(again.iter().any(|action| matches!(action, Action::GoOn { from: 0, .. })), "{again:?}");
    assert_eq!(scene.saved("file.iso.part").unwrap(), b"0123", "what is left of the other one");
    // The user removes the part of a running download, and another one takes the name.
    let mut scene = Scene::new();
    scene.begun("file.iso");
    fs::remove_file(scene.folder.path().join("saved/file.iso.part")).unwrap();
    file(scene.report(from(1, 2), offer("file.iso"))).write_all(b"other").unwrap();
    let over = scene.report(from(1, 1), Report::Done { received: 4 });
    assert_eq!(last_shown(&over).progress, Progress::Failed);
    scene.report(from(1, 2), Report::Done { received: 5 });
    assert_eq!(scene.saved("file.iso").unwrap(), b"other");
}

#[test]
fn a_cancelled_download_stays_cancelled_when_the_browser_dies_first() {
    let mut scene = Scene::new();
    let id = scene.begun("file.iso");
    scene.order(Order::Cancel(id));
    assert_eq!(scene.downloads.unfinished(), 0);
    scene.downloads.end();
    assert_eq!(Scene::open(&scene.folder).shown()[0].progress, Progress::Cancelled);
}

#[test]
fn those_that_fail_at_once_leave_their_places_to_others() {
    let mut scene = Scene::new();
    (1..=20).for_each(|number| drop(scene.report(from(1, number), offer(&format!("{number}.iso")))));
    scene.downloads.host_ended(&host("a"), 1);
    // A folder has the place of the first parts.
    for number in 1..=8 {
        let part = scene.folder.path().join(format!("saved/{number}.iso.part"));
        fs::remove_file(&part).unwrap();
        fs::create_dir(&part).unwrap();
    }
    let again = scene.downloads.host_ready(&host("a"), 2);
    assert_eq!(again.iter().filter(|action| matches!(action, Action::GoOn { .. })).count(), 8, "{again:?}");
}

#[test]
fn clearing_a_site_takes_its_ended_downloads_off_the_list() {
    let mut scene = Scene::new();
    scene.begun("file.iso");
    scene.report(from(1, 1), Report::Done { received: 4 });
    assert!(scene.downloads.forget_site(&host("b")).is_empty());
    assert_eq!(scene.downloads.forget_site(&host("a")).len(), 1);
    assert_eq!(scene.listed(), []);
}
