use super::*;

#[test]
fn every_shipped_policy_is_valid_named_like_its_file_and_within_its_budget() {
    for role in ROLES {
        let policy = Policy::of(role).unwrap();
        assert_eq!(policy.role, role);
        let calls = policy.calls().len();
        assert!(calls <= policy.budget as usize, "{role}: {calls} system calls, the budget is {}", policy.budget);
    }
}

#[test]
fn the_published_schema_is_that_of_the_files() {
    let schema = serde_json::to_string_pretty(&schemars::schema_for!(read::File)).unwrap() + "\n";
    if std::env::var_os("REGEN_WRITE_SCHEMA").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/policy.schema.json"), &schema).unwrap();
    } else {
        assert_eq!(schema, SCHEMA, "write it anew: REGEN_WRITE_SCHEMA=1 ./x test -p regen-sandbox schema");
    }
}

#[test]
fn only_the_net_daemon_shares_the_network() {
    for role in ROLES {
        let policy = Policy::of(role).unwrap();
        let isolated = policy.namespaces.new.contains(&Namespace::Net);
        assert_eq!(isolated, policy.is_jailed() && role != "net-daemon", "{role}");
    }
}

#[test]
fn a_tab_host_has_fewer_than_forty_mounts() {
    assert!(Policy::of("tab-host").unwrap().mount.len() < 40);
}

#[test]
fn mistakes_are_named_with_file_line_and_a_suggestion() {
    let good = shipped::text("agent-worker").unwrap();
    let read = |text: &str| Policy::parse("x.toml", text).map(|policy| policy.role).unwrap_err().to_string();
    let bad = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        read(&good.replacen(from, to, 1))
    };
    let with = |rule: &str| read(&format!("{good}\n{rule}\nreason = \"a test\"\n"));
    let unknown = bad("summary =", "colour = \"red\"\nsummary =");
    assert!(unknown.contains("x.toml") && unknown.contains("line 3") && unknown.contains("colour"), "{unknown}");
    let reason = bad("reason = \"the program itself\"", "reason = \" \"");
    assert!(reason.contains("x.toml:") && reason.contains("has no reason"), "{reason}");
    assert!(with("[[mount]]\nkind = \"tmpfs\"\nat = \"/proc\"\nsize = \"1M\"").contains("given twice"));
    assert!(with("[[mount]]\nkind = \"tmpfs\"\nat = \"/../x\"\nsize = \"1M\"").contains(".."));
    assert!(bad("\"pid\", ", "").contains("pid namespace"));
    let call = with("[[allow]]\ncalls = [\"execwe\"]");
    assert!(call.contains("no system call “execwe”") && call.contains("“execve”"), "{call}");
    let constant = with("[[allow]]\ncalls = [\"socket\"]\nwhen = [{ arg = 0, is = \"AF_UNXI\" }]");
    assert!(constant.contains("“AF_UNXI”") && constant.contains("“AF_UNIX”"), "{constant}");
    let twice = with("[[allow]]\ncalls = [\"read\"]");
    assert!(twice.contains("x.toml:") && twice.contains("“read” is allowed twice"), "{twice}");
    let include = bad("\"_rust\"", "\"_rsut\"");
    assert!(include.contains("_rsut") && include.contains("_rust"), "{include}");
}

#[test]
fn a_stricter_policy_is_no_looser_and_the_other_way_round() {
    let shipped = Policy::of("agent-worker").unwrap();
    let text = shipped::text("agent-worker").unwrap();
    let stricter = Policy::parse("x.toml", &text.replace("value = 64", "value = 32")).unwrap();
    assert_eq!(looser(&stricter, &shipped), Vec::<String>::new());
    assert!(!looser(&shipped, &stricter).is_empty());
    let more = format!("{text}\n[[allow]]\ncalls = [\"ptrace\"]\nreason = \"debugging\"\n");
    let more = Policy::parse("x.toml", &more).unwrap();
    assert!(looser(&more, &shipped).iter().any(|what| what.contains("ptrace")));
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = Policy::parse("x.toml", &text);
    }
}
