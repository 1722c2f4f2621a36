//! Records of every version, as files.

use super::*;

/// Reads records of every version, as that version's build wrote them.
#[test]
fn records_of_every_version_are_read() {
    fn read<T: codec::Readable>(bytes: &[u8]) -> Record<T> {
        codec::decode(bytes).unwrap()
    }
    let golden: SavedTab = read(include_bytes!("../golden/v1-tab.record")).value;
    assert_eq!((golden.id, golden.zoom, golden.pinned, golden.segments.len()), (7, 1.5, true, 1));
    let snapshot = &golden.segments[0].snapshot;
    assert_eq!((snapshot.scroll_y, snapshot.form.as_slice()), (240.0, b"[]".as_slice()));
    let order: Record<SavedOrder> = read(include_bytes!("../golden/v1-order.record"));
    assert_eq!(order, Record { number: 0, value: SavedOrder { order: vec![7, 3], active: 3 } });
    let meta: Record<Meta> = read(include_bytes!("../golden/v1-meta.record"));
    let was = Meta { clean: true, dismissed: false, restored: false, saved_at: 1_790_000_000 };
    assert_eq!(meta.value, was);
    let head: Record<Head> = read(include_bytes!("../golden/v1-audit-head.record"));
    assert_eq!(head.value.length, 42);
    let mut shields = ShieldsSettings::default();
    shields.choose(&Scope::Site(Site::of("https://example.org/").unwrap()), Some(Level::Off)).unwrap();
    let of_workspaces = WorkspaceLevels([("work".to_owned(), Level::Strict)].into());
    let mut routes = RouteSettings::default();
    routes.choose(Scope::Everywhere, Some("tor → direct".parse().unwrap()));
    routes.choose(Scope::Workspace("work".to_owned()), Some("direct".parse().unwrap()));
    routes.choose(Scope::Site(Site::of("https://example.org/").unwrap()), Some("block".parse().unwrap()));
    // Records of the current version: a shape changed without a new version fails here.
    let mut by_proxies = RouteSettings::default();
    let proxies =
        "vpn:home → https://a.test:8443#sha256/AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= → socks5://[::1]:9050";
    by_proxies.choose(Scope::Everywhere, Some(proxies.parse().unwrap()));
    let servers = "udp://10.0.0.1:5353, tls://9.9.9.9#dns.quad9.net, https://dns.quad9.net/dns-query".parse().unwrap();
    let dns = DnsSettings { servers, dnssec: true };
    let mut hsts = Hsts::default();
    assert!(hsts.hear("work", "https://a.test/", "max-age=1000; includeSubDomains", 1_000_000));
    let mut https_only = HttpsOnly { on: true, ..HttpsOnly::default() };
    https_only.choose(Some(&Site::of("http://plain.test/").unwrap()), Some(false));
    let mut session = Session::default();
    for url in ["https://a.test/", "https://b.test/"] {
        let load = Some(PageLoad::by_user(url));
        reduce(&mut session, Event::Open { load, workspace: "work".to_owned(), background: false, opener: None });
        let tab = session.last_id;
        reduce(&mut session, Event::Zoom { tab, zoom: 1.5 });
    }
    let zooms = session.zooms.clone();
    let mut permissions = PermissionSettings::default();
    let site = HostKey { site: Site::of("https://a.test/").unwrap(), workspace: "work".to_owned() };
    let kept = KeptPermission { is_allowed: true, until_s: Some(1_790_000_000) };
    permissions.choose(&site, PermissionKind::Notifications, Some(kept));
    let mut workspaces = Workspaces::default();
    let work = workspaces.create("Work", Some(Colour::Green)).unwrap();
    workspaces.set_home("a.test", Some(&work)).unwrap();
    let mut heavy = golden.clone();
    heavy.segments[0].snapshot.form = vec![b' '; 5000];
    let (record, entries) = history::split(heavy).unwrap();
    let bookmark = Bookmark {
        id: 3,
        parent: 1,
        place: 4,
        url: Some("https://example.org/".into()),
        title: "Example".into(),
        tags: vec!["tag".into()],
        added: 1_790_000_000,
    };
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/golden");
    let now = [
        ("v2-tab", codec::encode(3, &golden)),
        ("v2-history", codec::encode(14, &record)),
        ("v2-entry", codec::encode(15, entries.values().next().unwrap())),
        ("v2-order", codec::encode(4, &order.value)),
        ("v2-meta", codec::encode(5, &was)),
        ("v2-audit-head", codec::encode(6, &head.value)),
        ("v2-settings", codec::encode(7, &SessionSettings { restore: true })),
        ("v2-shields", codec::encode(8, &shields)),
        ("v2-routes", codec::encode(9, &routes)),
        ("v2-routes-with-proxies", codec::encode(10, &by_proxies)),
        ("v2-dns", codec::encode(11, &dns)),
        ("v2-https-only", codec::encode(12, &https_only)),
        ("v2-hsts", codec::encode(13, &hsts)),
        ("v2-zooms", codec::encode(18, &zooms)),
        ("v2-workspace-shields", codec::encode(20, &of_workspaces)),
        ("v2-permissions", codec::encode(21, &permissions)),
        ("v2-workspaces", codec::encode(19, &workspaces)),
        ("v2-visits", codec::encode(16, &ChunkRecord(vec![visit(1)]))),
        ("v2-bookmarks", codec::encode(17, &ChunkRecord(vec![bookmark]))),
    ];
    for (name, bytes) in now {
        let bytes = bytes.unwrap();
        let path = format!("{folder}/{name}.record");
        if std::env::var_os("REGEN_WRITE_GOLDEN").is_some() {
            std::fs::write(&path, &bytes).unwrap();
        }
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{name}");
    }
}
