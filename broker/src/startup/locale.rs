//! The user's languages and time zone, for pages: from the environment and the system.

use std::path::Path;

/// Maximum number of languages; more would help fingerprinting and not the pages.
const MAX_LANGUAGES: usize = 8;

/// Returns this user's languages as BCP 47 tags, most preferred first; empty without a locale.
#[must_use]
pub fn languages() -> Vec<String> {
    of(|name| std::env::var(name).ok())
}

/// Returns the name of this user's time zone, such as `Europe/Berlin`. It must be passed into a sandbox, where
/// `/etc/localtime` is not a link to it.
#[must_use]
pub fn time_zone() -> Option<String> {
    let own = std::env::var("TZ").ok().map(|zone| zone.trim_start_matches(':').to_owned());
    let machine = || zone_of(&std::fs::read_link("/etc/localtime").ok()?);
    own.filter(|zone| is_zone(zone)).or_else(machine)
}

fn zone_of(link: &Path) -> Option<String> {
    let (_, zone) = link.to_str()?.split_once("zoneinfo/")?;
    is_zone(zone).then(|| zone.to_owned())
}

fn is_zone(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.len() < 64
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_+-".contains(&byte))
}

fn of(variable: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(set).unwrap_or_default();
    // `LANGUAGE` counts only if the locale is not C, as in gettext.
    let list = if tag(&locale).is_some() { set("LANGUAGE") } else { None };
    let mut tags: Vec<String> = Vec::new();
    for tag in list.unwrap_or_default().split(':').chain([locale.as_str()]).filter_map(tag) {
        if !tags.contains(&tag) && tags.len() < MAX_LANGUAGES {
            tags.push(tag);
        }
    }
    tags
}

/// Returns the language tag of a locale: `de_AT.UTF-8@euro` is `de-AT`.
fn tag(locale: &str) -> Option<String> {
    let name = locale.split(['.', '@']).next().unwrap_or_default();
    let is_part = |part: &str| (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_known = name != "C" && name != "POSIX" && name.split('_').all(is_part);
    is_known.then(|| name.replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)]) -> Vec<String> {
        of(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn a_zone_has_a_name() {
        assert_eq!(zone_of(Path::new("/usr/share/zoneinfo/Europe/Berlin")).as_deref(), Some("Europe/Berlin"));
        assert_eq!(zone_of(Path::new("../usr/share/zoneinfo/Etc/GMT+3")).as_deref(), Some("Etc/GMT+3"));
        assert_eq!(zone_of(Path::new("/usr/share/zoneinfo/../../etc/passwd")), None);
        assert_eq!(zone_of(Path::new("/somewhere/else")), None);
    }

    #[test]
    fn locales_become_languages() {
        assert_eq!(with(&[("LANG", "de_AT.UTF-8")]), ["de-AT"]);
        assert_eq!(with(&[("LANG", "de_AT"), ("LANGUAGE", "fr:de_AT:en_GB")]), ["fr", "de-AT", "en-GB"]);
        assert_eq!(with(&[("LANG", "de_DE"), ("LC_ALL", "nb_NO@x")]), ["nb-NO"]);
        assert_eq!(with(&[("LANG", "C.UTF-8"), ("LANGUAGE", "de")]), Vec::<String>::new());
        assert_eq!(with(&[("LANG", "../../etc"), ("LC_ALL", "")]), Vec::<String>::new());
        assert_eq!(with(&[]), Vec::<String>::new());
    }
}
