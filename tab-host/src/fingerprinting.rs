//! What strict shields make alike on every machine: the size of the page and of the screen, languages, time zone, processors, how
//! bright the user wants pages; and what is drawn cannot be read to the last bit.
//!
//! It holds for a whole process, from its start: workers and what a page is built from see the same.

use std::time::{Duration, Instant};

use gtk::prelude::{GtkSettingsExt, MonitorExt};
use regen_proto::kernel::v1::{Configure, ShieldsLevel};
use webkit2gtk::{
    SettingsExt, UserContentInjectedFrames, UserContentManagerExt, UserScript, UserScriptInjectionTime, WebContextExt,
    WebView, WebViewExt,
};

use crate::display::{DisplayCommand, DisplayHandleTo};

/// Runs in every frame, in the page's own world, before the page.
const SCRIPT: &str = include_str!("fingerprinting.js");
/// For the display to change its size.
const RESIZE_TIMEOUT: Duration = Duration::from_secs(5);
/// What most browsers say.
const LANGUAGE: &str = "en-US";
const VARIABLES: [(&str, &str); 2] = [("TZ", "UTC"), ("WTF_numberOfProcessorCores", "2")];

/// How much of this machine a process's pages see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReportedDevice {
    /// As it is.
    Own,
    /// As all others.
    Alike,
}

impl ReportedDevice {
    pub(crate) fn of(level: ShieldsLevel) -> Self {
        if level == ShieldsLevel::Strict { Self::Alike } else { Self::Own }
    }

    /// Must be called before the first view. What starts later inherits it.
    pub(crate) fn begin(self, display: &DisplayHandleTo, configure: &Configure) -> anyhow::Result<()> {
        if self == Self::Own {
            if !configure.time_zone.is_empty() {
                glib::setenv("TZ", &configure.time_zone, true)?;
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
        let (width, height) = self.size(configure.width, configure.height);
        let is_there = || {
            let screen = gtk::gdk::Display::default()?.monitor(0)?.geometry();
            let (now_width, now_height) = (u32::try_from(screen.width()).ok()?, u32::try_from(screen.height()).ok()?);
            Some((now_width, now_height) == (width, height))
        };
        // A page that came before would see the screen as it was.
        let deadline = Instant::now() + RESIZE_TIMEOUT;
        while is_there() != Some(true) {
            anyhow::ensure!(Instant::now() < deadline, "the display did not become {width} by {height}");
            gtk::main_iteration_do(false);
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    pub(crate) fn size(self, width: u32, height: u32) -> (u32, u32) {
        if self == Self::Own { (width, height) } else { letterboxed(width, height) }
    }

    /// The languages that pages learn of: these are the user's.
    fn languages(self, own: &[String]) -> Vec<&str> {
        match self {
            Self::Own if !own.is_empty() => own.iter().map(String::as_str).collect(),
            Self::Own | Self::Alike => vec![LANGUAGE],
        }
    }

    /// A view, before it shows anything. The languages are the user's.
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

/// The largest size of few that fits: a page that knows it knows little of the window.
pub(crate) fn letterboxed(width: u32, height: u32) -> (u32, u32) {
    let whole = |size: u32, step: u32| if size < step { size } else { size - size % step };
    (whole(width, 200), whole(height, 100))
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
