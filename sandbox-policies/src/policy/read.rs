//! Parser of policy files. Keeps the position of every rule.

use serde::Deserialize;
use toml::Spanned;

use super::{Allow, Env, Limit, Memory, Mount, Namespaces, Place, Policy, PolicyError, Refuse, RuleAt, Tcp};
use sha2::{Digest, Sha256};

/// Contents of one policy file. An included file contributes only its rules.
#[derive(Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default)]
    role: String,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    program: String,
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    include: Vec<Spanned<String>>,
    #[serde(default)]
    superset: Vec<String>,
    #[serde(default)]
    budget: u32,
    #[serde(default)]
    landlock_abi: u8,
    #[serde(default)]
    landlock_minimum: u8,
    #[serde(default)]
    namespaces: Option<Namespaces>,
    #[serde(default)]
    memory: Option<Memory>,
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Vec<Mount>"))]
    mount: Vec<Spanned<Mount>>,
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Vec<Tcp>"))]
    tcp: Vec<Spanned<Tcp>>,
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Vec<Allow>"))]
    allow: Vec<Spanned<Allow>>,
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Vec<Refuse>"))]
    refuse: Vec<Spanned<Refuse>>,
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Vec<Env>"))]
    env: Vec<Spanned<Env>>,
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Vec<Limit>"))]
    limit: Vec<Spanned<Limit>>,
}

/// Function that returns the text of an included file by its name, or the names that can be included.
pub(super) type Included = dyn Fn(&str) -> Result<&'static str, Vec<&'static str>>;

pub(super) fn policy(file: &str, text: &str, included: &Included) -> Result<Policy, PolicyError> {
    let parsed = parse(file, text)?;
    let wrong = |line: usize, what: String| PolicyError::Rule { place: Place { file: file.to_owned(), line }, what };
    let namespaces = parsed
        .namespaces
        .clone()
        .ok_or_else(|| wrong(1, "there is no [namespaces] table; list the new namespaces in one".into()))?;
    let mut policy = Policy {
        role: parsed.role.clone(),
        summary: parsed.summary.clone(),
        program: parsed.program.clone(),
        superset: parsed.superset.clone(),
        budget: parsed.budget,
        landlock_abi: parsed.landlock_abi,
        landlock_minimum: parsed.landlock_minimum,
        namespaces,
        memory: parsed.memory.clone(),
        sha256: String::new(),
        mount: Vec::new(),
        tcp: Vec::new(),
        allow: Vec::new(),
        refuse: Vec::new(),
        env: Vec::new(),
        limit: Vec::new(),
    };
    let mut hash = Sha256::new();
    for include in &parsed.include {
        let line = line_of(text, include.span().start);
        let name = include.get_ref();
        let inner = included(name).map_err(|names| {
            let names = names.into_iter().map(str::to_owned).collect::<Vec<_>>();
            wrong(
                line,
                format!("there is no file “{name}.toml” to include; {}", super::check::suggestion(name, &names)),
            )
        })?;
        let inner_file = format!("{name}.toml");
        let inner_parsed = parse(&inner_file, inner)?;
        if !inner_parsed.include.is_empty() {
            return Err(wrong(line, format!("“{name}.toml” includes another file; only one level is allowed")));
        }
        hash.update(inner);
        add(&mut policy, &inner_file, inner, inner_parsed);
    }
    hash.update(text);
    policy.sha256 = format!("{:x}", hash.finalize());
    add(&mut policy, file, text, parsed);
    Ok(policy)
}

fn parse(file: &str, text: &str) -> Result<File, PolicyError> {
    toml::from_str(text).map_err(|error| PolicyError::Syntax { file: file.to_owned(), error: Box::new(error) })
}

fn add(policy: &mut Policy, file: &str, text: &str, parsed: File) {
    fn place<T>(file: &str, text: &str, rules: Vec<Spanned<T>>) -> impl Iterator<Item = RuleAt<T>> {
        rules.into_iter().map(move |rule| {
            let line = line_of(text, rule.span().start);
            RuleAt { place: Place { file: file.to_owned(), line }, rule: rule.into_inner() }
        })
    }
    policy.mount.extend(place(file, text, parsed.mount));
    policy.tcp.extend(place(file, text, parsed.tcp));
    policy.allow.extend(place(file, text, parsed.allow));
    policy.refuse.extend(place(file, text, parsed.refuse));
    policy.env.extend(place(file, text, parsed.env));
    policy.limit.extend(place(file, text, parsed.limit));
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}
