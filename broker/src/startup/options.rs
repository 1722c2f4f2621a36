//! Options of a browser, which `regen` takes and passes to the broker unchanged.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use regen_net_config::site::Site;

/// Color scheme of the window and of pages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorScheme {
    /// The scheme of this user's GTK settings.
    #[default]
    Auto,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

impl ColorScheme {
    /// Returns the name on the command line.
    fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// Returns whether the scheme is dark for this user.
    #[must_use]
    pub fn is_dark(self) -> bool {
        match self {
            Self::Dark => true,
            Self::Light => false,
            Self::Auto => {
                let theme = std::env::var("GTK_THEME").unwrap_or_default();
                let folder = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
                let folder = folder.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")));
                // Without this file, the user has no preference.
                let file = folder.and_then(|folder| std::fs::read_to_string(folder.join("gtk-3.0/settings.ini")).ok());
                theme.to_ascii_lowercase().contains("dark") || file.is_some_and(|text| prefers_dark(&text))
            }
        }
    }
}

/// Use of a prelaunched process for the next site.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Spare {
    /// On machines with enough memory.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// Memory from which `auto` keeps a prelaunched process, in KB.
const PLENTY_KB: u64 = 4_000_000;

impl Spare {
    /// Returns the name on the command line.
    fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::On => "on",
            Self::Off => "off",
        }
    }

    /// Returns whether a prelaunched process is kept on this machine.
    #[must_use]
    pub fn is_wanted(self) -> bool {
        match self {
            Self::On => true,
            Self::Off => false,
            Self::Auto => {
                // An unknown amount of memory counts as small.
                let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
                let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next());
                total.and_then(|total| total.parse::<u64>().ok()).is_some_and(|total| total >= PLENTY_KB)
            }
        }
    }
}

/// Returns whether the text of `gtk-3.0/settings.ini` asks for a dark theme.
fn prefers_dark(settings: &str) -> bool {
    settings.lines().filter_map(|line| line.split_once('=')).any(|(name, value)| match name.trim() {
        "gtk-application-prefer-dark-theme" => ["1", "true"].contains(&value.trim()),
        "gtk-theme-name" => value.to_ascii_lowercase().contains("dark"),
        _ => false,
    })
}

/// Options of a browser.
#[derive(Debug, Clone, Default, Args)]
pub struct BrowserOptions {
    /// Folder of the profile, instead of the default one
    #[arg(long, value_name = "DIR", global = true, env = "REGEN_PROFILE")]
    pub profile: Option<PathBuf>,
    /// Run without a window; control the browser from the command line
    #[arg(long)]
    pub headless: bool,
    /// PEM file of additional trusted certificate authorities (may be given more than once)
    #[arg(long, value_name = "FILE")]
    pub extra_ca: Vec<PathBuf>,
    /// Site whose pages may reach the private network even if the site is on the internet (may be given more than once)
    #[arg(long, value_name = "URL", value_parser = Site::of)]
    pub reach_private: Vec<Site>,
    /// TOML file of changes to the configuration of Tor (arti): bridges, timeouts, another network [default: tor.toml
    /// in the profile]
    #[arg(long, value_name = "FILE")]
    pub tor_config: Option<PathBuf>,
    /// File of DNSKEY records that anchor DNSSEC validation (`regen dns set --dnssec on`) instead of the root's keys;
    /// zone file format
    #[arg(long, value_name = "FILE")]
    pub dns_anchors: Option<PathBuf>,
    /// Size of pages in headless mode, in pixels
    #[arg(long, value_name = "WxH", value_parser = size)]
    pub size: Option<(u32, u32)>,
    /// Scale factor in headless mode
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=2))]
    pub scale: Option<u32>,
    /// Color scheme of the window and of pages; auto follows the user's GTK settings
    #[arg(long, value_name = "SCHEME", value_enum, default_value_t = ColorScheme::Auto)]
    pub color_scheme: ColorScheme,
    /// Minutes without use after which a site's process is ended until it is needed again, earlier if memory is tight;
    /// 0 for never
    #[arg(long, value_name = "MINUTES", default_value_t = 60.0, value_parser = minutes)]
    pub hibernate_after: f64,
    /// Folder of downloads, instead of the user's download folder
    #[arg(long, value_name = "DIR")]
    pub downloads: Option<PathBuf>,
    /// Maximum memory of a site's processes; over it they are killed and restored from their snapshots
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub site_memory: Option<u64>,
    /// Keep a prelaunched process for the next site; auto does so on machines with at least 4 GB of memory
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = Spare::Auto)]
    pub spare: Spare,
    /// Run JavaScript without a JIT compiler: slower, but no memory may be both writable and executable
    #[arg(long)]
    pub jitless: bool,
    /// Role whose system calls are all allowed and recorded, for `regen policy learn`
    #[arg(long, value_name = "ROLE", hide = true)]
    pub watch: Option<String>,
    /// Addresses to open, or words to search for
    #[arg(value_name = "URL")]
    pub urls: Vec<String>,
}

