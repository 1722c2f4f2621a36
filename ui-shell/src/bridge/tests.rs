//! Contract of the bridge: what crosses, and the files that the chrome's side is made of.

use regen_commands::COMMANDS;
use regen_proto::kernel::v1::{
    CommandKeys, Dialog, DialogKind, ShellUpdate, Tab, TabState, TlsState, WindowSettings, shell_update,
};

use super::settings::{ChromeFoundKind, ChromeSettingChoice, ChromeSettingKind, ChromeSettingSource};
use super::site::{ChromeBlocked, ChromeCertificate, ChromeCookie};
use super::*;

fn setting(name: &str, kind: ChromeSettingKind) -> ChromeSetting {
    ChromeSetting {
        name: name.into(),
        section: name.split('.').next().unwrap_or_default().into(),
        words: "Words".into(),
        help: "Help.".into(),
        kind,
        values: vec!["60".into()],
        defaults: vec!["60".into()],
        choices: vec![ChromeSettingChoice { value: "a".into(), words: "A".into() }],
        min: 0.0,
        max: 100.0,
        unit: "minutes".into(),
        source: ChromeSettingSource::Default,
        at_next_start: false,
    }
}

fn workspace(id: &str, name: &str, colour: &str, throw_away: bool) -> ChromeWorkspace {
    let (id, name, colour) = (id.into(), name.into(), colour.into());
    ChromeWorkspace { id, name, colour, throw_away, route: String::new(), shields: String::new(), sites: Vec::new() }
}

