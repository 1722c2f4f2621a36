//! Reports on sites, as the chrome has them.

use regen_proto::kernel::v1::{ShieldsLevel, SiteAnswer};
use regen_proto::net::v1::{Blocked, Certificate, Cookie};
use serde::{Deserialize, Serialize};

use super::permissions::permission;
use super::{ChromePermission, ToChrome};

/// Level of the shields for a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) enum ChromeLevel {
    /// The level of all sites.
    Default,
    Off,
    Balanced,
    Strict,
}

impl From<ChromeLevel> for ShieldsLevel {
    fn from(level: ChromeLevel) -> Self {
        match level {
            ChromeLevel::Default => Self::Unspecified,
            ChromeLevel::Off => Self::Off,
            ChromeLevel::Balanced => Self::Balanced,
            ChromeLevel::Strict => Self::Strict,
        }
    }
}

/// A request that shields stopped.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChromeBlocked {
    pub(super) url: String,
    pub(super) kind: String,
    pub(super) rule: String,
    pub(super) list: String,
}

/// Report on a site.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChromeSite {
    pub(super) site: String,
    pub(super) workspace: String,
    /// Process; 0: none.
    pub(super) pid: i32,
    pub(super) memory_kb: u64,
    pub(super) storage_bytes: u64,
    pub(super) storage_files: u64,
    pub(super) route: String,
    /// `off`, `balanced` or `strict`.
    pub(super) level: String,
    /// The level was chosen for this site.
    pub(super) own_level: bool,
    /// Newest first.
    pub(super) blocked: Vec<ChromeBlocked>,
    pub(super) permissions: Vec<ChromePermission>,
    /// As the site's process says.
    pub(super) certificate: Option<ChromeCertificate>,
    /// As the site's process says.
    pub(super) cookies: Vec<ChromeCookie>,
}

/// A certificate. Times are in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChromeCertificate {
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) from: u64,
    pub(super) until: u64,
}

/// A cookie, without its value.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "camelCase")]
pub(crate) struct ChromeCookie {
    pub(super) name: String,
    pub(super) bytes: u64,
    pub(super) domain: String,
    /// Seconds since 1970; 0: with the session.
    pub(super) expires: u64,
}

/// Returns the answer to a question about a site.
pub(super) fn answer(answer: &SiteAnswer) -> ToChrome {
    let report = answer.report.clone().unwrap_or_default();
    let cookie = |Cookie { name, bytes, domain, expires }| ChromeCookie { name, bytes, domain, expires };
    let blocked = |Blocked { url, kind, rule, list, .. }| ChromeBlocked { url, kind, rule, list };
    let report = ChromeSite {
        site: report.site,
        workspace: report.workspace,
        pid: report.pid,
        memory_kb: report.memory_kb,
        storage_bytes: report.storage_bytes,
        storage_files: report.storage_files,
        route: report.route,
        level: report.level,
        own_level: report.own_level,
        blocked: report.blocked.into_iter().map(blocked).collect(),
        permissions: report.permissions.iter().filter_map(permission).collect(),
        certificate: report.certificate.map(|Certificate { subject, issuer, from, until }| ChromeCertificate {
            subject,
            issuer,
            from,
            until,
        }),
        cookies: report.cookies.into_iter().map(cookie).collect(),
    };
    ToChrome::Site { request: answer.request, report: Box::new(report) }
}