fn size(text: &str) -> Result<(u32, u32), String> {
    let wrong = || "give the size as WIDTHxHEIGHT, such as 1280x800, each from 64 to 8192".to_owned();
    let (width, height) = text.split_once('x').ok_or_else(wrong)?;
    let side = |text: &str| text.parse().ok().filter(|side| (64..=8192).contains(side));
    side(width).zip(side(height)).ok_or_else(wrong)
}

fn minutes(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().ok().filter(|value| (0.0..=100_000.0).contains(value));
    value.ok_or_else(|| "give minutes, such as 30, or 0 for never".to_owned())
}

fn bytes(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.char_indices().find(|(_, c)| !c.is_ascii_digit()) {
        Some((at, _)) => text.split_at(at),
        None => (text, ""),
    };
    let unit = match unit {
        "" => Some(1),
        "K" => Some(1 << 10),
        "M" => Some(1 << 20),
        "G" => Some(1 << 30),
        _ => None,
    };
    let bytes = digits.parse().ok().zip(unit).and_then(|(number, unit): (u64, u64)| number.checked_mul(unit));
    bytes.filter(|bytes| *bytes >= 64 << 20).ok_or_else(|| "give a size such as 800M or 2G, at least 64M".to_owned())
}

impl BrowserOptions {
    /// Returns the arguments for the broker.
    #[must_use]
    pub fn to_arguments(&self) -> Vec<std::ffi::OsString> {
        let mut arguments: Vec<std::ffi::OsString> = Vec::new();
        if let Some(profile) = &self.profile {
            arguments.extend(["--profile".into(), profile.into()]);
        }
        if self.headless {
            arguments.push("--headless".into());
        }
        for file in &self.extra_ca {
            arguments.extend(["--extra-ca".into(), file.into()]);
        }
        for site in &self.reach_private {
            arguments.extend(["--reach-private".into(), site.as_str().into()]);
        }
        if let Some(file) = &self.tor_config {
            arguments.extend(["--tor-config".into(), file.into()]);
        }
        if let Some(file) = &self.dns_anchors {
            arguments.extend(["--dns-anchors".into(), file.into()]);
        }
        if let Some((width, height)) = self.size {
            arguments.extend(["--size".into(), format!("{width}x{height}").into()]);
        }
        if let Some(scale) = self.scale {
            arguments.extend(["--scale".into(), scale.to_string().into()]);
        }
        arguments.extend(["--color-scheme".into(), self.color_scheme.name().into()]);
        arguments.extend(["--hibernate-after".into(), self.hibernate_after.to_string().into()]);
        if let Some(folder) = &self.downloads {
            arguments.extend(["--downloads".into(), folder.into()]);
        }
        if let Some(bytes) = self.site_memory {
            arguments.extend(["--site-memory".into(), bytes.to_string().into()]);
        }
        arguments.extend(["--spare".into(), self.spare.name().into()]);
        if self.jitless {
            arguments.push("--jitless".into());
        }
        if let Some(role) = &self.watch {
            arguments.extend(["--watch".into(), role.into()]);
        }
        arguments.push("--".into());
        arguments.extend(self.urls.iter().map(Into::into));
        arguments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_gtk_settings_say_whether_it_is_dark() {
        assert!(prefers_dark("[SessionSettings]\ngtk-application-prefer-dark-theme = true\n"));
        assert!(prefers_dark("gtk-theme-name=Adwaita-dark"));
        assert!(!prefers_dark("gtk-theme-name=Adwaita\ngtk-application-prefer-dark-theme=0"));
    }
}