#[test]
fn only_listed_messages_cross() {
    let ok: FromChrome = serde_json::from_str(r#"{"type":"closeTab","tab":3}"#).unwrap();
    assert_eq!(ok, FromChrome::CloseTab { tab: 3 });
    for bad in [
        r#"{"type":"readFile","path":"/etc/passwd"}"#,
        r#"{"type":"closeTab"}"#,
        r#"{"type":"closeTab","tab":3,"also":1}"#,
        r#"{"type":"closeTab","tab":"3"}"#,
        r"[]",
        "",
    ] {
        assert!(serde_json::from_str::<FromChrome>(bad).is_err(), "{bad}");
    }
}

/// The chrome's own tests run on this file, so it must hold exactly what this process sends.
#[test]
fn the_contract_file_of_the_chrome_tests_is_current() {
    let tab = |id, title: &str, url: &str, state: TabState| {
        let wire = Tab {
            id,
            url: url.into(),
            title: title.into(),
            site: "https://example.org".into(),
            domain: if url.is_empty() { String::new() } else { "example.org".into() },
            state: state.into(),
            can_go_back: true,
            tls: TlsState::Valid.into(),
            progress: 0.4,
            reason: if state == TabState::Sad { "signal 11 (SIGSEGV)".into() } else { String::new() },
            host: 1,
            zoom: 1.0,
            dialog: (id == 2).then(|| Dialog {
                dialog: 5,
                kind: DialogKind::Prompt.into(),
                text: "Who is there?".into(),
                preset: "me".into(),
                again: true,
                ..Dialog::default()
            }),
            ..Tab::default()
        };
        ToChrome::Tab { tab: Box::new((&wire).into()) }
    };
    let messages = vec![
        tab(1, "Example", "https://example.org/", TabState::Ready),
        tab(2, "Loading", "https://example.org/slow", TabState::Loading),
        tab(3, "Sad", "https://example.org/sad", TabState::Sad),
        tab(4, "", "", TabState::Lazy),
        ToChrome::Order { tabs: vec![1, 2, 3, 4], active: 1, first: true },
        ToChrome::Favicon { tab: 1, width: 1, height: 1, rgba: vec![255, 0, 0, 255] },
        ToChrome::Hover { url: "https://example.org/hover".into() },
        ToChrome::FindResult { tab: 1, matches: 7, position: 3 },
        ToChrome::Download {
            download: ChromeDownload {
                id: 1,
                name: "file.iso".into(),
                received: 500,
                total: 1000,
                state: "running",
                error: String::new(),
                can_resume: true,
                url: "https://example.org/file.iso".into(),
                ended_at: 0,
            },
        },
        ToChrome::DownloadGone { download: 1 },
        ToChrome::SessionOffer {
            session: 3,
            tabs: 2,
            saved_at: 1_700_000_000,
            choices: vec![
                ChromeChoice { tab: 1, title: "Example".into(), url: "https://example.org/".into() },
                ChromeChoice { tab: 2, title: String::new(), url: "https://example.net/".into() },
            ],
        },
        ToChrome::VpnQuestion { name: "home".into(), peer: "vpn.example.org".into(), asked: true },
        ToChrome::DownloadQuestion { site: "https://example.org".into(), workspace: String::new(), files: 3 },
        ToChrome::OutsideQuestion { site: "https://example.org".into(), url: "mailto:somebody@example.org".into() },
        ToChrome::QuitQuestion { downloads: 2, pages: 1 },
        ToChrome::Health {
            request: 1,
            lines: [
                ("uptime", "good", "running", 4000.0, "s"),
                ("memory", "good", "in use", 812.0, "MB"),
                ("store", "trouble", "The disk is full.", 2.0, "tabs"),
                ("tor", "busy", "starting", 45.0, "%"),
                ("redis", "off", "not configured", 0.0, ""),
            ]
            .map(|(part, state, words, value, unit)| ChromeHealth {
                part: part.into(),
                state,
                words: words.into(),
                value,
                unit: unit.into(),
            })
            .into(),
        },
        ToChrome::PermissionQuestion {
            question: 4,
            tab: 1,
            site: "example.org".into(),
            kind: Some(ChromePermissionKind::Notifications),
            asker: String::new(),
            quiet: false,
            open: true,
        },
        ToChrome::WindowActive { active: true },
        ToChrome::Workspaces {
            workspaces: vec![
                workspace("", "Default", "grey", false),
                ChromeWorkspace {
                    route: "tor".into(),
                    shields: "strict".into(),
                    sites: vec!["example.org".into()],
                    ..workspace("work", "Work", "blue", false)
                },
                workspace("~1", "Throw-away", "purple", true),
            ],
        },
        ToChrome::Notice { level: "warning".into(), text: "Something to know.".into() },
        ToChrome::Visits {
            request: 1,
            visits: vec![ChromeVisit {
                id: 7,
                at: 1_700_000_000,
                url: "https://example.org/page".into(),
                title: "A page".into(),
                workspace: String::new(),
            }],
            has_more: true,
            changed: 0,
        },
        ToChrome::Bookmarks {
            request: 1,
            bookmarks: vec![ChromeBookmark {
                id: 3,
                parent: 1,
                url: Some("https://example.org/".into()),
                title: "Example".into(),
                tags: vec!["tag".into()],
            }],
            has_more: false,
            changed: 0,
            added: 0,
            error: String::new(),
        },
        ToChrome::BookmarksChanged,
        ToChrome::Completions {
            request: 1,
            suggestions: vec![
                ChromeSuggestion {
                    url: "https://example.org/".into(),
                    title: "Example".into(),
                    tab: 1,
                    bookmarked: true,
                },
                ChromeSuggestion {
                    url: "https://example.net/page".into(),
                    title: String::new(),
                    tab: 0,
                    bookmarked: false,
                },
            ],
            inline_rest: "mple.org/".into(),
            inline_url: "https://example.org/".into(),
        },
        ToChrome::from_update(&ShellUpdate {
            body: Some(shell_update::Body::WindowSettings(WindowSettings {
                home: String::new(),
                bookmarks_bar: true,
                restore_session: false,
                keys: COMMANDS
                    .iter()
                    .map(|command| CommandKeys {
                        command: command.name.to_owned(),
                        keys: command.keys.iter().map(|keys| (*keys).to_owned()).collect(),
                    })
                    .collect(),
            })),
        })
        .unwrap(),
        ToChrome::Settings {
            request: 1,
            settings: vec![setting("tabs.sleep-after", ChromeSettingKind::Number)],
            problems: vec!["settings.toml, line 2: there is no setting “a.b”".into()],
            error: String::new(),
        },
        ToChrome::Found {
            request: 1,
            entries: vec![ChromeFound {
                kind: ChromeFoundKind::Command,
                tab: 0,
                target: "close-tab".into(),
                title: "Close tab".into(),
                detail: "Ctrl+W".into(),
                matched: vec![0, 1],
            }],
        },
        ToChrome::Site {
            request: 1,
            report: Box::new(ChromeSite {
                site: "https://example.org".into(),
                workspace: String::new(),
                pid: 4711,
                memory_kb: 120_000,
                storage_bytes: 34_000,
                storage_files: 12,
                route: "direct".into(),
                level: "balanced".into(),
                own_level: false,
                blocked: vec![ChromeBlocked {
                    url: "https://ads.example/a.js".into(),
                    kind: "script".into(),
                    rule: "||ads.example^".into(),
                    list: "EasyList".into(),
                }],
                permissions: [
                    (ChromePermissionKind::Location, ChromePermissionState::Unavailable),
                    (ChromePermissionKind::Notifications, ChromePermissionState::Ask),
                    (ChromePermissionKind::StorageAccess, ChromePermissionState::Allowed),
                    (ChromePermissionKind::Autoplay, ChromePermissionState::Denied),
                ]
                .map(|(kind, state)| ChromePermission { kind, state, until: 0 })
                .into(),
                certificate: Some(ChromeCertificate {
                    subject: "CN=example.org".into(),
                    issuer: "C=XX,O=Some Authority,CN=R1".into(),
                    from: 1_790_000_000,
                    until: 1_798_000_000,
                }),
                cookies: vec![ChromeCookie { name: "id".into(), bytes: 40, domain: "example.org".into(), expires: 0 }],
            }),
        },
        ToChrome::Command { name: "find" },
        ToChrome::Fullscreen { on: true, by_page: true },
    ];
    let current = serde_json::to_string_pretty(&messages).unwrap() + "\n";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/chrome-ui/contract.json");
    if std::env::var_os("REGEN_UPDATE_CONTRACT").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), current, "stale: update it with REGEN_UPDATE_CONTRACT=1");
}

