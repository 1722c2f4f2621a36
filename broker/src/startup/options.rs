//! Options of a browser, which `regen` takes and passes to the broker unchanged. Most are values of settings for one start.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use regen_settings::{SettingError, Settings, named};

/// Memory from which `auto` keeps a prelaunched process, in KB.
const PLENTY_KB: u64 = 4_000_000;

/// Returns whether a value of `appearance.color-scheme` is dark for this user.
#[must_use]
pub fn is_dark(scheme: &str) -> bool {
    if scheme != "auto" {
        return scheme == "dark";
    }
    let theme = std::env::var("GTK_THEME").unwrap_or_default();
    let folder = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")));
    // Without this file, the user has no preference.
    let file = folder.and_then(|folder| std::fs::read_to_string(folder.join("gtk-3.0/settings.ini")).ok());
    theme.to_ascii_lowercase().contains("dark") || file.is_some_and(|text| prefers_dark(&text))
}

/// Returns whether a value of `processes.spare` keeps a prelaunched process on this machine.
#[must_use]
pub fn keeps_spare(when: &str) -> bool {
    if when != "auto" {
        return when == "on";
    }
    // An unknown amount of memory counts as small.
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next());
    total.and_then(|total| total.parse::<u64>().ok()).is_some_and(|total| total >= PLENTY_KB)
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
    #[arg(long, value_name = "FILE", value_parser = file)]
    pub extra_ca: Vec<String>,
    /// Site whose pages may reach the private network even if the site is on the internet (may be given more than once)
    #[arg(long, value_name = "URL", value_parser = |text: &str| value("network.reach-private", text))]
    pub reach_private: Vec<String>,
    /// TOML file of changes to the configuration of Tor (arti): bridges, timeouts, another network [default: tor.toml
    /// in the profile]
    #[arg(long, value_name = "FILE", value_parser = file)]
    pub tor_config: Option<String>,
    /// File of DNSKEY records that anchor DNSSEC validation (`regen dns set --dnssec on`) instead of the root's keys;
    /// zone file format
    #[arg(long, value_name = "FILE", value_parser = file)]
    pub dns_anchors: Option<String>,
    /// Size of pages in headless mode, in pixels [default: 1280x800]
    #[arg(long, value_name = "WxH", value_parser = |text: &str| value("headless.size", text))]
    pub size: Option<String>,
    /// Scale factor in headless mode [default: 1]
    #[arg(long, value_name = "N", value_parser = ["1", "2"])]
    pub scale: Option<String>,
    /// Color scheme of the window and of pages; auto follows the user's GTK settings [default: auto]
    #[arg(long, value_name = "SCHEME", value_parser = ["auto", "light", "dark"])]
    pub color_scheme: Option<String>,
    /// Minutes without use after which a site's process is ended until it is needed again, earlier if memory is tight;
    /// 0 for never [default: 60]
    #[arg(long, value_name = "MINUTES", value_parser = |text: &str| value("tabs.sleep-after", text))]
    pub hibernate_after: Option<String>,
    /// Folder of downloads, instead of the user's download folder
    #[arg(long, value_name = "DIR", value_parser = file)]
    pub downloads: Option<String>,
    /// Maximum memory of a site's processes; over it they are killed and restored from their snapshots
    #[arg(long, value_name = "SIZE", value_parser = |text: &str| value("processes.memory-limit", text))]
    pub site_memory: Option<String>,
    /// Keep a prelaunched process for the next site; auto does so on machines with at least 4 GB of memory
    /// [default: auto]
    #[arg(long, value_name = "WHEN", value_parser = ["auto", "on", "off"])]
    pub spare: Option<String>,
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

