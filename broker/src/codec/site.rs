//! Reports on sites: the window's and the control API's messages.

use regen_net_config::settings::shields::Level;
use regen_proto::kernel::v1::shell_update::Body;
use regen_proto::kernel::v1::{ShieldsLevel, SiteAnswer};
use regen_proto::net::v1::{Blocked, Certificate as WireCertificate, Cookie as WireCookie, SiteReport as WireReport};

use super::permissions;
use crate::network::BlockedRequest;
use crate::site_report::{Certificate, Cookie, SiteReport};

/// Maximum length of an address in a report, in characters: a page chooses it.
const MAX_SHOWN: usize = 500;

/// Maximum number of cookies in a report.
const MAX_COOKIES: usize = 100;

/// Returns the level that the window chose; `None`: the default again.
#[must_use]
pub fn level(level: ShieldsLevel) -> Option<Level> {
    match level {
        ShieldsLevel::Unspecified => None,
        ShieldsLevel::Off => Some(Level::Off),
        ShieldsLevel::Balanced => Some(Level::Balanced),
        ShieldsLevel::Strict => Some(Level::Strict),
    }
}

/// Returns a report as it is sent.
#[must_use]
pub fn report(report: SiteReport) -> WireReport {
    let cut = |text: String| text.chars().take(MAX_SHOWN).collect();
    let blocked = |BlockedRequest { site, workspace, url, kind, rule, list }| Blocked {
        site,
        workspace,
        url: cut(url),
        kind,
        rule: cut(rule),
        list: cut(list),
        ..Blocked::default()
    };
    let cookie =
        |Cookie { name, bytes, domain, expires }| WireCookie { name: cut(name), bytes, domain: cut(domain), expires };
    WireReport {
        site: report.host.site.as_str().to_owned(),
        workspace: report.host.workspace,
        pid: report.pid,
        memory_kb: report.memory_kb,
        storage_bytes: report.storage_bytes,
        storage_files: report.storage_files,
        route: report.route,
        level: report.level.to_string(),
        own_level: report.has_own_level,
        blocked: report.blocked.into_iter().map(blocked).collect(),
        permissions: permissions::states(report.permissions),
        certificate: report.connection.certificate.map(|Certificate { subject, issuer, from, until }| {
            WireCertificate { subject: cut(subject), issuer: cut(issuer), from, until }
        }),
        cookies: report.connection.cookies.into_iter().take(MAX_COOKIES).map(cookie).collect(),
    }
}

/// Returns the answer to the window's question.
#[must_use]
pub(super) fn answer(request: u64, answer: SiteReport) -> Body {
    Body::Site(SiteAnswer { request, report: Some(report(answer)) })
}
