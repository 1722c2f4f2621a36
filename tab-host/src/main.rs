//! The tab-host: shows the pages of one site, on a display of its own, with a tunnel as its only network.
//!
//! Three threads: the main thread runs GTK and the engine's UI process side, one runs the display, and one talks to the
//! broker, the window and the net-daemon.

mod broker_channel;
mod busy;
mod cookies;
mod display;
mod downloads;
mod egl_stub;
mod events;
mod filter;
mod fingerprinting;
mod helpers;
mod host;
mod letterbox;
mod permissions;
mod sender;
mod shields;
mod site_context;
mod socks;
mod spare;
mod surface;
mod tunnel;
mod view;
mod web_view;

use regen_net_config::site::Site;

use crate::fingerprinting::ReportedDevice;

fn main() -> anyhow::Result<()> {
    regen_runtime::begin();
    egl_stub::without_graphics_driver();
    prepare_folders()?;
    let mut link = broker_channel::start()?;
    let configuration = &link.configuration;
    let display = display::start(configuration.clone(), link.sender.clone())?;
    link.set_display(display.clone())?;
    gtk::init()?;
    if let Some(settings) = gtk::Settings::default() {
        gtk::prelude::GtkSettingsExt::set_gtk_application_prefer_dark_theme(&settings, configuration.dark);
    }
    let (site, level) = match link.configuration.site.as_str() {
        "" => spare::wait(&mut link)?,
        site => (Site::parse(site)?, configuration.level()),
    };
    let machine = ReportedDevice::of(level);
    machine.begin(&display, &link.configuration)?;
    host::run(site, machine, link, display)
}

/// Creates the private directories that GTK and the engine expect.
fn prepare_folders() -> std::io::Result<()> {
    for name in ["HOME", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME"] {
        if let Some(path) = std::env::var_os(name) {
            std::fs::create_dir_all(&path)?;
            if name == "XDG_RUNTIME_DIR" {
                use std::os::unix::fs::PermissionsExt;
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700))?;
            }
        }
    }
    Ok(())
}
