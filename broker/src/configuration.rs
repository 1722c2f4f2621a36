//! Configuration of children: the first message after Hello.

use regen_proto::kernel::v1::{Configure, ShieldsLevel};
use regen_proto::role::Role;

use crate::network::Network;
use crate::session::HostKey;
use crate::startup::keyboard::Keyboard;
use crate::window::window_size::Size;

/// Options of the start that pages and the window depend on.
#[derive(Debug, Clone)]
pub struct DisplayOptions {
    /// Set if no window is opened.
    pub headless: bool,
    /// Page size where there is no window, pixels.
    pub size: (u32, u32),
    /// Scale factor where there is no window.
    pub scale: u32,
    /// The window and the pages are dark.
    pub dark: bool,
    /// Keyboard layout for pages.
    pub keyboard: Keyboard,
    /// The user's languages as BCP 47 tags.
    pub languages: Vec<String>,
    /// The user's zone in the time zone database; empty where it is unknown.
    pub time_zone: String,
}

impl DisplayOptions {
    /// Returns the configuration of a child. `host`: the site of a tab-host; `window_size`: as the user left the window.
    #[must_use]
    pub fn configure(
        &self,
        role: Role,
        host: Option<&HostKey>,
        window_size: Option<Size>,
        network: &Network,
    ) -> Configure {
        let level = host.map(|host| network.settings().shields.of(&host.site)).unwrap_or_default();
        let unknown = Size { width: 0, height: 0, maximized: false };
        let headless = Size { width: self.size.0, height: self.size.1, maximized: false };
        let Size { width, height, maximized } =
            if role == Role::UiShell { window_size.unwrap_or(unknown) } else { headless };
        Configure {
            site: host.map(|host| host.site.as_str().to_owned()).unwrap_or_default(),
            headless: self.headless,
            width,
            height,
            maximized,
            scale: self.scale,
            dark: self.dark,
            keyboard_layout: self.keyboard.layout.clone(),
            keyboard_variant: self.keyboard.variant.clone(),
            keyboard_options: self.keyboard.options.clone(),
            languages: self.languages.clone(),
            time_zone: self.time_zone.clone(),
            level: ShieldsLevel::from(level).into(),
            ..if role == Role::NetDaemon { network.configuration() } else { Configure::default() }
        }
    }
}
