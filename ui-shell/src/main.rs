//! The ui-shell: the browser's window. It draws its controls with a web view of its own, and below them the pixels of
//! the active tab's host. It attests user input; it must never load web content or use a network.

mod assets;
mod bridge;
mod broker_channel;
mod clipboard;
mod commands;
mod cursor;
mod drawn_chrome;
mod events;
mod frames;
mod input;
mod keyboard;
mod keymap;
mod pictures;
mod run;
mod shortcuts;
mod shown_host;
mod size;
mod surfaces;
mod window;

use std::rc::Rc;

fn main() -> anyhow::Result<()> {
    regen_runtime::begin();
    for name in ["HOME", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME"] {
        if let Some(path) = std::env::var_os(name) {
            std::fs::create_dir_all(path)?;
        }
    }
    let link = broker_channel::start()?;
    gtk::init()?;
    let broker_channel::Link { sender, surfaces, mut inbox, configuration } = link;
    // Without the dark option, the desktop's own setting stays.
    if let Some(settings) = gtk::Settings::default().filter(|_| configuration.dark) {
        gtk::prelude::GtkSettingsExt::set_gtk_application_prefer_dark_theme(&settings, true);
    }
    let window = window::Window::open(sender, surfaces, &configuration)?;
    keyboard::connect(&window);
    let receiving = Rc::clone(&window);
    glib::MainContext::default().spawn_local(async move {
        while let Some(message) = inbox.recv().await {
            receiving.receive(message);
        }
    });
    window.ready();
    gtk::main();
    Ok(())
}