/// Checks a value as its setting does.
fn value(name: &str, text: &str) -> Result<String, String> {
    let setting = named(name).ok_or_else(|| format!("there is no setting {name}"))?;
    setting.kind.read(&[text.to_owned()]).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// Returns the full path of a file or folder.
fn file(text: &str) -> Result<String, String> {
    let path = std::path::absolute(text).map_err(|error| error.to_string())?;
    path.into_os_string().into_string().map_err(|path| format!("{} is not UTF-8", path.display()))
}

impl BrowserOptions {
    /// Returns the options with a value for one start: the option's name, its setting, and the texts.
    fn values(&self) -> Vec<(&'static str, &'static str, &[String])> {
        let one = std::slice::from_ref::<String>;
        let single = [
            ("--tor-config", "network.tor-config", &self.tor_config),
            ("--dns-anchors", "network.dns-anchors", &self.dns_anchors),
            ("--size", "headless.size", &self.size),
            ("--scale", "headless.scale", &self.scale),
            ("--color-scheme", "appearance.color-scheme", &self.color_scheme),
            ("--hibernate-after", "tabs.sleep-after", &self.hibernate_after),
            ("--downloads", "downloads.folder", &self.downloads),
            ("--site-memory", "processes.memory-limit", &self.site_memory),
            ("--spare", "processes.spare", &self.spare),
        ];
        let single = single.into_iter().filter_map(|(option, name, text)| Some((option, name, one(text.as_ref()?))));
        let several = [
            ("--extra-ca", "network.extra-ca", self.extra_ca.as_slice()),
            ("--reach-private", "network.reach-private", self.reach_private.as_slice()),
        ];
        single.chain(several.into_iter().filter(|(_, _, texts)| !texts.is_empty())).collect()
    }

    /// Lets the options decide about their settings for this start.
    ///
    /// # Errors
    /// Returns an error if an administrator fixed one of them.
    pub fn decide(&self, settings: &mut Settings) -> Result<(), SettingError> {
        for (_, name, texts) in self.values() {
            settings.set_by_command_line(name, texts)?;
        }
        if self.jitless { settings.set_by_command_line("processes.jit", &["off".to_owned()]) } else { Ok(()) }
    }

    /// Returns the arguments for the broker.
    #[must_use]
    pub fn to_arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = Vec::new();
        if let Some(profile) = &self.profile {
            arguments.extend(["--profile".into(), profile.into()]);
        }
        for (option, _, texts) in self.values() {
            arguments.extend(texts.iter().flat_map(|text| [option.into(), text.into()]));
        }
        for (option, is_given) in [("--headless", self.headless), ("--jitless", self.jitless)] {
            arguments.extend(is_given.then(|| option.into()));
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
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Arguments {
        #[command(flatten)]
        browser: BrowserOptions,
    }

    #[test]
    fn options_decide_about_settings_and_reach_the_broker_unchanged() {
        let given =
            ["x", "--hibernate-after", "0.5", "--jitless", "--reach-private", "https://a.test", "--size", "800x600"];
        let options = Arguments::parse_from(given).browser;
        let mut settings = Settings::default();
        options.decide(&mut settings).unwrap();
        assert_eq!((settings.number("tabs.sleep-after"), settings.is_on("processes.jit")), (0.5, false));
        assert_eq!(settings.list("network.reach-private"), ["https://a.test/"]);
        let passed = std::iter::once("x".into()).chain(options.to_arguments());
        let again = Arguments::parse_from(passed).browser;
        assert_eq!(again.values(), options.values());
        assert!(again.jitless);
        for wrong in [["--size", "1x1"], ["--site-memory", "1M"], ["--hibernate-after", "soon"], ["--spare", "maybe"]] {
            assert!(Arguments::try_parse_from([&["x"], &wrong[..]].concat()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn an_administrators_word_stands_above_an_option() {
        let mut settings = Settings::new("", "[processes]\njit = true\n");
        let options = BrowserOptions { jitless: true, ..BrowserOptions::default() };
        assert_eq!(options.decide(&mut settings), Err(SettingError::Fixed("processes.jit".to_owned())));
    }

    #[test]
    fn the_users_gtk_settings_say_whether_it_is_dark() {
        assert!(prefers_dark("[SessionSettings]\ngtk-application-prefer-dark-theme = true\n"));
        assert!(prefers_dark("gtk-theme-name=Adwaita-dark"));
        assert!(!prefers_dark("gtk-theme-name=Adwaita\ngtk-application-prefer-dark-theme=0"));
    }
}
