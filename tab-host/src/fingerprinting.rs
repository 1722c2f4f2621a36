//! Fingerprinting resistance of strict shields. Pages see one of few page and screen sizes, and the same language, time
//! zone, processor count and colour scheme on every machine. They cannot read exactly what they have drawn.
//!
//! The protection applies to a whole process from its start, so that workers and all frames see the same.

use std::time::{Duration, Instant};

use gtk::prelude::{GtkSettingsExt, MonitorExt};
use regen_proto::kernel::v1::{ShieldsLevel, TabHostConfiguration};
use webkit2gtk::{
    SettingsExt, UserContentInjectedFrames, UserContentManagerExt, UserScript, UserScriptInjectionTime, WebContextExt,
    WebView, WebViewExt,
};

use crate::display::{DisplayCommand, DisplayHandleTo};
use crate::letterbox::letterboxed;

/// Script that runs in every frame, in the page's own world, before the page's scripts.
const SCRIPT: &str = include_str!("fingerprinting.js");
/// Timeout for the display to change its size.
const RESIZE_TIMEOUT: Duration = Duration::from_secs(5);
/// Language that most browsers report.
const LANGUAGE: &str = "en-US";
const VARIABLES: [(&str, &str); 2] = [("TZ", "UTC"), ("WTF_numberOfProcessorCores", "2")];

/// Device properties that the pages of a process see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReportedDevice {
    /// The machine's own properties.
    Own,
    /// The same properties on every machine.
    Alike,
}

impl ReportedDevice {
    pub(crate) fn of(level: ShieldsLevel) -> Self {
        if level == ShieldsLevel::Strict { Self::Alike } else { Self::Own }
    }

    /// Applies the device to this process. Must be called before the first view; processes that start later inherit it.
    pub(crate) fn begin(self, display: &DisplayHandleTo, configuration: &TabHostConfiguration) -> anyhow::Result<()> {
        if self == Self::Own {
            if !configuration.time_zone.is_empty() {
                glib::setenv("TZ", &configuration.time_zone, true)?;
            }
            return Ok(());
        }
        for (name, value) in VARIABLES {
            glib::setenv(name, value, true)?;
        }
        if let Some(settings) = gtk::Settings::default() {
            settings.set_gtk_application_prefer_dark_theme(false);
        }
        display.send(DisplayCommand::Letterbox);
        let (width, height) = self.size(configuration.width, configuration.height);
        let is_there = || {
            let screen = gtk::gdk::Display::default()?.monitor(0)?.geometry();
            let (now_width, now_height) = (u32::try_from(screen.width()).ok()?, u32::try_from(screen.height()).ok()?);
            Some((now_width, now_height) == (width, height))
        };
        // A page that started earlier would see the old screen size.
        let deadline = Instant::now() + RESIZE_TIMEOUT;
        while is_there() != Some(true) {
            anyhow::ensure!(Instant::now() < deadline, "the display was not resized to {width} by {height} in time");
            gtk::main_iteration_do(false);
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    pub(crate) fn size(self, width: u32, height: u32) -> (u32, u32) {
        if self == Self::Own { (width, height) } else { letterboxed(width, height) }
    }

    /// Returns the languages that pages see; `own` are the user's.
    fn languages(self, own: &[String]) -> Vec<&str> {
        match self {
            Self::Own if !own.is_empty() => own.iter().map(String::as_str).collect(),
            Self::Own | Self::Alike => vec![LANGUAGE],
        }
    }

    /// Configures a view before it shows anything; `languages` are the user's.
    pub(crate) fn set_up(self, web: &WebView, languages: &[String]) {
        if let Some(context) = web.context() {
            context.set_preferred_languages(&self.languages(languages));
        }
        if self == Self::Own {
            return;
        }
        if let Some(settings) = WebViewExt::settings(web) {
            settings.set_enable_webgl(false);
        }
        if let Some(manager) = web.user_content_manager() {
            let (frames, time) = (UserContentInjectedFrames::AllFrames, UserScriptInjectionTime::Start);
            manager.add_script(&UserScript::new(SCRIPT, frames, time, &[], &[]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_sizes_are_left() {
        assert_eq!(letterboxed(1280, 800), (1200, 800));
        assert_eq!(letterboxed(1399, 899), (1200, 800));
        assert_eq!(letterboxed(150, 99), (150, 99), "smaller than the smallest");
    }

    #[test]
    fn languages_are_the_users_unless_all_are_alike() {
        let own = ["de-DE".to_owned()];
        assert_eq!(ReportedDevice::Own.languages(&own), ["de-DE"]);
        assert_eq!(ReportedDevice::Own.languages(&[]), ["en-US"]);
        assert_eq!(ReportedDevice::Alike.languages(&own), ["en-US"]);
    }
}
