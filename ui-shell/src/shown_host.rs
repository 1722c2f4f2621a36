//! Host names as people read them. A name in another script is shown in it, unless it could be taken for another name: then
//! it is shown in its encoded form (`xn--…`).
//!
//! The rules are those of [Unicode Technical Standard 39](https://www.unicode.org/reports/tr39/).

use unicode_security::{GeneralSecurityProfile, RestrictionLevel, RestrictionLevelDetection, skeleton};

/// Returns the name to show for a host in its encoded form.
pub(crate) fn shown_host(host: &str) -> String {
    host.split('.').map(|label| readable(label).unwrap_or_else(|| label.to_owned())).collect::<Vec<_>>().join(".")
}

/// Returns an address with the name to show for its host.
pub(crate) fn shown_address(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    format!("{scheme}://{}{path}", shown_server(authority))
}

/// Returns the name to show for a host, which may have a port.
pub(crate) fn shown_server(server: &str) -> String {
    // A committed address has no user name, and one that has it is shown as it is.
    if server.contains('@') || !server.contains("xn--") {
        return server.to_owned();
    }
    match server.rsplit_once(':') {
        Some((host, port)) => format!("{}:{port}", shown_host(host)),
        None => shown_host(server),
    }
}

/// Decodes a label that cannot be taken for another one.
fn readable(label: &str) -> Option<String> {
    if !label.starts_with("xn--") {
        return None;
    }
    let (decoded, result) = idna::domain_to_unicode(label);
    result.ok()?;
    // A label that is encoded in another way than by the rules is not decoded.
    let is_canonical = idna::domain_to_ascii(&decoded).is_ok_and(|encoded| encoded == label);
    let is_plain = decoded.chars().all(GeneralSecurityProfile::identifier_allowed);
    // One script, or Latin with those of Chinese, Japanese or Korean.
    let is_of_one_script = decoded.check_restriction_level(RestrictionLevel::HighlyRestrictive);
    // “аррӏе” in Cyrillic letters looks like “apple”.
    let looks_latin = skeleton(&decoded).all(|character| character.is_ascii());
    (is_canonical && is_plain && is_of_one_script && !looks_latin).then_some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str) -> String {
        shown_host(&idna::domain_to_ascii(name).unwrap())
    }

    #[test]
    fn names_are_shown_in_their_script() {
        for name in ["bücher.example", "пример.испытание", "例え.jp", "ουτοπία.gr", "한국어abc.kr", "xn.example.org"]
        {
            assert_eq!(shown(name), name);
        }
    }

    #[test]
    fn what_could_be_another_name_is_shown_encoded() {
        // Cyrillic letters that look like Latin ones, alone and mixed; Greek and Latin; a letter of no living language.
        for name in ["аррӏе.com", "раypal.com", "gοοgle.com", "bank\u{1d16}.com", "ı.com"] {
            let encoded = idna::domain_to_ascii(name).unwrap();
            assert!(encoded.contains("xn--"), "{name}");
            assert_eq!(shown_host(&encoded), encoded, "{name}");
        }
        for broken in ["xn--", "xn--a", "xn--abc-.com", "XN--BCHER-KVA.example"] {
            assert_eq!(shown_host(broken), broken);
        }
    }

    #[test]
    fn only_the_host_of_an_address_is_decoded() {
        let url = "https://xn--bcher-kva.example:8443/xn--bcher-kva?q=xn--bcher-kva";
        assert_eq!(shown_address(url), "https://bücher.example:8443/xn--bcher-kva?q=xn--bcher-kva");
        for same in
            ["regen://history", "about:blank", "https://a.test/", "https://xn--bcher-kva@a.test/", "http://[::1]:8/"]
        {
            assert_eq!(shown_address(same), same);
        }
    }
}
