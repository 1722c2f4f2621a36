//! The user's languages, for pages: what the locale's variables say.

/// More than that say too much of a user, and nothing to a page.
const MOST: usize = 8;

/// This user's, as BCP 47 tags, the one that is liked best first. None where there is no locale.
#[must_use]
pub fn of_user() -> Vec<String> {
    of(|name| std::env::var(name).ok())
}

fn of(variable: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(set).unwrap_or_default();
    // Whoever wants no translations is not asked which.
    let list = if tag(&locale).is_some() { set("LANGUAGE") } else { None };
    let mut tags: Vec<String> = Vec::new();
    for tag in list.unwrap_or_default().split(':').chain([locale.as_str()]).filter_map(tag) {
        if !tags.contains(&tag) && tags.len() < MOST {
            tags.push(tag);
        }
    }
    tags
}

/// `de_AT.UTF-8@euro` is `de-AT`.
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
    fn locales_become_languages() {
        assert_eq!(with(&[("LANG", "de_AT.UTF-8")]), ["de-AT"]);
        assert_eq!(with(&[("LANG", "de_AT"), ("LANGUAGE", "fr:de_AT:en_GB")]), ["fr", "de-AT", "en-GB"]);
        assert_eq!(with(&[("LANG", "de_DE"), ("LC_ALL", "nb_NO@x")]), ["nb-NO"]);
        assert_eq!(with(&[("LANG", "C.UTF-8"), ("LANGUAGE", "de")]), Vec::<String>::new());
        assert_eq!(with(&[("LANG", "../../etc"), ("LC_ALL", "")]), Vec::<String>::new());
        assert_eq!(with(&[]), Vec::<String>::new());
    }
}