/// The types of the chrome's scripts are these, so that a message has one definition.
#[test]
fn the_chromes_types_are_current() {
    use ts_rs::{Config, TS};
    let config = Config::new().with_large_int("number");
    let declared = [
        Rect::decl(&config),
        FromChrome::decl(&config),
        ToChrome::decl(&config),
        ChromeTab::decl(&config),
        ChromeDialog::decl(&config),
        ChromeDownload::decl(&config),
        ChromeDownloadAction::decl(&config),
        ChromeChoice::decl(&config),
        ChromeVisitAction::decl(&config),
        ChromeVisit::decl(&config),
        ChromeSuggestion::decl(&config),
        ChromeBookmark::decl(&config),
        ChromeBookmarkAction::decl(&config),
        ChromeCommand::decl(&config),
        ChromeSettingChoice::decl(&config),
        ChromeSettingKind::decl(&config),
        ChromeSettingSource::decl(&config),
        ChromeSetting::decl(&config),
        ChromeSettingAction::decl(&config),
        ChromeFoundKind::decl(&config),
        ChromeFound::decl(&config),
        ChromeLevel::decl(&config),
        ChromeBlocked::decl(&config),
        ChromeSite::decl(&config),
        ChromeCertificate::decl(&config),
        ChromeCookie::decl(&config),
        ChromeHealth::decl(&config),
        ChromePermission::decl(&config),
        ChromePermissionKind::decl(&config),
        ChromePermissionState::decl(&config),
        ChromePermissionAnswer::decl(&config),
        ChromeWorkspace::decl(&config),
        ChromeWorkspaceAction::decl(&config),
    ];
    let head = "// Generated from ui-shell/src/bridge/mod.rs: do not edit.\n".to_owned();
    let current = head + &declared.map(|one| format!("\nexport {one}\n")).concat();
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("web/src/bindings.ts");
    if std::env::var_os("REGEN_UPDATE_CONTRACT").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    let stale = "stale: update it with REGEN_UPDATE_CONTRACT=1";
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), current, "{stale}");
}
